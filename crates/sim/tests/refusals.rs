//! What is not allowed, not there or not ready: refused with its reason, on both sides.

use std::time::Duration;

use peerstream_engine::PlanError;
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::{AccessRules, Verb};
use peerstream_types::{ClusterName, DatasetName, Operation, ShardId};

fn donor(world: &SimWorld) -> SimNode {
    let donor = world.donor("donor");
    Content::small(20).fill(&donor.store, &shard(0), 1);
    donor
}

fn why(outcome: &peerstream_engine::PlanOutcome) -> String {
    assert!(!outcome.is_completed());
    outcome.shards[0].outcome.to_string()
}

/// Row F-59: without a rule nothing is served; the replica is told, nothing is retried for ever, and
/// not a byte moves.
#[test]
fn a_denied_dataset_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 30).run(async |world| {
            let (donor, replica) = (donor(&world), world.replica("replica"));
            donor.access.replace(AccessRules::deny_all());
            let why = why(&replica.bring_up(&[shard(0)]).await);
            assert!(why.contains("denied") && why.contains("donor"), "{why}");
            assert_eq!((donor.sent(), donor.faults.reads()), (0, 0));
            assert!(world.now().since_origin() < Duration::from_secs(1), "asked once, told once");
        });
    }
}

/// Row F-59: a rule that is taken away counts for the next request, also in a running session.
#[test]
fn a_rule_that_is_taken_away_counts_at_once() {
    for network in Network::ALL {
        Sim::new(network, 31).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            Content::large(64, 1024 * 1024).fill(&donor.store, &shard(0), 1);
            donor.faults.delay_reads(Duration::from_millis(5));
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 8 * 1024 * 1024).await;
            donor.access.replace(AccessRules::deny_all());
            let why = why(&plan.await);
            assert!(why.contains("donor"), "{why}");
            assert!(replica.store.published(&shard(0)).is_none());
        });
    }
}

/// Row F-59: a rule that is given counts for the next request, without a restart.
#[test]
fn a_rule_that_is_given_counts_at_once() {
    for network in Network::ALL {
        Sim::new(network, 42).run(async |world| {
            let (donor, replica) = (donor(&world), world.replica("replica"));
            donor.access.replace(AccessRules::deny_all());
            assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
            donor.access.replace(AccessRules::members_may_read());
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// Row F-59: nodes of another cluster get nothing, not even a session.
#[test]
fn another_cluster_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 32).run(async |world| {
            let donor = donor(&world);
            let cluster = ClusterName::new("other.internal").unwrap();
            let stranger = world.start(NodeSpec { cluster, ..NodeSpec::replica("stranger") });
            let why = why(&stranger.bring_up(&[shard(0)]).await);
            assert!(why.contains("donor"), "{why}");
            assert_eq!((donor.sent(), donor.engine.plans().len()), (0, 0));
            assert!(world.now().since_origin() < Duration::from_secs(60), "it is no use to try for long");
        });
    }
}

/// A dataset that the donor does not have is refused by name.
#[test]
fn an_unknown_dataset_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 33).run(async |world| {
            donor(&world);
            let replica = world.replica("replica");
            let dataset = DatasetName::new("traces").unwrap();
            let sink = peerstream_engine::Dataset {
                source: None,
                sink: Some(std::sync::Arc::new(MemoryStore::clone(&replica.store))),
                ..Default::default()
            };
            replica.datasets.insert(dataset.clone(), sink);
            let why = why(&replica.bring_up(&[ShardId::new(dataset, 1, 0)]).await);
            assert!(why.contains("not found") && why.contains("traces"), "{why}");
        });
    }
}

/// Row C08: a request that matches nothing ends at once with its reason, and moves nothing.
#[test]
fn a_shard_that_nobody_has_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 34).run(async |world| {
            let (donor, replica) = (donor(&world), world.replica("replica"));
            let why = why(&replica.bring_up(&[shard(99)]).await);
            assert!(why.contains("99"), "{why}");
            assert_eq!(donor.sent(), 0);
        });
    }
}

/// A shard without holders fails at once, and says so.
#[test]
fn a_shard_without_holders_fails_at_once() {
    for network in Network::ALL {
        Sim::new(network, 35).run(async |world| {
            let replica = world.replica("replica");
            let why = why(&replica.bring_up(&[shard(0)]).await);
            assert!(!why.is_empty(), "{why}");
            assert!(world.now().since_origin() < Duration::from_secs(1));
        });
    }
}

/// A dataset that this node does not receive is refused before anything starts.
#[test]
fn a_plan_for_a_dataset_without_a_sink_is_refused_here() {
    Sim::new(Network::Memory, 36).run(async |world| {
        let replica = world.start(NodeSpec { sink: false, ..NodeSpec::replica("replica") });
        let plan = peerstream_engine::StreamPlan::new(Operation::Bootstrap).request(shard(0));
        assert_eq!(replica.execute(plan).unwrap_err(), PlanError::NoSink(shard(0)));
    });
}

/// A source that is not ready is asked again later, and serves once it is.
#[test]
fn a_source_that_is_not_ready_is_asked_again() {
    for network in Network::ALL {
        Sim::new(network, 37).run(async |world| {
            let (donor, replica) = (donor(&world), world.replica("replica"));
            donor.faults.refuse_to_open();
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(1)).await;
            let waiting = plan.state().shards[0].waiting.clone();
            assert!(waiting.is_some(), "it says what it waits for");
            donor.faults.clear();
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
        });
    }
}

/// Row F-59: a push is denied without a rule for offers, whatever may be read.
#[test]
fn a_denied_push_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 38).run(async |world| {
            let (donor, replica) = (donor(&world), world.replica("replica"));
            let why = why(&donor.push(&[shard(0)], &replica).await);
            assert!(why.contains(Verb::Offer.as_str()) && why.contains("replica"), "{why}");
            assert!(replica.store.published(&shard(0)).is_none());
            assert_eq!(donor.sent(), 0);
        });
    }
}

/// A push to a node that does not receive the dataset is refused with its reason.
#[test]
fn a_push_to_a_node_without_a_sink_is_refused() {
    for network in Network::ALL {
        Sim::new(network, 39).run(async |world| {
            let donor = donor(&world);
            let access = AccessRules::members_may_do_everything();
            let reader = world.start(NodeSpec { sink: false, access, ..NodeSpec::replica("reader") });
            let why = why(&donor.push(&[shard(0)], &reader).await);
            assert!(why.contains("not received"), "{why}");
        });
    }
}
