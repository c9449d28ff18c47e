//! The host takes part in a publish, and may go back.

use std::sync::Mutex;

use peerstream_types::ManifestHeader;

use super::tests::{begin, content, fill, offer, receive, shard};
use super::*;
use crate::directory::{Excess, HookError, PublishHook};
use crate::disk::crash::CrashDisk;
use crate::disk::{DiskErrorKind, OpenMode};
use crate::offload::Inline;

/// A host that writes down what it is asked, and refuses a number of times.
#[derive(Debug, Default)]
struct Host {
    log: Mutex<Vec<String>>,
    refuse: Mutex<u32>,
}

impl PublishHook for Host {
    fn prepare<'a>(
        &'a self,
        _: &'a ShardId,
        path: &'a Path,
        _: &'a ManifestHeader,
    ) -> BoxFuture<'a, Result<(), HookError>> {
        self.log.lock().unwrap().push(format!("prepare {}", path.display()));
        let mut refuse = self.refuse.lock().unwrap();
        let answer = if *refuse > 0 { Err(HookError("the index is broken".into())) } else { Ok(()) };
        *refuse = refuse.saturating_sub(1);
        Box::pin(std::future::ready(answer))
    }

    fn shown<'a>(&'a self, _: &'a ShardId, path: &'a Path, _: &'a ManifestHeader) -> BoxFuture<'a, ()> {
        self.log.lock().unwrap().push(format!("shown {}", path.display()));
        Box::pin(std::future::ready(()))
    }
}

async fn open(disk: &CrashDisk, options: StoreOptions) -> DirectoryStore {
    DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), options).await.unwrap()
}

async fn open_hooked(disk: &CrashDisk) -> (DirectoryStore, Arc<Host>) {
    let host = Arc::new(Host::default());
    let hook: Option<Arc<dyn PublishHook>> = Some(host.clone());
    (open(disk, StoreOptions { hook, ..StoreOptions::default() }).await, host)
}

async fn visible(store: &DirectoryStore) -> Option<u64> {
    store.current(&shard()).await.unwrap().map(|(generation, _)| generation.0)
}

