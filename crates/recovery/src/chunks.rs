//! The chunks of one entry that were not asked for yet.

use std::collections::VecDeque;
use std::ops::Range;

use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize};

/// Chunks from front to back, as ranges: an entry may have more chunks than memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChunkQueue(VecDeque<Range<u64>>);

impl ChunkQueue {
    /// All of `chunks` chunks but those in `held`, which may be in any order, overlap, or pass the end.
    pub(crate) fn without(chunks: u64, mut held: Vec<ChunkRange>) -> Self {
        held.sort_unstable();
        let mut queue = VecDeque::new();
        let mut from = 0;
        for range in held {
            let gap = from..range.first.0.min(chunks);
            if !gap.is_empty() {
                queue.push_back(gap);
            }
            from = from.max(range.end());
        }
        if from < chunks {
            queue.push_back(from..chunks);
        }
        Self(queue)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// How many bytes they have in an entry of `len` bytes.
    pub(crate) fn bytes(&self, size: ChunkSize, len: u64) -> u64 {
        let at = |index: u64| index.saturating_mul(size.bytes()).min(len);
        self.0.iter().map(|range| at(range.end) - at(range.start)).sum()
    }

    pub(crate) fn peek(&self) -> Option<ChunkIndex> {
        self.0.front().map(|range| ChunkIndex(range.start))
    }

    pub(crate) fn pop(&mut self) -> Option<ChunkIndex> {
        let front = self.0.front_mut()?;
        let index = front.next()?;
        if front.is_empty() {
            self.0.pop_front();
        }
        Some(ChunkIndex(index))
    }

    /// Takes the chunks before `end` out.
    pub(crate) fn take_before(&mut self, end: u64) -> Self {
        let mut taken = VecDeque::new();
        while let Some(front) = self.0.front_mut().filter(|front| front.start < end) {
            if front.end > end {
                taken.push_back(front.start..end);
                front.start = end;
                break;
            }
            taken.extend(self.0.pop_front());
        }
        Self(taken)
    }

    /// Puts back what [`ChunkQueue::take_before`] took out, where it was.
    pub(crate) fn put_back(&mut self, taken: Self) {
        let first = taken.0.front().map_or(0, |range| range.start);
        let place = self.0.partition_point(|range| range.start < first);
        for range in taken.0.into_iter().rev() {
            self.0.insert(place, range);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, count: u32) -> ChunkRange {
        ChunkRange { first: ChunkIndex(first), count }
    }

    #[test]
    fn held_chunks_are_left_out() {
        let cases: [(u64, &[ChunkRange], &[u64]); 6] = [
            (4, &[], &[0, 1, 2, 3]),
            (4, &[range(0, 4)], &[]),
            (4, &[range(2, 1), range(0, 1)], &[1, 3]),
            (4, &[range(0, 3), range(1, 1)], &[3]),
            (4, &[range(3, 9), range(7, 1)], &[0, 1, 2]),
            (0, &[range(0, 1)], &[]),
        ];
        for (chunks, held, expected) in cases {
            let mut queue = ChunkQueue::without(chunks, held.to_vec());
            assert_eq!(queue.count(), expected.len() as u64);
            let popped: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|index| index.0).collect();
            assert_eq!(popped, expected, "{chunks} without {held:?}");
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn an_entry_of_any_length_costs_no_memory() {
        let mut queue = ChunkQueue::without(u64::MAX, vec![range(1, 1)]);
        assert_eq!((queue.pop(), queue.pop()), (Some(ChunkIndex(0)), Some(ChunkIndex(2))));
        assert_eq!(queue.0.len(), 1);
    }

    #[test]
    fn bytes_count_the_short_last_chunk() {
        let size = ChunkSize::new(1024).unwrap();
        assert_eq!(ChunkQueue::without(3, vec![range(0, 1)]).bytes(size, 2500), 1476);
    }

    #[test]
    fn what_was_taken_out_goes_back_to_its_place() {
        let mut queue = ChunkQueue::without(10, vec![range(2, 1)]);
        let parts = [queue.take_before(4), queue.take_before(6), queue.take_before(6)];
        assert_eq!(parts.each_ref().map(ChunkQueue::count), [3, 2, 0]);
        assert_eq!(queue.peek(), Some(ChunkIndex(6)));
        for part in parts {
            queue.put_back(part);
        }
        let popped: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|index| index.0).collect();
        assert_eq!(popped, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    }
}
