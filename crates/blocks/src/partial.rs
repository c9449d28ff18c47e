//! Copies of which some chunks are here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{Bytes, BytesMut};
use peerstream_snapshot::{SinkError, VerifiedChunk};
use peerstream_types as types;
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Digest, EntryKey, ShardId};

use crate::limits::PARTIAL_LEN_MAX;

/// Which copy of which block, cut how.
type CopyId = (EntryKey, Option<Digest>, u64, ChunkSize);

/// Chunks in memory, for the life of a recovery. A copy is whole or fetched again after a crash: what
/// that costs is the blocks under way, at most [`PARTIAL_LEN_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Partials {
    copies: BTreeMap<CopyId, BTreeMap<u64, Bytes>>,
    len: u64,
}

fn id_of(entry: &types::Entry, size: ChunkSize) -> CopyId {
    (entry.key.clone(), entry.digest, entry.len, size)
}

impl Partials {
    /// Which chunks of a copy are here: ascending, disjoint.
    pub(crate) fn held(&self, entry: &types::Entry, size: ChunkSize) -> Vec<ChunkRange> {
        let mut ranges: Vec<ChunkRange> = Vec::new();
        for index in self.copies.get(&id_of(entry, size)).into_iter().flat_map(BTreeMap::keys) {
            match ranges.last_mut().filter(|range| range.end() == *index) {
                Some(range) => range.count += 1,
                None => ranges.push(ChunkRange { first: ChunkIndex(*index), count: 1 }),
            }
        }
        ranges
    }

    /// Keeps a chunk. Answers the content if the copy is whole by that; it is forgotten here once it is
    /// [merged](Self::forget).
    pub(crate) fn add(&mut self, shard: &ShardId, chunk: &VerifiedChunk) -> Result<Option<Bytes>, SinkError> {
        let (entry, size) = (chunk.entry(), chunk.chunk_size());
        let chunks = entry.chunks(size);
        if chunks == 1 {
            return Ok(Some(chunk.bytes().clone()));
        }
        let needed = chunk.bytes().len() as u64;
        let free = PARTIAL_LEN_MAX - self.len;
        let copy = self.copies.entry(id_of(entry, size)).or_default();
        if let Entry::Vacant(place) = copy.entry(chunk.index().0) {
            if needed > free {
                return Err(SinkError::NoRoom { shard: shard.clone(), needed, free });
            }
            place.insert(chunk.bytes().clone());
            self.len += needed;
        }
        Ok((copy.len() as u64 == chunks).then(|| joined(copy)))
    }

    pub(crate) fn forget(&mut self, entry: &types::Entry, size: ChunkSize) {
        if let Some(copy) = self.copies.remove(&id_of(entry, size)) {
            self.len -= copy.values().map(|chunk| chunk.len() as u64).sum::<u64>();
        }
    }
}

fn joined(chunks: &BTreeMap<u64, Bytes>) -> Bytes {
    let mut all = BytesMut::new();
    chunks.values().for_each(|chunk| all.extend_from_slice(chunk));
    all.freeze()
}
