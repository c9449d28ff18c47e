//! What depends on the network: loss, slow links, control beside bulk. Over simulated QUIC.

use std::time::Duration;

use peerstream_engine::PlanResult;
use peerstream_sim::{Content, LinkSpec, Network, Sim, shard};
use peerstream_types::{ByteCount, ByteRate};

const MIB: u64 = 1024 * 1024;

/// 20 ms round trip, 4 MiB/s, a queue of 20 ms: the path is full for seconds.
fn slow() -> LinkSpec {
    let rate = ByteRate::mib_per_sec(4);
    LinkSpec { latency: Duration::from_millis(10), rate, queue: ByteCount::kib(80), ..LinkSpec::default() }
}

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Two datagrams of a hundred are lost: everything still comes.
#[test]
fn loss_costs_time_only() {
    let link = LinkSpec { loss_ppm: 20_000, ..LinkSpec::default() };
    Sim::new(Network::Quic, 50).link(link).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::mixed().fill(&donor.store, &shard(0), 1);
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        assert!(world.datagrams().lost > 100, "{:?}", world.datagrams());
    });
}

/// Row C10: an abort reaches the peer within a few round trips while bulk fills the path.
#[test]
fn an_abort_is_not_held_up_by_bulk() {
    Sim::new(Network::Quic, 51).link(slow()).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::large(4, 16 * MIB).fill(&donor.store, &shard(0), 1);
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| plan.state().bytes_done() > 8 * MIB).await;
        let asked = world.now();
        plan.abort("no longer wanted");
        world.until(|| donor.engine.plans()[0].result.is_some()).await;
        let took = world.now() - asked;
        assert_eq!(donor.engine.plans()[0].result, Some(PlanResult::Aborted));
        assert!(took < 3 * ROUND_TRIP, "{took:?}");
    });
}

/// Row C10: messages towards the receiver pass the bulk that goes the same way. A second plan is
/// opened and refused while the path is full.
#[test]
fn a_second_session_is_not_held_up_by_bulk() {
    Sim::new(Network::Quic, 52).link(slow()).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::large(4, 16 * MIB).fill(&donor.store, &shard(0), 1);
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| plan.state().bytes_done() > 8 * MIB).await;
        let asked = world.now();
        let second = replica.bring_up(&[shard(1)]).await;
        let took = world.now() - asked;
        assert!(!second.is_completed(), "nobody has that shard");
        assert!(took < 5 * ROUND_TRIP, "{took:?}");
        assert!(plan.state().result.is_none(), "the first one still moves");
    });
}

/// A long path with a small queue: the transfer fills at least half of the link.
#[test]
fn a_transfer_fills_its_link() {
    Sim::new(Network::Quic, 53).link(slow()).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::large(4, 8 * MIB).fill(&donor.store, &shard(0), 1);
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let took = world.now().since_origin();
        assert!(took < Duration::from_secs(16), "32 MiB at 4 MiB/s took {took:?}");
    });
}
