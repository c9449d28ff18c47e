//! Digests as a source makes them: content to chaining values to the digest of an entry.

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkIndex, ChunkSize, Digest, Entry, GROUP_CHUNKS, GroupIndex};

use crate::verify::{chaining_value, group_value, root_of_chunks, root_of_groups};

/// The digest of an entry and, if it has more than one chunk, the chaining values of its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The ordinary BLAKE3 hash of the whole.
    pub digest: Digest,
    /// One chaining value per chunk; empty for entries of at most one chunk, which have no outline.
    pub outline: Vec<ChainingValue>,
}

impl Described {
    /// Hashes content that is in memory. Costs one BLAKE3 pass.
    pub fn of(size: ChunkSize, content: &Bytes) -> Self {
        let chunk = usize::try_from(size.bytes()).expect("a chunk fits in memory");
        if content.len() <= chunk {
            return Self { digest: digest_of_whole(content), outline: Vec::new() };
        }
        let chunks = (0u64..).zip(content.chunks(chunk));
        let outline: Vec<_> = chunks.map(|(i, part)| chaining_value(size, ChunkIndex(i), part)).collect();
        Self { digest: digest_of_outline(size, content.len() as u64, &outline), outline }
    }
}

/// The digest of an entry of at most one chunk.
pub fn digest_of_whole(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

/// The digest of an entry of `len` bytes whose chunks have these chaining values, however many groups
/// they make.
///
/// # Panics
///
/// If there are not as many values as an entry of that length has chunks, or fewer than two.
pub fn digest_of_outline(size: ChunkSize, len: u64, outline: &[ChainingValue]) -> Digest {
    assert!(outline.len() > 1 && outline.len() as u64 == size.chunks_in(len), "one value per chunk");
    Digest::Blake3(root_of_chunks(size, len, outline))
}

/// The digest of an entry of `len` bytes whose groups have these chaining values.
///
/// # Panics
///
/// If there are not as many values as an entry of that length has groups, or fewer than two.
pub fn digest_of_top(size: ChunkSize, len: u64, top: &[ChainingValue]) -> Digest {
    assert!(top.len() > 1 && top.len() as u64 == size.groups_in(len), "one value per group");
    Digest::Blake3(root_of_groups(size, len, top))
}

/// The chaining values of the groups of an entry of `len` bytes, from those of all of its chunks;
/// none for an entry of at most one group, which has no top.
///
/// # Panics
///
/// If there are not as many values as an entry of more than one group has chunks.
pub fn top_of_outline(size: ChunkSize, len: u64, outline: &[ChainingValue]) -> Vec<ChainingValue> {
    if size.groups_in(len) < 2 {
        return Vec::new();
    }
    assert!(outline.len() as u64 == size.chunks_in(len), "one value per chunk");
    let groups = (0..).map(GroupIndex).zip(outline.chunks(GROUP_CHUNKS as usize));
    groups.map(|(group, values)| group_value(size, len, group, values)).collect()
}

/// Names content in a staging and in an outline. Length and chunk size belong to it: under a false
/// length, the right digest vouches for other chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContentId {
    pub(crate) digest: Digest,
    pub(crate) len: u64,
    pub(crate) chunk_size: ChunkSize,
}

impl ContentId {
    /// The content of an entry, unless it has no digest yet.
    pub(crate) fn of(entry: &Entry, chunk_size: ChunkSize) -> Option<Self> {
        Some(Self { digest: entry.digest?, len: entry.len, chunk_size })
    }

    /// How many chunks it has.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunk_size.chunks_in(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_ordinary_hash() {
        let size = ChunkSize::new(1024).unwrap();
        for len in [0usize, 1, 1024, 1025, 2048, 5000, 70_000] {
            let content: Bytes = (0..len).map(|i| (i % 251) as u8).collect();
            let described = Described::of(size, &content);
            assert_eq!(described.digest.as_bytes(), blake3::hash(&content).as_bytes(), "{len}");
            let chunks = if len <= 1024 { 0 } else { len.div_ceil(1024) };
            assert_eq!(described.outline.len(), chunks);
        }
    }
}
