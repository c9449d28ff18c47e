//! Dial and accept.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_types::NodeId;

use crate::{BoxFuture, ConnectError, Connection};

/// What a connection is for. Control and bulk never share a connection, because QUIC's
/// connection-wide flow control would let full bulk buffers block control writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Session control: small, urgent.
    Control,
    /// Data, inventories, outlines.
    Bulk,
}

/// Whom to dial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Where.
    pub addr: SocketAddr,
    /// Which node must answer; `None` accepts any member of the cluster, for discovery that knows
    /// addresses only.
    pub node: Option<NodeId>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node} at {}", self.addr),
            None => write!(f, "any member at {}", self.addr),
        }
    }
}

/// One node's way to the others.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Dials a node.
    ///
    /// The identity of the other end is proven when this returns. The other end may still refuse
    /// *ours*: with TLS 1.3 that shows only on the first read, as
    /// [`ConnectionError::Rejected`](crate::ConnectionError::Rejected), so nobody calls a peer
    /// connected before it has answered.
    ///
    /// Cancel safe: dropping the future gives up the attempt.
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>>;

    /// The next connection that a peer opened and that passed authentication; `None` once the
    /// transport is closed. Peers that fail authentication are counted and logged by the
    /// implementation, and never returned. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>>;

    /// Where peers reach this node.
    fn local_addr(&self) -> SocketAddr;

    /// Stops accepting, closes every connection, and waits until the peers were told, at most a
    /// few round trips.
    fn close(&self) -> BoxFuture<'_, ()>;
}
