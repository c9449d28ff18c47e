//! Who holds what in a simulation: a list that scenarios change.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_placement::{Holder, Placement};
use peerstream_types::{NodeId, ShardId};

/// The placement that all nodes of a simulation see. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct SimPlacement(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    addrs: BTreeMap<NodeId, SocketAddr>,
    holders: Vec<NodeId>,
    anonymous: bool,
}

impl SimPlacement {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, node: &NodeId, addr: SocketAddr) {
        self.lock().addrs.insert(node.clone(), addr);
    }

    /// Says who holds every shard, in the order in which they are to be tried.
    pub fn set_holders(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.lock().holders = nodes.into_iter().collect();
    }

    /// Knows addresses only from now on, as discovery by DNS does.
    pub fn forget_names(&self) {
        self.lock().anonymous = true;
    }

    pub(crate) fn add_holder(&self, node: &NodeId) {
        let mut state = self.lock();
        if !state.holders.contains(node) {
            state.holders.push(node.clone());
        }
    }
}

impl Placement for SimPlacement {
    fn holders(&self, _shard: &ShardId) -> Vec<Holder> {
        let state = self.lock();
        let holder = |node: &NodeId| {
            let mut holder = Holder::everything(node.clone(), *state.addrs.get(node)?);
            holder.node = holder.node.filter(|_| !state.anonymous);
            Some(holder)
        };
        state.holders.iter().filter_map(holder).collect()
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        let state = self.lock();
        state.addrs.get(node).copied().filter(|_| !state.anonymous)
    }
}
