//! A fixed list of nodes, with the replicas of single shards where they are known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;

use peerstream_types::{NodeId, ShardId};

use crate::{Holder, Placement, ShardState};

/// Most nodes of a fixed list: beyond a few hundred a list is the wrong tool.
pub const HOLDERS_MAX: usize = 1024;
/// Most shards whose replicas are listed one by one: 16 datasets of 4,096 shards.
pub const SHARDS_MAX: usize = 1 << 16;
/// Most replicas of one shard, those that come and go included: as many as can be compared at once.
pub const REPLICAS_MAX: usize = 64;

/// Why a list was refused. Whoever made the list is at fault; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaticPlacementError {
    /// One node stands twice in the list.
    #[error("node {0} is listed twice")]
    Twice(NodeId),
    /// The list is too long.
    #[error("{0} nodes are listed, at most {HOLDERS_MAX} are allowed")]
    TooMany(usize),
    /// A shard stands twice in the list.
    #[error("shard {0} is listed twice")]
    ShardTwice(ShardId),
    /// Too many shards are listed.
    #[error("more than {SHARDS_MAX} shards are listed")]
    TooManyShards,
    /// A shard has too many replicas.
    #[error("shard {shard} has {count} replicas, at most {REPLICAS_MAX} are allowed")]
    TooManyReplicas {
        /// The shard.
        shard: ShardId,
        /// How many it has.
        count: usize,
    },
    /// A replica is at a node that is not in the list, so nobody knows how to reach it.
    #[error("shard {shard} has a replica at {node}, which is not among the nodes")]
    UnknownNode {
        /// The shard.
        shard: ShardId,
        /// The node.
        node: NodeId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Replicas {
    states: BTreeMap<NodeId, ShardState>,
    replication: Option<NonZeroU32>,
}

/// A fixed list of holders.
///
/// A node holds every shard of its datasets, in its own state; but of a shard that was
/// [placed](Self::place), exactly the replicas that were named there exist, in the states given there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticPlacement {
    holders: Vec<Holder>,
    replication: Option<NonZeroU32>,
    shards: BTreeMap<ShardId, Replicas>,
}

impl StaticPlacement {
    /// Keeps a list. Its order is the order in which holders are tried.
    ///
    /// # Errors
    ///
    /// [`StaticPlacementError`] for repeated nodes or a list over its limit.
    pub fn new(holders: impl IntoIterator<Item = Holder>) -> Result<Self, StaticPlacementError> {
        let holders: Vec<Holder> = holders.into_iter().collect();
        if holders.len() > HOLDERS_MAX {
            return Err(StaticPlacementError::TooMany(holders.len()));
        }
        let mut named = BTreeSet::new();
        for node in holders.iter().filter_map(|holder| holder.node.as_ref()) {
            if !named.insert(node) {
                return Err(StaticPlacementError::Twice(node.clone()));
            }
        }
        Ok(Self { holders, replication: None, shards: BTreeMap::new() })
    }

    /// Says how many replicas shards are meant to have.
    #[must_use]
    pub fn replicated(self, replication: Option<NonZeroU32>) -> Self {
        Self { replication, ..self }
    }

    /// Says which replicas one shard has, and how many it is meant to have if that differs.
    ///
    /// # Errors
    ///
    /// [`StaticPlacementError`] for a shard that was placed already, nodes that are not in the list,
    /// and what is over a limit; nothing was changed.
    pub fn place(
        &mut self,
        shard: ShardId,
        replicas: impl IntoIterator<Item = (NodeId, ShardState)>,
        replication: Option<NonZeroU32>,
    ) -> Result<(), StaticPlacementError> {
        if self.shards.contains_key(&shard) {
            return Err(StaticPlacementError::ShardTwice(shard));
        }
        if self.shards.len() >= SHARDS_MAX {
            return Err(StaticPlacementError::TooManyShards);
        }
        let states: BTreeMap<NodeId, ShardState> = replicas.into_iter().collect();
        if states.len() > REPLICAS_MAX {
            return Err(StaticPlacementError::TooManyReplicas { shard, count: states.len() });
        }
        if let Some(node) = states.keys().find(|node| self.find(node).is_none()) {
            return Err(StaticPlacementError::UnknownNode { shard, node: node.clone() });
        }
        self.shards.insert(shard, Replicas { states, replication });
        Ok(())
    }

    /// Whether no node is listed.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    fn find(&self, node: &NodeId) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.node.as_ref() == Some(node))
    }
}

