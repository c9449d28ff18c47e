//! The disk is full, and then it is not.

use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{CrashDisk, Fault, OperationKind};
use peerstream_snapshot::{DirectoryStore, SinkError};

use crate::Case;
use crate::checks::Stage;
use crate::receiver::{self, Progress};

/// Whether a transfer failed because the disk was full, and not for another reason.
fn is_full<T>(result: Result<T, SinkError>) -> bool {
    match result {
        Ok(_) => false,
        Err(SinkError::Disk(error)) => {
            assert_eq!(error.kind, DiskErrorKind::Full, "{error}");
            true
        }
        Err(SinkError::NoRoom { needed, free, reserve, .. }) => {
            assert!(needed > free - reserve, "{needed} bytes fit into {free} without {reserve}");
            true
        }
        Err(error) => panic!("the disk was full, and not {error}"),
    }
}

/// What is visible is served on a full disk, also after a restart; with room again the transfer goes
/// on where it was.
async fn go_on(
    stage: &Stage,
    (disk, store): (CrashDisk, DirectoryStore),
    progress: &Progress,
    restart: bool,
    make_room: impl Fn(&CrashDisk),
) {
    let (disk, store) = match restart {
        false => (disk, store),
        true => {
            drop(store);
            let disk = disk.kill();
            let store = receiver::open(&disk).await;
            (disk, store)
        }
    };
    let published = stage.new_is_visible(&store).await;
    make_room(&disk);
    if published {
        assert!(progress.publishing, "it is visible, and publish was not called");
    } else {
        stage.finish(&store, &progress.stored).await;
    }
    drop(store);
    stage.check_end(&disk).await;
}

/// D8, F-55: nothing more fits from some operation on. That is said, what is staged is kept, and when
/// there is room the transfer goes on where it was; also after a restart in between.
#[tokio::test]
async fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    fill_up(&Stage::second().await, &[false, true]).await;
    // What waits to be written down waits in the process.
    fill_up(&Stage::second_lagging(9_000).await, &[false]).await;
}

async fn fill_up(stage: &Stage, restarts: &[bool]) {
    let mut full = 0;
    for restart in restarts.iter().copied() {
        for skip in 0..stage.changes {
            let _case = Case::new(format!("full from operation {skip} on, restart: {restart}"));
            let disk = stage.disk();
            let of = OperationKind::takes_room;
            disk.fail(Fault { of, skip, times: u64::MAX, ..Fault::next(DiskErrorKind::Full) });
            let (store, mut progress) = (stage.open(&disk).await, Progress::default());
            let staging = receiver::writer(&store).await.unwrap();
            let result = receiver::receive(&*staging, &stage.new, &mut progress).await;
            drop(staging);
            full += u64::from(is_full(result));
            go_on(stage, (disk, store), &progress, restart, CrashDisk::heal).await;
        }
    }
    println!("times that the disk was full: {full}");
    assert!(full > 40, "{full} are too few to mean anything");
}

/// D8, F-55: others fill the disk after the manifest was admitted. Writes that do not fit are left out,
/// or cut short.
#[tokio::test]
async fn a_disk_that_fills_up_is_a_clear_error_and_loses_nothing() {
    let (stage, mut full) = (Stage::second().await, 0);
    for short_writes in [false, true] {
        for more in (0..3 * stage.new.header.counts.bytes).step_by(487) {
            let _case = Case::new(format!("{more} bytes are free, short writes: {short_writes}"));
            let disk = stage.disk();
            let (store, mut progress) = (receiver::open(&disk).await, Progress::default());
            let staging = receiver::writer(&store).await.unwrap();
            let held = receiver::begin(&*staging, &stage.new).await.unwrap();
            disk.set_capacity(Some(disk.used() + more));
            disk.set_short_writes(short_writes);
            let result = receiver::complete(&*staging, &stage.new, &held, &mut progress).await;
            drop(staging);
            full += u64::from(is_full(result));
            let make_room = |disk: &CrashDisk| disk.set_capacity(None);
            go_on(&stage, (disk, store), &progress, more % 2 == 0, make_room).await;
        }
    }
    println!("times that the disk was full: {full}");
    assert!(full > 40, "{full} are too few to mean anything");
}

/// D8, F-55: a disk that has no room from the beginning.
#[tokio::test]
async fn a_disk_that_is_too_small_is_a_clear_error_and_loses_nothing() {
    let stage = Stage::second().await;
    for more in [0, 1000, 5000] {
        let _case = Case::new(format!("{more} bytes are free"));
        let disk = stage.disk();
        disk.set_capacity(Some(disk.used() + more));
        let (store, mut progress) = (receiver::open(&disk).await, Progress::default());
        let staging = receiver::writer(&store).await.unwrap();
        let result = receiver::receive(&*staging, &stage.new, &mut progress).await;
        drop(staging);
        assert!(is_full(result));
        go_on(&stage, (disk, store), &progress, true, |disk| disk.set_capacity(None)).await;
    }
}
