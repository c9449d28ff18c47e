//! What bytes are for, and which way they go.

use peerstream_types::Operation;

/// What bytes are for. Weights and limits are given per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Session messages; never shaped, counted only.
    Control,
    /// Bringing replicas up.
    Bootstrap,
    /// Immutable files as they appear.
    Replication,
    /// Making replicas equal.
    Repair,
    /// Data pushed in from outside.
    BulkLoad,
    /// Stream queries.
    Query,
    /// Reading for hashing.
    DiskRead,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Control,
        Self::Bootstrap,
        Self::Replication,
        Self::Repair,
        Self::BulkLoad,
        Self::Query,
        Self::DiskRead,
    ];

    /// The class that an operation's bytes belong to.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::BulkLoad => Self::BulkLoad,
            Operation::Repair => Self::Repair,
            Operation::Replicate => Self::Replication,
            Operation::Bootstrap
            | Operation::Rebuild
            | Operation::Move
            | Operation::Decommission
            | Operation::Other => Self::Bootstrap,
        }
    }
}

/// Which way bytes go, seen from this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To a peer.
    Send,
    /// From a peer.
    Receive,
    /// From the local disk.
    Read,
}

impl Direction {
    /// Every direction.
    pub const ALL: [Self; 3] = [Self::Send, Self::Receive, Self::Read];
}
