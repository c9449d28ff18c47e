//! What a scenario broke on purpose, so that everything else can be demanded.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_types::{EntryKey, NodeId, ShardId};

/// What a scenario broke on purpose and for good: nobody has it intact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blame {
    /// Entries that no source can give.
    pub entries: BTreeMap<ShardId, BTreeSet<EntryKey>>,
    /// Shards that cannot be brought up.
    pub shards: BTreeSet<ShardId>,
    /// Peers that serve what is wrong.
    pub peers: BTreeSet<NodeId>,
    /// Nodes, links or disks fail for a while: any shard may fail as long as that lasts. Entries may not.
    pub has_outages: bool,
}

impl Blame {
    /// This entry is bad, wherever it comes from.
    #[must_use]
    pub fn entry(mut self, shard: &ShardId, key: EntryKey) -> Self {
        self.entries.entry(shard.clone()).or_default().insert(key);
        self
    }

    /// This shard cannot be had.
    #[must_use]
    pub fn shard(mut self, shard: &ShardId) -> Self {
        self.shards.insert(shard.clone());
        self
    }

    /// This peer serves what is wrong.
    #[must_use]
    pub fn peer(mut self, peer: &NodeId) -> Self {
        self.peers.insert(peer.clone());
        self
    }

    /// Nodes, links or disks fail for a while.
    #[must_use]
    pub fn outages(self) -> Self {
        Self { has_outages: true, ..self }
    }

    /// Whether a shard may fail to come up.
    pub fn excuses(&self, shard: &ShardId) -> bool {
        self.has_outages || self.shards.contains(shard) || self.entries.contains_key(shard)
    }
}
