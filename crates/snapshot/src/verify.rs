//! The only way into a staging: content checked against the digest in the manifest.
//!
//! **Invariant:** no byte reaches a [`Staging`](crate::Staging) before its digest was checked. It is
//! kept by the types: [`Staging::store`](crate::Staging::store) takes a [`VerifiedChunk`], whose
//! only constructor is [`VerifiedChunk::check`].
//!
//! An entry of one chunk is checked against its digest directly. A longer one has an outline, the
//! BLAKE3 chaining values of its chunks, which is first checked against the digest
//! ([`VerifiedOutline::check`]) and then vouches for each chunk alone, in any order, from any peer.

use std::sync::Arc;

use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkIndex, ChunkSize, Digest, Entry, EntryKey};

/// Most chunks of one entry, so that an outline stays within 2 MiB: 16 GiB of data at the default
/// chunk size. Longer entries need a second level.
pub const OUTLINE_CHUNKS_MAX: u64 = 65_536;

/// Content does not fit its digest. Nothing was stored; ask another source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A chunk's bytes do not hash to what the outline or the digest says. Counts against the peer.
    #[error("entry {key} chunk {chunk}: digest mismatch")]
    ChunkMismatch {
        /// The entry.
        key: EntryKey,
        /// The chunk.
        chunk: ChunkIndex,
    },
    /// A chunk has the wrong length. Counts against the peer.
    #[error("entry {key} chunk {chunk}: {got} bytes instead of {expected}")]
    ChunkLength {
        /// The entry.
        key: EntryKey,
        /// The chunk.
        chunk: ChunkIndex,
        /// Bytes that came.
        got: u64,
        /// Bytes that the manifest promises.
        expected: u64,
    },
    /// The outline does not hash to the entry's digest. Counts against the peer.
    #[error("entry {key}: its outline does not fit its digest")]
    OutlineMismatch {
        /// The entry.
        key: EntryKey,
    },
    /// The entry cannot be checked chunk by chunk: it has no digest, a SHA-256 digest and more than
    /// one chunk, or more than [`OUTLINE_CHUNKS_MAX`] chunks.
    #[error("entry {key} cannot be verified here: {why}")]
    Unverifiable {
        /// The entry.
        key: EntryKey,
        /// Why not.
        why: &'static str,
    },
    /// The chunk needs an outline and none, or that of another entry, was given: the caller is at
    /// fault.
    #[error("entry {key}: the outline given is not its own")]
    WrongOutline {
        /// The entry.
        key: EntryKey,
    },
}

/// How an entry is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Nothing to fetch: the digest is that of no bytes.
    Empty,
    /// One chunk, checked against the digest.
    Whole,
    /// Chunks checked against an outline.
    Outline,
}

/// Says how an entry is verified, before any byte of it is asked for.
///
/// # Errors
///
/// [`VerifyError::Unverifiable`] for what cannot be; [`VerifyError::ChunkMismatch`] for an empty
/// entry whose digest is not that of no bytes.
pub fn scheme(entry: &Entry, size: ChunkSize) -> Result<Scheme, VerifyError> {
    let unverifiable = |why| Err(VerifyError::Unverifiable { key: entry.key.clone(), why });
    let Some(digest) = entry.digest else {
        return unverifiable("it has no digest");
    };
    match entry.chunks(size) {
        0 if digest_of(digest, &[]) == Some(digest) => Ok(Scheme::Empty),
        0 => Err(VerifyError::ChunkMismatch { key: entry.key.clone(), chunk: ChunkIndex(0) }),
        1 => Ok(Scheme::Whole),
        _ if matches!(digest, Digest::Sha256(_)) => unverifiable("SHA-256 verifies single chunks only"),
        n if n > OUTLINE_CHUNKS_MAX => unverifiable("it has more chunks than one outline level holds"),
        _ => Ok(Scheme::Outline),
    }
}

/// The digest of `content` with the algorithm of `like`, or `None` if it is not known here.
fn digest_of(like: Digest, content: &[u8]) -> Option<Digest> {
    match like {
        Digest::Blake3(_) => Some(Digest::Blake3(*blake3::hash(content).as_bytes())),
        Digest::Sha256(_) => {
            use sha2::Digest as _;
            Some(Digest::Sha256(sha2::Sha256::digest(content).into()))
        }
        _ => None,
    }
}

/// The chaining value of chunk `index`, as the subtree at its place in the entry. Meaningful only
/// for entries of more than one chunk.
pub fn chaining_value(size: ChunkSize, index: ChunkIndex, content: &[u8]) -> ChainingValue {
    let offset = size.offset_of(index).expect("an index of an entry has an offset");
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset).update(content);
    ChainingValue(hasher.finalize_non_root())
}

