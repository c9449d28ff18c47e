//! Phases of a session that last too long, and words that cannot be said in them.

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::{Dataset, EngineConfig, Parts, StreamPlan, Task};
use peerstream_sim::reach::Reach;
use peerstream_sim::seam::{Boot, Seam};
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, shard};
use peerstream_snapshot::{BoxFuture, Snapshot, Source, SourceError};
use peerstream_transport::access::AccessRules;
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ByteCount, EntryKey, Operation, Selector, ShardId};

use super::moments::Way;

/// How long bytes are under way.
const LATENCY: Duration = Duration::from_millis(100);
/// Less than a way there and back, more than one way.
const SHORT: Duration = Duration::from_millis(150);
/// Shards of one plan that take more than one page of a Prepare, and of its answer.
const TWO_PAGES: u32 = 130;
/// Shards whose offers take more pages than an answer to Prepare may have.
const TOO_MANY: u32 = 970;

/// Changes settings of the end that sends and of the one that receives.
type Tune = fn(&mut EngineConfig, &mut EngineConfig);

const TUNES: &[Tune] = &[
    |sender, receiver| {
        sender.session.handshake_timeout = SHORT;
        receiver.session.handshake_timeout = SHORT;
    },
    |sender, _| {
        sender.session.prepare_timeout = SHORT;
        // An engine waits for offers as long as its jobs do.
        sender.recovery.open_timeout = SHORT;
    },
    |sender, receiver| {
        sender.session.complete_timeout = SHORT;
        receiver.session.complete_timeout = SHORT;
    },
    |sender, receiver| {
        sender.session.keep_alive = SHORT;
        receiver.session.keep_alive = SHORT;
    },
    // The sender answers some requests only, and the receiver does not know how many.
    |sender, _| sender.session.requests_served_max = 1,
    // Nor does it mind how much the sender sends at once.
    |sender, _| sender.peer_bytes_in_flight = ByteCount(16 * 1024),
];

pub(crate) fn run(reach: &mut Reach) {
    for (seed, tune) in (800..).zip(TUNES) {
        for way in Way::ALL {
            too_long(reach, seed, way, *tune);
        }
    }
    pages(reach);
    unsayable(reach);
}

/// A transfer over a long path, from a store that takes its time to open.
fn too_long(reach: &mut Reach, seed: u64, way: Way, tune: Tune) {
    let (mut sends, mut receives) = (EngineConfig::default(), EngineConfig::default());
    tune(&mut sends, &mut receives);
    receives.recovery.fetch_bytes = ByteCount(64 * 1024);
    let link = LinkSpec { latency: LATENCY, ..LinkSpec::default() };
    super::run(reach, Sim::new(Network::Memory, seed).link(link), async |world| {
        world.attach(Arc::new(SlowToOpen));
        let access = AccessRules::members_may_do_everything();
        let sender =
            world.start(NodeSpec { config: sends, access: access.clone(), ..NodeSpec::donor("sender") });
        Content::small(40).fill(&sender.store, &shard(0), 1);
        let receiver = world.start(NodeSpec { config: receives, access, ..NodeSpec::replica("receiver") });
        let plan = match way {
            Way::Pull => receiver.bring_up(&[shard(0)]),
            Way::Push => sender.push(&[shard(0)], &receiver),
        };
        world.sleep(Duration::from_secs(20)).await;
        drop(plan);
    });
}

/// Plans of many shards over one session. If their offers are too many for an answer, the shards come
/// one by one, which nobody waits for here.
fn pages(reach: &mut Reach) {
    for (count, state) in [(TWO_PAGES, 0), (TOO_MANY, STATE_LEN_MAX)] {
        let link = LinkSpec { latency: Duration::from_millis(10), ..LinkSpec::default() };
        super::run(reach, Sim::new(Network::Memory, u64::from(count)).link(link), async |world| {
            let donor = world.donor("donor");
            for shard in (0..count).map(shard) {
                donor.store.create(&shard);
                donor.store.set_state(&shard, vec![7; state]);
            }
            let config = EngineConfig { shards_in_parallel: count as usize, ..EngineConfig::default() };
            let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
            let plan = replica.bring_up(&(0..count).map(shard).collect::<Vec<_>>());
            world.sleep(Duration::from_millis(150)).await;
            plan.abort("seen enough");
            plan.await;
        });
    }
}

/// Selectors that no message carries, and that no store here knows.
fn unsayable(reach: &mut Reach) {
    let keys = (0..300).map(|key| EntryKey::from_path(&format!("key-{key}")).unwrap()).collect();
    let time = Selector::Time { start_ms: 0, end_ms: 1 };
    for (seed, selector) in (820..).zip([Selector::Entries(keys), time]) {
        super::run(reach, Sim::new(Network::Memory, seed), async |world| {
            let (donor, replica) = (super::donor(world, "donor"), world.replica("replica"));
            let task = Task::Request { shard: shard(0), selector, sources: vec![donor.id.clone()] };
            let plan = replica.execute(StreamPlan::new(Operation::Repair).task(task)).unwrap();
            assert!(!plan.await.is_completed());
        });
    }
}

/// Makes stores take a second to open a shard.
#[derive(Debug)]
struct SlowToOpen;

impl Seam for SlowToOpen {
    fn wrap(&self, _: &Boot, parts: Parts) -> Parts {
        for name in parts.datasets.names() {
            let Some(Dataset { source, sink, kind, positions }) = parts.datasets.get(&name) else { continue };
            let source = source.map(|inner| Arc::new(SlowSource(inner)) as Arc<dyn Source>);
            parts.datasets.insert(name, Dataset { source, sink, kind, positions });
        }
        parts
    }
}

#[derive(Debug)]
struct SlowSource(Arc<dyn Source>);

impl Source for SlowSource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.0.open(shard, selector).await
        })
    }
}
