//! Whether the replicas that report an entry say the same of it.
//!
//! The same is: length, digest and kind, and for blocks and tombstones the metadata as well, because
//! there it holds the tags of the series and is part of what the entry is. For files it is the
//! store's remark (a level, say), in which replicas may differ while the content is one.

use peerstream_types::{Entry, EntryKind};

use crate::{Joined, Slot, Slots};

/// What is to be done about an entry, from what the replicas report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All say the same, or there is one reporter only: any of them will do (rows F-07, F-10).
    AnyOf {
        /// Who has it.
        holders: Slots,
        /// Whether nobody confirms it: a single reporter, which the report of a recovery shows.
        unconfirmed: bool,
    },
    /// They differ, or a mutable copy cannot be compared: each copy is fetched, and what they are
    /// together is decided by a merge, or by the level (rows F-08, F-09).
    FanOut {
        /// Who has a copy.
        reporters: Slots,
        /// In what they differ.
        difference: Difference,
    },
}

/// In what replicas differ. The first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Some have it, for some it is deleted; or it is a file here and a block there.
    Kind,
    /// Their tags.
    Tags,
    /// A copy is mutable and has no digest yet, so nothing can be said.
    Undigested,
    /// Their content.
    Content,
}

impl Verdict {
    /// The verdict on an entry that a join handed on.
    pub fn of(joined: &Joined<'_>) -> Self {
        Self::of_reports(joined.reports().map(|(slot, entry)| (slot, &**entry)))
    }

    /// The verdict on reports of one key.
    pub fn of_reports<'e>(reports: impl IntoIterator<Item = (Slot, &'e Entry)>) -> Self {
        let mut reports = reports.into_iter();
        let mut reporters = Slots::NONE;
        let mut worst: Option<Difference> = None;
        if let Some((slot, first)) = reports.next() {
            reporters.insert(slot);
            for (slot, entry) in reports {
                reporters.insert(slot);
                let found = difference(first, entry);
                worst = match (worst, found) {
                    (Some(worst), Some(found)) => Some(worst.min(found)),
                    (worst, found) => worst.or(found),
                };
            }
        }
        match worst {
            None => Self::AnyOf { holders: reporters, unconfirmed: reporters.len() < 2 },
            Some(difference) => Self::FanOut { reporters, difference },
        }
    }

    /// Everyone who has a copy.
    pub fn reporters(&self) -> Slots {
        match self {
            Self::AnyOf { holders, .. } => *holders,
            Self::FanOut { reporters, .. } => *reporters,
        }
    }
}

/// The reporters of one key in camps that say the same: the largest first, and of equal ones that of
/// the lowest slot. A mutable copy is a camp of its own. It names who is alone with what it says.
pub fn camps<'e>(reports: impl IntoIterator<Item = (Slot, &'e Entry)>) -> Vec<Slots> {
    let mut camps: Vec<(&Entry, Slots)> = Vec::new();
    for (slot, entry) in reports {
        match camps.iter_mut().find(|(said, _)| difference(said, entry).is_none()) {
            Some((_, camp)) => camp.insert(slot),
            None => camps.push((entry, Slots::one(slot))),
        }
    }
    let mut camps: Vec<Slots> = camps.into_iter().map(|(_, camp)| camp).collect();
    camps.sort_by_key(|camp| (u32::MAX - camp.len(), camp.first()));
    camps
}

