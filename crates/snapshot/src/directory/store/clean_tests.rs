//! What is removed when nobody works on it any more.

use super::tests::{begin, content, fill, offer, shard};
use super::*;
use crate::directory::Excess;
use crate::disk::crash::{CrashDisk, Fault, OperationKind};
use crate::disk::{DiskErrorKind, OpenMode};
use crate::offload::Inline;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// A store with a staging of the first day that nobody works on.
async fn left_over(disk: &CrashDisk) -> DirectoryStore {
    disk.set_time_ns(DAY_MS as i64 * 1_000_000);
    let store = DirectoryStore::open("/s", Arc::new(disk.clone()), Arc::new(Inline)).await.unwrap();
    let offer = offer(&[("a", content(3000)), ("b", content(30))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    store
}

/// D8: a staging that a publish removes while it is looked at stops no cleaning.
#[tokio::test]
async fn what_goes_while_it_is_looked_at_is_no_error() {
    for gone in ["staging", "staging/1", "content", "packs"] {
        let disk = CrashDisk::new();
        let store = left_over(&disk).await;
        let of = |kind| kind == OperationKind::List;
        disk.fail(Fault { of, path: gone.into(), ..Fault::next(DiskErrorKind::NotFound) });
        let cleaned = store.clean(2 * DAY_MS).await;
        assert_eq!(cleaned, Ok(Vec::new()), "{gone}");
        assert_eq!(store.clean(9 * DAY_MS).await.unwrap()[0].why, Excess::Age);
    }
}

/// D8: what somebody has worked on since it was found too old is not removed.
#[tokio::test]
async fn what_was_used_since_it_was_found_stays() {
    let disk = CrashDisk::new();
    let store = left_over(&disk).await;
    let inner = store.shard(&shard());
    let busy = inner.staging.read().await;
    let mut cleaning = Box::pin(store.clean(9 * DAY_MS));
    assert!(futures_util::FutureExt::now_or_never(&mut cleaning).is_none(), "it waits for the writer");
    disk.set_time_ns(9 * DAY_MS as i64 * 1_000_000);
    let journal = inner.dir.staging(Generation(1)).journal();
    disk.open(&journal, OpenMode::Write).await.unwrap().write_at(1 << 20, "new".into()).await.unwrap();
    drop(busy);
    assert_eq!(cleaning.await, Ok(Vec::new()));
    assert_eq!(store.clean(17 * DAY_MS).await.unwrap().len(), 1, "the next one takes it");
}
