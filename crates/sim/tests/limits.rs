//! Limits that are reached: someone waits, nobody fails, and the local disk is nobody else's fault.

use std::time::Duration;

use peerstream_engine::{EngineConfig, PlanEvent, ShardOutcome, StreamPlan, Task};
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, SinkStep, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::AccessRules;
use peerstream_types::{ChunkSize, EntryKey, Operation, Selector};

const MIB: u64 = 1024 * 1024;

/// How long a cut must be until connections are lost.
fn loses_connections(network: Network) -> Duration {
    match network {
        Network::Memory => Duration::from_millis(200),
        Network::Quic => Duration::from_secs(31),
    }
}

fn donor_with(world: &SimWorld, config: EngineConfig) -> SimNode {
    let donor = world.start(NodeSpec { config, ..NodeSpec::donor("donor") });
    Content::large(4, MIB).fill(&donor.store, &shard(0), 1);
    donor.faults.delay_reads(Duration::from_millis(20));
    donor
}

/// A donor with as many sessions as it may have tells the others to come back, and they do.
#[test]
fn a_busy_donor_serves_later() {
    for network in Network::ALL {
        Sim::new(network, 70).run(async |world| {
            donor_with(&world, EngineConfig { sessions_max: 1, ..EngineConfig::default() });
            let replicas: Vec<_> = (0..3).map(|n| world.replica(&format!("replica-{n}"))).collect();
            let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
            for plan in plans {
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
            }
        });
    }
}

/// One answer at a time is slow, and enough.
#[test]
fn a_donor_that_answers_one_at_a_time_serves_all() {
    for network in Network::ALL {
        Sim::new(network, 71).run(async |world| {
            donor_with(&world, EngineConfig { serves_in_parallel: 1, ..EngineConfig::default() });
            let replicas: Vec<_> = (0..4).map(|n| world.replica(&format!("replica-{n}"))).collect();
            let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
            for plan in plans {
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
            }
        });
    }
}

/// A plan of many shards.
#[test]
fn a_plan_of_many_shards_completes() {
    for network in Network::ALL {
        Sim::new(network, 72).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            let shards: Vec<_> = (0..200).map(shard).collect();
            for shard in &shards {
                Content::small(5).fill(&donor.store, shard, 1);
            }
            let outcome = replica.bring_up(&shards).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            for shard in &shards {
                assert_eq!(replica.digest(shard).await, donor.digest(shard).await);
            }
        });
    }
}

/// A push of many shards in one session.
#[test]
fn a_push_of_many_shards_completes() {
    for network in Network::ALL {
        Sim::new(network, 73).run(async |world| {
            let loader = world.donor("loader");
            let access = AccessRules::members_may_do_everything();
            let store = world.start(NodeSpec { access, ..NodeSpec::replica("store") });
            let shards: Vec<_> = (0..100).map(shard).collect();
            for shard in &shards {
                Content::small(5).fill(&loader.store, shard, 1);
            }
            let outcome = loader.push(&shards, &store).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            for shard in &shards {
                assert_eq!(store.digest(shard).await, loader.digest(shard).await);
            }
        });
    }
}

/// A pusher that loses its connection offers again, and what was stored is not sent again.
#[test]
fn a_push_goes_on_after_a_cut() {
    for network in Network::ALL {
        Sim::new(network, 74).run(async |world| {
            let loader = world.donor("loader");
            Content::large(64, MIB).fill(&loader.store, &shard(0), 1);
            loader.faults.delay_reads(Duration::from_millis(20));
            let access = AccessRules::members_may_do_everything();
            let store = world.start(NodeSpec { access, ..NodeSpec::replica("store") });
            let plan = loader.push(&[shard(0)], &store);
            world.until(|| store.store.stats().bytes_stored > 16 * MIB).await;
            world.cut(&loader, &store);
            world.sleep(loses_connections(world.network())).await;
            world.heal(&loader, &store);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(store.digest(&shard(0)).await, loader.digest(&shard(0)).await);
            assert!(loader.sent() <= (64 + 32 + 1) * MIB, "at most the window again: {}", loader.sent());
        });
    }
}

