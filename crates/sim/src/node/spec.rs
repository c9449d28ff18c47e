//! What a node is to be.

use peerstream_engine::EngineConfig;
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::AccessRules;
use peerstream_types::{ClusterName, DatasetKind, NodeId};

use super::CLUSTER;
use super::store::StoreSpec;

/// How long certificates are valid unless a node is told otherwise: ten years, longer than any run.
const CERTIFICATE_DAYS: u32 = 3_650;

/// What a node is to be.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name.
    pub node: NodeId,
    /// Its cluster; another one than [`CLUSTER`] has another certificate authority.
    pub cluster: ClusterName,
    /// The placement names it as a holder of every shard.
    pub holder: bool,
    /// It serves [`DATASET`](super::DATASET).
    pub source: bool,
    /// It receives [`DATASET`](super::DATASET).
    pub sink: bool,
    /// Who may do what there.
    pub access: AccessRules,
    /// Settings of its engine.
    pub config: EngineConfig,
    /// Where it keeps its shards. Default in memory.
    pub store: StoreSpec,
    /// How the replicas of [`DATASET`](super::DATASET) are related, as this node sees it. Default
    /// [`DatasetKind::Local`].
    pub kind: DatasetKind,
    /// How long its certificates are valid from their issue on, in days. Over QUIC only.
    pub certificate_days: u32,
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
            store: MemoryStore::new().into(),
            kind: DatasetKind::Local,
            certificate_days: CERTIFICATE_DAYS,
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

    /// The same, with its shards elsewhere: on a disk, say. Those of a block store are mergeable.
    #[must_use]
    pub fn with_store(self, store: impl Into<StoreSpec>) -> Self {
        let store = store.into();
        let kind = if matches!(store, StoreSpec::Blocks(_)) { DatasetKind::Mergeable } else { self.kind };
        Self { store, kind, ..self }
    }
}