/// The BLAKE3 hash of the entry whose chunks have these chaining values; at least two of them.
pub(crate) fn root_of(size: ChunkSize, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    let split = split_at(size, len);
    let (left, right) = values.split_at(split);
    let left_len = split as u64 * size.bytes();
    let (l, r) = (subtree(size, left_len, left), subtree(size, len - left_len, right));
    *merge_subtrees_root(&l, &r, Mode::Hash).as_bytes()
}

fn subtree(size: ChunkSize, len: u64, values: &[ChainingValue]) -> [u8; 32] {
    if let [only] = values {
        return only.0;
    }
    let split = split_at(size, len);
    let (left, right) = values.split_at(split);
    let left_len = split as u64 * size.bytes();
    merge_subtrees_non_root(&subtree(size, left_len, left), &subtree(size, len - left_len, right), Mode::Hash)
}

/// How many chunks the left subtree of `len` bytes has.
fn split_at(size: ChunkSize, len: u64) -> usize {
    usize::try_from(left_subtree_len(len) / size.bytes()).expect("bounded by OUTLINE_CHUNKS_MAX")
}

/// The chaining values of all chunks of an entry, checked against its digest.
#[derive(Debug, Clone)]
pub struct VerifiedOutline {
    digest: Digest,
    values: Arc<[ChainingValue]>,
}

impl VerifiedOutline {
    /// Checks an outline against the digest of its entry.
    ///
    /// # Errors
    ///
    /// [`VerifyError::OutlineMismatch`] if it does not fit, [`VerifyError::Unverifiable`] if the
    /// entry has no use for an outline.
    pub fn check(entry: &Entry, size: ChunkSize, values: Vec<ChainingValue>) -> Result<Self, VerifyError> {
        if scheme(entry, size)? != Scheme::Outline {
            let why = "an entry of one chunk has no outline";
            return Err(VerifyError::Unverifiable { key: entry.key.clone(), why });
        }
        let fits = values.len() as u64 == entry.chunks(size)
            && entry.digest == Some(Digest::Blake3(root_of(size, entry.len, &values)));
        match entry.digest {
            Some(digest) if fits => Ok(Self { digest, values: values.into() }),
            _ => Err(VerifyError::OutlineMismatch { key: entry.key.clone() }),
        }
    }

    /// The chaining values, one per chunk.
    pub fn values(&self) -> &[ChainingValue] {
        &self.values
    }
}

/// A chunk whose bytes were checked. Proof by construction: nothing else makes one.
#[derive(Debug, Clone)]
pub struct VerifiedChunk {
    entry: Arc<Entry>,
    size: ChunkSize,
    index: ChunkIndex,
    bytes: Bytes,
    outline: Option<VerifiedOutline>,
}

impl VerifiedChunk {
    /// Checks the bytes of one chunk. `outline` is needed for entries of more than one chunk. Costs
    /// one BLAKE3 pass over the bytes: run it through the [`Offload`](crate::Offload) seam.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] says what does not fit; the bytes are dropped.
    pub fn check(
        entry: &Arc<Entry>,
        size: ChunkSize,
        outline: Option<&VerifiedOutline>,
        index: ChunkIndex,
        bytes: Bytes,
    ) -> Result<Self, VerifyError> {
        let key = || entry.key.clone();
        let (got, expected) = (bytes.len() as u64, size.len_of(index, entry.len));
        if got != expected || got == 0 {
            return Err(VerifyError::ChunkLength { key: key(), chunk: index, got, expected });
        }
        let fits = match scheme(entry, size)? {
            Scheme::Empty => false,
            Scheme::Whole => entry.digest.is_some_and(|digest| digest_of(digest, &bytes) == Some(digest)),
            Scheme::Outline => {
                let own = outline.filter(|outline| Some(outline.digest) == entry.digest);
                let outline = own.ok_or_else(|| VerifyError::WrongOutline { key: key() })?;
                let place = usize::try_from(index.0).ok().and_then(|i| outline.values.get(i));
                place == Some(&chaining_value(size, index, &bytes))
            }
        };
        if !fits {
            return Err(VerifyError::ChunkMismatch { key: key(), chunk: index });
        }
        Ok(Self { entry: entry.clone(), size, index, bytes, outline: outline.cloned() })
    }

    /// The entry that the chunk belongs to.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Which chunk it is.
    pub fn index(&self) -> ChunkIndex {
        self.index
    }

    /// The chunk size under which it was checked.
    pub fn chunk_size(&self) -> ChunkSize {
        self.size
    }

    /// Where the chunk begins in its entry.
    pub fn offset(&self) -> u64 {
        self.index.0 * self.size.bytes()
    }

