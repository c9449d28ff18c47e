//! One node of a simulated cluster.

use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, PlanError, PlanHandle, StreamPlan};
use peerstream_shape::{Class, Direction, PassThrough};
use peerstream_snapshot::{MemoryStore, Source as _};
use peerstream_transport::access::{AccessRules, SharedAccess};
use peerstream_types::{ClusterName, DatasetName, Digest, Incarnation, NodeId, Operation, Selector, ShardId};

use crate::faults::{Faults, FaultySink, FaultySource};
use crate::trace::Trace;

/// The dataset that every node has unless it is told otherwise.
pub const DATASET: &str = "metrics";
/// The cluster that nodes belong to unless they are told otherwise.
pub const CLUSTER: &str = "sim.internal";

/// What a node is to be.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name.
    pub node: NodeId,
    /// Its cluster; another one than [`CLUSTER`] has another certificate authority.
    pub cluster: ClusterName,
    /// The placement names it as a holder of every shard.
    pub holder: bool,
    /// It serves [`DATASET`].
    pub source: bool,
    /// It receives [`DATASET`].
    pub sink: bool,
    /// Who may do what there.
    pub access: AccessRules,
    /// Settings of its engine.
    pub config: EngineConfig,
    /// Its store.
    pub store: MemoryStore,
}

impl NodeSpec {
    /// A node that the placement names as a holder. Members may read.
    ///
    /// # Panics
    ///
    /// If `name` is not the name of a node.
    pub fn donor(name: &str) -> Self {
        Self {
            node: NodeId::new(name).expect("a valid node id"),
            cluster: ClusterName::new(CLUSTER).expect("a valid cluster name"),
            holder: true,
            source: true,
            sink: true,
            access: AccessRules::members_may_read(),
            config: EngineConfig::default(),
            store: MemoryStore::new(),
        }
    }

    /// A node that nobody names as a holder: one to bring up.
    ///
    /// # Panics
    ///
    /// If `name` is not the name of a node.
    pub fn replica(name: &str) -> Self {
        Self { holder: false, ..Self::donor(name) }
    }
}

/// A running node. Clones are the same node.
#[derive(Debug, Clone)]
pub struct SimNode {
    /// Its name.
    pub id: NodeId,
    /// Where it is.
    pub addr: SocketAddr,
    /// The engine.
    pub engine: Engine,
    /// What it has.
    pub store: MemoryStore,
    /// What goes wrong when it serves.
    pub faults: Faults,
    /// Counts what it sent and received.
    pub shaper: Arc<PassThrough>,
    /// Who may do what here, now.
    pub access: SharedAccess,
    /// What it serves and receives, now.
    pub datasets: Datasets,
    pub(crate) spec: NodeSpec,
    pub(crate) incarnation: Incarnation,
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
        tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
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
    pub async fn digest(&self, shard: &ShardId) -> Option<Digest> {
        self.store.open(shard, &Selector::All).await.ok()?.header().digest
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
    pub(crate) fn datasets_of(spec: &NodeSpec, faults: &Faults) -> Datasets {
        let (datasets, store) = (Datasets::new(), Arc::new(spec.store.clone()));
        let source = FaultySource::new(store.clone(), faults.clone());
        let sink = FaultySink::new(store, faults.clone());
        let dataset = Dataset {
            source: spec.source.then(|| Arc::new(source) as _),
            sink: spec.sink.then(|| Arc::new(sink) as _),
        };
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
