//! Best effort over a store that merges: what nobody can give is dropped, and told.

use peerstream_engine::ShardOutcome;
use peerstream_engine::select::Level;

use crate::cluster::{Cluster, key, moments, points, shard, within};

/// F-19: at level none a block that no replica can read is dropped, everything else is there and published,
/// and the outcome names the block.
#[tokio::test(start_paused = true)]
async fn level_none_drops_what_no_replica_can_read() {
    for donors in [1, 3] {
        let cluster = Cluster::new(donors).await;
        for donor in &cluster.donors {
            for series in ["cpu", "disk", "mem"] {
                donor.write(&key(series, 0), &points(1, [7])).await;
            }
            donor.switch(|switches| switches.unreadable.extend([key("disk", 0)]));
        }
        cluster.set_level(Level::None);
        let outcome = within(cluster.recover()).await;
        assert!(outcome.is_completed(), "{donors}: {outcome:?}");
        assert!(matches!(outcome.shards[0].outcome, ShardOutcome::Published { .. }));
        let dropped = &outcome.shards[0].findings.dropped;
        assert_eq!((dropped.count, dropped.keys.as_slice()), (1, [key("disk", 0).to_entry_key()].as_slice()));
        assert!(cluster.store.is_ready(&shard()).await.unwrap());
        assert_eq!(moments(&cluster.store, &key("disk", 0)).await, None);
        for series in ["cpu", "mem"] {
            assert_eq!(moments(&cluster.store, &key(series, 0)).await, Some(vec![7]), "{series}");
        }
    }
}

/// F-10: a block that one replica alone has is taken, and the outcome names it.
#[tokio::test(start_paused = true)]
async fn a_block_that_one_replica_alone_has_is_taken_and_named() {
    let cluster = Cluster::new(3).await;
    for (place, donor) in cluster.donors.iter().enumerate() {
        donor.write(&key("cpu", 0), &points(1, [7])).await;
        if place == 1 {
            donor.write(&key("mem", 0), &points(1, [7])).await;
        }
    }
    let outcome = within(cluster.recover()).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    let alone = &outcome.shards[0].findings.alone;
    assert_eq!((alone.count, alone.keys.as_slice()), (1, [key("mem", 0).to_entry_key()].as_slice()));
    assert_eq!(moments(&cluster.store, &key("mem", 0)).await, Some(vec![7]));
}