impl Placement for StaticPlacement {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        let Some(placed) = self.shards.get(shard) else {
            let holds =
                |holder: &&Holder| holder.datasets.is_empty() || holder.datasets.contains(&shard.dataset);
            return self.holders.iter().filter(holds).cloned().collect();
        };
        let replica = |holder: &Holder| {
            let state = *placed.states.get(holder.node.as_ref()?)?;
            Some(Holder { state, ..holder.clone() })
        };
        self.holders.iter().filter_map(replica).collect()
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.find(node).map(|holder| holder.addr)
    }

    fn replication(&self, shard: &ShardId) -> Option<u32> {
        let placed = self.shards.get(shard).and_then(|placed| placed.replication);
        placed.or(self.replication).map(NonZeroU32::get)
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::DatasetName;

    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn holder(name: &str, port: u16) -> Holder {
        Holder::everything(node(name), ([10, 0, 0, 1], port).into())
    }

    fn shard(text: &str) -> ShardId {
        text.parse().unwrap()
    }

    fn states(placement: &StaticPlacement, of: &str) -> Vec<(String, ShardState)> {
        let named = |holder: Holder| (holder.node.unwrap().to_string(), holder.state);
        placement.holders(&shard(of)).into_iter().map(named).collect()
    }

    #[test]
    fn only_holders_of_the_dataset_are_named_in_order() {
        let mut other = holder("b", 2);
        other.datasets = vec![DatasetName::new("logs").unwrap()];
        let placement = StaticPlacement::new([holder("c", 3), other, holder("a", 1)]).unwrap();
        let available = |name: &str| (name.to_owned(), ShardState::Available);
        assert_eq!(states(&placement, "metrics@1/0"), [available("c"), available("a")]);
        assert_eq!(placement.addr_of(&node("b")), Some(([10, 0, 0, 1], 2).into()));
    }

    #[test]
    fn a_node_listed_twice_is_refused() {
        let error = StaticPlacement::new([holder("a", 1), holder("a", 2)]).unwrap_err();
        assert_eq!(error, StaticPlacementError::Twice(node("a")));
    }

    /// F-21: the states are those of the shard, not of the node.
    #[test]
    fn a_node_may_hold_one_shard_and_bring_up_another() {
        use ShardState::{Available, Initializing, Leaving};
        let mut placement = StaticPlacement::new([holder("b", 2), holder("a", 1), holder("c", 3)]).unwrap();
        placement.place(shard("m@1/0"), [(node("a"), Available), (node("b"), Initializing)], None).unwrap();
        placement.place(shard("m@1/1"), [(node("a"), Leaving)], None).unwrap();
        let named = |name: &str, state| (name.to_owned(), state);
        assert_eq!(states(&placement, "m@1/0"), [named("b", Initializing), named("a", Available)]);
        assert_eq!(states(&placement, "m@1/1"), [named("a", Leaving)]);
        assert_eq!(states(&placement, "m@1/2").len(), 3, "not placed: whoever holds the dataset");
    }

    #[test]
    fn the_number_of_replicas_is_that_of_the_shard_or_of_all() {
        let three = NonZeroU32::new(3);
        let mut placement = StaticPlacement::new([holder("a", 1)]).unwrap();
        assert_eq!(placement.replication(&shard("m@1/0")), None);
        placement = placement.replicated(three);
        placement.place(shard("m@1/1"), [], NonZeroU32::new(5)).unwrap();
        assert_eq!(placement.replication(&shard("m@1/0")), Some(3));
        assert_eq!(placement.replication(&shard("m@1/1")), Some(5));
    }

    #[test]
    fn a_shard_is_placed_once_at_nodes_that_are_known() {
        let mut placement = StaticPlacement::new([holder("a", 1)]).unwrap();
        let refused =
            placement.place(shard("m@1/0"), [(node("x"), ShardState::Available)], None).unwrap_err();
        assert_eq!(refused.to_string(), "shard m@1/0 has a replica at x, which is not among the nodes");
        placement.place(shard("m@1/0"), [], None).unwrap();
        let twice = placement.place(shard("m@1/0"), [], None).unwrap_err();
        assert_eq!(twice, StaticPlacementError::ShardTwice(shard("m@1/0")));
        let crowd = (0..=REPLICAS_MAX).map(|n| (node(&format!("n{n}")), ShardState::Available));
        let refused = placement.place(shard("m@1/1"), crowd, None).unwrap_err();
        assert!(matches!(refused, StaticPlacementError::TooManyReplicas { count: 65, .. }));
    }
}