fn difference(one: &Entry, other: &Entry) -> Option<Difference> {
    if one.kind != other.kind {
        return Some(Difference::Kind);
    }
    let tagged = match one.kind {
        EntryKind::File => false,
        EntryKind::Block | EntryKind::Tombstone => true,
    };
    if tagged && one.metadata != other.metadata {
        return Some(Difference::Tags);
    }
    match (&one.digest, &other.digest) {
        (Some(a), Some(b)) if a == b && one.len == other.len => None,
        (Some(_), Some(_)) => Some(Difference::Content),
        _ => Some(Difference::Undigested),
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, Digest, EntryKey, NodeId, Ordinal};

    use super::*;
    use crate::Roster;

    fn block(digest: Option<u8>) -> Entry {
        Entry {
            ordinal: Ordinal(0),
            key: EntryKey::new(*b"series/2h").unwrap(),
            len: 8,
            digest: digest.map(|byte| Digest::Blake3([byte; 32])),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: b"host=a".to_vec(),
        }
    }

    fn slots() -> Vec<Slot> {
        let nodes = ["a", "b", "c", "d"].map(|name| NodeId::new(name).unwrap());
        Roster::new(nodes).unwrap().slots().iter().collect()
    }

    fn reports(entries: &[Entry]) -> Vec<(Slot, &Entry)> {
        slots().into_iter().zip(entries).collect()
    }

    fn verdict(entries: &[Entry]) -> Verdict {
        Verdict::of_reports(reports(entries))
    }

    fn differs(entries: &[Entry]) -> Option<Difference> {
        match verdict(entries) {
            Verdict::AnyOf { .. } => None,
            Verdict::FanOut { reporters, difference } => {
                assert_eq!(reporters.len() as usize, entries.len(), "to all reporters");
                Some(difference)
            }
        }
    }

    /// M-06, F-07: equal digests: any of the holders.
    #[test]
    fn equal_reports_make_every_reporter_a_holder() {
        let holders: Slots = slots()[..3].iter().copied().collect();
        let expected = Verdict::AnyOf { holders, unconfirmed: false };
        assert_eq!(verdict(&[block(Some(1)), block(Some(1)), block(Some(1))]), expected);
    }

    /// M-07, F-08: one of three differs: all three are fetched.
    #[test]
    fn one_that_differs_has_all_fetched() {
        let entries = [block(Some(1)), block(Some(2)), block(Some(1))];
        assert_eq!(differs(&entries), Some(Difference::Content));
        let camps = camps(reports(&entries));
        let (a, b, c) = (slots()[0], slots()[1], slots()[2]);
        assert_eq!(camps, [[a, c].into_iter().collect(), Slots::one(b)], "and b is alone with what it says");
    }

    /// F-08: a copy without a digest cannot be compared, not even with another one without.
    #[test]
    fn mutable_copies_are_all_fetched() {
        assert_eq!(differs(&[block(Some(1)), block(None)]), Some(Difference::Undigested));
        assert_eq!(differs(&[block(None), block(None)]), Some(Difference::Undigested));
        assert_eq!(camps(reports(&[block(None), block(None)])).len(), 2);
    }

    /// M-08, F-10: a single reporter is enough, mutable or not, and is shown as unconfirmed.
    #[test]
    fn a_single_reporter_is_taken_and_flagged() {
        for digest in [Some(1), None] {
            let expected = Verdict::AnyOf { holders: Slots::one(slots()[0]), unconfirmed: true };
            assert_eq!(verdict(&[block(digest)]), expected);
        }
        assert_eq!(verdict(&[]).reporters(), Slots::NONE);
    }

    /// G-02, F-36, fault 1.7.2 of the original: tags are part of what a block is. A copy whose tags are lost
    /// is never taken for the one that has them.
    #[test]
    fn a_copy_without_its_tags_is_another_one() {
        let lost = Entry { metadata: vec![], ..block(Some(1)) };
        assert_eq!(differs(&[block(Some(1)), lost]), Some(Difference::Tags));
    }

    #[test]
    fn the_remarks_of_stores_do_not_make_files_differ() {
        let file =
            |metadata: &[u8]| Entry { kind: EntryKind::File, metadata: metadata.into(), ..block(Some(1)) };
        assert_eq!(differs(&[file(b"level 0"), file(b"level 3")]), None);
    }

    /// Deletes travel as data: one that some replicas have not seen is decided by the merge.
    #[test]
    fn a_tombstone_beside_data_is_a_difference() {
        let tombstone = Entry { kind: EntryKind::Tombstone, ..block(Some(1)) };
        assert_eq!(differs(&[block(Some(1)), tombstone.clone()]), Some(Difference::Kind));
        assert_eq!(differs(&[tombstone.clone(), tombstone]), None, "and one that all have is agreed");
    }

    /// Equal digests of unequal lengths: one of them lies.
    #[test]
    fn equal_digests_of_unequal_lengths_are_a_difference() {
        let longer = Entry { len: 9, ..block(Some(1)) };
        assert_eq!(differs(&[block(Some(1)), longer]), Some(Difference::Content));
    }

    /// Whoever reports first: the difference is the same.
    #[test]
    fn the_order_of_reports_does_not_matter() {
        let entries = [block(None), block(Some(1)), Entry { metadata: vec![], ..block(Some(2)) }];
        let mut turned = entries.clone();
        turned.reverse();
        assert_eq!(differs(&entries), Some(Difference::Tags));
        assert_eq!(differs(&turned), Some(Difference::Tags));
    }
}
