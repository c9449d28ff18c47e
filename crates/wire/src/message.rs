//! What travels on a session's control stream.
//!
//! Append-only: a variant is never removed, reordered or given another struct, and a struct is
//! never edited; what is new travels in [`Extensions`](crate::Extensions) or as a new variant.

mod end;
mod init;
mod prepare;
mod transfer;

use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ManifestHeader, Selector};
use serde::{Deserialize, Serialize};

use crate::limits::{CONTROL_FRAME_MAX, PREPARE_FRAME_MAX, SELECTOR_KEYS_MAX};
use crate::{Framed, WireError};

pub use end::{AbortV1, CompleteV1, GoAwayV1, KeepAlive, ThrottleV1};
pub use init::{InitAckV1, InitV1, PeerLimits, Preview, RefuseV1};
pub use prepare::{OfferV1, PrepareAckV1, PrepareV1, RefusalV1, RequestV1};
pub use transfer::{
    FetchFailedV1, FetchV1, HaveV1, InventoryRequestV1, OutlineRequestV1, ReceivedV1, ReleaseReason,
    ReleaseV1, RunRequestV1, TreeRequestV1,
};

/// A control message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Opens a session.
    Init(InitV1),
    /// The follower takes it.
    InitAck(InitAckV1),
    /// The follower does not.
    Refuse(RefuseV1),
    /// What the initiator wants and offers.
    Prepare(PrepareV1),
    /// What the follower offers and refuses.
    PrepareAck(PrepareAckV1),
    /// Asks for pages of an offer's inventory.
    InventoryRequest(InventoryRequestV1),
    /// Asks for chaining values of an entry.
    OutlineRequest(OutlineRequestV1),
    /// Asks for content.
    Fetch(FetchV1),
    /// The answer to a request when there is none.
    FetchFailed(FetchFailedV1),
    /// Content that is verified and stored.
    Received(ReceivedV1),
    /// References that the source may drop.
    Release(ReleaseV1),
    /// Reserved: what a receiver can serve already.
    Have(HaveV1),
    /// This end has done its part.
    Complete(CompleteV1),
    /// Still here.
    KeepAlive(KeepAlive),
    /// Please ask for less.
    Throttle(ThrottleV1),
    /// No new sessions please: this node is going down.
    GoAway(GoAwayV1),
    /// This end gives up.
    Abort(AbortV1),
    /// Asks for nodes of the digest tree of an offer's inventory.
    TreeRequest(TreeRequestV1),
    /// Asks for entries of an offer's inventory by their ordinals.
    RunRequest(RunRequestV1),
}

impl Message {
    /// The message's name, for traces and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "Init",
            Self::InitAck(_) => "InitAck",
            Self::Refuse(_) => "Refuse",
            Self::Prepare(_) => "Prepare",
            Self::PrepareAck(_) => "PrepareAck",
            Self::InventoryRequest(_) => "InventoryRequest",
            Self::OutlineRequest(_) => "OutlineRequest",
            Self::Fetch(_) => "Fetch",
            Self::FetchFailed(_) => "FetchFailed",
            Self::Received(_) => "Received",
            Self::Release(_) => "Release",
            Self::Have(_) => "Have",
            Self::Complete(_) => "Complete",
            Self::KeepAlive(_) => "KeepAlive",
            Self::Throttle(_) => "Throttle",
            Self::GoAway(_) => "GoAway",
            Self::Abort(_) => "Abort",
            Self::TreeRequest(_) => "TreeRequest",
            Self::RunRequest(_) => "RunRequest",
        }
    }
}

/// The first bytes of Prepare and `PrepareAck`: their place in [`Message`].
const PREPARE_TAGS: [u8; 2] = [3, 4];

impl Framed for Message {
    const WHAT: &'static str = "control message";
    const FRAME_MAX: usize = PREPARE_FRAME_MAX;

    fn frame_max(tag: u8) -> usize {
        if PREPARE_TAGS.contains(&tag) { PREPARE_FRAME_MAX } else { CONTROL_FRAME_MAX }
    }

    fn validate(&self) -> Result<(), WireError> {
        match self {
            Self::Init(message) => message.validate(),
            Self::Refuse(message) => message.validate(),
            Self::Prepare(message) => message.validate(),
            Self::PrepareAck(message) => message.validate(),
            Self::InventoryRequest(message) => message.validate(),
            Self::OutlineRequest(message) => message.validate(),
            Self::Fetch(message) => message.validate(),
            Self::FetchFailed(message) => message.validate(),
            Self::Received(message) => message.validate(),
            Self::Release(message) => message.validate(),
            Self::Have(message) => message.validate(),
            Self::TreeRequest(message) => message.validate(),
            Self::RunRequest(message) => message.validate(),
            Self::InitAck(_)
            | Self::Complete(_)
            | Self::KeepAlive(_)
            | Self::Throttle(_)
            | Self::GoAway(_)
            | Self::Abort(_) => Ok(()),
        }
    }
}

/// Checks the parts of a manifest header that decoding does not bound.
pub(crate) fn check_header(
    what: &'static str,
    header: &ManifestHeader,
    sealed: bool,
) -> Result<(), WireError> {
    let invalid = |why| Err(WireError::Invalid { what, why });
    if header.state.len() > STATE_LEN_MAX {
        return invalid("the store state is longer than its limit");
    }
    if header.position.as_ref().is_some_and(|position| !position.is_well_formed()) {
        return invalid("a part of the position is longer than its limit");
    }
    if sealed && !header.is_sealed() {
        return invalid("the sealed header has no digest");
    }
    Ok(())
}

/// Checks the parts of a selector that decoding does not bound.
fn check_selector(what: &'static str, selector: &Selector) -> Result<(), WireError> {
    let invalid = |why| Err(WireError::Invalid { what, why });
    match selector {
        Selector::Entries(keys) if keys.is_empty() || keys.len() > SELECTOR_KEYS_MAX => {
            invalid("a selector names no key or more than its limit")
        }
        Selector::Entries(keys) if !keys.is_sorted_by(|a, b| a < b) => {
            invalid("a selector's keys do not ascend")
        }
        Selector::Keys { start: Some(start), end: Some(end) } if start >= end => {
            invalid("a key range is empty")
        }
        Selector::Time { start_ms, end_ms } if start_ms >= end_ms => invalid("a time range is empty"),
        Selector::All | Selector::Entries(_) | Selector::Keys { .. } | Selector::Time { .. } => Ok(()),
    }
}
