//! The seam.

use std::fmt;
use std::net::SocketAddr;

use peerstream_types::{NodeId, ShardId};

use crate::{Changes, Holder};

/// Tells who holds which shard. Asked afresh for every plan and every attempt, and never blocking:
/// an implementation that watches something keeps its last answer at hand.
pub trait Placement: Send + Sync + fmt::Debug {
    /// The replicas of a shard, each in its [state](Holder::state); their order says nothing. This node may
    /// be among them, which says in which state its own replica is, and in which zone; the caller does not
    /// ask it.
    fn holders(&self, shard: &ShardId) -> Vec<Holder>;

    /// Where a node is reached, if it is known.
    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr>;

    /// How many replicas the shard is meant to have, which majorities are counted from. `None`, the
    /// default, if nothing says so: then as many as there are, this node among them.
    fn replication(&self, _shard: &ShardId) -> Option<u32> {
        None
    }

    /// Hears of changes from now on. A job that waits goes on when there is one. The default never
    /// says so: then jobs learn of a change at their next attempt.
    fn changes(&self) -> Changes {
        Changes::never()
    }
}
