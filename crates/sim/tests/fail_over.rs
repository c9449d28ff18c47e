//! Sources that die, stall, crawl or are cut off: another one goes on where they stopped.

use std::time::Duration;

use peerstream_engine::{EngineConfig, PlanEvent};
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteCount;

const TOTAL: u64 = 16 * 1024 * 1024;
const WINDOW: u64 = 2 * 1024 * 1024;
/// Pages, outlines and record headers, far less than a chunk per MiB.
const OVERHEAD: u64 = 64 * 1024;
/// A source that reads a chunk in this time is slow, not stalled.
const READ: Duration = Duration::from_millis(20);

fn small_window() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(WINDOW);
    config.recovery.fetch_bytes = ByteCount(WINDOW / 4);
    config
}

/// Two donors with the same content that take their time, and a replica with a small window.
fn cluster(world: &SimWorld) -> (SimNode, SimNode, SimNode) {
    let donor = |name| {
        let donor = world.donor(name);
        Content::large(16, TOTAL / 16).fill(&donor.store, &shard(0), 1);
        donor.faults.delay_reads(READ);
        donor
    };
    let replica = NodeSpec { config: small_window(), ..NodeSpec::replica("replica") };
    (donor("donor-1"), donor("donor-2"), world.start(replica))
}

/// Promise 2: a donor that dies half way is replaced, and what was verified is not fetched again:
/// at most the window in flight is.
#[test]
fn a_donor_that_dies_half_way_is_replaced() {
    for network in Network::ALL {
        Sim::new(network, 10).run(async |world| {
            let (first, second, replica) = cluster(&world);
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > TOTAL / 2).await;
            world.crash(&first);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, second.digest(&shard(0)).await);
            assert!(replica.asked_for() <= TOTAL + WINDOW, "{} of {TOTAL}", replica.asked_for());
            assert!(second.sent() <= TOTAL / 2 + WINDOW + OVERHEAD, "{}", second.sent());
        });
    }
}

/// Row F-50: a source that has work and brings nothing for a minute is replaced; no sooner.
#[test]
fn a_stalled_source_is_replaced() {
    for network in Network::ALL {
        Sim::new(network, 11).run(async |world| {
            let (first, second, replica) = cluster(&world);
            first.faults.stall_after(TOTAL / 4);
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, second.digest(&shard(0)).await);
            let took = world.now().since_origin();
            assert!((60..90).contains(&took.as_secs()), "{took:?}");
            assert!(replica.asked_for() <= TOTAL + WINDOW, "{} of {TOTAL}", replica.asked_for());
            let mut lost = Vec::new();
            while let Ok(event) = events.try_recv() {
                if let PlanEvent::SourceLost { peer, .. } = event {
                    lost.push(peer);
                }
            }
            assert_eq!(lost, [first.id], "exactly the stalled source is named");
        });
    }
}

/// Row F-50: a source that moves, however slowly, keeps its work: one chunk in 50 s.
#[test]
fn a_slow_source_that_moves_is_not_stalled() {
    for network in Network::ALL {
        Sim::new(network, 12).run(async |world| {
            let (first, second, replica) = cluster(&world);
            Content::large(2, 2 * 1024 * 1024).fill(&first.store, &shard(1), 1);
            first.faults.delay_reads(Duration::from_secs(50));
            let plan = replica.bring_up(&[shard(1)]);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(second.sent(), 0);
            assert_eq!(replica.asked_for(), 4 * 1024 * 1024, "nothing was asked for twice");
            assert!(world.now().since_origin() > Duration::from_secs(180), "it was slow");
        });
    }
}

/// Promise 2: a cut that connections survive, or do not (from 30 s on over QUIC, at once in memory),
/// is got over, and what was verified is not fetched again.
#[test]
fn a_cut_that_heals_costs_the_window_only() {
    for (network, secs) in [(Network::Memory, 3), (Network::Quic, 3), (Network::Quic, 31)] {
        let outage = Duration::from_secs(secs);
        Sim::new(network, 13).run(async |world| {
            let (first, second, replica) = cluster(&world);
            world.crash(&second);
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > TOTAL / 2).await;
            world.cut(&first, &replica);
            world.sleep(outage).await;
            world.heal(&first, &replica);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, first.digest(&shard(0)).await);
            assert!(replica.asked_for() <= TOTAL + WINDOW, "{} of {TOTAL}", replica.asked_for());
        });
    }
}

/// G-12, promise 2: a replica that is killed half way and started again fetches only the rest.
#[test]
fn a_replica_that_is_killed_goes_on_where_it_stopped() {
    for network in Network::ALL {
        Sim::new(network, 14).run(async |world| {
            let (first, _, replica) = cluster(&world);
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > TOTAL / 2).await;
            world.crash(&replica);
            let again = world.restart(&replica);
            let outcome = again.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(again.digest(&shard(0)).await, first.digest(&shard(0)).await);
            assert!(again.asked_for() <= TOTAL / 2, "{}", again.asked_for());
        });
    }
}

/// M-31, promise 8: when every holder is dead, the plan fails with a reason that names them, and ends.
#[test]
fn a_plan_without_a_living_donor_fails() {
    for network in Network::ALL {
        Sim::new(network, 15).run(async |world| {
            let (first, second, replica) = cluster(&world);
            world.crash(&first);
            world.crash(&second);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(!outcome.is_completed());
            let shown = outcome.shards[0].outcome.to_string();
            assert!(shown.contains("donor-1") && shown.contains("donor-2"), "{shown}");
            assert!(replica.store.published(&shard(0)).is_none());
        });
    }
}

/// Promise 2: whoever serves is killed at every tenth of one transfer and restarted; each time costs what
/// was under way, there and at the one that goes on.
#[test]
fn donors_killed_at_every_tenth_cost_no_more_than_what_was_under_way() {
    for network in Network::ALL {
        Sim::new(network, 16).run(async |world| {
            let (first, second, replica) = cluster(&world);
            let donors = [first, second];
            let plan = replica.bring_up(&[shard(0)]);
            let mut kills = [0, 0];
            for tenth in 0..9 {
                world.until(|| plan.state().bytes_done() > TOTAL * tenth / 10).await;
                let serving = plan.state().shards[0].peer.clone();
                let which = donors.iter().position(|donor| Some(&donor.id) == serving.as_ref());
                let which = which.expect("one of them serves");
                kills[which] += 1;
                world.restart(&donors[which]);
            }
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
            assert!(kills.iter().all(|kills| *kills > 1), "both serve, again and again: {kills:?}");
            let most = TOTAL + 9 * 2 * WINDOW;
            assert!(replica.asked_for() <= most, "{} of {TOTAL}", replica.asked_for());
        });
    }
}
