//! Clocks that are wrong and certificates that change, over simulated QUIC.

use std::time::Duration;

use peerstream_engine::PlanOutcome;
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};

const MIB: u64 = 1024 * 1024;
const MINUTE_MS: i64 = 60 * 1000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Nodes whose certificates are valid for a month from now.
fn pair(world: &SimWorld) -> (SimNode, SimNode) {
    let month = |spec| NodeSpec { certificate_days: 30, ..spec };
    let donor = world.start(month(NodeSpec::donor("donor")));
    Content::large(16, MIB).fill(&donor.store, &shard(0), 1);
    (donor, world.start(month(NodeSpec::replica("replica"))))
}

fn with_clocks(donor_ms: i64, replica_ms: i64) -> PlanOutcome {
    Sim::new(Network::Quic, 240).run(async move |world| {
        let (donor, replica) = pair(&world);
        world.set_clock(&donor, donor_ms);
        world.set_clock(&replica, replica_ms);
        replica.bring_up(&[shard(0)]).await
    })
}

/// Clocks may differ by as much as certificates are valid: they are made for an hour ago.
#[test]
fn a_wrong_clock_within_the_validity_is_fine() {
    for (donor, replica) in [(29 * DAY_MS, 0), (0, 29 * DAY_MS), (-59 * MINUTE_MS, 29 * DAY_MS)] {
        let outcome = with_clocks(donor, replica);
        assert!(outcome.is_completed(), "{outcome:?}");
    }
}

/// Promise 10: beyond that nothing moves, and the reason says that it is the time: whichever end finds
/// the other's certificate expired or not valid yet.
#[test]
fn a_wrong_clock_beyond_the_validity_is_a_refusal() {
    let cases = [
        ((0, 31 * DAY_MS), "expired"),
        ((0, -61 * MINUTE_MS), "is a clock wrong?"),
        ((31 * DAY_MS, 0), "by the peer's clock"),
        ((-61 * MINUTE_MS, 0), "by the peer's clock"),
    ];
    for ((donor, replica), expected) in cases {
        let outcome = with_clocks(donor, replica);
        let shown = outcome.shards[0].outcome.to_string();
        assert!(!outcome.is_completed() && shown.contains(expected), "{expected}: {shown}");
        assert!(shown.contains("donor"), "{shown}");
    }
}

/// Promise 2: certificates that change in the middle of a transfer cost nothing, and new connections
/// use the new ones.
#[test]
fn a_rotation_loses_no_progress() {
    for network in Network::ALL {
        Sim::new(network, 241).run(async |world| {
            let (donor, replica) = pair(&world);
            donor.faults.delay_reads(Duration::from_millis(20));
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 4 * MIB).await;
            world.rotate_certificate(&donor);
            world.until(|| plan.state().bytes_done() >= 8 * MIB).await;
            world.rotate_certificate(&replica);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.asked_for(), 16 * MIB, "nothing was asked for twice");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            Content::small(3).fill(&donor.store, &shard(1), 1);
            let again = world.restart(&replica);
            assert!(again.bring_up(&[shard(1)]).await.is_completed());
        });
    }
}

/// A certificate that has run out is refused in new connections until it is rotated.
#[test]
fn a_rotation_ends_an_expiry() {
    Sim::new(Network::Quic, 242).limit(Duration::from_secs(40 * 24 * 3600)).run(async |world| {
        let (donor, replica) = pair(&world);
        world.sleep(Duration::from_secs(31 * 24 * 3600)).await;
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
        world.rotate_certificate(&donor);
        world.rotate_certificate(&replica);
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
    });
}
