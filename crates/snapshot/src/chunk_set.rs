//! A set of chunks of one entry, kept as runs: chunks mostly come in order, so runs are few.

use std::collections::BTreeMap;

use peerstream_types::{ChunkIndex, ChunkRange};

/// Chunk indexes as disjoint runs that never touch, from first to end (exclusive).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChunkSet {
    runs: BTreeMap<u64, u64>,
    len: u64,
}

impl ChunkSet {
    /// Adds a chunk; `false` if it was there.
    pub(crate) fn insert(&mut self, index: ChunkIndex) -> bool {
        if self.contains(index) {
            return false;
        }
        let (mut first, mut end) = (index.0, index.0.saturating_add(1));
        if let Some((&before, _)) = self.runs.range(..first).next_back().filter(|(_, e)| **e == first) {
            self.runs.remove(&before);
            first = before;
        }
        if let Some(after) = self.runs.remove(&end) {
            end = after;
        }
        self.runs.insert(first, end);
        self.len += 1;
        true
    }

    /// Whether a chunk is there.
    pub(crate) fn contains(&self, index: ChunkIndex) -> bool {
        self.runs.range(..=index.0).next_back().is_some_and(|(_, end)| index.0 < *end)
    }

    /// How many chunks are there.
    #[cfg(feature = "tokio")]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The runs, ascending and disjoint.
    pub(crate) fn ranges(&self) -> Vec<ChunkRange> {
        let range = |(&first, &end): (&u64, &u64)| {
            let count = u32::try_from(end - first).expect("entries have at most OUTLINE_CHUNKS_MAX chunks");
            ChunkRange { first: ChunkIndex(first), count }
        };
        self.runs.iter().map(range).collect()
    }
}

impl Extend<ChunkIndex> for ChunkSet {
    fn extend<I: IntoIterator<Item = ChunkIndex>>(&mut self, indexes: I) {
        for index in indexes {
            self.insert(index);
        }
    }
}

impl FromIterator<ChunkIndex> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = ChunkIndex>>(indexes: I) -> Self {
        let mut set = Self::default();
        set.extend(indexes);
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the order, the runs are the set.
        #[test]
        fn runs_are_the_set(indexes in prop::collection::vec(0u64..40, 0..60)) {
            let mut set = ChunkSet::default();
            let mut model = BTreeSet::new();
            for index in indexes {
                prop_assert_eq!(set.insert(ChunkIndex(index)), model.insert(index));
            }
            let listed: Vec<u64> = set.ranges().iter().flat_map(|r| r.iter()).map(|c| c.0).collect();
            prop_assert_eq!(&listed, &model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.ranges().iter().map(|r| u64::from(r.count)).sum::<u64>(), set.len);
            prop_assert!(set.ranges().windows(2).all(|w| w[0].end() < w[1].first.0));
            prop_assert!((0..41).all(|i| set.contains(ChunkIndex(i)) == model.contains(&i)));
        }
    }
}
