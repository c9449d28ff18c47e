//! Where the change log continues.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest log id or token in bytes.
pub const POSITION_PART_LEN_MAX: usize = 256;

/// A place in a change log. Opaque here: only the change log itself compares positions, because
/// only it knows how epochs and tokens are ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which log, at most [`POSITION_PART_LEN_MAX`] bytes.
    pub log: String,
    /// Which life of that log: tokens of different epochs are not comparable.
    pub epoch: u64,
    /// The place, at most [`POSITION_PART_LEN_MAX`] bytes.
    pub token: Vec<u8>,
}

impl Position {
    /// Whether every part is within its limit; a position from a peer is refused if not.
    pub fn is_well_formed(&self) -> bool {
        self.log.len() <= POSITION_PART_LEN_MAX && self.token.len() <= POSITION_PART_LEN_MAX
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.log.escape_debug(), self.epoch, self.token.escape_ascii())
    }
}
