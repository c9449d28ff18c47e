//! What a fetch expects: which records are its answer, each once.

use std::sync::Arc;

use peerstream_snapshot::VerifiedOutline;
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, Ordinal};
use peerstream_wire::RecordHeader;

/// What a fetch expects of one entry: a run of its chunks.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) entry: Arc<Entry>,
    pub(crate) range: ChunkRange,
    pub(crate) outline: Option<VerifiedOutline>,
}

impl Expected {
    /// How many bytes of content it is.
    pub(crate) fn bytes(&self, size: ChunkSize) -> u64 {
        size.bytes_in(self.range, self.entry.len)
    }
}

/// All that a fetch expects, and what of it has come. Bounded by the request.
#[derive(Debug)]
pub(super) struct Expectation {
    /// Ascending by entry and chunk.
    runs: Vec<Run>,
    taken: Vec<bool>,
    /// The run that the last record was of: answers mostly come in the order of the request.
    last: usize,
}

#[derive(Debug)]
struct Run {
    expected: Expected,
    /// Where its chunks begin in `taken`.
    base: usize,
}

impl Run {
    fn has(&self, ordinal: Ordinal, index: ChunkIndex) -> bool {
        let Expected { entry, range, .. } = &self.expected;
        entry.ordinal == ordinal && (range.first.0..range.end()).contains(&index.0)
    }

    fn starts(&self) -> (Ordinal, ChunkIndex) {
        (self.expected.entry.ordinal, self.expected.range.first)
    }
}

impl Expectation {
    pub(super) fn new(mut expected: Vec<Expected>) -> Self {
        expected.sort_by_key(|expected| (expected.entry.ordinal, expected.range.first));
        let mut items = 0;
        let runs = expected.into_iter().map(|expected| {
            let base = items;
            items += expected.range.count as usize;
            Run { expected, base }
        });
        let runs = runs.collect();
        Self { runs, taken: vec![false; items], last: 0 }
    }

    /// How many bytes of content are expected.
    pub(super) fn bytes(&self, size: ChunkSize) -> u64 {
        self.runs.iter().map(|run| run.expected.bytes(size)).sum()
    }

    /// Takes the chunk that a record is, if it is any that was asked for and has not come before.
    pub(super) fn take(&mut self, header: &RecordHeader, size: ChunkSize) -> Option<(&Expected, ChunkIndex)> {
        let index = ChunkIndex(header.offset / size.bytes());
        if !header.offset.is_multiple_of(size.bytes()) || u64::from(header.len) > size.bytes() {
            return None;
        }
        self.last = self.find(header.ordinal, index)?;
        let run = &self.runs[self.last];
        let place = usize::try_from(index.0 - run.expected.range.first.0).ok()?;
        let taken = &mut self.taken[run.base + place];
        (!std::mem::replace(taken, true)).then_some((&run.expected, index))
    }

    fn find(&self, ordinal: Ordinal, index: ChunkIndex) -> Option<usize> {
        let has = |place: &usize| self.runs.get(*place).is_some_and(|run| run.has(ordinal, index));
        if let Some(near) = [self.last, self.last + 1].into_iter().find(has) {
            return Some(near);
        }
        let after = self.runs.partition_point(|run| run.starts() <= (ordinal, index));
        after.checked_sub(1).filter(has)
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, EntryKey, EntryKind};
    use peerstream_wire::RecordStatus;

    use super::*;

    fn size() -> ChunkSize {
        ChunkSize::new(1024).unwrap()
    }

    fn expected(ordinal: u64, len: u64, first: u64, count: u32) -> Expected {
        let entry = Entry {
            ordinal: Ordinal(ordinal),
            key: EntryKey::new(format!("{ordinal:04}").as_bytes()).unwrap(),
            len,
            digest: None,
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: Vec::new(),
        };
        let range = ChunkRange { first: ChunkIndex(first), count };
        Expected { entry: Arc::new(entry), range, outline: None }
    }

    fn record(ordinal: u64, offset: u64, len: u32) -> RecordHeader {
        RecordHeader { ordinal: Ordinal(ordinal), offset, len, status: RecordStatus::Content(Codec::Plain) }
    }

    /// Rows C18, F-35: in any order, each once, and nothing that was not asked for.
    #[test]
    fn each_chunk_is_taken_once_in_any_order() {
        let runs = vec![expected(9, 5000, 3, 1), expected(4, 10, 0, 1), expected(9, 5000, 0, 2)];
        let mut expectation = Expectation::new(runs);
        assert_eq!(expectation.bytes(size()), 1024 + 10 + 2048);
        let mut take = |ordinal, offset, len| {
            expectation.take(&record(ordinal, offset, len), size()).map(|(_, index)| index.0)
        };
        assert_eq!(take(9, 3072, 1024), Some(3));
        assert_eq!(take(9, 1024, 1024), Some(1));
        assert_eq!(take(4, 0, 10), Some(0));
        assert_eq!(take(9, 0, 1024), Some(0));
        for twice in [(9, 3072), (4, 0), (9, 0)] {
            assert_eq!(take(twice.0, twice.1, 10), None);
        }
        for foreign in [(9, 2048, 9), (9, 4096, 9), (5, 0, 9), (4, 1, 9), (4, 1024, 9), (9, u64::MAX, 9)] {
            assert_eq!(take(foreign.0, foreign.1, foreign.2), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_record_longer_than_a_chunk_is_none() {
        let mut expectation = Expectation::new(vec![expected(1, 1024, 0, 1)]);
        assert!(expectation.take(&record(1, 0, 1025), size()).is_none());
        assert!(expectation.take(&record(1, 0, 1024), size()).is_some());
    }
}
