//! A shard that is emptied, and what ends half way knows nothing that its data does not bear out.

use std::sync::Arc;

use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::disk::crash::{CrashDisk, Side, Survival};
use peerstream_snapshot::{Fence, Sink};
use peerstream_types::{Ordinal, Selector};

use crate::common::{Offer, bring_up, key, points, position, read, shard};

fn options() -> BlockOptions {
    BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) }
}

fn open(disk: &CrashDisk) -> BlockStore {
    BlockStore::on_disk(Arc::new(disk.clone()), "blocks", options())
}

async fn created() -> BlockStore {
    let store = BlockStore::in_memory(options());
    store.create(&shard()).await.unwrap();
    store
}

async fn write(store: &BlockStore, series: &str, stamp: u64) {
    store.write(&shard(), &key(series, 0), &points(stamp, &[(1, "old")])).await.unwrap();
}

/// A replica that has heard of a delete at 50, among all up to 100, and remembers it.
async fn filled(store: &BlockStore) {
    store.create(&shard()).await.unwrap();
    write(store, "here", 300).await;
    store.delete(&shard(), &key("gone", 0), Stamp(50)).await.unwrap();
    store.set_position(&shard(), Some(position(7))).await.unwrap();
    store.mark_synced(&shard(), Stamp(100)).await.unwrap();
    store.flush(&shard()).await.unwrap();
}

/// A source that has missed the delete.
async fn missed() -> BlockStore {
    let source = created().await;
    for (series, stamp) in [("gone", 10), ("more", 300)] {
        write(&source, series, stamp).await;
    }
    source.mark_synced(&shard(), Stamp(30)).await.unwrap();
    source.set_position(&shard(), Some(position(9))).await.unwrap();
    source
}

/// A replica that has heard of the delete and has forgotten it.
async fn forgetful() -> BlockStore {
    let store = created().await;
    store.delete(&shard(), &key("gone", 0), Stamp(50)).await.unwrap();
    store.mark_synced(&shard(), Stamp(100)).await.unwrap();
    assert_eq!(store.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    store
}

/// All of a source but its last block.
async fn bring_up_in_part(store: &BlockStore, source: &BlockStore) {
    let offer = Offer::of(source).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let (last, others) = offer.entries.split_last().unwrap();
    for entry in others {
        staging.store(offer.chunks(entry, entry).await).await.unwrap();
    }
    staging.leave_out(Ordinal(last.ordinal.0)).await.unwrap();
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
}

/// Promise 4, and no delete is undone: wherever the process or the power ends while a shard is emptied, and
/// though it is brought up or declared whole then and not emptied again, its position is not ahead of its
/// data, and what was deleted does not come back by way of it.
#[tokio::test]
async fn what_was_emptied_half_way_claims_nothing() {
    let disk = CrashDisk::new();
    let store = open(&disk);
    filled(&store).await;
    let before = disk.counts().changes;
    store.clear(&shard()).await.unwrap();
    let changes = disk.counts().changes - before;
    assert!(changes >= 5, "{changes} changes are too few");
    let powers = [Survival::Nothing, Survival::Everything, Survival::Mixture(1), Survival::Mixture(2)];
    for change in 0..changes {
        for side in [Side::Before, Side::After] {
            for power in [None].into_iter().chain(powers.map(Some)) {
                for is_declared in [false, true] {
                    println!("{side:?} change {change}, {power:?}, declared {is_declared}");
                    let disk = CrashDisk::new();
                    let store = open(&disk);
                    filled(&store).await;
                    disk.stop_at(change, side);
                    drop(store.clear(&shard()).await);
                    drop(store);
                    let disk = power.map_or_else(|| disk.kill(), |survival| disk.crash(survival));
                    let store = open(&disk);
                    if is_declared {
                        store.create(&shard()).await.unwrap();
                    } else {
                        bring_up_in_part(&store, &missed().await).await;
                    }
                    if store.position(&shard()).await.unwrap().is_some() {
                        assert!(read(&store, &key("here", 0)).await.is_some(), "the position is ahead");
                    }
                    bring_up_in_part(&store, &missed().await).await;
                    let ahead = forgetful().await;
                    // It is refused, or it brings nothing back.
                    drop(bring_up(&ahead, &[&store]).await);
                    assert_eq!(read(&ahead, &key("gone", 0)).await, None, "it is back");
                }
            }
        }
    }
}
