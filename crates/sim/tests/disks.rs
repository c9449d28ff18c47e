//! Nodes that keep their shards on a disk: it takes time, fills up, fails, rots.

use std::time::Duration;

use peerstream_engine::{PlanEvent, ShardOutcome};
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault, OperationKind};
use peerstream_types::{ByteCount, ByteRate};

const MIB: u64 = 1024 * 1024;

fn content() -> Content {
    Content { small: 200, small_len: 1024..4097, large: 4, large_len: MIB, empty: 1, ..shapes() }
}

/// Duplicate and nearly equal entries.
fn shapes() -> Content {
    Content { copies: 3, copy_len: 300 * 1024, ..Content::similar(3, MIB) }
}

fn on_disk(spec: NodeSpec) -> NodeSpec {
    spec.with_store(DiskSpec::default())
}

/// A donor in memory that takes its time, and a replica with a disk.
async fn pair(world: &SimWorld) -> (SimNode, SimNode) {
    let donor = world.donor("donor");
    donor.fill(&shard(0), &Content::large(16, MIB), 1).await;
    donor.faults.delay_reads(Duration::from_millis(5));
    (donor, world.start(on_disk(NodeSpec::replica("replica"))))
}

/// M-33, promises 1 and 3: a shard of all shapes is brought up from a disk onto a disk, and is what the donor
/// had, to the last byte; a donor in memory with the same content has the same manifest.
#[test]
fn a_replica_on_a_disk_is_brought_up() {
    for network in Network::ALL {
        Sim::new(network, 200).run(async |world| {
            let donor = world.start(on_disk(NodeSpec::donor("donor")));
            let replica = world.start(on_disk(NodeSpec::replica("replica")));
            let other = world.replica("other");
            donor.fill(&shard(0), &content(), 1).await;
            other.fill(&shard(0), &content(), 1).await;
            assert!(replica.current(&shard(0)).await.is_none());
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let (had, has) = (donor.published(&shard(0)).await, replica.published(&shard(0)).await);
            assert_eq!(has.as_ref().map(|has| has.entries.len()), Some(211));
            assert!(had.map(|had| (had.header, had.entries)) == has.map(|has| (has.header, has.entries)));
            assert_eq!(replica.digest(&shard(0)).await, other.digest(&shard(0)).await);
        });
    }
}

/// Equal bytes under different keys, and entries that share all but one chunk, arrive as what they are.
#[test]
fn equal_and_nearly_equal_entries_stay_apart() {
    for network in Network::ALL {
        Sim::new(network, 201).run(async |world| {
            let (donor, memory) = (world.donor("donor"), world.replica("memory"));
            let disk = world.start(on_disk(NodeSpec::replica("disk")));
            donor.fill(&shard(0), &shapes(), 1).await;
            for replica in [&memory, &disk] {
                assert!(replica.bring_up(&[shard(0)]).await.is_completed());
                assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
                let entries = replica.published(&shard(0)).await.unwrap().entries;
                let of = |kind, number| &entries[&peerstream_sim::content::key(kind, number)];
                assert_eq!(of("copy", 0), of("copy", 2));
                assert_ne!(of("similar", 0), of("similar", 2));
            }
        });
    }
}

/// M-34, promise 8 and row D8: a disk without room ends the shard with its reason, the source is not blamed,
/// and with room again only the rest is fetched.
#[test]
fn a_full_disk_loses_nothing() {
    for network in Network::ALL {
        Sim::new(network, 202).run(async |world| {
            let (donor, replica) = pair(&world).await;
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            world.until(|| plan.state().bytes_done() >= 8 * MIB).await;
            let done = plan.state().bytes_done();
            world.fill_disk(&replica, ByteCount(0));
            let outcome = plan.await;
            let ShardOutcome::Failed { reason } = &outcome.shards[0].outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("space"), "{reason}");
            while let Ok(event) = events.try_recv() {
                assert!(!matches!(event, PlanEvent::BadChunk { .. }), "{event:?}");
            }
            assert!(replica.current(&shard(0)).await.is_none());

            world.empty_disk(&replica);
            let before = replica.asked_for();
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert!(replica.asked_for() - before <= 16 * MIB - done, "{}", replica.asked_for() - before);
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// A slow disk holds a transfer up, and nobody is blamed for that.
#[test]
fn a_slow_disk_costs_time_only() {
    let took = |network, times| {
        Sim::new(network, 203).run(async move |world| {
            let (donor, replica) = pair(&world).await;
            world.slow_disk(&replica, times);
            let from = world.now();
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            while let Ok(event) = events.try_recv() {
                assert!(!matches!(event, PlanEvent::SourceLost { .. }), "{event:?}");
            }
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            world.now() - from
        })
    };
    for network in Network::ALL {
        let (usual, slow) = (took(network, 1), took(network, 100));
        assert!(slow > usual + Duration::from_secs(3), "16 MiB at 5 MiB/s: {slow:?}, usually {usual:?}");
    }
}

/// A disk has a rate of its own: less than its time for the bytes cannot be had.
#[test]
fn a_disk_has_a_rate() {
    Sim::new(Network::Memory, 204).run(async |world| {
        let donor = world.donor("donor");
        donor.fill(&shard(0), &Content::large(16, MIB), 1).await;
        let spec = DiskSpec { rate: ByteRate::mib_per_sec(8), ..DiskSpec::default() };
        let replica = world.start(NodeSpec::replica("replica").with_store(spec));
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
        let took = world.now().since_origin();
        assert!(took >= Duration::from_secs(2), "16 MiB at 8 MiB/s took {took:?}");
    });
}

/// A slow processor holds a transfer up, and nobody is blamed for that.
#[test]
fn a_slow_node_costs_time_only() {
    for network in Network::ALL {
        Sim::new(network, 205).run(async |world| {
            let (donor, replica) = pair(&world).await;
            world.slow_cpu(&replica, Duration::from_millis(200));
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let took = world.now().since_origin();
            assert!(took >= Duration::from_secs(3), "16 batches took {took:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// M-34, promise 9: a disk that cannot write ends its own shard; healed, the transfer goes on.
#[test]
fn a_disk_that_fails_is_the_shards_own_fault() {
    for network in Network::ALL {
        Sim::new(network, 206).run(async |world| {
            let (donor, replica) = pair(&world).await;
            let of = |kind| kind == OperationKind::Write;
            let fault = Fault { of, times: u64::MAX, ..Fault::next(DiskErrorKind::Other) };
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 4 * MIB).await;
            world.fail_disk(&replica, fault);
            let outcome = plan.await;
            let ShardOutcome::Failed { reason } = &outcome.shards[0].outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("told to fail"), "{reason}");
            world.heal_disk(&replica);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// Promises 1 and 9: a bit that has flipped at a donor is refused by the replica, which has it from
/// another one.
#[test]
fn a_rotten_donor_spoils_nothing() {
    for network in Network::ALL {
        Sim::new(network, 207).run(async |world| {
            let rotten = world.start(on_disk(NodeSpec::donor("rotten")));
            let good = world.start(on_disk(NodeSpec::donor("good")));
            let replica = world.start(on_disk(NodeSpec::replica("replica")));
            for donor in [&rotten, &good] {
                donor.fill(&shard(0), &Content::large(4, MIB), 1).await;
            }
            assert!(world.rot_below(&rotten, "/data/").is_some());
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let has = replica.published(&shard(0)).await.unwrap();
            assert!(has.entries == good.published(&shard(0)).await.unwrap().entries);
        });
    }
}
