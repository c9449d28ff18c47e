//! What a source that was worked through could not give.

use peerstream_types::{Digest, Ordinal};

use crate::Gap;
use crate::config::GAPS_LISTED_MAX;

/// Missing entries of one manifest: some listed, all counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shortfall {
    /// Of the manifest, once it is sealed.
    pub(crate) digest: Option<Digest>,
    gaps: Vec<Gap>,
    entries: u64,
}

impl Shortfall {
    pub(crate) fn add_gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_LISTED_MAX {
            self.gaps.push(gap);
        }
    }

    pub(crate) fn add_entry(&mut self) {
        self.entries += 1;
    }

    /// Another source with the same manifest gave the entry.
    pub(crate) fn obtained(&mut self, ordinal: Ordinal) {
        self.gaps.retain(|gap| gap.ordinal != ordinal);
        self.entries = self.entries.saturating_sub(1);
    }

    /// The store does without the entry.
    pub(crate) fn forgive(&mut self, ordinal: Ordinal) {
        self.gaps.retain(|gap| gap.ordinal != ordinal);
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The listed gaps in manifest order.
    pub(crate) fn into_gaps(mut self) -> Vec<Gap> {
        self.gaps.sort_by_key(|gap| (gap.ordinal, gap.chunk));
        self.gaps
    }
}
