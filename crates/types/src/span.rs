//! What is asked for, acknowledged, released: runs of whole entries and runs of chunks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ChunkIndex, ChunkRange, Ordinal};

/// A part of a manifest. Small entries are named in runs, large ones chunk by chunk, so that one
/// message speaks of thousands of either. Ordinals are scoped to a manifest digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Span {
    /// Whole entries, `count` of them from `first` on.
    Entries {
        /// First entry.
        first: Ordinal,
        /// How many.
        count: u32,
    },
    /// Chunks of one entry.
    Chunks {
        /// The entry.
        ordinal: Ordinal,
        /// Its chunks.
        range: ChunkRange,
    },
}

impl Span {
    /// One whole entry.
    pub fn entry(ordinal: Ordinal) -> Self {
        Self::Entries { first: ordinal, count: 1 }
    }

    /// One chunk of an entry.
    pub fn chunk(ordinal: Ordinal, index: ChunkIndex) -> Self {
        Self::Chunks { ordinal, range: ChunkRange::one(index) }
    }

    /// The first entry that the span touches.
    pub fn first_ordinal(self) -> Ordinal {
        match self {
            Self::Entries { first, .. } => first,
            Self::Chunks { ordinal, .. } => ordinal,
        }
    }

    /// Whether the span names anything at all and its end can be counted.
    pub fn is_well_formed(self) -> bool {
        match self {
            Self::Entries { first, count } => count > 0 && first.0.checked_add(u64::from(count)).is_some(),
            Self::Chunks { range, .. } => {
                range.count > 0 && range.first.0.checked_add(u64::from(range.count)).is_some()
            }
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries { first, count } => write!(f, "entries {first}+{count}"),
            Self::Chunks { ordinal, range } => {
                write!(f, "entry {ordinal} chunks {}+{}", range.first, range.count)
            }
        }
    }
}
