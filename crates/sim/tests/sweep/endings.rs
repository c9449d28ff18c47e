//! Transfers that end while requests are under way: what of them comes after the end.
//!
//! The path is long, and as thin as it takes to part one message from the next one.

use std::time::Duration;

use peerstream_engine::{EngineConfig, ShardProgress, Stage};
use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, SimNode, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::AccessRules;
use peerstream_types::{ByteCount, ByteRate, ChunkSize};

use super::moments::Way;

/// How long bytes are under way.
const LATENCY: Duration = Duration::from_millis(100);
/// When the first requests for content have arrived.
const ASKED: Duration = Duration::from_millis(1700);

pub(crate) fn run(reach: &mut Reach) {
    for way in Way::ALL {
        ended(reach, way, Answer::Late);
        ended(reach, way, Answer::No);
    }
}

/// What a source does about the requests of a receiver that has given it up.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Answers them, when it has been told but has not heard the last word.
    Late,
    /// Says that the receiver may not read any more, before it is told.
    No,
}

fn ended(reach: &mut Reach, way: Way, answer: Answer) {
    let link = LinkSpec { latency: LATENCY, ..LinkSpec::default() };
    super::run(reach, Sim::new(Network::Memory, 850 + answer as u64).link(link), async |world| {
        let access = AccessRules::members_may_do_everything();
        let config = EngineConfig { serves_in_parallel: 1, ..EngineConfig::default() };
        let store = MemoryStore::with_chunk_size(ChunkSize::new(1024).unwrap());
        let spec = NodeSpec { config, access: access.clone(), ..NodeSpec::donor("sender") };
        let sender = world.start(spec.with_store(store));
        Content::large(1, 32 * 1024).fill(&sender.store, &shard(0), 1);
        let mut config = EngineConfig::default();
        config.recovery.entry_fetch_bytes = ByteCount(4096);
        config.recovery.fetch_bytes = ByteCount(4096);
        config.recovery.no_progress_timeout = Duration::from_secs(2);
        let receiver = world.start(NodeSpec { config, access, ..NodeSpec::replica("receiver") });
        sender.faults.stall_after(1);
        let plan = match way {
            Way::Pull => receiver.bring_up(&[shard(0)]),
            Way::Push => sender.push(&[shard(0)], &receiver),
        };
        // One request is being answered, others wait for their turn, and the source is given up.
        world.sleep(ASKED).await;
        world.shape_one_way(&receiver, &sender, thin());
        world.until(|| shown(&receiver).is_none_or(|shard| shard.stage != Stage::Streaming)).await;
        match answer {
            Answer::Late => {
                world.until(|| shown(&sender).is_none_or(|shard| shard.outcome.is_some())).await;
            }
            Answer::No => drop(sender.access.replace(AccessRules::deny_all())),
        }
        sender.faults.clear();
        world.sleep(Duration::from_secs(30)).await;
        plan.abort("seen enough");
        plan.await;
    });
}

fn shown(node: &SimNode) -> Option<ShardProgress> {
    node.engine.plans().pop()?.shards.pop()
}

/// A link on which a message takes half a second.
fn thin() -> LinkSpec {
    LinkSpec { latency: LATENCY, rate: ByteRate::per_sec(20), ..LinkSpec::default() }
}
