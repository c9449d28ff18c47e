//! The seam.

use std::fmt;
use std::net::SocketAddr;

use peerstream_types::{NodeId, ShardId};

use crate::Holder;

/// Tells who holds which shard. Asked afresh for every plan and every attempt, and never blocking:
/// an implementation that watches something keeps its last answer at hand.
pub trait Placement: Send + Sync + fmt::Debug {
    /// Who holds a shard, in the order in which they are to be tried where nothing else decides.
    /// This node may be among them and is skipped by the caller.
    fn holders(&self, shard: &ShardId) -> Vec<Holder>;

    /// Where a node is reached, if it is known.
    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr>;
}
