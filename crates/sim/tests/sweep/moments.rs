//! One small transfer, again and again: at each of its moments something happens to it.
//!
//! The path takes [`LATENCY`] each way, so that every state of a session lasts for a while at both
//! ends. The keep-alive is short, so that silence is noticed before the network ends a connection.

use std::time::Duration;

use peerstream_engine::{EngineConfig, StreamPlan};
use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_transport::access::AccessRules;
use peerstream_types::Operation;

/// How long bytes are under way.
const LATENCY: Duration = Duration::from_millis(100);
/// When the first message of the session arrives, but for a moment: two dials come before it.
const FIRST: Duration = Duration::from_millis(850);
/// From one moment to the next.
const STEP: Duration = Duration::from_millis(100);
/// How many moments there are, until the session is over.
const STEPS: u32 = 11;

/// Which end opens the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The one that receives.
    Pull,
    /// The one that sends.
    Push,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::Pull, Self::Push];
}

/// Something that happens to a transfer: the world, who sends, who receives.
type Stroke = fn(&SimWorld, &SimNode, &SimNode);

const STROKES: &[Stroke] = &[
    |_, _, receiver| call_off(receiver),
    |_, sender, _| call_off(sender),
    |_, sender, receiver| {
        call_off(sender);
        call_off(receiver);
    },
    |world, sender, receiver| world.cut(sender, receiver),
    |world, sender, receiver| world.cut_one_way(sender, receiver),
    |world, sender, receiver| world.cut_one_way(receiver, sender),
    |world, sender, _| world.crash(sender),
    |world, _, receiver| world.crash(receiver),
];

fn call_off(node: &SimNode) {
    for plan in node.engine.plans() {
        node.engine.abort(plan.plan, "called off");
    }
}

pub(crate) fn run(reach: &mut Reach) {
    for (number, stroke) in (0..).zip(STROKES) {
        for way in Way::ALL {
            for step in 0..STEPS {
                let seed = 1000 + 100 * number + u64::from(step);
                at(reach, seed, way, FIRST + step * STEP, *stroke);
            }
        }
    }
}

fn at(reach: &mut Reach, seed: u64, way: Way, after: Duration, stroke: Stroke) {
    let mut config = EngineConfig::default();
    config.session.keep_alive = Duration::from_millis(150);
    let link = LinkSpec { latency: LATENCY, ..LinkSpec::default() };
    super::run(reach, Sim::new(Network::Memory, seed).link(link), async |world| {
        let access = AccessRules::members_may_do_everything();
        let spec =
            |name| NodeSpec { config: config.clone(), access: access.clone(), ..NodeSpec::donor(name) };
        let [sender, receiver, slow] = ["sender", "receiver", "slow"].map(|name| world.start(spec(name)));
        Content::small(3).fill(&sender.store, &shard(0), 1);
        Content::small(3).fill(&slow.store, &shard(1), 1);
        slow.faults.delay_reads(Duration::from_secs(3));
        // The other shard takes longer, so that the plan can be called off when this one is there.
        let plan = StreamPlan::new(Operation::Move).request_from(shard(1), [slow.id.clone()]);
        drop(match way {
            Way::Pull => receiver.execute(plan.request_from(shard(0), [sender.id.clone()])).unwrap(),
            Way::Push => sender.execute(plan.transfer(shard(0), receiver.id.clone())).unwrap(),
        });
        world.sleep(after).await;
        stroke(world, &sender, &receiver);
        world.sleep(Duration::from_secs(8)).await;
    });
}
