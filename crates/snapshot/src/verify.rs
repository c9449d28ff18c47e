//! The only way into a staging: content checked against the digest in the manifest.
//!
//! **Invariant:** no byte reaches a [`Staging`](crate::Staging) before its digest was checked. It is
//! kept by the types: [`Staging::store`](crate::Staging::store) takes a [`VerifiedChunk`], whose
//! only constructor is [`VerifiedChunk::check`].
//!
//! | an entry of | is checked against |
//! |---|---|
//! | no chunk, one chunk | its digest |
//! | up to [`GROUP_CHUNKS`] chunks | its outline: the chaining values of its chunks, level 0, which are checked against the digest first |
//! | more | the outline of each group of [`GROUP_CHUNKS`] chunks, which is checked against its top: the chaining values of its groups, level 1, which are checked against the digest first |
//!
//! So a [`VerifiedTop`] vouches for a [`VerifiedOutline`], and that for each [`VerifiedChunk`] alone,
//! in any order, from any peer. A receiver needs the top and the outlines of the groups under way: at
//! most 2 MiB and 32 KiB each, whatever the length of the entry.

mod outline;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{
    ChunkIndex, ChunkSize, Digest, Entry, EntryKey, GROUP_CHUNKS, GROUPS_MAX, GroupIndex,
};

pub use outline::{VerifiedOutline, VerifiedTop};
pub use tree::{chaining_value, group_value};
pub(crate) use tree::{root_of_chunks, root_of_groups};

use crate::content::ContentId;

/// Most chunks of one entry: [`GROUPS_MAX`] groups.
pub const OUTLINE_CHUNKS_MAX: u64 = GROUPS_MAX as u64 * GROUP_CHUNKS as u64;

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
    /// The outline of an entry of one group, or the top of a larger one, does not hash to the entry's
    /// digest. Counts against the peer.
    #[error("entry {key}: its outline does not fit its digest")]
    OutlineMismatch {
        /// The entry.
        key: EntryKey,
    },
    /// The outline of a group does not hash to what the top says. Counts against the peer.
    #[error("entry {key} group {group}: its outline does not fit the top")]
    GroupMismatch {
        /// The entry.
        key: EntryKey,
        /// The group.
        group: GroupIndex,
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
    /// The chunk or group needs an outline or a top, and none, or that of another entry or group, was
    /// given: the caller is at fault.
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
    /// Chunks checked against one outline.
    Outline,
    /// Chunks checked against the outline of their group, groups against the top.
    Groups,
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
        n if n > OUTLINE_CHUNKS_MAX => unverifiable("it has more chunks than two levels of outlines hold"),
        n if n > u64::from(GROUP_CHUNKS) => Ok(Scheme::Groups),
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
    /// Checks the bytes of one chunk. Entries of more than one chunk need the `outline` that covers
    /// it: that of its group. Costs one BLAKE3 pass over the bytes: run it through the
    /// [`Offload`](crate::Offload) seam.
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
            Scheme::Outline | Scheme::Groups => {
                let own = outline.filter(|outline| outline.covers(entry, size, index));
                let outline = own.ok_or_else(|| VerifyError::WrongOutline { key: key() })?;
                outline.value(index) == Some(&chaining_value(size, index, &bytes))
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
    /// keep it, and its [top](VerifiedOutline::top), to check the chunk again after a restart.
    pub fn outline(&self) -> Option<&VerifiedOutline> {
        self.outline.as_ref()
    }
}
