//! Why bytes move.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The operation that a plan carries out. It travels in Init, so that the other end can admit,
/// weigh and report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// A new or empty replica is brought up.
    Bootstrap,
    /// A replica is rebuilt from its peers.
    Rebuild,
    /// Shards move between nodes that stay.
    Move,
    /// A leaving node hands its shards on.
    Decommission,
    /// Data made elsewhere is pushed in.
    BulkLoad,
    /// Divergent replicas are made equal.
    Repair,
    /// Immutable files follow their origin.
    Replicate,
    /// Anything else.
    Other,
}

impl Operation {
    /// Every operation, in wire order.
    pub const ALL: [Self; 8] = [
        Self::Bootstrap,
        Self::Rebuild,
        Self::Move,
        Self::Decommission,
        Self::BulkLoad,
        Self::Repair,
        Self::Replicate,
        Self::Other,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootstrap => "bootstrap",
            Self::Rebuild => "rebuild",
            Self::Move => "move",
            Self::Decommission => "decommission",
            Self::BulkLoad => "bulk-load",
            Self::Repair => "repair",
            Self::Replicate => "replicate",
            Self::Other => "other",
        })
    }
}
