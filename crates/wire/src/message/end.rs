//! Staying and leaving: `KeepAlive`, Throttle, `GoAway`, Complete, Abort.

use serde::{Deserialize, Serialize};

use crate::limits::REASON_LEN_MAX;
use crate::{Code, Extensions, Text};

/// This end has done its part. The counters are totals of the session, in bytes and entries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompleteV1 {
    /// Content sent.
    pub bytes_sent: u64,
    /// Content received, verified and stored.
    pub bytes_stored: u64,
    /// Content received and thrown away: late, duplicate or wrong.
    pub bytes_wasted: u64,
    /// Optional parts.
    pub extensions: Extensions,
}

/// Still here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Optional parts.
    pub extensions: Extensions,
}

/// Please ask for less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleV1 {
    /// Bytes that may be asked for and not yet sent, from now on.
    pub bytes: u64,
    /// Optional parts.
    pub extensions: Extensions,
}

/// No new sessions please: this node is going down. Sessions under way go on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GoAwayV1 {
    /// When it will be gone, in milliseconds from now; zero says nothing about it.
    pub gone_in_ms: u64,
    /// Optional parts.
    pub extensions: Extensions,
}

/// This end gives up; what is verified stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortV1 {
    /// Why.
    pub code: Code,
    /// In words.
    pub reason: Text<REASON_LEN_MAX>,
    /// Optional parts.
    pub extensions: Extensions,
}
