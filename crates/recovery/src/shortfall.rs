//! What a source that was worked through could not give.

use peerstream_types::{Digest, EntryKey, Ordinal};

use crate::config::{DROPPED_MAX, GAPS_LISTED_MAX};
use crate::{Found, Gap};

/// Missing entries of one manifest: some listed, all counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shortfall {
    /// Of the manifest, once it is sealed.
    pub(crate) digest: Option<Digest>,
    gaps: Vec<Gap>,
    entries: u64,
    /// The first of the entries, in the listing that is under way.
    admitted: Vec<Ordinal>,
}

impl Shortfall {
    pub(crate) fn add_gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_LISTED_MAX {
            self.gaps.push(gap);
        }
    }

    /// Whether this is what another manifest lacks than the one with this digest.
    pub(crate) fn is_of_another(&self, digest: Option<Digest>) -> bool {
        digest.is_none() || self.digest != digest
    }

    /// An entry that the store was told of.
    pub(crate) fn add_entry(&mut self, ordinal: Ordinal) {
        self.add_unlisted();
        if self.admitted.len() < DROPPED_MAX {
            self.admitted.push(ordinal);
        }
    }

    /// An entry that the store knows nothing of.
    pub(crate) fn add_unlisted(&mut self) {
        self.entries += 1;
    }

    /// Does without everything that is missing, if the store knows all of it: gives what, and how it was
    /// called.
    pub(crate) fn drop_all(&mut self) -> Option<(Vec<Ordinal>, Found)> {
        if self.entries != self.admitted.len() as u64 {
            return None;
        }
        let ordinals = std::mem::take(&mut self.admitted);
        Some((ordinals, std::mem::take(self).found()))
    }

    /// Another source with the same manifest gave the entry.
    pub(crate) fn obtained(&mut self, ordinal: Ordinal) {
        self.gaps.retain(|gap| gap.ordinal != ordinal);
        self.entries = self.entries.saturating_sub(1);
    }

    /// Another manifest has an entry with this key: what becomes of it is told there.
    pub(crate) fn listed_again(&mut self, key: &EntryKey) {
        let before = self.gaps.len();
        self.gaps.retain(|gap| gap.key != *key);
        self.entries = self.entries.saturating_sub(u64::from(self.gaps.len() < before));
    }

    /// What is missing, for those who do without it.
    pub(crate) fn found(self) -> Found {
        let count = self.entries;
        let mut keys: Vec<EntryKey> = self.into_gaps().into_iter().map(|gap| gap.key).collect();
        keys.dedup();
        Found { count, keys }
    }

    /// The store does without the entry.
    pub(crate) fn forgive(&mut self, ordinal: Ordinal) {
        self.gaps.retain(|gap| gap.ordinal != ordinal);
    }

    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
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
