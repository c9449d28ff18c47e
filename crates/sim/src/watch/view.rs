//! What a watch shows to its invariants at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_engine::{EngineConfig, PlanState};
use peerstream_snapshot::Generation;
use peerstream_types::{Incarnation, ManifestHeader, NodeId, ShardId, Timestamp};

use super::blame::Blame;
use super::books::{Books, NodeBooks};
use super::ledger::Image;
use crate::trace::Trace;

/// The visible generation of a shard at a node.
#[derive(Debug, Clone)]
pub struct Visible {
    /// Its number.
    pub generation: Generation,
    /// The header that the store shows for it.
    pub header: ManifestHeader,
    /// What whoever reads the shard there gets; `None` if it cannot be read.
    pub image: Option<Arc<Image>>,
}

/// A node as it can be seen from outside.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Whether it runs.
    pub is_up: bool,
    /// Settings of its engine.
    pub config: EngineConfig,
    /// Its plans; none while it is down.
    pub plans: Vec<PlanState>,
    /// Sessions with peers, both roles.
    pub sessions: usize,
    /// Peers that it has connections with.
    pub peers: usize,
    /// What it shows, shard by shard.
    pub visible: BTreeMap<ShardId, Visible>,
}

/// A moment of a run.
#[derive(Debug)]
pub struct View<'a> {
    /// Virtual time.
    pub now: Timestamp,
    /// Every node that ever ran.
    pub nodes: &'a BTreeMap<NodeId, NodeView>,
    /// What was counted.
    pub books: &'a Books,
    /// What happened.
    pub trace: &'a Trace,
    /// What the scenario broke on purpose, if it says so.
    pub blame: Option<&'a Blame>,
    /// Since when no fault is left, if there is none.
    pub calm_since: Option<Timestamp>,
    /// Nothing follows.
    pub is_last: bool,
}

impl View<'_> {
    /// The nodes with what was counted of them.
    pub fn nodes_with_books(&self) -> impl Iterator<Item = (&NodeId, &NodeView, &NodeBooks)> {
        self.nodes.iter().filter_map(|(id, node)| Some((id, node, self.books.nodes.get(id)?)))
    }

    /// Everything that is visible anywhere.
    pub fn visible(&self) -> impl Iterator<Item = (&NodeId, &ShardId, &Visible)> {
        self.nodes
            .iter()
            .flat_map(|(id, node)| node.visible.iter().map(move |(shard, seen)| (id, shard, seen)))
    }
}
