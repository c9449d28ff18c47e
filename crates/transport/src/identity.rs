//! Who the other end proved to be.

use std::fmt;

use peerstream_types::{ClusterName, NodeId};

/// The identity that a peer proved with its certificate, never what it merely says of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIdentity {
    /// Its cluster: always this node's own, since others are refused.
    pub cluster: ClusterName,
    /// Its node id.
    pub node: NodeId,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.cluster)
    }
}
