//! Checkpoints on a disk that fills up, that fails, and whose power is cut at any step.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChunkSize, PageToken, Selector, ShardId, WallClock};

use super::*;
use crate::disk::crash::{CrashDisk, Fault, OperationKind, Side, Survival};
use crate::disk::{DiskErrorKind, OpenMode, WriteFile};
use crate::offload::Inline;
use crate::{DirectorySource, Disk, Snapshot, Source, SourceError};

/// What the host holds: linked, copied, and not its own.
const LIVE: [(&str, &str); 4] =
    [("live/a.sst", "rows"), ("live/sub/b.sst", "more rows"), ("live/CURRENT", "7"), ("live/LOCK", "")];
const STALE_MS: u64 = 24 * 60 * 60 * 1000;

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        0
    }
}

fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

async fn machine() -> CrashDisk {
    let disk = CrashDisk::new();
    disk.create_dir_all(Path::new("live/sub")).await.unwrap();
    let file = |(path, content): &(&str, &str)| WriteFile {
        path: path.into(),
        content: Bytes::copy_from_slice(content.as_bytes()),
    };
    disk.write_files(LIVE.iter().map(file).collect()).await.unwrap();
    disk.sync_fs(Path::new("")).await.unwrap();
    disk
}

async fn start(disk: &CrashDisk) -> Result<CheckpointSource, crate::DiskError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let patterns = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let rules = TreeRules { immutable: patterns(&["*.sst"]), ignored: patterns(&["LOCK"]) };
    let tree = TreeCheckpointer::new(disk.clone(), rules);
    tree.add(&shard(), "live");
    let size = ChunkSize::new(1024).unwrap();
    let directory = DirectorySource::with_seams("work", disk.clone(), Arc::new(Inline), size);
    let parts = CheckpointParts {
        checkpointer: Arc::new(tree),
        directory: Arc::new(directory),
        disk,
        clock: Arc::new(Stopped),
    };
    CheckpointSource::at("checkpoints", parts, CheckpointSettings::default()).await
}

/// Opens the shard and reads all of it.
async fn read_all(source: &CheckpointSource) -> Result<Vec<(String, String)>, SourceError> {
    let snapshot: Arc<dyn Snapshot> = source.open(&shard(), &Selector::All).await?;
    let (mut read, mut token) = (Vec::new(), Some(PageToken::START));
    while let Some(from) = token {
        let page = snapshot.page(&from, 100).await?;
        for entry in page.entries {
            let bytes = snapshot.read(entry.ordinal, 0, usize::try_from(entry.len).unwrap()).await?;
            read.push((entry.key.to_string(), String::from_utf8(bytes.to_vec()).unwrap()));
        }
        token = page.next;
    }
    Ok(read)
}

fn whole() -> Vec<(String, String)> {
    let own = LIVE.iter().filter(|(path, _)| *path != "live/LOCK");
    let mut own: Vec<_> =
        own.map(|(path, content)| (path["live/".len()..].to_owned(), (*content).to_owned())).collect();
    own.sort();
    own
}

async fn checkpoints_on(disk: &CrashDisk) -> usize {
    let dir = Path::new("checkpoints/facts@1/0");
    match disk.metadata(dir).await.unwrap() {
        Some(_) => disk.list(dir, None, 100).await.unwrap().len(),
        None => 0,
    }
}

/// What a run of a process does: a checkpoint is made, read, and removed again.
async fn run(disk: &CrashDisk) {
    let Ok(source) = start(disk).await else { return };
    read_all(&source).await.ok();
    source.clean(STALE_MS).await.ok();
}

/// F-40: the power is cut, or the process dies, before and after every change of a run. The next
/// process removes what is left, and serves the shard whole.
#[tokio::test]
async fn wherever_a_process_ends_the_next_one_starts_clean() {
    let machine = machine().await;
    let mut points = 0;
    for skip in 0.. {
        let mut stopped = false;
        for side in [Side::Before, Side::After] {
            for end in [|disk: &CrashDisk| disk.kill(), |disk: &CrashDisk| disk.crash(Survival::Nothing)] {
                let disk = machine.fork();
                disk.stop_at(skip, side);
                run(&disk).await;
                let Some(at) = disk.stopped() else { continue };
                (stopped, points) = (true, points + 1);
                let disk = end(&disk);
                let source = start(&disk).await.unwrap();
                assert_eq!(checkpoints_on(&disk).await, 0, "after {at:?}");
                assert_eq!(read_all(&source).await.unwrap(), whole(), "after {at:?}");
                for (path, content) in LIVE {
                    let file = disk.open(Path::new(path), OpenMode::Read).await.unwrap();
                    assert_eq!(file.read_at(0, 100).await.unwrap(), content, "the live store after {at:?}");
                }
            }
        }
        if !stopped {
            break;
        }
    }
    println!("{points} crash points");
    assert!(points > 40, "{points} crash points");
}

/// A full disk is the disk's error, leaves nothing, and is over when there is room.
#[tokio::test]
async fn a_full_disk_makes_no_checkpoint_and_leaves_nothing() {
    let disk = machine().await;
    let source = start(&disk).await.unwrap();
    disk.set_capacity(Some(disk.used()));
    match read_all(&source).await {
        Err(SourceError::Disk(error)) => assert_eq!(error.kind, DiskErrorKind::Full),
        other => panic!("{other:?}"),
    }
    assert_eq!(checkpoints_on(&disk).await, 0);
    disk.set_capacity(None);
    assert_eq!(read_all(&source).await.unwrap(), whole());
}

/// What cannot be removed still takes room: it counts, and is tried again.
#[tokio::test]
async fn what_cannot_be_removed_counts_until_it_is_gone() {
    let disk = machine().await;
    let source = start(&disk).await.unwrap();
    let beside_max = CheckpointSettings::default().beside_max;
    let is_remove = |kind| kind == OperationKind::Remove;
    disk.fail(Fault { of: is_remove, times: u64::MAX, ..Fault::next(DiskErrorKind::Other) });
    for _ in 0..beside_max {
        read_all(&source).await.unwrap();
        source.clean(STALE_MS).await.unwrap_err();
    }
    let error = read_all(&source).await.unwrap_err();
    assert!(error.to_string().contains("4 could not be removed"), "{error}");
    assert_eq!(checkpoints_on(&disk).await, beside_max);
    disk.heal();
    source.clean(STALE_MS).await.unwrap();
    assert_eq!(checkpoints_on(&disk).await, 0);
    assert_eq!(read_all(&source).await.unwrap(), whole());
}
