//! The outlines that a job keeps of a source: of the groups under way, and the tops above them.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_recovery::OutlinePart;
use peerstream_snapshot::{VerifiedOutline, VerifiedTop};
use peerstream_types::{ChunkRange, ChunkSize, Entry, GROUP_CHUNKS, GroupIndex, Ordinal};

use crate::receive::{Expected, VerifiedPart};

/// Verified outlines. Bounded by what the recovery job asks for at a time, as long as what it no
/// longer needs is forgotten.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    tops: BTreeMap<Ordinal, VerifiedTop>,
    groups: BTreeMap<(Ordinal, GroupIndex), VerifiedOutline>,
}

impl Outlines {
    pub(super) fn keep(&mut self, ordinal: Ordinal, part: VerifiedPart) {
        match part {
            VerifiedPart::Top(top) => drop(self.tops.insert(ordinal, top)),
            VerifiedPart::Group(outline) => drop(self.groups.insert((ordinal, outline.group()), outline)),
        }
    }

    /// The top of an entry of more than one group.
    pub(super) fn top(&self, ordinal: Ordinal) -> Option<VerifiedTop> {
        self.tops.get(&ordinal).cloned()
    }

    /// What is expected of a run of chunks, group by group, each with its outline.
    pub(super) fn expect(
        &self,
        entry: &Arc<Entry>,
        size: ChunkSize,
        range: ChunkRange,
    ) -> impl Iterator<Item = Expected> {
        let groups = range.first.group().0..range.end().div_ceil(u64::from(GROUP_CHUNKS));
        groups.map(GroupIndex).map(move |group| {
            let whole = size.chunks_of(group, entry.len);
            let first = range.first.max(whole.first);
            let count = range.end().min(whole.end()).saturating_sub(first.0);
            let outline = self.groups.get(&(entry.ordinal, group)).cloned();
            let range = ChunkRange { first, count: u32::try_from(count).expect("a part of the run") };
            Expected { entry: entry.clone(), range, outline }
        })
    }

    /// Forgets what is not needed of one entry.
    pub(super) fn forget(&mut self, ordinal: Ordinal, needed: impl Fn(Ordinal, OutlinePart) -> bool) {
        let groups = self.groups.range((ordinal, GroupIndex(0))..=(ordinal, GroupIndex(u64::MAX)));
        let past = |place: &&(Ordinal, GroupIndex)| !needed(place.0, OutlinePart::Group(place.1));
        let past: Vec<_> = groups.map(|(place, _)| place).filter(past).copied().collect();
        for place in past {
            self.groups.remove(&place);
        }
        if !needed(ordinal, OutlinePart::Top) {
            self.tops.remove(&ordinal);
        }
    }

    /// Forgets what is not needed of any entry.
    pub(super) fn forget_all(&mut self, needed: impl Fn(Ordinal, OutlinePart) -> bool) {
        self.groups.retain(|(ordinal, group), _| needed(*ordinal, OutlinePart::Group(*group)));
        self.tops.retain(|ordinal, _| needed(*ordinal, OutlinePart::Top));
    }
}