/// C12: a host that does not take the new generation keeps the old one; nothing comes again.
#[tokio::test]
async fn a_refused_generation_is_not_shown() {
    let disk = CrashDisk::new();
    let (store, host) = open_hooked(&disk).await;
    receive(&store, &[("a", content(3000)), ("b", content(30))]).await;
    host.log.lock().unwrap().clear();
    *host.refuse.lock().unwrap() = 1;
    let offer = offer(&[("a", content(4000)), ("b", content(40))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    let refused = staging.publish().await;
    assert!(matches!(&refused, Err(SinkError::Hook { why, .. }) if why == "the index is broken"));
    assert_eq!(visible(&store).await, Some(1));

    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(held.len(), 2, "nothing has to come again");
    staging.seal(&offer.header).await.unwrap();
    assert_eq!(staging.publish().await, Ok(Generation(2)));
    let data = "/s/facts@1/0/generations/2/data";
    let log = [format!("prepare {data}"), format!("prepare {data}"), format!("shown {data}")];
    assert_eq!(*host.log.lock().unwrap(), log);
}

/// C12: what a host has changed before it refused is not taken for what was staged.
#[tokio::test]
async fn what_a_refusing_host_has_changed_is_found() {
    let disk = CrashDisk::new();
    let (store, host) = open_hooked(&disk).await;
    let offer = offer(&[("a", content(3000))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    staging.seal(&offer.header).await.unwrap();
    *host.refuse.lock().unwrap() = 1;
    staging.publish().await.unwrap_err();
    let path = Path::new("/s/facts@1/0/generations/1/data/a");
    disk.open(path, OpenMode::Write).await.unwrap().write_at(0, "?".into()).await.unwrap();
    let disk = disk.kill();
    let (again, _) = open_hooked(&disk).await;
    assert_eq!(begin(&again, &offer).await.1[0].chunks[0].first.0, 1, "the first chunk is gone");
}

/// F-28: one step back, and no number is used twice.
#[tokio::test]
async fn the_generation_before_can_be_shown_again() {
    let disk = CrashDisk::new();
    let (store, host) = open_hooked(&disk).await;
    assert_eq!(store.roll_back(&shard()).await, Err(SinkError::NoPrevious(shard())));
    receive(&store, &[("a", content(10))]).await;
    assert_eq!(store.roll_back(&shard()).await, Err(SinkError::NoPrevious(shard())));
    receive(&store, &[("a", content(20))]).await;

    *host.refuse.lock().unwrap() = 1;
    assert!(matches!(store.roll_back(&shard()).await, Err(SinkError::Hook { .. })));
    assert_eq!(visible(&store).await, Some(2));
    assert_eq!(store.roll_back(&shard()).await, Ok(Generation(1)));
    assert_eq!(host.log.lock().unwrap().last().unwrap(), "shown /s/facts@1/0/generations/1/data");
    assert_eq!(store.roll_back(&shard()).await, Err(SinkError::NoPrevious(shard())));
    let snapshot = Source::open(&store, &shard(), &Selector::All).await.unwrap();
    assert_eq!(snapshot.header().counts.bytes, 10);
    drop((snapshot, store));

    let store = open(&disk.kill(), StoreOptions::default()).await;
    assert_eq!(visible(&store).await, Some(1));
    assert_eq!(receive(&store, &[("a", content(30))]).await, Generation(3));
    assert_eq!(store.roll_back(&shard()).await, Ok(Generation(1)));
}

/// D8: staged content that nobody works on goes after a while.
#[tokio::test]
async fn old_stagings_are_removed_and_live_ones_stay() {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let disk = CrashDisk::new();
    disk.set_time_ns(DAY_MS as i64 * 1_000_000);
    let store = open(&disk, StoreOptions::default()).await;
    let offer = offer(&[("a", content(3000))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    assert_eq!(store.clean(100 * DAY_MS).await, Ok(Vec::new()), "it has a writer");
    drop(staging);
    assert_eq!(store.clean(8 * DAY_MS).await, Ok(Vec::new()), "it is seven days old");
    let cleaned = store.clean(8 * DAY_MS + 1).await.unwrap();
    assert_eq!((&cleaned[0].shard, cleaned[0].why), (&shard(), Excess::Age));
    assert!(cleaned[0].bytes >= 3000);
    assert_eq!(begin(&store, &offer).await.1, [], "all of it is gone");
}

/// A29, F-55: however a seal fails, the next one is whole.
#[tokio::test]
async fn a_seal_that_fails_is_repeated() {
    let disk = CrashDisk::new();
    let store = open(&disk, StoreOptions::default()).await;
    let offer = offer(&[("a", content(3000)), ("b/c", content(30))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    for skip in 0..10 {
        let fault = crate::disk::crash::Fault {
            path: "1.tmp".into(),
            of: |kind| kind.changes(),
            skip,
            ..crate::disk::crash::Fault::next(DiskErrorKind::Full)
        };
        disk.fail(fault);
        if staging.seal(&offer.header).await.is_ok() {
            break;
        }
        disk.heal();
        assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    }
    disk.heal();
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    let snapshot = Source::open(&store, &shard(), &Selector::All).await.unwrap();
    assert_eq!(snapshot.header(), offer.header);
}

/// F-55: a damaged manifest of the visible generation costs its readers, not the next transfer.
#[tokio::test]
async fn a_damaged_manifest_is_replaced_by_the_next_transfer() {
    let disk = CrashDisk::new();
    let store = open(&disk, StoreOptions::default()).await;
    for len in [10, 20] {
        receive(&store, &[("a", content(len))]).await;
    }
    drop(store);
    let head = Path::new("/s/facts@1/0/generations/2/catalog/head");
    disk.open(head, OpenMode::Write).await.unwrap().write_at(0, "?".into()).await.unwrap();

    let store = open(&disk.fork(), StoreOptions::default()).await;
    let corrupt = |error: SinkError| matches!(error, SinkError::Disk(e) if e.kind == DiskErrorKind::Corrupt);
    assert!(corrupt(store.current(&shard()).await.unwrap_err()));
    assert!(Source::open(&store, &shard(), &Selector::All).await.is_err());
    assert_eq!(receive(&store, &[("a", content(30))]).await, Generation(3));
    assert_eq!(visible(&store).await, Some(3));

    let store = open(&disk, StoreOptions::default()).await;
    assert_eq!(store.roll_back(&shard()).await, Ok(Generation(1)));
    assert_eq!(visible(&store).await, Some(1));
}

/// F-55: generations whose pointer was lost stay until another one is visible.
#[tokio::test]
async fn generations_without_a_pointer_are_not_overwritten() {
    let disk = CrashDisk::new();
    let store = open(&disk, StoreOptions::default()).await;
    for len in [10, 20] {
        receive(&store, &[("a", content(len))]).await;
    }
    drop(store);
    disk.remove_file(Path::new("/s/facts@1/0/CURRENT")).await.unwrap();

    let (store, host) = open_hooked(&disk).await;
    assert_eq!(visible(&store).await, None);
    let offer = offer(&[("a", content(30))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    *host.refuse.lock().unwrap() = 1;
    staging.publish().await.unwrap_err();
    let names = async || {
        let names = list(&disk, Path::new("/s/facts@1/0/generations")).await.unwrap();
        names.into_iter().map(|entry| entry.name.into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["1", "2", "3"]);
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(held.len(), 1, "what was on its way is made again under the same number");
    staging.seal(&offer.header).await.unwrap();
    assert_eq!(names().await, ["1", "2", "3.tmp"]);
    assert_eq!(staging.publish().await, Ok(Generation(3)));
}
