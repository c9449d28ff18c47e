//! Why something was refused or failed, in one list for the whole protocol.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a peer refused or failed something (row F-53). Append-only; the caller of every operation
/// acts on the code, the text beside it is for people. It travels as its number everywhere, so that a
/// code that a newer peer sends costs its meaning and not the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
#[repr(u8)]
pub enum Code {
    /// The request breaks a rule. Do not repeat it; the asking side is at fault.
    BadRequest = 1,
    /// No rule allows it. An operator has to grant it.
    Denied = 2,
    /// The shard, entry, offer or session is not here. Ask another peer.
    NotFound = 3,
    /// The answering side does not do such things, by its kind of store or its configuration.
    Unsupported = 4,
    /// Version, format or chunk size do not fit together. One side has to be upgraded.
    Incompatible = 5,
    /// At its limit. Come back after the time given.
    Busy = 6,
    /// Held, but cannot be served now. Ask another peer, or later.
    NotReady = 7,
    /// The content changed under its manifest, or vanished. Ask another peer for this entry.
    Changed = 8,
    /// The disk has no room.
    Full = 9,
    /// No progress within the limit.
    TimedOut = 10,
    /// The node is going down. Ask another peer.
    Draining = 11,
    /// Someone called it off.
    Aborted = 12,
    /// The other end broke the protocol.
    Protocol = 13,
    /// Content does not fit its digest.
    Integrity = 14,
    /// Anything else: the answering side's operator has to look.
    Internal = 15,
}

impl Code {
    /// Every code, in wire order.
    pub const ALL: [Self; 15] = [
        Self::BadRequest,
        Self::Denied,
        Self::NotFound,
        Self::Unsupported,
        Self::Incompatible,
        Self::Busy,
        Self::NotReady,
        Self::Changed,
        Self::Full,
        Self::TimedOut,
        Self::Draining,
        Self::Aborted,
        Self::Protocol,
        Self::Integrity,
        Self::Internal,
    ];

    /// The number in messages, record headers and connection closes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number; an unknown one, from a newer peer, is [`Code::Internal`].
    pub fn from_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::Internal)
    }

    /// The HTTP status that operators know it by (row F-53).
    pub fn http_like(self) -> u16 {
        match self {
            Self::BadRequest | Self::Protocol => 400,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::Unsupported => 405,
            Self::TimedOut => 408,
            Self::Changed => 409,
            Self::Incompatible => 412,
            Self::Busy => 429,
            Self::Aborted => 499,
            Self::Internal => 500,
            Self::Integrity => 502,
            Self::NotReady | Self::Draining => 503,
            Self::Full => 507,
        }
    }

    /// Whether asking the same peer again, later, may help.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::NotReady | Self::TimedOut | Self::Full | Self::Internal)
    }
}

impl From<u8> for Code {
    fn from(number: u8) -> Self {
        Self::from_number(number)
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code.number()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest => "bad request",
            Self::Denied => "denied",
            Self::NotFound => "not found",
            Self::Unsupported => "unsupported",
            Self::Incompatible => "incompatible",
            Self::Busy => "busy",
            Self::NotReady => "not ready",
            Self::Changed => "changed",
            Self::Full => "no room",
            Self::TimedOut => "timed out",
            Self::Draining => "draining",
            Self::Aborted => "aborted",
            Self::Protocol => "protocol broken",
            Self::Integrity => "integrity",
            Self::Internal => "internal error",
        })
    }
}