/// A full disk here ends the shard with its reason, whichever step finds it; the source is not
/// blamed, no other one is bothered, and once there is room only the rest is fetched.
#[test]
fn a_full_disk_is_nobody_elses_fault() {
    let steps = [SinkStep::Store, SinkStep::Seal, SinkStep::Publish];
    for (network, step) in Network::ALL.into_iter().flat_map(|n| steps.map(|step| (n, step))) {
        Sim::new(network, 75).run(async |world| {
            let donor = donor_with(&world, EngineConfig::default());
            let second = world.donor("second");
            Content::large(4, MIB).fill(&second.store, &shard(0), 1);
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            world.until(|| plan.state().bytes_done() >= 2 * MIB).await;
            replica.faults.fill_disk_at(step);
            let outcome = plan.await;
            let ShardOutcome::Failed { reason } = &outcome.shards[0].outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("simulated"), "{reason}");
            assert_eq!((second.sent(), second.engine.plans().len()), (0, 0));
            while let Ok(event) = events.try_recv() {
                assert!(!matches!(event, PlanEvent::BadChunk { .. }), "{event:?}");
            }
            assert!(replica.store.published(&shard(0)).is_none());

            replica.faults.clear();
            let before = replica.asked_for();
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert!(replica.asked_for() - before <= 2 * MIB, "{}", replica.asked_for() - before);
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// Discovery that knows addresses only is enough: whoever of the cluster answers there is a source.
#[test]
fn holders_may_be_known_by_address_only() {
    for network in Network::ALL {
        Sim::new(network, 76).run(async |world| {
            let donor = donor_with(&world, EngineConfig::default());
            let replica = world.replica("replica");
            world.placement().forget_names();
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// A member that may fetch but not list gets nothing, and is told why.
#[test]
fn listing_needs_a_rule_of_its_own() {
    for network in Network::ALL {
        Sim::new(network, 77).run(async |world| {
            let donor = donor_with(&world, EngineConfig::default());
            let rules = r#"[{"who":"*","datasets":"*","verbs":["fetch"]}]"#;
            donor.access.replace(serde_json::from_str(rules).unwrap());
            let outcome = world.replica("replica").bring_up(&[shard(0)]).await;
            let shown = outcome.shards[0].outcome.to_string();
            assert!(!outcome.is_completed() && shown.contains("rule"), "{shown}");
            assert_eq!(donor.faults.reads(), 0);
        });
    }
}

/// More entries want their outline at once than requests may be under way: they wait their turn, and
/// no source is blamed.
#[test]
fn a_full_request_window_is_nobodys_fault() {
    for network in Network::ALL {
        Sim::new(network, 75).run(async |world| {
            let store = MemoryStore::with_chunk_size(ChunkSize::new(1024).unwrap());
            let donor = world.start(NodeSpec { store: store.into(), ..NodeSpec::donor("donor") });
            let replica = world.replica("replica");
            let shards: Vec<_> = (0..4).map(shard).collect();
            for shard in &shards {
                Content::large(700, 1025).fill(&donor.store, shard, 1);
            }
            let outcome = replica.bring_up(&shards).await;
            assert!(outcome.is_completed(), "{outcome:?}");
        });
    }
}

/// A push that the receiver takes and then cannot stage ends at both ends: the offer is given back.
#[test]
fn a_push_that_cannot_be_staged_ends() {
    for network in Network::ALL {
        Sim::new(network, 76).run(async |world| {
            let loader = world.donor("loader");
            Content::small(5).fill(&loader.store, &shard(0), 1);
            let access = AccessRules::members_may_do_everything();
            let store = world.start(NodeSpec { access, ..NodeSpec::replica("store") });
            // A store in memory gives parts of a shard, and takes whole ones only.
            let selector = Selector::Keys { start: None, end: EntryKey::from_path("z").ok() };
            let task = Task::Transfer { shard: shard(0), selector, to: store.id.clone() };
            let plan = loader.execute(StreamPlan::new(Operation::BulkLoad).task(task)).unwrap();
            let outcome = plan.await;
            assert!(matches!(outcome.shards[0].outcome, ShardOutcome::Failed { .. }), "{outcome:?}");
            world.until(|| loader.engine.sessions() + store.engine.sessions() == 0).await;
        });
    }
}

/// An offer that comes after the job has turned away is released: neither end keeps a session.
#[test]
fn an_offer_that_comes_too_late_is_released() {
    let far = LinkSpec { latency: Duration::from_millis(400), ..LinkSpec::default() };
    Sim::new(Network::Quic, 77).link(far).run(async |world| {
        let donor = world.donor("donor");
        Content::small(5).fill(&donor.store, &shard(0), 1);
        let mut config = EngineConfig::default();
        config.recovery.open_timeout = Duration::from_secs(1);
        let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(!outcome.is_completed(), "{outcome:?}");
        world.until(|| donor.engine.plans().iter().all(|plan| plan.result.is_some())).await;
        world.until(|| donor.engine.sessions() + replica.engine.sessions() == 0).await;
    });
}
