//! Opening a session: Init, `InitAck`, Refuse.

use peerstream_types::{ClusterName, Incarnation, Operation, PlanId};
use serde::{Deserialize, Serialize};

use crate::limits::{REASON_LEN_MAX, RETRY_AFTER_MS_MAX, TRACE_LEN_MAX};
use crate::{Code, Extensions, Features, Minor, Text, WireError};

/// Whether a session moves data or only tells what it would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Preview {
    /// Data moves.
    Off,
    /// Offers are exchanged and the session completes.
    On,
}

/// Opens a session. A second Init for a session that exists attaches to it (row C05).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitV1 {
    /// Oldest and newest minor version that the initiator speaks.
    pub minors: (Minor, Minor),
    /// The plan.
    pub plan: PlanId,
    /// The session's index among those of this plan and peer.
    pub index: u32,
    /// Why bytes move.
    pub operation: Operation,
    /// Whether data moves.
    pub preview: Preview,
    /// The initiator's cluster, which must be the follower's.
    pub cluster: ClusterName,
    /// The initiator's boot.
    pub incarnation: Incarnation,
    /// W3C trace context, empty if there is none.
    pub trace: Text<TRACE_LEN_MAX>,
    /// Optional parts.
    pub extensions: Extensions,
}

impl InitV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        if self.minors.0 > self.minors.1 {
            return Err(WireError::Invalid {
                what: "Init",
                why: "its oldest version is newer than its newest",
            });
        }
        Ok(())
    }
}

/// What the follower allows the initiator to have under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLimits {
    /// Requests without an answer at any time.
    pub requests: u32,
    /// Bytes asked for and not yet sent at any time.
    pub bytes: u64,
}

/// The follower takes the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitAckV1 {
    /// The newest minor version that both speak.
    pub minor: Minor,
    /// What both can do.
    pub features: Features,
    /// The follower's boot.
    pub incarnation: Incarnation,
    /// What the follower allows.
    pub limits: PeerLimits,
    /// Optional parts.
    pub extensions: Extensions,
}

/// The follower does not take the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefuseV1 {
    /// Why.
    pub code: Code,
    /// In words.
    pub reason: Text<REASON_LEN_MAX>,
    /// When to come back, in milliseconds; zero says nothing about it.
    pub retry_after_ms: u64,
    /// Optional parts.
    pub extensions: Extensions,
}

impl RefuseV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        if self.retry_after_ms > RETRY_AFTER_MS_MAX {
            return Err(WireError::Invalid { what: "Refuse", why: "it asks to wait longer than an hour" });
        }
        Ok(())
    }
}
