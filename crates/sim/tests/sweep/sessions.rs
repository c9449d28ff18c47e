//! Sessions that are called off, fall silent, go both ways, and end with their node.

use std::time::Duration;

use peerstream_engine::{EngineConfig, StreamPlan};
use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_transport::access::AccessRules;
use peerstream_types::{ByteCount, Operation};

use super::donor;

pub(crate) fn run(reach: &mut Reach) {
    for network in Network::ALL {
        super::run(reach, Sim::new(network, 500), async |world| {
            let (donor, replica) = (slow_donor(world), world.replica("replica"));
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 1 << 19).await;
            plan.abort("changed my mind");
            plan.await;
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 1 << 20).await;
            donor.engine.abort(plan.id(), "not from here");
            plan.await;
        });
        super::run(reach, Sim::new(network, 501), async |world| {
            let (donor, replica) = (slow_donor(world), world.replica("replica"));
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 1 << 19).await;
            tokio::join!(donor.engine.shutdown(), async {
                world.sleep(Duration::from_millis(10)).await;
                let late = world.replica("late");
                assert!(!late.bring_up(&[shard(0)]).await.is_completed());
            });
            plan.await;
        });
        super::run(reach, Sim::new(network, 504), async |world| {
            let mut config = EngineConfig::default();
            config.recovery.window = ByteCount(256 * 1024);
            let donor = slow_donor(world);
            let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > 1 << 19).await;
            donor.access.replace(AccessRules::deny_all());
            assert!(!plan.await.is_completed(), "the rule is gone");
        });
        super::run(reach, Sim::new(network, 502), async |world| {
            let other = donor(world, "other");
            let access = AccessRules::members_may_do_everything();
            let node = world.start(NodeSpec { access, ..NodeSpec::replica("node") });
            let plan = StreamPlan::new(Operation::Move).request_from(shard(0), [other.id.clone()]);
            assert!(node.execute(plan).unwrap().await.is_completed());
            assert!(other.push(&[shard(0)], &node).await.is_completed());
        });
        silence(reach, network);
    }
}

fn slow_donor(world: &SimWorld) -> SimNode {
    let donor = donor(world, "donor");
    donor.faults.delay_reads(Duration::from_millis(20));
    donor
}

/// Nothing moves for long, and then nothing is heard any more.
fn silence(reach: &mut Reach, network: Network) {
    let mut config = EngineConfig::default();
    config.session.keep_alive = Duration::from_secs(4);
    super::run(reach, Sim::new(network, 503), async |world| {
        let donor = world.start(NodeSpec { config: config.clone(), ..NodeSpec::donor("donor") });
        Content::large(2, 1 << 20).fill(&donor.store, &shard(0), 1);
        donor.faults.delay_reads(Duration::from_secs(20));
        let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
        let plan = replica.bring_up(&[shard(0)]);
        world.sleep(Duration::from_secs(30)).await;
        world.cut(&donor, &replica);
        world.sleep(Duration::from_secs(15)).await;
        world.heal(&donor, &replica);
        donor.faults.clear();
        // In memory a cut is known at once, and the plan gives up before it heals.
        let outcome = plan.await;
        assert_eq!(outcome.is_completed(), network == Network::Quic, "{outcome:?}");
    });
}
