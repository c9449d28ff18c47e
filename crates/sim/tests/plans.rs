//! Plans: directions, limits, progress, calling off.

use std::time::Duration;

use peerstream_engine::{EngineConfig, PlanResult, Stage, StreamPlan};
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_transport::access::AccessRules;
use peerstream_types::{ByteCount, Operation};

const MIB: u64 = 1024 * 1024;

/// A donor that takes its time, with this many shards of 4 MiB.
fn donor(world: &SimWorld, name: &str, shards: u32) -> SimNode {
    let donor = world.donor(name);
    (0..shards).for_each(|index| Content::large(4, MIB).fill(&donor.store, &shard(index), 1));
    donor.faults.delay_reads(Duration::from_millis(20));
    donor
}

fn open_to_all(spec: NodeSpec) -> NodeSpec {
    NodeSpec { access: AccessRules::members_may_do_everything(), ..spec }
}

/// Row C01 in the other direction: a shard is pushed, and the pusher learns that it is published.
#[test]
fn a_shard_is_pushed() {
    for network in Network::ALL {
        Sim::new(network, 40).run(async |world| {
            let loader = world.donor("loader");
            Content::mixed().fill(&loader.store, &shard(0), 1);
            let store = world.start(open_to_all(NodeSpec::replica("store")));
            let outcome = loader.push(&[shard(0)], &store).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(store.digest(&shard(0)).await, loader.digest(&shard(0)).await);
        });
    }
}

/// Row C03: a request and a transfer to the same peer share one session.
#[test]
fn both_directions_share_one_session() {
    for network in Network::ALL {
        Sim::new(network, 41).run(async |world| {
            let other = world.start(open_to_all(NodeSpec::donor("other")));
            let node = donor(&world, "node", 1);
            Content::large(4, MIB).fill(&other.store, &shard(1), 1);
            other.faults.delay_reads(Duration::from_millis(20));
            let plan = StreamPlan::new(Operation::Move)
                .request_from(shard(1), [other.id.clone()])
                .transfer(shard(0), other.id.clone());
            let plan = node.execute(plan).unwrap();
            let mut most = 0;
            world
                .until(|| {
                    most = most.max(node.engine.sessions()).max(other.engine.sessions());
                    plan.state().result.is_some()
                })
                .await;
            assert_eq!((most, other.engine.plans().len()), (1, 1), "one session, both ways");
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            for index in [0, 1] {
                assert_eq!(node.digest(&shard(index)).await, other.digest(&shard(index)).await);
            }
        });
    }
}

/// M-30, row C08: an empty plan completes at once and needs no connection.
#[test]
fn an_empty_plan_needs_no_connection() {
    for network in Network::ALL {
        Sim::new(network, 42).run(async |world| {
            let (_donor, replica) = (world.donor("donor"), world.replica("replica"));
            let outcome = replica.execute(StreamPlan::new(Operation::Other)).unwrap().await;
            assert!(outcome.is_completed());
            assert_eq!((replica.engine.peers().len(), world.datagrams().sent), (0, 0));
            assert_eq!(world.now().since_origin(), Duration::ZERO);
        });
    }
}

/// Rows C17 and A25: a plan that is called off ends as aborted at both ends, dials nobody else, and
/// keeps what it verified: the next one fetches only the rest.
#[test]
fn an_aborted_plan_ends_aborted_on_both_sides() {
    for network in Network::ALL {
        Sim::new(network, 43).run(async |world| {
            let (first, second) = (donor(&world, "first", 1), donor(&world, "second", 1));
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 2 * MIB).await;
            plan.abort("the operator changed her mind");
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            world.sleep(Duration::from_secs(1)).await;
            let theirs = first.engine.plans();
            assert_eq!(theirs[0].result, Some(PlanResult::Aborted), "{theirs:?}");
            assert!(second.engine.plans().is_empty(), "nobody else was asked");
            assert!(second.engine.peers().is_empty(), "nobody else was dialled");
            assert!(replica.store.published(&shard(0)).is_none());

            let before = replica.asked_for();
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert!(
                replica.asked_for() - before <= 2 * MIB,
                "only the rest: {}",
                replica.asked_for() - before
            );
        });
    }
}

/// Row C17: the peer that serves can call a session off as well; the plan goes on elsewhere, and
/// does not come back.
#[test]
fn a_source_that_calls_off_is_replaced() {
    for network in Network::ALL {
        Sim::new(network, 44).run(async |world| {
            let (first, second) = (donor(&world, "first", 1), donor(&world, "second", 1));
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= MIB).await;
            assert!(first.engine.abort(plan.id(), "this node is needed elsewhere"));
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let theirs = first.engine.plans();
            assert_eq!(theirs.len(), 1, "it was not asked again: {theirs:?}");
            assert_eq!(theirs[0].result, Some(PlanResult::Aborted));
            assert!(second.sent() > MIB, "{}", second.sent());
        });
    }
}

