//! Which node is where, and which nodes cannot reach each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::MemoryConnection;
use super::guarded::Guarded;
use super::node::{Node, NodeState};
use super::{MemoryLimits, MemoryTransport};
use crate::{ConnectError, ConnectionError, PeerIdentity, Target};

/// A network in memory. Clones are the same network.
#[derive(Clone, Default)]
pub struct MemoryNetwork(Arc<Inner>);

struct Inner {
    limits: MemoryLimits,
    state: Guarded<NetworkState>,
}

#[derive(Default)]
struct NetworkState {
    nodes: BTreeMap<SocketAddr, Arc<Node>>,
    /// Pairs of addresses, the smaller one first.
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { limits: MemoryLimits::default(), state: Guarded::new(NetworkState::default()) }
    }
}

impl MemoryNetwork {
    /// An empty network with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty network.
    pub fn with_limits(limits: MemoryLimits) -> Self {
        Self(Arc::new(Inner { limits, ..Inner::default() }))
    }

    /// Starts a node. Its identity counts as proven. An address can be used again once the node
    /// before has been closed, dropped or crashed: that is a restart.
    ///
    /// # Panics
    ///
    /// If a live node has the address: two nodes at one place are a mistake in the test.
    pub fn node(&self, identity: PeerIdentity, addr: SocketAddr) -> MemoryTransport {
        let node = Arc::new(Node::new(identity, addr));
        let before = self.0.state.with(|state, _| {
            let taken = state.nodes.get(&addr).is_some_and(|before| before.is_alive());
            if taken { Err(()) } else { Ok(state.nodes.insert(addr, Arc::clone(&node))) }
        });
        assert!(before.is_ok(), "{addr} is in use by a live node");
        MemoryTransport::new(self.clone(), node)
    }

    /// Kills the node at `addr` at once, as `kill -9` and a pulled plug do. Its peers' connections
    /// fail with [`ConnectionError::TimedOut`], new dials with [`ConnectError::Unreachable`]. What
    /// is left of the node in this process finds its connections closed and its transport closed.
    /// Nothing happens where no node lives.
    pub fn crash(&self, addr: SocketAddr) {
        if let Some(node) = self.0.state.with(|state, _| state.nodes.remove(&addr)) {
            self.end(&node, &ConnectionError::TimedOut);
        }
    }

    /// Ends a node's life and its links, and tells its peers why.
    pub(super) fn end(&self, node: &Node, told: &ConnectionError) {
        let remains = self.0.state.with(|_, wakes| node.state.nested(wakes, NodeState::die));
        node.end_links(&remains, told);
    }

    /// Parts two nodes, in both directions. Connections between them fail at once at both ends with
    /// [`ConnectionError::TimedOut`], new dials with [`ConnectError::Unreachable`], until
    /// [`MemoryNetwork::heal`]. The addresses need not be in use: a cut outlives restarts.
    pub fn cut(&self, a: SocketAddr, b: SocketAddr) {
        let node = self.0.state.with(|state, _| {
            state.cuts.insert(ordered(a, b));
            state.nodes.get(&a).cloned()
        });
        let links = node.map(|node| node.state.with(|state, _| state.links())).unwrap_or_default();
        for link in links.iter().filter(|link| link.addrs == [a, b] || link.addrs == [b, a]) {
            link.end([ConnectionError::TimedOut, ConnectionError::TimedOut]);
        }
    }

    /// Lets two nodes dial each other again.
    pub fn heal(&self, a: SocketAddr, b: SocketAddr) {
        self.0.state.with(|state, _| state.cuts.remove(&ordered(a, b)));
    }

    /// Dials: finds who is there, authenticates both ends, and hands one end to the acceptor.
    pub(super) fn dial(&self, from: &Node, target: &Target) -> Result<MemoryConnection, ConnectError> {
        // The whole dial is one step for the network, so that a crash or a cut comes before it and
        // prevents it, or after it and sees its link.
        self.0.state.with(|state, wakes| {
            if !from.is_alive() {
                return Err(ConnectError::Closed);
            }
            let node = state.find(from, target)?;
            authenticate(from, &node, target)?;
            let ends = ((&from.identity, from.addr), (&node.identity, node.addr));
            let (near, far) = MemoryConnection::pair(ends.0, ends.1, self.0.limits);
            from.state.nested(wakes, |state, _| state.remember(near.link()));
            if node.state.nested(wakes, |state, wakes| state.offer(far, wakes)) {
                Ok(near)
            } else {
                Err(unreachable(target, "it accepts nothing, its backlog is full"))
            }
        })
    }
}

impl NetworkState {
    fn find(&self, from: &Node, target: &Target) -> Result<Arc<Node>, ConnectError> {
        if self.cuts.contains(&ordered(from.addr, target.addr)) {
            return Err(unreachable(target, "the network between us is cut"));
        }
        let node = self.nodes.get(&target.addr).filter(|node| node.is_alive());
        node.cloned().ok_or_else(|| unreachable(target, "nobody is there"))
    }
}

/// Both ends prove who they are: the acceptor refuses other clusters, the dialler other nodes too.
fn authenticate(from: &Node, node: &Node, target: &Target) -> Result<(), ConnectError> {
    let (target, presented) = (target.clone(), &node.identity);
    if presented.cluster != from.identity.cluster {
        node.state.with(|state, _| state.refused += 1);
        return Err(ConnectError::WrongCluster { target, presented: presented.cluster.to_string() });
    }
    match &target.node {
        Some(wanted) if *wanted != presented.node => {
            Err(ConnectError::WrongNode { target, presented: Some(presented.to_string()) })
        }
        Some(_) | None => Ok(()),
    }
}

fn unreachable(target: &Target, why: &str) -> ConnectError {
    ConnectError::Unreachable { target: target.clone(), why: why.to_owned() }
}

fn ordered(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    if a <= b { (a, b) } else { (b, a) }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, cuts) = self.0.state.with(|state, _| (state.nodes.len(), state.cuts.len()));
        write!(f, "memory network of {nodes} nodes, {cuts} cuts")
    }
}
