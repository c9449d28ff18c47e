//! Which replicas a recovery has heard, and how many its levels asked for: counted on the wire and taken
//! from the placement, not from what the recovery says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerstream_engine::Levels;
use peerstream_engine::select::Level;
use peerstream_placement::Placement;
use peerstream_snapshot::Generation;
use peerstream_types::{DatasetKind, Digest, NodeId, ShardId};

/// What a recovery that was published had to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballots {
    /// What it published.
    pub generation: Generation,
    /// How the replicas of the dataset are related.
    pub kind: DatasetKind,
    /// The levels that were in force when it began and when it was published: it may go by either.
    pub levels: BTreeSet<Level>,
    /// The replication factor.
    pub replicas: u32,
    /// How many of them could be asked: all but its own.
    pub others: u32,
    /// Who has offered what to it in this life, since it published before, by the digests of the manifests.
    pub heard: BTreeMap<NodeId, BTreeSet<Option<Digest>>>,
}

impl Ballots {
    /// How many replicas have offered something.
    pub fn votes(&self) -> u32 {
        u32::try_from(self.heard.len()).unwrap_or(u32::MAX)
    }

    /// Whether one of the levels takes so many votes of so many replicas for enough. Its own vote is none.
    pub fn is_enough(&self, replicas: u32, voters: u32, votes: u32) -> bool {
        self.levels.iter().any(|level| level.is_achieved(replicas, voters, votes))
    }

    /// What the most lenient of the levels asks for at the least.
    pub fn required(&self) -> u32 {
        let required = self.levels.iter().map(|level| level.required(self.replicas, self.others));
        required.min().unwrap_or(0)
    }
}

/// What a node's own ballots are counted by.
#[derive(Debug, Clone)]
pub(super) struct Voting {
    pub(super) node: NodeId,
    pub(super) kind: DatasetKind,
    pub(super) levels: Levels,
    pub(super) placement: Arc<dyn Placement>,
}

impl Voting {
    /// The level in force now.
    pub(super) fn level(&self, shard: &ShardId) -> Level {
        self.levels.get(shard)
    }

    /// What a recovery had to go by that is published now.
    pub(super) fn close(
        &self,
        shard: &ShardId,
        generation: Generation,
        began_at: Level,
        heard: BTreeMap<NodeId, BTreeSet<Option<Digest>>>,
    ) -> Ballots {
        let holders = self.placement.holders(shard);
        let others = holders.iter().filter(|holder| holder.node.as_ref() != Some(&self.node)).count();
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let replicas = self.placement.replication(shard).unwrap_or(others.saturating_add(1));
        let levels = BTreeSet::from([began_at, self.level(shard)]);
        Ballots { generation, kind: self.kind, levels, replicas, others, heard }
    }
}
