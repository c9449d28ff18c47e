//! The replica is written to while it is brought up.

use std::sync::Arc;
use std::time::Duration;

use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_engine::EngineConfig;
use peerstream_engine::snapshot::disk::crash::CrashDisk;
use peerstream_engine::types::ByteCount;

use crate::cluster::{Cluster, SECOND, key, moments, points, shard, within};

const BLOCKS: i64 = 30;

/// Small fetches, so that a bring-up has many moments.
fn small() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(256);
    config.recovery.fetch_bytes = ByteCount(128);
    config.recovery.entry_fetch_bytes = ByteCount(128);
    config
}

/// Two donors with other points of the same blocks.
async fn donors(cluster: &Cluster) {
    for (place, donor) in (0..).zip(&cluster.donors) {
        for start in 0..BLOCKS {
            donor.write(&key("cpu", start), &points(10, [100 * start, 100 * start + 1 + place])).await;
        }
        donor.switch(|switches| switches.takes = Duration::from_millis(5));
    }
}

/// MI-02, F-30, M3's `merge_local`: writes that come while the replica is brought up are there in the end,
/// with all that the peers had; a write of a block that has come already, and of one that has not.
#[tokio::test(start_paused = true)]
async fn writes_that_come_meanwhile_are_kept_and_merged() {
    let disk = Arc::new(CrashDisk::new());
    let on_disk = || BlockStore::on_disk(disk.clone(), "blocks", BlockOptions::new(SeriesUnion));
    for store in [BlockStore::in_memory(BlockOptions::new(SeriesUnion)), on_disk()] {
        let cluster = Cluster::with(2, small(), store).await;
        donors(&cluster).await;
        let plan = cluster.bring_up();
        let mut written = 0;
        for start in 0..BLOCKS {
            let at = 100 * start + 50;
            cluster.store.write(&shard(), &key("cpu", start), &points(20, [at])).await.unwrap();
            cluster.store.write(&shard(), &key("new", start), &points(20, [at])).await.unwrap();
            written += u32::from(plan.state().result.is_none());
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
        assert!(written > 5, "some came while it was brought up: {written}");
        let outcome = within(plan).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        for start in 0..BLOCKS {
            let (first, own) = (100 * start, 100 * start + 50);
            let all = vec![first, first + 1, first + 2, own];
            assert_eq!(moments(&cluster.store, &key("cpu", start)).await, Some(all));
            assert_eq!(moments(&cluster.store, &key("new", start)).await, Some(vec![own]));
        }
    }
}

/// A delete that comes while the replica is brought up stays one, also of a block that comes later.
#[tokio::test(start_paused = true)]
async fn deletes_that_come_meanwhile_stay() {
    let cluster = Cluster::with(2, small(), crate::cluster::store()).await;
    donors(&cluster).await;
    let plan = cluster.bring_up();
    for start in (0..BLOCKS).rev() {
        cluster.store.delete(&shard(), &key("cpu", start), Stamp(15)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    assert!(within(plan).await.is_completed());
    for start in 0..BLOCKS {
        assert_eq!(moments(&cluster.store, &key("cpu", start)).await, None, "block {start}");
    }
}

/// F-30, promise 2: killed in the middle, the replica begins again with all that came and all that was
/// written; what came is not fetched again.
#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_came_and_what_was_written() {
    let disk = CrashDisk::new();
    let open =
        |disk: CrashDisk| BlockStore::on_disk(Arc::new(disk), "blocks", BlockOptions::new(SeriesUnion));
    let cluster = Cluster::with(2, small(), open(disk.clone())).await;
    donors(&cluster).await;
    let plan = cluster.bring_up();
    within(async {
        while plan.state().shards[0].entries_done < 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    cluster.store.write(&shard(), &key("cpu", 0), &points(20, [50])).await.unwrap();
    assert!(!cluster.store.is_ready(&shard()).await.unwrap(), "it was not published");
    let killed = disk.kill();
    plan.abort("the process is killed");
    within(plan).await;

    let again = Cluster::with(2, small(), open(killed)).await;
    donors(&again).await;
    let plan = again.bring_up();
    tokio::time::sleep(SECOND / 100).await;
    let held = plan.state().shards[0].bytes_held;
    assert!(within(plan).await.is_completed());
    assert!(held > 0, "something was held");
    let reads: usize = again.donors.iter().map(|donor| donor.switches.lock().unwrap().reads.len()).sum();
    assert!(reads <= 2 * BLOCKS as usize - 20, "{reads} copies were fetched again");
    let all = vec![0, 1, 2, 50];
    assert_eq!(moments(&again.store, &key("cpu", 0)).await, Some(all));
    for start in 1..BLOCKS {
        let first = 100 * start;
        let all = vec![first, first + 1, first + 2];
        assert_eq!(moments(&again.store, &key("cpu", start)).await, Some(all));
    }
}
