//! The in-memory network behind links: streams whose bytes take their time.
//!
//! The network itself has no clock. Here its transports, connections and streams are wrapped: a
//! writer waits while the queue of its link is full, and a reader sees bytes only once they have
//! arrived. In between they lie in the stream's window, as they do with QUIC. The order of opening,
//! finishing, resetting and closing is that of the network: these take no time of their own, and a
//! reader comes to them after the bytes that were before them.
//!
//! Both ends of a stream have to know when which byte arrives. They find each other by a number that
//! the opener writes ahead of its first byte, and that the accepting end takes out again.
//!
//! | file | holds |
//! |---|---|
//! | `wires` | what all nodes share: the ways between them, streams that nobody accepted yet |
//! | `journey` | when the bytes of a stream arrive |
//! | `transport`, `connection`, `halves` | what the traits are implemented on |
//! | `wait` | a sleep that ends with the connection |

mod connection;
mod halves;
mod journey;
mod transport;
mod wait;
mod wires;

use std::net::SocketAddr;
use std::time::Duration;

use peerstream_transport::PeerIdentity;
use peerstream_transport::memory::MemoryNetwork;

use crate::fabric::FabricStats;
use crate::fault::Effect;
use crate::net::{Paths, Way};
use crate::network::LinkSpec;
pub(crate) use transport::LinkedTransport;
use wires::Wires;

/// How long a connection lives that works in one direction only: as long as QUIC's does by default.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// An in-memory network over links. Clones are the same network.
#[derive(Debug, Clone)]
pub(crate) struct LinkedNetwork {
    inner: MemoryNetwork,
    wires: Wires,
}

impl LinkedNetwork {
    pub(crate) fn new(spec: LinkSpec) -> Self {
        Self { inner: MemoryNetwork::new(), wires: Wires::new(spec) }
    }

    /// Starts a node; one that was at this address before is dead from now on.
    pub(crate) fn node(&self, identity: PeerIdentity, addr: SocketAddr) -> LinkedTransport {
        self.inner.crash(addr);
        LinkedTransport::new(self.inner.node(identity, addr), self.wires.clone())
    }

    pub(crate) fn crash(&self, addr: SocketAddr) {
        self.inner.crash(addr);
    }

    /// Changes what the ways between nodes are like.
    pub(crate) fn with_paths<T>(&self, change: impl FnOnce(&mut Paths) -> T) -> T {
        self.wires.with_paths(change)
    }

    /// Parts two nodes: their connections fail at once.
    pub(crate) fn cut(&self, a: SocketAddr, b: SocketAddr, counts_as: Effect) {
        self.wires.part((a, b), counts_as);
        self.inner.cut(a, b);
    }

    /// Lets nothing through in one direction: what is written there waits, nobody dials either way,
    /// and connections are lost after [`LOST_AFTER`].
    pub(crate) fn cut_one_way(&self, way: Way) {
        let (number, network) = (self.wires.cut(way), self.clone());
        tokio::spawn(async move {
            tokio::time::sleep(LOST_AFTER).await;
            if network.wires.is_still_cut(way, number) {
                network.end_connections(way);
            }
        });
    }

    fn end_connections(&self, (a, b): Way) {
        self.inner.cut(a, b);
        if !self.wires.is_parted((a, b)) {
            self.inner.heal(a, b);
        }
    }

    pub(crate) fn heal(&self, a: SocketAddr, b: SocketAddr) {
        self.inner.heal(a, b);
        self.wires.heal((a, b));
    }

    pub(crate) fn stats(&self) -> FabricStats {
        self.wires.stats()
    }
}

#[cfg(test)]
mod tests;
