//! What a snapshot is, in one value.

use serde::{Deserialize, Serialize};

use crate::{ChunkSize, Digest, Position};

/// Longest opaque store state in bytes: what a store needs to open the data, not the data.
pub const STATE_LEN_MAX: usize = 64 * 1024;

/// How much an inventory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EntryCounts {
    /// Entries.
    pub entries: u64,
    /// Sum of their lengths in bytes.
    pub bytes: u64,
}

/// The header of a manifest. Equal headers mean equal content: the digest covers every entry, the
/// position and the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestHeader {
    /// How content is cut.
    pub chunk_size: ChunkSize,
    /// What the manifest holds, as far as it is known; exact once it is sealed.
    pub counts: EntryCounts,
    /// Digest over the canonical encoding of all entries, position and state; `None` while entries
    /// are still being announced. An empty manifest has one like any other (row F-61).
    pub digest: Option<Digest>,
    /// Where the change log continues after this snapshot; captured before the snapshot was taken.
    pub position: Option<Position>,
    /// What the store needs to open the data: opaque, at most [`STATE_LEN_MAX`] bytes.
    pub state: Vec<u8>,
}

impl ManifestHeader {
    /// Whether all entries are announced and the digest is final.
    pub fn is_sealed(&self) -> bool {
        self.digest.is_some()
    }
}
