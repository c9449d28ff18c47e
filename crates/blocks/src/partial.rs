//! Copies of which some chunks are here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{Bytes, BytesMut};
use peerstream_snapshot::{SinkError, VerifiedChunk};
use peerstream_types as types;
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Digest, EntryKey, ShardId};

use crate::limits::PARTIAL_LEN_MAX;
use crate::union::Union;

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
    /// With less room than usual.
    #[cfg(test)]
    pub(crate) fn with_room(free: u64) -> Self {
        Self { len: PARTIAL_LEN_MAX - free, ..Self::default() }
    }

    /// Which chunks of a copy are here: ascending, disjoint. Of one that is whole, and that a call which
    /// ended half way did not come to merge, the last is not among them: it is merged when that is stored.
    pub(crate) fn held(&self, entry: &types::Entry, size: ChunkSize) -> Vec<ChunkRange> {
        let mut ranges: Vec<ChunkRange> = Vec::new();
        let copy = self.copies.get(&id_of(entry, size));
        let whole = copy.map(|copy| copy.len() as u64).filter(|len| *len == entry.chunks(size));
        let missing = whole.map(|len| len - 1);
        for index in copy.into_iter().flat_map(BTreeMap::keys).filter(|index| Some(**index) != missing) {
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
                return Err(SinkError::NoRoom { shard: shard.clone(), needed, free, reserve: 0 });
            }
            place.insert(chunk.bytes().clone());
            self.len += needed;
        }
        Ok((copy.len() as u64 == chunks).then(|| joined(copy)))
    }

    /// Forgets copies that a manifest does not list; whether there were any.
    pub(crate) fn forget_unlisted(&mut self, union: &Union) -> bool {
        let before = self.len;
        self.copies.retain(|(key, digest, len, size), copy| {
            let keep = *size == union.chunk_size() && union.lists(key, *digest, *len);
            if !keep {
                self.len -= len_of(copy);
            }
            keep
        });
        self.len < before
    }

    pub(crate) fn forget(&mut self, entry: &types::Entry, size: ChunkSize) {
        if let Some(copy) = self.copies.remove(&id_of(entry, size)) {
            self.len -= len_of(&copy);
        }
    }
}

fn len_of(chunks: &BTreeMap<u64, Bytes>) -> u64 {
    chunks.values().map(|chunk| chunk.len() as u64).sum()
}

fn joined(chunks: &BTreeMap<u64, Bytes>) -> Bytes {
    let mut all = BytesMut::new();
    chunks.values().for_each(|chunk| all.extend_from_slice(chunk));
    all.freeze()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peerstream_snapshot::VerifiedOutline;
    use peerstream_snapshot::content::Described;
    use peerstream_types::{Codec, EntryKind, Ordinal};

    use super::*;

    fn chunks(content: &Bytes, size: ChunkSize) -> Vec<VerifiedChunk> {
        let Described { digest, outline } = Described::of(size, content);
        let entry = Arc::new(types::Entry {
            ordinal: Ordinal(0),
            key: EntryKey::new("k").unwrap(),
            len: content.len() as u64,
            digest: Some(digest),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: Vec::new(),
        });
        let outline = VerifiedOutline::check(&entry, size, outline).unwrap();
        let parts = content.chunks(size.bytes() as usize);
        let check = |(index, part): (u64, &[u8])| {
            let (index, part) = (ChunkIndex(index), Bytes::copy_from_slice(part));
            VerifiedChunk::check(&entry, size, Some(&outline), index, part).unwrap()
        };
        (0..).zip(parts).map(check).collect()
    }

    #[test]
    fn a_copy_is_whole_with_its_last_chunk_and_takes_no_room_once_forgotten() {
        let (shard, size) = ("metrics@1/0".parse().unwrap(), ChunkSize::new(1024).unwrap());
        let content = Bytes::from(vec![7; 3_000]);
        let chunks = chunks(&content, size);
        let mut partials = Partials::default();
        for place in [2, 0, 0] {
            assert_eq!(partials.add(&shard, &chunks[place]), Ok(None));
        }
        let runs = [0, 2].map(|first| ChunkRange { first: ChunkIndex(first), count: 1 });
        assert_eq!(partials.held(chunks[0].entry(), size), runs);
        assert_eq!(partials.len, 1024 + 3_000 - 2 * 1024);
        // It is asked for again until it is merged, and is whole each time.
        for place in [1, 2] {
            assert_eq!(partials.add(&shard, &chunks[place]), Ok(Some(content.clone())));
            let all_but_one = [ChunkRange { first: ChunkIndex(0), count: 2 }];
            assert_eq!(partials.held(chunks[0].entry(), size), all_but_one);
        }
        partials.forget(chunks[0].entry(), size);
        assert_eq!((partials.len, partials.held(chunks[0].entry(), size)), (0, Vec::new()));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (shard, size) = ("metrics@1/0".parse().unwrap(), ChunkSize::new(1024).unwrap());
        let chunks = chunks(&Bytes::from(vec![7; 3_000]), size);
        let mut partials = Partials::with_room(1023);
        let full = partials.add(&shard, &chunks[0]);
        assert!(matches!(full, Err(SinkError::NoRoom { needed: 1024, free: 1023, .. })), "{full:?}");
    }
}
