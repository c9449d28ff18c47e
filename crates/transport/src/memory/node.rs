//! One node of the in-memory network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::connection::MemoryConnection;
use super::guarded::Guarded;
use super::link::Link;
use super::waiters::{Waiters, Wakes};
use crate::{ConnectionError, PeerIdentity};

/// Connections that wait to be accepted. A node that accepts nothing must not collect dials without
/// end; more than a thousand at once is no honest cluster.
pub(super) const BACKLOG_MAX: usize = 1024;

/// A node: alive from [`MemoryNetwork::node`](super::MemoryNetwork::node) until it is closed or
/// crashes.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) identity: PeerIdentity,
    pub(super) addr: SocketAddr,
    pub(super) state: Guarded<NodeState>,
}

#[derive(Debug)]
pub(super) struct NodeState {
    alive: bool,
    backlog: VecDeque<MemoryConnection>,
    links: Vec<Weak<Link>>,
    /// [`NodeState::links`] is swept when it reaches this length.
    sweep_at: usize,
    pub(super) accepting: Waiters,
    /// Dials that failed authentication.
    pub(super) refused: u64,
}

/// What a dead node leaves behind. To be ended and dropped when no lock is held.
pub(super) struct Remains {
    links: Vec<Arc<Link>>,
    /// Kept until the links are ended, so that their peers are told the right reason.
    _backlog: VecDeque<MemoryConnection>,
}

impl Node {
    pub(super) fn new(identity: PeerIdentity, addr: SocketAddr) -> Self {
        let state = NodeState {
            alive: true,
            backlog: VecDeque::new(),
            links: Vec::new(),
            sweep_at: 16,
            accepting: Waiters::default(),
            refused: 0,
        };
        Self { identity, addr, state: Guarded::new(state) }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state.with(|state, _| state.alive)
    }

    /// Ends the links of a node that has died. Its peers are told why.
    pub(super) fn end_links(&self, remains: &Remains, told: &ConnectionError) {
        for link in &remains.links {
            let why = |addr| if addr == self.addr { ConnectionError::ClosedLocally } else { told.clone() };
            link.end(link.addrs.map(why));
        }
    }
}

impl NodeState {
    /// Puts a connection before this node's accepters, unless the backlog is full.
    pub(super) fn offer(&mut self, connection: MemoryConnection, wakes: &mut Wakes) -> bool {
        let takes = self.backlog.len() < BACKLOG_MAX;
        if takes {
            self.remember(connection.link());
            self.backlog.push_back(connection);
            self.accepting.wake_all(wakes);
        }
        takes
    }

    /// The next connection, `Some(None)` from a dead node, or `None` while there is none.
    pub(super) fn accept(&mut self) -> Option<Option<MemoryConnection>> {
        match self.backlog.pop_front() {
            None if self.alive => None,
            next => Some(next),
        }
    }

    /// The links that somebody still holds.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.links.iter().filter_map(Weak::upgrade).collect()
    }

    /// Remembers a link that ends here, so that it can be ended with the node.
    pub(super) fn remember(&mut self, link: &Arc<Link>) {
        if self.links.len() >= self.sweep_at {
            self.links.retain(|link| link.strong_count() > 0);
            self.sweep_at = 16.max(2 * self.links.len());
        }
        self.links.push(Arc::downgrade(link));
    }

    /// Ends the node's life. Only under the lock of the network, so that no dial comes between.
    pub(super) fn die(&mut self, wakes: &mut Wakes) -> Remains {
        self.alive = false;
        self.accepting.wake_all(wakes);
        let links = self.links();
        self.links.clear();
        Remains { links, _backlog: std::mem::take(&mut self.backlog) }
    }
}
