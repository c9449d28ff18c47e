//! One node of a simulated cluster.

mod blocks;
mod cpu;
mod gate;
mod life;
mod pace;
mod spec;
mod store;
mod uplink;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_blocks::{Block, BlockKey, BlockStore};
use peerstream_engine::{Dataset, Datasets, Engine, Levels, PlanError, PlanHandle, StreamPlan};
use peerstream_shape::{Class, Direction, PassThrough};
use peerstream_snapshot::memory::Published;
use peerstream_snapshot::{Generation, Snapshot};
use peerstream_transport::access::SharedAccess;
use peerstream_types::{
    DatasetName, Digest, Incarnation, ManifestHeader, NodeId, Operation, PageToken, ShardId,
};

use crate::clock::SimWallClock;
use crate::fault::Tally;
use crate::store_faults::{FaultySink, FaultySource, StoreFaults};
use crate::trace::Trace;

pub use blocks::BlockSpec;
pub(crate) use blocks::OnBlocks;
pub(crate) use cpu::{Cpu, SimOffload};
pub(crate) use gate::GatedTransport;
pub(crate) use life::{End, Life};
pub(crate) use pace::Pace;
pub use spec::NodeSpec;
pub(crate) use store::Medium;
pub use store::{OwnStore, SimStore, StoreSpec};
pub(crate) use uplink::Uplink;

/// Entries of one page when a shard is read.
const PAGE: usize = 1024;

/// The dataset that every node has unless it is told otherwise.
pub const DATASET: &str = "metrics";
/// The cluster that nodes belong to unless they are told otherwise.
pub const CLUSTER: &str = "sim.internal";

/// What of a node outlives its process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) medium: Medium,
    pub(crate) faults: StoreFaults,
    pub(crate) clock: SimWallClock,
    pub(crate) cpu: Cpu,
    /// What faults did to it.
    pub(crate) tally: Tally,
}

/// What ends with a node's process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) incarnation: Incarnation,
    pub(crate) life: Life,
    pub(crate) uplink: Uplink,
}

/// A node in one of its lives. Clones are the same.
///
/// What [`SimWorld`](crate::SimWorld) does to a node it does to the life that runs then, whichever life
/// it is shown.
#[derive(Debug, Clone)]
pub struct SimNode {
    /// Its name.
    pub id: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// The engine.
    pub engine: Engine,
    /// What it has, if that is in memory.
    pub store: SimStore,
    /// What goes wrong when it serves.
    pub faults: StoreFaults,
    /// Counts what it sent and received.
    pub shaper: Arc<PassThrough>,
    /// Who may do what here, now.
    pub access: SharedAccess,
    /// How many replicas have to say the same, now. A restart begins with the defaults.
    pub levels: Levels,
    /// What it serves and receives, now.
    pub datasets: Datasets,
    pub(crate) spec: NodeSpec,
    pub(crate) machine: Machine,
    pub(crate) process: Process,
    pub(crate) trace: Trace,
}