    /// The chunk's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The outline that vouched for the chunk, for entries of more than one chunk: a staging may
    /// keep it, to check the chunk again after a restart.
    pub fn outline(&self) -> Option<&VerifiedOutline> {
        self.outline.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, EntryKind, Ordinal};

    use super::*;

    fn entry(content: &[u8]) -> Arc<Entry> {
        Arc::new(Entry {
            ordinal: Ordinal(0),
            key: EntryKey::from_path("f").unwrap(),
            len: content.len() as u64,
            digest: Some(Digest::Blake3(*blake3::hash(content).as_bytes())),
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: Vec::new(),
        })
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn outline(size: ChunkSize, content: &[u8]) -> Vec<ChainingValue> {
        let chunks = content.chunks(size.bytes() as usize).enumerate();
        chunks.map(|(i, c)| chaining_value(size, ChunkIndex(i as u64), c)).collect()
    }

    #[test]
    fn chunks_of_any_length_merge_to_the_ordinary_hash() {
        let size = ChunkSize::new(1024).unwrap();
        for len in [1025, 2048, 2049, 3000, 5 * 1024, 7 * 1024 + 1, 16 * 1024, 33 * 1024 - 1] {
            let content = content(len);
            let entry = entry(&content);
            let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
            for (i, part) in content.chunks(1024).enumerate().rev() {
                let bytes = Bytes::copy_from_slice(part);
                let index = ChunkIndex(i as u64);
                assert!(
                    VerifiedChunk::check(&entry, size, Some(&outline), index, bytes).is_ok(),
                    "{len}/{i}"
                );
            }
        }
    }

    #[test]
    fn one_flipped_bit_is_found_in_its_chunk() {
        let size = ChunkSize::new(1024).unwrap();
        let content = content(4000);
        let entry = entry(&content);
        let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
        for index in 0..4 {
            let mut part = content[index * 1024..].iter().copied().take(1024).collect::<Vec<_>>();
            *part.last_mut().unwrap() ^= 1;
            let index = ChunkIndex(index as u64);
            let result = VerifiedChunk::check(&entry, size, Some(&outline), index, part.into());
            assert_eq!(
                result.unwrap_err(),
                VerifyError::ChunkMismatch { key: entry.key.clone(), chunk: index }
            );
        }
    }

    #[test]
    fn a_chunk_at_another_place_is_refused() {
        let size = ChunkSize::new(1024).unwrap();
        let content = vec![7u8; 4096];
        let entry = entry(&content);
        let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
        let mut other = outline.clone();
        other.digest = Digest::Blake3([0; 32]);
        let bytes = Bytes::copy_from_slice(&content[..1024]);
        assert!(VerifiedChunk::check(&entry, size, Some(&outline), ChunkIndex(4), bytes.clone()).is_err());
        assert!(VerifiedChunk::check(&entry, size, Some(&other), ChunkIndex(0), bytes.clone()).is_err());
        assert!(VerifiedChunk::check(&entry, size, None, ChunkIndex(0), bytes).is_err());
    }

    #[test]
    fn a_forged_or_short_outline_is_refused() {
        let size = ChunkSize::new(1024).unwrap();
        let content = content(4000);
        let entry = entry(&content);
        let good = outline(size, &content);
        let mut forged = good.clone();
        forged[2].0[0] ^= 1;
        for bad in [forged, good[..3].to_vec(), [good.clone(), good].concat(), Vec::new()] {
            assert!(VerifiedOutline::check(&entry, size, bad).is_err());
        }
    }

    /// F-61: an empty entry is verified by its digest alone.
    #[test]
    fn an_empty_entry_is_checked_against_its_digest() {
        let mut empty = entry(b"").as_ref().clone();
        assert_eq!(scheme(&empty, ChunkSize::DEFAULT), Ok(Scheme::Empty));
        empty.digest = Some(Digest::Blake3([1; 32]));
        assert!(scheme(&empty, ChunkSize::DEFAULT).is_err());
        empty.digest = None;
        assert!(scheme(&empty, ChunkSize::DEFAULT).is_err());
    }

    #[test]
    fn single_chunks_are_checked_with_sha256_too() {
        use sha2::Digest as _;
        let mut with_sha = entry(b"hello").as_ref().clone();
        with_sha.digest = Some(Digest::Sha256(sha2::Sha256::digest(b"hello").into()));
        let with_sha = Arc::new(with_sha);
        let check = |bytes: &'static [u8]| {
            VerifiedChunk::check(
                &with_sha,
                ChunkSize::DEFAULT,
                None,
                ChunkIndex(0),
                Bytes::from_static(bytes),
            )
        };
        assert!(check(b"hello").is_ok());
        assert!(check(b"hellO").is_err());
    }
}
