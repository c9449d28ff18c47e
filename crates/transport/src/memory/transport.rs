//! A node's way to the others of its in-memory network.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::MemoryNetwork;
use super::node::{Node, NodeState};
use crate::{BoxFuture, ConnectError, Connection, ConnectionError, Lane, PeerIdentity, Target, Transport};

/// A node of a [`MemoryNetwork`]. Dropping it closes it.
pub struct MemoryTransport {
    network: MemoryNetwork,
    node: Arc<Node>,
}

impl MemoryTransport {
    pub(super) fn new(network: MemoryNetwork, node: Arc<Node>) -> Self {
        Self { network, node }
    }

    /// Who this node is.
    pub fn identity(&self) -> &PeerIdentity {
        &self.node.identity
    }

    fn close_now(&self) {
        let told = ConnectionError::closed_by_peer(0, b"the node closed its transport");
        self.network.end(&self.node, &told);
    }

    /// How many dials of other clusters this node has refused.
    pub fn refused(&self) -> u64 {
        self.node.state.with(|state, _| state.refused)
    }
}

impl Transport for MemoryTransport {
    /// Every dial is a connection of its own, so the lane makes no difference here.
    fn connect(
        &self,
        target: &Target,
        _lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (network, node, target) = (self.network.clone(), Arc::clone(&self.node), target.clone());
        Box::pin(async move {
            let connection = network.dial(&node, &target)?;
            Ok(Arc::new(connection) as Arc<dyn Connection>)
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        let next = self.node.state.wait(|state| &mut state.accepting, |state, _| NodeState::accept(state));
        Box::pin(async { next.await.map(|connection| Arc::new(connection) as Arc<dyn Connection>) })
    }

    fn local_addr(&self) -> SocketAddr {
        self.node.addr
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.close_now() })
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.close_now();
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory transport of {} at {}", self.node.identity, self.node.addr)
    }
}
