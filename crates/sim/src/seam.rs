//! What stands between an engine and its parts: to look into a run, or to tamper with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_engine::{Dataset, Engine, EngineConfig, Parts};
use peerstream_transport::PeerIdentity;
use peerstream_transport::access::SharedAccess;
use peerstream_types::{ByteCount, Incarnation, NodeId};

use crate::node::OnBlocks;
use crate::world::SimWorld;

/// A node that is about to run.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Its name and cluster.
    pub identity: PeerIdentity,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Settings of its engine.
    pub config: EngineConfig,
    /// Its store without its faults: what it really has.
    pub store: Dataset,
    /// The same, if it is a block store of the simulator's.
    pub(crate) blocks: Option<Arc<OnBlocks>>,
    /// Who may do what there.
    pub access: SharedAccess,
    /// How much of a shard its store may have taken without writing down that it did, when its process
    /// is killed; `None` if the store does not say.
    pub lag: Option<ByteCount>,
}

impl Boot {
    /// Its name.
    pub fn node(&self) -> &NodeId {
        &self.identity.node
    }
}

/// Stands between engines and their parts. Several in one run wrap each other: the last one that was
/// attached is nearest to the engine.
pub trait Seam: Send + Sync + fmt::Debug {
    /// A node boots: what its engine is to be put together from.
    fn wrap(&self, boot: &Boot, parts: Parts) -> Parts {
        let _ = boot;
        parts
    }

    /// The settings that its engine really gets.
    fn configure(&self, boot: &Boot, config: EngineConfig) -> EngineConfig {
        let _ = boot;
        config
    }

    /// Its engine runs.
    fn started(&self, boot: &Boot, engine: &Engine) {
        let _ = (boot, engine);
    }

    /// A node was killed.
    fn crashed(&self, node: &NodeId) {
        let _ = node;
    }
}

/// The seams of a run, in the order in which they were attached.
#[derive(Debug, Default)]
pub(crate) struct Seams(Mutex<Vec<Arc<dyn Seam>>>);

impl Seams {
    fn all(&self) -> Vec<Arc<dyn Seam>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wrap(&self, boot: &Boot, parts: Parts) -> Parts {
        self.all().iter().fold(parts, |parts, seam| seam.wrap(boot, parts))
    }

    pub(crate) fn configure(&self, boot: &Boot, config: EngineConfig) -> EngineConfig {
        self.all().iter().fold(config, |config, seam| seam.configure(boot, config))
    }

    pub(crate) fn started(&self, boot: &Boot, engine: &Engine) {
        self.all().iter().for_each(|seam| seam.started(boot, engine));
    }

    pub(crate) fn crashed(&self, node: &NodeId) {
        self.all().iter().for_each(|seam| seam.crashed(node));
    }
}

impl SimWorld {
    /// Puts a seam in front of every node that boots from now on.
    pub fn attach(&self, seam: Arc<dyn Seam>) {
        self.seams().0.lock().unwrap_or_else(PoisonError::into_inner).push(seam);
    }
}
