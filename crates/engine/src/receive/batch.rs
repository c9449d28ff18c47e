//! A batch of received records: gathered in one buffer, verified together.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::{VerifiedChunk, VerifiedOutline, VerifyError};
use peerstream_types::{ChunkIndex, ChunkSize, Entry, Ordinal};

use super::expected::Expected;

/// Records of one batch, all of them whole.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Bytes,
    pieces: Vec<Piece>,
}

/// Where a record's content lies, and what it has to be.
#[derive(Debug)]
pub(super) struct Piece {
    entry: Arc<Entry>,
    outline: Option<VerifiedOutline>,
    index: ChunkIndex,
    place: Range<usize>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) good: Vec<VerifiedChunk>,
    pub(super) bad: Vec<Bad>,
}

/// Content that is not what it should be.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) ordinal: Ordinal,
    pub(super) index: ChunkIndex,
    pub(super) len: u64,
    pub(super) why: VerifyError,
}

impl Piece {
    pub(super) fn new(expected: &Expected, index: ChunkIndex, place: Range<usize>) -> Self {
        let Expected { entry, outline, .. } = expected;
        Self { entry: entry.clone(), outline: outline.clone(), index, place }
    }

    pub(super) fn len(&self) -> usize {
        self.place.len()
    }

    /// The content moves to the front of another buffer; says where it began.
    pub(super) fn move_to_front(&mut self) -> usize {
        let begun = self.place.start;
        self.place = 0..self.place.len();
        begun
    }
}

impl Batch {
    pub(super) fn new(bytes: Bytes, pieces: Vec<Piece>) -> Self {
        Self { bytes, pieces }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Checks every record against its digest. The content is sliced, not copied.
    pub(super) fn check(self, size: ChunkSize) -> Checked {
        let mut checked = Checked { good: Vec::with_capacity(self.pieces.len()), bad: Vec::new() };
        for Piece { entry, outline, index, place } in self.pieces {
            let len = place.len() as u64;
            match VerifiedChunk::check(&entry, size, outline.as_ref(), index, self.bytes.slice(place)) {
                Ok(chunk) => checked.good.push(chunk),
                Err(why) => checked.bad.push(Bad { ordinal: entry.ordinal, index, len, why }),
            }
        }
        checked
    }
}
