//! What is left when it is over: no session, no lease, an outcome at both ends.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use peerstream_engine::{EngineConfig, PlanResult, ShardOutcome};
use peerstream_sim::{Content, Dataset, Network, NodeSpec, OwnStore, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::{BoxFuture, MemoryStore, Snapshot, Source, SourceError};
use peerstream_types::{Selector, ShardId};

const MIB: u64 = 1024 * 1024;

fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    Content::large(4, MIB).fill(&donor.store, &shard(0), 1);
    donor.faults.delay_reads(Duration::from_millis(20));
    donor
}

/// Both ends show the same end, and nothing of the session stays.
#[test]
fn a_completed_plan_is_completed_at_both_ends() {
    for network in Network::ALL {
        Sim::new(network, 60).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            world.until(|| donor.engine.sessions() + replica.engine.sessions() == 0).await;
            assert!(world.now().since_origin() < Duration::from_secs(2), "{}", world.now());
            let theirs = &donor.engine.plans()[0];
            assert_eq!(theirs.result, Some(PlanResult::Completed), "{theirs:?}");
            assert_eq!(theirs.shards[0].outcome, Some(ShardOutcome::Published { generation: None }));
            assert_eq!(theirs.shards[0].bytes_done, 4 * MIB);
        });
    }
}

/// Row A25: a plan that is called off while it dials ends at once.
#[test]
fn an_abort_does_not_wait_for_a_dial() {
    for network in Network::ALL {
        Sim::new(network, 61).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            world.cut(&donor, &replica);
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(1)).await;
            plan.abort("never mind");
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            assert!(world.now().since_origin() < Duration::from_millis(1_100), "{}", world.now());
        });
    }
}

/// Row F-13: plans that wait for the same dial share how it ends, and do not dial one after another.
#[test]
fn a_dial_that_fails_fails_for_all_who_wait() {
    let took = |plans: u32| {
        Sim::new(Network::Quic, 66).run(async move |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            world.cut(&donor, &replica);
            let plans: Vec<_> = (0..plans).map(|index| replica.bring_up(&[shard(index)])).collect();
            for plan in plans {
                assert!(!plan.await.is_completed());
            }
            world.now().since_origin()
        })
    };
    let (alone, together) = (took(1), took(10));
    assert!(together < alone * 2, "{alone:?} for one plan, {together:?} for ten");
}

/// Row A25: shards whose turn had not come end as aborted without a dial.
#[test]
fn shards_that_wait_are_called_off_too() {
    for network in Network::ALL {
        Sim::new(network, 62).run(async |world| {
            let donor = donor(&world, "donor");
            (1..6).for_each(|index| Content::large(4, MIB).fill(&donor.store, &shard(index), 1));
            let config = EngineConfig { shards_in_parallel: 1, ..EngineConfig::default() };
            let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
            let plan = replica.bring_up(&(0..6).map(shard).collect::<Vec<_>>());
            world.until(|| plan.state().bytes_done() >= MIB).await;
            plan.abort("enough");
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            for shard in outcome.shards {
                assert!(matches!(shard.outcome, ShardOutcome::Aborted { .. }), "{shard:?}");
            }
            assert_eq!(donor.engine.plans().len(), 1, "one session, for the first shard");
        });
    }
}

/// One writer per shard: a second plan for the same shard takes over, the first one says so.
#[test]
fn a_second_plan_for_a_shard_takes_it_over() {
    for network in Network::ALL {
        Sim::new(network, 63).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            let first = replica.bring_up(&[shard(0)]);
            world.until(|| first.state().bytes_done() >= MIB).await;
            let second = replica.bring_up(&[shard(0)]).await;
            assert!(second.is_completed(), "{second:?}");
            let first = first.await;
            let shown = first.shards[0].outcome.to_string();
            assert!(!first.is_completed() && shown.contains("newer writer"), "{shown}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// A node that goes down in good order hands over: the replica goes on elsewhere.
#[test]
fn a_donor_that_shuts_down_is_replaced() {
    for network in Network::ALL {
        Sim::new(network, 64).run(async |world| {
            let (first, second) = (donor(&world, "first"), donor(&world, "second"));
            for donor in [&first, &second] {
                Content::large(64, MIB).fill(&donor.store, &shard(1), 1);
                donor.faults.delay_reads(Duration::from_secs(1));
            }
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(1)]);
            world.until(|| plan.state().bytes_done() >= 8 * MIB).await;
            let from = world.now();
            first.engine.shutdown().await;
            let took = world.now() - from;
            assert!(took < Duration::from_secs(25), "{took:?}");
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert!(second.sent() > MIB);
        });
    }
}

/// A node that goes down while it is being brought up ends its plan, and keeps what it has.
#[test]
fn a_replica_that_shuts_down_ends_its_plan() {
    for network in Network::ALL {
        Sim::new(network, 65).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            donor.faults.delay_reads(Duration::from_secs(5));
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= MIB / 2).await;
            replica.engine.shutdown().await;
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            assert!(replica.store.stats().bytes_stored >= MIB / 2);
            world.until(|| donor.engine.sessions() == 0).await;
            assert!(world.now().since_origin() < Duration::from_secs(120), "{}", world.now());
        });
    }
}

