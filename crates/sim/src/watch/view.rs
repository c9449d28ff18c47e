//! What a watch shows to its invariants at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_blocks::{Block, BlockKey};
use peerstream_engine::{EngineConfig, PlanState};
use peerstream_snapshot::Generation;
use peerstream_types::{Incarnation, ManifestHeader, NodeId, ShardId, Timestamp};
use tokio::time::Instant;

use super::blame::Blame;
use super::books::{Books, NodeBooks};
use super::ledger::Image;
use crate::trace::Trace;
use crate::workload::BlockHistory;

/// What is visible of a shard at a node.
#[derive(Debug, Clone)]
pub struct Visible {
    /// The number of its generation; zero if readers get something although none was published.
    pub generation: Generation,
    /// The header that the store shows for it; that of what readers get if none was published.
    pub header: ManifestHeader,
    /// What whoever reads the shard there gets; `None` if it cannot be read.
    pub image: Option<Arc<Image>>,
    /// Its blocks, if the node keeps it in a block store of the simulator's: what sources have is merged
    /// there with what is written to it.
    pub blocks: Option<Arc<BTreeMap<BlockKey, Block>>>,
    /// When it was read.
    pub at: Instant,
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
    /// Snapshots that its engine has open; none while it is down.
    pub leases: u64,
    /// Sessions with peers, both roles.
    pub sessions: usize,
    /// Peers that it has connections with.
    pub peers: usize,
    /// What it shows, shard by shard.
    pub visible: BTreeMap<ShardId, Visible>,
    /// What its store says of shards for which it cannot tell what is visible.
    pub unreadable: BTreeMap<ShardId, String>,
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
    /// What was written to block stores, if the scenario says so.
    pub written: Option<&'a BlockHistory>,
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

    /// Everything that is visible anywhere, and was since the last moment whenever a generation was
    /// published and a node ended or began.
    pub fn visible(&self) -> impl Iterator<Item = (&NodeId, &ShardId, &Visible)> {
        let glimpses = self.books.glimpses.iter().map(|(id, shard, seen)| (id, shard, seen));
        let now = self
            .nodes
            .iter()
            .flat_map(|(id, node)| node.visible.iter().map(move |(shard, seen)| (id, shard, seen)));
        glimpses.chain(now)
    }

    /// Whether bits of the node's disk were flipped, as the trace tells.
    pub fn rots(&self, node: &NodeId) -> bool {
        let flip = format!(" {node}: bit ");
        self.trace.count(|line| line.contains(&flip)) > 0
    }
}