impl SimNode {
    /// Executes a plan; what happens to it is traced.
    ///
    /// # Errors
    ///
    /// As [`Engine::execute`].
    pub fn execute(&self, plan: StreamPlan) -> Result<PlanHandle, PlanError> {
        let handle = self.engine.execute(plan)?;
        let (mut events, trace, name) = (handle.events(), self.trace.clone(), self.id.clone());
        let life = self.process.life.clone();
        tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
                if life.is_over() {
                    return;
                }
                trace.note(name.as_str(), format_args!("{event:?}"));
            }
        });
        Ok(handle)
    }

    /// Begins to bring shards here from whoever holds them.
    ///
    /// # Panics
    ///
    /// If the engine refuses the plan.
    pub fn bring_up(&self, shards: &[ShardId]) -> PlanHandle {
        let plan = StreamPlan::new(Operation::Bootstrap);
        let plan = shards.iter().fold(plan, |plan, shard| plan.request(shard.clone()));
        self.execute(plan).expect("the plan is fine")
    }

    /// Begins to send shards to a peer.
    ///
    /// # Panics
    ///
    /// If the engine refuses the plan.
    pub fn push(&self, shards: &[ShardId], to: &Self) -> PlanHandle {
        let plan = StreamPlan::new(Operation::BulkLoad);
        let plan = shards.iter().fold(plan, |plan, shard| plan.transfer(shard.clone(), to.id.clone()));
        self.execute(plan).expect("the plan is fine")
    }

    /// The digest of the shard's manifest as this node would serve it: two nodes with the same one
    /// hold the same keys, bytes, kinds, metadata, position and state. `None` if it has no such shard.
    ///
    /// This and the questions below ask the store itself, past all faults and in no time; of a node
    /// that has crashed they tell what a restart would find.
    pub async fn digest(&self, shard: &ShardId) -> Option<Digest> {
        self.header(shard).await?.digest
    }

    /// The header of the shard's manifest as this node would serve it.
    pub async fn header(&self, shard: &ShardId) -> Option<ManifestHeader> {
        Some(self.snapshot(shard).await?.header())
    }

    /// The shard as this node would serve it.
    pub async fn snapshot(&self, shard: &ShardId) -> Option<Arc<dyn Snapshot>> {
        self.store.snapshot(shard).await
    }

    /// The generation that was published last, if one was.
    pub async fn current(&self, shard: &ShardId) -> Option<(Generation, ManifestHeader)> {
        self.store.current(shard).await
    }

    /// The generation that was published last with all its bytes. `None` if there is none, or not all
    /// of it can be read.
    pub async fn published(&self, shard: &ShardId) -> Option<Published> {
        if let Some(store) = self.store.as_memory() {
            return store.published(shard);
        }
        let (generation, header) = self.current(shard).await?;
        let snapshot = self.snapshot(shard).await?;
        let (mut entries, mut token) = (BTreeMap::new(), Some(PageToken::START));
        while let Some(from) = token {
            let page = snapshot.page(&from, PAGE).await.ok()?;
            for entry in page.entries {
                let len = usize::try_from(entry.len).ok()?;
                entries.insert(entry.key, snapshot.read(entry.ordinal, 0, len).await.ok()?);
            }
            token = page.next;
        }
        Some(Published { generation, header, entries })
    }

    /// The block store that its host writes to in this life, if it keeps its shards in one. Nothing is
    /// answered any more once the node has crashed.
    pub fn blocks(&self) -> Option<&BlockStore> {
        self.store.as_blocks()
    }

    /// All blocks of a shard, if it keeps its shards in a block store and has this one.
    pub async fn all_blocks(&self, shard: &ShardId) -> Option<BTreeMap<BlockKey, Block>> {
        self.store.on_blocks()?.all(shard).await.ok()
    }

    /// Whether it keeps its shards on a disk.
    pub fn has_disk(&self) -> bool {
        self.machine.medium.disk().is_some()
    }

    /// Whether this life of the node still goes on.
    pub fn is_running(&self) -> bool {
        !self.process.life.is_over()
    }

    /// How often its engine was answered by the transport, a store, a disk or the offload: the moments
    /// at which [`SimWorld::crash_at_step`](crate::SimWorld::crash_at_step) can end it.
    pub fn steps(&self) -> u64 {
        self.process.life.steps()
    }

    /// Operations of its disk so far that change something, over all lives; none without a disk.
    pub fn disk_changes(&self) -> u64 {
        self.machine.medium.disk().map_or(0, |disk| disk.present().counts().changes)
    }

    /// Bulk bytes sent so far, of all classes.
    pub fn sent(&self) -> u64 {
        self.bulk(Direction::Send)
    }

    /// Bulk bytes asked for so far, of all classes.
    pub fn asked_for(&self) -> u64 {
        self.bulk(Direction::Receive)
    }

    fn bulk(&self, direction: Direction) -> u64 {
        Class::ALL.into_iter().map(|class| self.shaper.bytes(class, direction)).sum()
    }

    /// The node's store behind its faults.
    pub(crate) fn datasets_of(
        spec: &NodeSpec,
        store: &SimStore,
        faults: &StoreFaults,
        life: &Life,
    ) -> Datasets {
        let Dataset { source, sink, positions, .. } = store.dataset();
        let source = source.filter(|_| spec.source);
        let sink = sink.filter(|_| spec.sink);
        let dataset = Dataset {
            source: source.map(|inner| Arc::new(FaultySource::new(inner, faults.clone(), life.clone())) as _),
            sink: sink.map(|inner| Arc::new(FaultySink::new(inner, faults.clone(), life.clone())) as _),
            kind: spec.kind,
            positions,
        };
        let datasets = Datasets::new();
        datasets.insert(DatasetName::new(DATASET).expect("a valid name"), dataset);
        datasets
    }
}

/// A shard of [`DATASET`].
///
/// # Panics
///
/// Never.
pub fn shard(index: u32) -> ShardId {
    ShardId::new(DatasetName::new(DATASET).expect("a valid name"), 1, index)
}
