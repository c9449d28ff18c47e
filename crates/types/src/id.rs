//! Ids of plans, sessions, fetches and offers, and the incarnation of a node.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::NodeId;

/// Groups the sessions of one operation. A ULID: unique, and ordered by the time of its creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanId(u128);

impl PlanId {
    /// Makes an id of a wall-clock time in milliseconds since the Unix epoch and 80 random bits
    /// (the rest of `random` is ignored). Both come from the caller, so that simulations repeat.
    pub fn from_parts(unix_ms: u64, random: u128) -> Self {
        Self(Ulid::from_parts(unix_ms, random).0)
    }

    /// The id as a number, for maps and wire formats.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for PlanId {
    fn from(id: u128) -> Self {
        Self(id)
    }
}

impl std::str::FromStr for PlanId {
    type Err = ulid::DecodeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(|ulid| Self(ulid.0))
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ulid(self.0).fmt(f)
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan {self}")
    }
}

/// Which boot of a node this is. A larger one replaces a smaller one of the same node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part a node plays in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Opened the session.
    Initiator,
    /// Was asked.
    Follower,
}

impl Role {
    /// The other end's role.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Follower,
            Self::Follower => Self::Initiator,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiator => "initiator",
            Self::Follower => "follower",
        })
    }
}

/// Names a session at one node: the plan, the node at the other end, the index among the sessions
/// of that plan and peer, and the role this node has. Both roles of one plan may meet at one node,
/// so the role is part of the name (row C04).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The plan.
    pub plan: PlanId,
    /// The node at the other end.
    pub peer: NodeId,
    /// Index among the sessions between this plan and this peer; chosen by the initiator.
    pub index: u32,
    /// This node's role.
    pub role: Role,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} ({})", self.plan, self.peer, self.index, self.role)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A request for bytes. Chosen by the receiver, unique among the fetches of one direction of a
    /// session; every answer repeats it, so answers are matched by id, never by order (row F-35).
    FetchId
}
number! {
    /// What one end of a session offers: one shard, one selector, one snapshot. Chosen by the source,
    /// unique in its direction of the session.
    OfferId
}
