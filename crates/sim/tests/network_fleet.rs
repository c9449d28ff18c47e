//! Many nodes at once. `examples/fleet.rs` does the same with thousands, and says what it costs.

use peerstream_engine::StreamPlan;
use peerstream_sim::{Content, LinkSpec, Network, Sim, SimWorld, shard};
use peerstream_types::Operation;

/// Brings so many nodes up, ten from each donor; says how many writes or datagrams that took.
async fn bring_up(world: &SimWorld, nodes: usize) -> u64 {
    let donors: Vec<_> =
        (0..nodes.div_ceil(10)).map(|number| world.donor(&format!("donor-{number}"))).collect();
    for donor in &donors {
        Content::small(8).fill(&donor.store, &shard(0), 1);
    }
    let replicas: Vec<_> = (0..nodes).map(|number| world.replica(&format!("replica-{number}"))).collect();
    let plans: Vec<_> = (replicas.iter().enumerate())
        .map(|(number, replica)| {
            let donor = donors[number % donors.len()].id.clone();
            let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard(0), [donor]);
            replica.execute(plan).expect("the plan is fine")
        })
        .collect();
    for (plan, replica) in plans.into_iter().zip(&replicas) {
        let outcome = plan.await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
    }
    world.datagrams().sent
}

#[test]
fn a_fleet_is_brought_up() {
    for (network, nodes) in [(Network::Memory, 300), (Network::Quic, 40)] {
        Sim::new(network, 90).run(async |world| assert!(bring_up(&world, nodes).await > nodes as u64));
    }
}

/// Links with delay change when things happen, not how often something is written.
#[test]
fn a_fleet_in_memory_does_the_same_over_links() {
    let sent = |link| Sim::new(Network::Memory, 91).link(link).run(async |world| bring_up(&world, 50).await);
    assert_eq!(sent(LinkSpec::instant()), sent(LinkSpec::instant()));
    let (instant, late) = (sent(LinkSpec::instant()), sent(LinkSpec::default()));
    assert!(late.abs_diff(instant) < instant / 5, "{instant} and {late}");
}