/// Two nodes that dial each other at once both get what they want.
#[test]
fn two_nodes_bring_each_other_up() {
    for network in Network::ALL {
        Sim::new(network, 66).run(async |world| {
            let (left, right) = (world.donor("left"), world.donor("right"));
            Content::mixed().fill(&left.store, &shard(0), 1);
            Content::mixed().fill(&right.store, &shard(1), 2);
            let (one, two) = (left.bring_up(&[shard(1)]), right.bring_up(&[shard(0)]));
            let (one, two) = (one.await, two.await);
            assert!(one.is_completed() && two.is_completed(), "{one:?} {two:?}");
            for index in [0, 1] {
                assert_eq!(left.digest(&shard(index)).await, right.digest(&shard(index)).await);
            }
        });
    }
}

/// A dozen replicas at once are all brought up by one donor.
#[test]
fn many_replicas_are_brought_up_by_one_donor() {
    for network in Network::ALL {
        Sim::new(network, 67).run(async |world| {
            let donor = donor(&world, "donor");
            let replicas: Vec<_> = (0..12).map(|n| world.replica(&format!("replica-{n}"))).collect();
            let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
            for (plan, replica) in plans.into_iter().zip(&replicas) {
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
                assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            }
        });
    }
}

/// A manifest of many pages.
#[test]
fn a_shard_of_many_entries_is_brought_up() {
    for network in Network::ALL {
        Sim::new(network, 68).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            Content { small_len: 1..64, ..Content::small(20_000) }.fill(&donor.store, &shard(0), 1);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// A donor with another manifest goes on: what both have in common is not fetched again.
#[test]
fn a_donor_with_other_content_goes_on() {
    for network in Network::ALL {
        Sim::new(network, 69).run(async |world| {
            let (first, second) = (donor(&world, "first"), donor(&world, "second"));
            second.store.put(&shard(0), peerstream_sim::content::key("more", 1), vec![7; 100], Vec::new());
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 3 * MIB).await;
            world.crash(&first);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, second.digest(&shard(0)).await);
            assert!(second.sent() < 2 * MIB, "{}", second.sent());
        });
    }
}

/// A node that goes down in good order ends what it serves first, if that takes no longer than it may.
#[test]
fn a_donor_that_is_asked_to_stop_ends_what_it_serves() {
    for network in Network::ALL {
        Sim::new(network, 70).run(async |world| {
            let config = EngineConfig { drain_timeout: Duration::from_secs(60), ..EngineConfig::default() };
            let donor = world.start(NodeSpec { config, ..NodeSpec::donor("donor") });
            Content::large(16, MIB).fill(&donor.store, &shard(0), 1);
            donor.faults.delay_reads(Duration::from_millis(200));
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 0).await;
            donor.engine.shutdown().await;
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// Row C35: a plan goes on when nobody holds its handle, and can be called off by its id, once.
#[test]
fn a_plan_without_its_handle_goes_on_until_it_is_called_off() {
    for network in Network::ALL {
        Sim::new(network, 71).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            donor.faults.stall_after(MIB);
            drop(replica.bring_up(&[shard(0)]));
            world.sleep(Duration::from_secs(10)).await;
            let plan = replica.engine.plans().remove(0);
            assert_eq!(plan.result, None, "the plan goes on");
            assert!(replica.engine.abort(plan.plan, "enough"));
            world.until(|| replica.engine.plans()[0].result.is_some()).await;
            assert_eq!(replica.engine.plans()[0].result, Some(PlanResult::Aborted));
            assert!(!replica.engine.abort(plan.plan, "again"), "it has ended already");
        });
    }
}

/// A store that knows how often its snapshot is held.
#[derive(Debug, Clone)]
struct Leased {
    store: MemoryStore,
    snapshot: Arc<Mutex<Option<Weak<dyn Snapshot>>>>,
}

impl Leased {
    fn leases(&self) -> usize {
        let held =
            self.snapshot.lock().expect("nobody panics with it").as_ref().map_or(0, Weak::strong_count);
        held.saturating_sub(1) // the store in memory keeps its image itself
    }
}

impl Source for Leased {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let snapshot = self.store.open(shard, selector).await?;
            *self.snapshot.lock().expect("nobody panics with it") = Some(Arc::downgrade(&snapshot));
            Ok(snapshot)
        })
    }
}

/// F-40, C20: a session that ends without a word keeps its snapshot only until it is missed.
#[test]
fn a_killed_receiver_lets_go_of_its_snapshot() {
    for network in Network::ALL {
        Sim::new(network, 72).run(async |world| {
            let leased = Leased { store: MemoryStore::new(), snapshot: Arc::default() };
            Content::large(4, MIB).fill(&leased.store, &shard(0), 1);
            let served = leased.clone();
            let store = OwnStore::new(move || Dataset {
                source: Some(Arc::new(served.clone())),
                sink: None,
                ..Dataset::default()
            });
            let donor = world.start(NodeSpec::donor("donor").with_store(store));
            donor.faults.delay_reads(Duration::from_millis(20));
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= MIB).await;
            assert!(leased.leases() > 0);
            world.crash(&replica);
            world.until(|| leased.leases() == 0).await;
            assert!(world.now().since_origin() < Duration::from_secs(120), "{}", world.now());
        });
    }
}
