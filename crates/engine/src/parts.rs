//! What an engine is put together from.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use peerstream_placement::Placement;
use peerstream_recovery::PositionOrder;
use peerstream_shape::Shaper;
use peerstream_snapshot::{Offload, Sink, Source};
use peerstream_transport::Transport;
use peerstream_transport::access::SharedAccess;
use peerstream_types::{ClusterName, DatasetKind, DatasetName, Incarnation, NodeId, WallClock};

use crate::Levels;

/// The components of an engine. Settings are apart, in [`EngineConfig`](crate::EngineConfig).
#[derive(Debug, Clone)]
pub struct Parts {
    /// This node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterName,
    /// This boot: larger than any before, the wall-clock time at start in milliseconds, say.
    pub incarnation: Incarnation,
    /// The way to the others.
    pub transport: Arc<dyn Transport>,
    /// What this node serves and receives.
    pub datasets: Datasets,
    /// Who holds what.
    pub placement: Arc<dyn Placement>,
    /// How many of them have to agree. Keep a clone to change that while recoveries run.
    pub levels: Levels,
    /// Who may do what here.
    pub access: SharedAccess,
    /// Every bulk byte passes it.
    pub shaper: Arc<dyn Shaper>,
    /// Where hashing runs.
    pub offload: Arc<dyn Offload>,
    /// For plan ids.
    pub wall_clock: Arc<dyn WallClock>,
    /// For plan ids and jitter; from a random source in production, fixed in simulations.
    pub seed: u64,
}

/// Where a dataset's shards come from and go to at this node.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Serves shards; without it the dataset is not served here.
    pub source: Option<Arc<dyn Source>>,
    /// Receives shards; without it the dataset is not received here.
    pub sink: Option<Arc<dyn Sink>>,
    /// How its replicas are related. Default [`DatasetKind::Local`]: nothing is compared.
    pub kind: DatasetKind,
    /// Compares positions in its change log, which a shard that is put together from several snapshots
    /// needs. Without it only snapshots of one position are put together.
    pub positions: Option<Arc<dyn PositionOrder>>,
}

/// The datasets of a node; may change while the engine runs, with effect on what is opened next.
#[derive(Debug, Clone, Default)]
pub struct Datasets(Arc<RwLock<BTreeMap<DatasetName, Dataset>>>);

impl Datasets {
    /// No datasets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a dataset.
    pub fn insert(&self, name: DatasetName, dataset: Dataset) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, dataset);
    }

    /// Takes a dataset away; what is open of it stays open.
    pub fn remove(&self, name: &DatasetName) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<DatasetName> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(crate) fn source(&self, name: &DatasetName) -> Option<Arc<dyn Source>> {
        self.get(name)?.source
    }

    pub(crate) fn sink(&self, name: &DatasetName) -> Option<Arc<dyn Sink>> {
        self.get(name)?.sink
    }

    /// A dataset as it is now.
    pub fn get(&self, name: &DatasetName) -> Option<Dataset> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
