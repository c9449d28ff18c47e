//! Backs a directory up into a store of directories: verified, resumable, visible in one step.
//!
//! `cargo run -- FROM TO`; without arguments it tries itself out below the temporary directory.

mod backup;

use std::error::Error;
use std::path::{Path, PathBuf};

use backup::back_up;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    match (arguments.next(), arguments.next()) {
        (Some(from), Some(to)) => println!("{:?}", back_up(&from, &to, u64::MAX).await?),
        (Some(_), None) => return Err("FROM is given, but not TO".into()),
        (None, _) => try_out().await?,
    }
    Ok(())
}

async fn try_out() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("peerstream-backup-{}", std::process::id()));
    let result = stop_and_go_on(&dir).await;
    std::fs::remove_dir_all(&dir)?;
    result
}

async fn stop_and_go_on(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (dir.join("from"), dir.join("to"));
    std::fs::create_dir_all(from.join("level-1"))?;
    let rows: Vec<u8> = (0..600 * 1024).map(|i| (i % 251) as u8).collect();
    std::fs::write(from.join("MANIFEST"), "one table")?;
    std::fs::write(from.join("level-1/000001.sst"), rows)?;

    // Stopped after two chunks: nothing is visible, and what was copied is not copied again.
    let stopped = back_up(&from, &to, 2).await?;
    assert_eq!((stopped.copied, &stopped.path), (2, &None));
    let whole = back_up(&from, &to, u64::MAX).await?;
    assert_eq!((whole.held, whole.copied), (2, 2));
    let data = whole.path.as_ref().ok_or("nothing was published")?;
    for file in ["MANIFEST", "level-1/000001.sst"] {
        assert_eq!(std::fs::read(data.join(file))?, std::fs::read(from.join(file))?, "{file}");
    }
    println!("{stopped:?}, then {whole:?}");
    Ok(())
}