/// Promise 7: what is shown never goes back and never beyond the total, and all of it is done only
/// when it is published.
#[test]
fn progress_is_monotonic_and_whole_means_published() {
    for network in Network::ALL {
        Sim::new(network, 45).run(async |world| {
            let donors = [donor(&world, "first", 3), donor(&world, "second", 3)];
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0), shard(1), shard(2)]);
            let (mut done, mut stages, mut crashed) = (0, [Stage::Queued; 3], false);
            loop {
                let state = plan.state();
                assert!(state.bytes_done() >= done, "{state:?}");
                done = state.bytes_done();
                for (shard, stage) in state.shards.iter().zip(&mut stages) {
                    assert!(shard.bytes_done <= shard.bytes_total.unwrap_or(u64::MAX), "{shard:?}");
                    assert!(shard.entries_done <= shard.entries_total.unwrap_or(u64::MAX), "{shard:?}");
                    *stage = shard.stage;
                }
                if state.result.is_some() {
                    break;
                }
                if done > 6 * MIB && !crashed {
                    world.crash(&donors[0]);
                    crashed = true;
                }
                world.sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(stages, [Stage::Done; 3]);
            assert_eq!(done, 12 * MIB);
            assert!(plan.await.is_completed());
        });
    }
}

/// No more shards of a plan move at a time than the setting says, and all of them come.
#[test]
fn shards_in_parallel_are_bounded() {
    for network in Network::ALL {
        Sim::new(network, 46).run(async |world| {
            let donor = donor(&world, "donor", 6);
            let config = EngineConfig { shards_in_parallel: 2, ..EngineConfig::default() };
            let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
            let plan = replica.bring_up(&(0..6).map(shard).collect::<Vec<_>>());
            let mut most = 0;
            world
                .until(|| {
                    let state = plan.state();
                    let moving = |stage| !matches!(stage, Stage::Queued | Stage::Done);
                    most = most.max(state.shards.iter().filter(|shard| moving(shard.stage)).count());
                    state.result.is_some()
                })
                .await;
            assert_eq!(most, 2);
            assert!(plan.await.is_completed());
            for index in 0..6 {
                assert_eq!(replica.digest(&shard(index)).await, donor.digest(&shard(index)).await);
            }
        });
    }
}

/// G-11, promise 9: a shard that cannot be had does not keep the others from coming.
#[test]
fn a_bad_shard_costs_one_shard() {
    for network in Network::ALL {
        Sim::new(network, 47).run(async |world| {
            let (_donor, replica) = (donor(&world, "donor", 3), world.replica("replica"));
            let outcome = replica.bring_up(&[shard(0), shard(77), shard(1), shard(2)]).await;
            assert_eq!(outcome.result, PlanResult::Failed);
            for index in [0, 1, 2] {
                assert!(replica.store.published(&shard(index)).is_some(), "{index}");
            }
            assert!(replica.store.published(&shard(77)).is_none());
        });
    }
}

/// Promise 6: what is asked for and not yet there never exceeds the window.
#[test]
fn the_window_bounds_what_is_under_way() {
    for network in Network::ALL {
        Sim::new(network, 48).run(async |world| {
            let _donor = donor(&world, "donor", 1);
            let mut config = EngineConfig::default();
            config.recovery.window = ByteCount::mib(1);
            config.recovery.fetch_bytes = ByteCount::kib(256);
            let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
            let plan = replica.bring_up(&[shard(0)]);
            world
                .until(|| {
                    let state = plan.state();
                    let under_way = replica.asked_for() - state.bytes_done().min(replica.asked_for());
                    assert!(under_way <= MIB, "{under_way}");
                    state.result.is_some()
                })
                .await;
            assert!(plan.await.is_completed());
        });
    }
}

/// Row C17 for a bulk load: whichever end calls it off, both end as aborted, and nothing is offered
/// again.
#[test]
fn a_push_ends_aborted_on_both_sides_whoever_calls_it_off() {
    let both = |network| [(network, true), (network, false)];
    for (network, by_pusher) in Network::ALL.into_iter().flat_map(both) {
        Sim::new(network, 49).run(async |world| {
            let loader = donor(&world, "loader", 1);
            let store = world.start(open_to_all(NodeSpec::replica("store")));
            let plan = loader.push(&[shard(0)], &store);
            world.until(|| plan.state().bytes_done() >= 2 * MIB).await;
            if by_pusher {
                plan.abort("not today");
            } else {
                assert!(store.engine.abort(plan.id(), "not today"));
            }
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Aborted, "{outcome:?}");
            world.sleep(Duration::from_secs(60)).await;
            let theirs = store.engine.plans();
            assert_eq!(theirs.len(), 1, "{theirs:?}");
            assert_eq!(theirs[0].result, Some(PlanResult::Aborted), "{theirs:?}");
            assert!(store.store.published(&shard(0)).is_none());
        });
    }
}

/// Promise 7: another source may have other content, of which little is held. What is shown as done
/// does not go back for it.
#[test]
fn progress_does_not_go_back_for_another_manifest() {
    for network in Network::ALL {
        Sim::new(network, 80).run(async |world| {
            let (first, second) = (donor(&world, "first", 1), world.donor("second"));
            Content::large(6, MIB).fill(&second.store, &shard(0), 2);
            second.faults.delay_reads(Duration::from_millis(20));
            let replica = world.replica("replica");
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 2 * MIB).await;
            world.crash(&first);
            let mut done = 0;
            world
                .until(|| {
                    let state = plan.state();
                    assert!(state.bytes_done() >= done, "from {done} back to {state:?}");
                    done = state.bytes_done();
                    state.result.is_some()
                })
                .await;
            assert!(plan.await.is_completed());
            assert_eq!(replica.digest(&shard(0)).await, second.digest(&shard(0)).await);
        });
    }
}
