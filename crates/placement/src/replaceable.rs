//! A list that is replaced as a whole while it is in use.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use peerstream_types::{NodeId, ShardId};

use crate::{ChangeSource, Changes, Holder, Placement, StaticPlacement};

/// A list that can be replaced: what is asked next is answered by the new one, and those who
/// [listen](Placement::changes) hear of it.
#[derive(Debug)]
pub struct ReplaceablePlacement {
    current: RwLock<Arc<StaticPlacement>>,
    changes: ChangeSource,
}

impl ReplaceablePlacement {
    /// Begins with this list.
    pub fn new(placement: StaticPlacement) -> Self {
        Self { current: RwLock::new(Arc::new(placement)), changes: ChangeSource::new() }
    }

    /// Replaces the list; says whether that changes anything. If not, nobody hears of it.
    pub fn replace(&self, placement: StaticPlacement) -> bool {
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if **current == placement {
                return false;
            }
            *current = Arc::new(placement);
        }
        self.changes.announce();
        true
    }

    /// The list as it is now.
    pub fn current(&self) -> Arc<StaticPlacement> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Placement for ReplaceablePlacement {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        self.current().holders(shard)
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.current().addr_of(node)
    }

    fn replication(&self, shard: &ShardId) -> Option<u32> {
        self.current().replication(shard)
    }

    fn changes(&self) -> Changes {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> StaticPlacement {
        let node = NodeId::new(name).unwrap();
        StaticPlacement::new([Holder::everything(node, ([10, 0, 0, 1], 1).into())]).unwrap()
    }

    /// F-75: those who wait hear of a change, and only of one.
    #[test]
    fn a_list_that_says_the_same_is_no_change() {
        let placement = ReplaceablePlacement::new(list("a"));
        let mut changes = placement.changes();
        assert!(!placement.replace(list("a")) && !changes.take());
        assert!(placement.replace(list("b")) && changes.take());
        assert!(placement.addr_of(&NodeId::new("a").unwrap()).is_none());
    }
}
