//! Several replicas are heard before anything is believed: what they agree on is taken, what they do not
//! is said.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use peerstream_engine::select::{Level, LevelScope};
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::{DatasetKind, EntryKey};

const SECOND: Duration = Duration::from_secs(1);

fn key(name: &str) -> EntryKey {
    EntryKey::from_path(name).unwrap()
}

/// Donors that all have the same.
fn donors(world: &SimWorld, count: u32) -> Vec<SimNode> {
    let donors = world.fleet(count, |number| NodeSpec::donor(&format!("donor-{number}")));
    donors.iter().for_each(|donor| Content::small(200).fill(&donor.store, &shard(0), 1));
    donors
}

/// One to bring up that compares what they have.
fn replica(world: &SimWorld, level: Level) -> SimNode {
    let replica = world.start(NodeSpec { kind: DatasetKind::Identical, ..NodeSpec::replica("replica") });
    replica.levels.set(LevelScope::Node, level).unwrap();
    replica
}

/// F-16, F-17: equal replicas are one manifest, listed once.
#[test]
fn equal_replicas_bring_up_an_equal_one() {
    for network in Network::ALL {
        for level in Level::ALL {
            Sim::new(network, 700).run(async |world| {
                let (donors, replica) = (donors(&world, 3), replica(&world, level));
                let outcome = replica.bring_up(&[shard(0)]).await;
                assert!(outcome.is_completed(), "{level}: {outcome:?}");
                assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
            });
        }
    }
}

/// F-06, F-10, promise 1: what one replica lacks comes from the others, what one has wrong is outvoted, and
/// what it alone has is kept.
#[test]
fn what_replicas_lack_is_put_together() {
    for network in Network::ALL {
        Sim::new(network, 701).run(async |world| {
            let (donors, replica) = (donors(&world, 4), replica(&world, Level::Majority));
            for (donor, alone) in donors.iter().zip(["x/a", "m/b", "z/c"]) {
                donor.store.put(&shard(0), key(alone), alone.as_bytes().to_vec(), Vec::new());
            }
            // The fifth replica is the one that is brought up, so that three are a majority.
            let content = ["right", "right", "wrong", "right"];
            for (donor, content) in donors.iter().zip(content) {
                donor.store.put(&shard(0), key("shared"), content.as_bytes().to_vec(), Vec::new());
            }
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let published = replica.store.published(&shard(0)).unwrap();
            assert_eq!(published.entries.len(), 204);
            assert_eq!(published.entries[&key("shared")], "right");
            for alone in ["x/a", "m/b", "z/c"] {
                assert_eq!(published.entries[&key(alone)], alone);
            }
        });
    }
}

/// F-20: without a majority nothing is published, it says what it waits for, and a lower level lets it go
/// on at once.
#[test]
fn a_lowered_level_ends_a_wait() {
    for network in Network::ALL {
        Sim::new(network, 702).run(async |world| {
            let (donors, replica) = (donors(&world, 3), replica(&world, Level::Majority));
            donors[1..].iter().for_each(|donor| world.crash(donor));
            let plan = replica.bring_up(&[shard(0)]);
            world
                .until(|| plan.state().shards[0].waiting.as_ref().is_some_and(|why| why.contains("majority")))
                .await;
            tokio::time::sleep(600 * SECOND).await;
            assert!(replica.current(&shard(0)).await.is_none(), "one of four is no majority");
            replica.levels.set(LevelScope::Node, Level::UnstrictMajority).unwrap();
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
        });
    }
}

/// A dispute that no level settles is waited out: when the replicas agree, the shard is published.
#[test]
fn a_dispute_ends_when_the_replicas_agree() {
    for network in Network::ALL {
        Sim::new(network, 703).run(async |world| {
            let (donors, replica) = (donors(&world, 2), replica(&world, Level::Majority));
            for (donor, content) in donors.iter().zip(["one", "other"]) {
                donor.store.put(&shard(0), key("shared"), content.as_bytes().to_vec(), Vec::new());
            }
            let plan = replica.bring_up(&[shard(0)]);
            tokio::time::sleep(120 * SECOND).await;
            assert!(replica.current(&shard(0)).await.is_none());
            donors[1].store.put(&shard(0), key("shared"), b"one".to_vec(), Vec::new());
            assert!(plan.await.is_completed());
            assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
        });
    }
}
