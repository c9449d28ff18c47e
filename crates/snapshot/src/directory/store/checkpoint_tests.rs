//! What a checkpoint covers.

use std::sync::atomic::Ordering;

use super::resume_tests::{count, files, finish_right, half, keys, open_on, staged};
use super::tests::{begin, content, fill, offer, shard};
use super::*;
use crate::disk::DiskErrorKind;
use crate::disk::crash::{CrashDisk, Fault, OperationKind, Survival};
use crate::limits::SYNC_EACH_MAX;
use crate::offload::Inline;

/// D1: what a checkpoint covers is there after a power loss, and counts without another look.
#[tokio::test]
async fn what_a_checkpoint_covers_is_not_hashed_again() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    half(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    fill(&offer, &*staging).await;
    let disk = disk.crash(Survival::Nothing);
    let (store, hashed) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(keys(&offer, &held), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
}

/// D1: also when it covers so many files that the whole file system is synced, and records of small
/// entries wait to be written.
#[tokio::test]
async fn a_checkpoint_of_many_files_covers_what_waits() {
    let names: Vec<String> = (0..SYNC_EACH_MAX + 9).map(|number| format!("l/{number:02}")).collect();
    let long = names.iter().enumerate().map(|(number, name)| (name.as_str(), content(5_000 + number)));
    let files: Vec<_> = long.chain([("s/a", content(700)), ("s/b", content(900))]).collect();
    let (disk, offer) = (CrashDisk::new(), offer(&files).await);
    let patient = StoreOptions { lag: 1 << 30, ..StoreOptions::default() };
    let open =
        |disk: CrashDisk| DirectoryStore::open_with("/s", Arc::new(disk), Arc::new(Inline), patient.clone());
    let store = open(disk.clone()).await.unwrap();
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    let store = open(disk.crash(Survival::Nothing)).await.unwrap();
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1).len(), files.len());
}

/// D1: also when nothing was begun since, because what came next was refused for want of room.
#[tokio::test]
async fn a_checkpoint_without_a_manifest_covers_what_was_stored() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let patient = StoreOptions { lag: 1 << 30, ..StoreOptions::default() };
    let store = DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), patient).await;
    let (store, mut larger) = (store.unwrap(), offer.header.clone());
    half(&offer, &*begin(&store, &offer).await.0).await;
    larger.counts.bytes = 1 << 40;
    disk.set_capacity(Some(disk.used() + (1 << 20)));
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let begun = staging.begin(&larger).await;
    assert!(matches!(begun, Err(SinkError::NoRoom { .. })), "{begun:?}");
    staging.checkpoint().await.unwrap();
    disk.set_capacity(None);
    let (store, hashed) = open_on(&disk.crash(Survival::Nothing)).await;
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
}

/// D1: a checkpoint of one manifest covers also what was stored for the one before and does not come
/// again in it.
#[tokio::test]
async fn a_checkpoint_covers_what_an_earlier_manifest_stored() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    half(&offer, &*begin(&store, &offer).await.0).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.checkpoint().await.unwrap();
    let (store, hashed) = open_on(&disk.crash(Survival::Nothing)).await;
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
}

/// D8: what waits to be written while the disk is full is written when there is room.
#[tokio::test]
async fn records_that_find_no_room_wait_for_it() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let patient = StoreOptions { lag: 1 << 30, room: None, ..StoreOptions::default() };
    let store = DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), patient).await;
    let store = store.unwrap();
    fill(&offer, &*begin(&store, &offer).await.0).await;
    disk.set_capacity(Some(disk.used()));
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let begun = staging.begin(&offer.header).await;
    assert!(matches!(&begun, Err(SinkError::Disk(error)) if error.kind == DiskErrorKind::Full), "{begun:?}");
    disk.set_capacity(None);
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short", "f"]);
}

/// F-37, D1: a checkpoint that could not look at a file has not made it durable.
#[tokio::test]
async fn a_checkpoint_that_cannot_open_a_file_fails() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let (store, _) = open_on(&disk).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    let disk = disk.kill();
    let (store, _) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(count(&held), 5);
    let open = |kind| kind == OperationKind::Open;
    let fault = Fault { of: open, path: "/content/".into(), ..Fault::next(DiskErrorKind::Other) };
    disk.fail(fault);
    staging.checkpoint().await.unwrap_err();
    disk.heal();
    staging.checkpoint().await.unwrap();
    let disk = disk.crash(Survival::Nothing);
    let (store, _) = open_on(&disk).await;
    assert_eq!(count(&begin(&store, &offer).await.1), 5);
}

/// F-37, D1: a sync that failed may have dropped what it was to write. What the next checkpoint says of
/// it is not believed, neither by the next process nor by a seal.
#[tokio::test]
async fn what_a_failed_sync_may_have_dropped_is_hashed_again() {
    for sealed in [false, true] {
        let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
        let (mut store, _) = open_on(&disk).await;
        let (mut staging, _) = begin(&store, &offer).await;
        fill(&offer, &*staging).await;
        let sync = |kind| kind == OperationKind::Sync;
        disk.fail(Fault { of: sync, path: "/packs/".into(), ..Fault::next(DiskErrorKind::Other) });
        staging.checkpoint().await.unwrap_err();
        disk.heal();
        staging.checkpoint().await.unwrap();
        let disk = if sealed { disk } else { disk.crash(Survival::Nothing) };
        disk.flip(&staged(&disk, "packs").await[0], 8 * 5).unwrap();
        if sealed {
            staging.seal(&offer.header).await.unwrap_err();
        } else {
            drop((staging, store));
            (store, _) = open_on(&disk).await;
        }
        let held;
        (staging, held) = begin(&store, &offer).await;
        assert_eq!(keys(&offer, &held), ["d/long", "f"]);
        drop(staging);
        finish_right(&disk, &store, &offer, ("d/short", content(700))).await;
    }
}
