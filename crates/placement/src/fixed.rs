//! A fixed list of holders.

use std::net::SocketAddr;

use peerstream_types::{NodeId, ShardId};

use crate::{Holder, Placement};

/// Most nodes of a fixed list: beyond a few hundred a list is the wrong tool.
pub const HOLDERS_MAX: usize = 1024;

/// Why a list was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaticPlacementError {
    /// One node stands twice in the list.
    #[error("node {0} is listed twice")]
    Twice(NodeId),
    /// The list is too long.
    #[error("{0} nodes are listed, at most {HOLDERS_MAX} are allowed")]
    TooMany(usize),
}

/// A fixed list of holders, from a config file.
#[derive(Debug, Clone, Default)]
pub struct StaticPlacement {
    holders: Vec<Holder>,
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
        let mut named: Vec<&NodeId> = holders.iter().filter_map(|holder| holder.node.as_ref()).collect();
        named.sort_unstable();
        if let Some(pair) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StaticPlacementError::Twice(pair[0].clone()));
        }
        Ok(Self { holders })
    }
}

impl Placement for StaticPlacement {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        let holds = |holder: &&Holder| holder.datasets.is_empty() || holder.datasets.contains(&shard.dataset);
        self.holders.iter().filter(holds).cloned().collect()
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.holders.iter().find(|holder| holder.node.as_ref() == Some(node)).map(|holder| holder.addr)
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::DatasetName;

    use super::*;

    fn holder(name: &str, port: u16) -> Holder {
        Holder::everything(NodeId::new(name).unwrap(), ([10, 0, 0, 1], port).into())
    }

    #[test]
    fn only_holders_of_the_dataset_are_named_in_order() {
        let metrics = DatasetName::new("metrics").unwrap();
        let mut other = holder("b", 2);
        other.datasets = vec![DatasetName::new("logs").unwrap()];
        let placement = StaticPlacement::new([holder("c", 3), other, holder("a", 1)]).unwrap();
        let holders = placement.holders(&ShardId::new(metrics, 1, 0));
        let names: Vec<_> = holders.iter().map(|h| h.node.as_ref().unwrap().as_str()).collect();
        assert_eq!(names, ["c", "a"]);
        assert_eq!(placement.addr_of(&NodeId::new("b").unwrap()), Some(([10, 0, 0, 1], 2).into()));
    }

    #[test]
    fn a_node_listed_twice_is_refused() {
        let error = StaticPlacement::new([holder("a", 1), holder("a", 2)]).unwrap_err();
        assert_eq!(error, StaticPlacementError::Twice(NodeId::new("a").unwrap()));
    }
}
