//! Where bytes come from: a consistent, immutable image of a shard.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{
    ChainingValue, ChunkRange, Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Selector, ShardId,
};

use crate::{BoxFuture, DiskError, OffloadGone};

/// One page of an inventory.
#[derive(Debug, Clone)]
pub struct Page {
    /// Entries in ascending key order, continuing where the page before ended. Ordinals count on.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<PageToken>,
    /// The sealed header, on the last page.
    pub sealed: Option<ManifestHeader>,
}

/// Opens snapshots of the shards that this node holds.
pub trait Source: Send + Sync + fmt::Debug {
    /// Opens a consistent, immutable image of the selected part of a shard. The position in its
    /// header was captured before the image was taken.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchShard`] if this node does not hold the shard; others as they say.
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>>;
}

/// An immutable image of a shard. Whoever holds the `Arc` holds the lease: the image stays as it
/// is until the last one is dropped. All methods are cancel safe.
///
/// A source that goes on being written freezes what it lists: every entry has the digest that it has in
/// this image, and content comes from the image, whatever is written since. So an entry that changes
/// while it is listed is neither listed twice nor missed (row F-04).
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// What the snapshot is, as far as it is known; final once sealed.
    fn header(&self) -> ManifestHeader;

    /// The entries from `token` on, at most `limit` of them and at least one unless the snapshot
    /// has no more. Waits while entries are still being hashed.
    ///
    /// # Errors
    ///
    /// [`SourceError::BadToken`] for a token that this snapshot never gave.
    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>>;

    /// The entries of a run of ordinals, in order: how a fetch that names entries is answered.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`] for the first ordinal that the manifest does not have.
    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>>;

    /// The chaining values of some chunks (level 0) or groups of chunks (level 1) of an entry, one per
    /// chunk or group of `range`, in order. An entry of one chunk has no level 0, one of one group no
    /// level 1, and no entry a higher one. Peers ask for at most one top or one group at a time, but a
    /// range may be as long as the wire allows and cross groups.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`] or [`SourceError::BadRange`] for what the manifest does not have.
    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>>;

    /// Bytes of an entry: exactly `len` of them from `offset` on, at most
    /// [`READ_LEN_MAX`](crate::limits::READ_LEN_MAX) at once.
    ///
    /// # Errors
    ///
    /// [`SourceError::Changed`] if the content is no longer as long as the manifest says;
    /// [`SourceError::BadRange`] if the manifest has no such bytes, or they are too many at once.
    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>>;

    /// A run of entries, each of at most one chunk, with all of their content: how many small entries
    /// are read in one go. One entry's failure is its own. The caller bounds the sum of the lengths.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`] for the first ordinal that the manifest does not have,
    /// [`SourceError::BadRange`] for the first entry of more than one chunk.
    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(read_one_by_one(self, first, count))
    }
}

/// The contents of a run of small entries, each read by itself.
pub(crate) async fn read_one_by_one<S: Snapshot + ?Sized>(
    snapshot: &S,
    first: Ordinal,
    count: u32,
) -> Result<Vec<Content>, SourceError> {
    let size = snapshot.header().chunk_size;
    let mut contents = Vec::new();
    for entry in snapshot.entries(first, count).await? {
        if entry.chunks(size) > 1 {
            return Err(SourceError::BadRange(entry.ordinal));
        }
        let len = usize::try_from(entry.len).map_err(|_| SourceError::BadRange(entry.ordinal))?;
        let bytes = snapshot.read(entry.ordinal, 0, len).await;
        contents.push(Content { entry, bytes });
    }
    Ok(contents)
}

/// A small entry with its content.
#[derive(Debug, Clone)]
pub struct Content {
    /// The entry.
    pub entry: Entry,
    /// All of its bytes, or why there are none.
    pub bytes: Result<Bytes, SourceError>,
}

/// Why a source could not answer. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// This node does not hold the shard. Ask another.
    #[error("shard {0} is not held here")]
    NoSuchShard(ShardId),
    /// The shard is held but cannot be served now: it is being received itself, say. Ask another,
    /// or later.
    #[error("shard {shard} cannot be served now: {why}")]
    NotReady {
        /// The shard.
        shard: ShardId,
        /// Why not.
        why: String,
    },
    /// The source cannot answer such a selector.
    #[error("this source cannot select that part of shard {0}")]
    UnsupportedSelector(ShardId),
    /// The manifest has no such entry: the asking side is at fault.
    #[error("the manifest has no entry {0}")]
    NoSuchEntry(Ordinal),
    /// The entry has no such bytes or chunks: the asking side is at fault.
    #[error("entry {0} has no such bytes")]
    BadRange(Ordinal),
    /// The token is not one that this snapshot gave: the asking side is at fault.
    #[error("the page token is not of this snapshot")]
    BadToken,
    /// The content changed under the manifest: it was supposed to be immutable. This entry cannot
    /// be served any more; the operator of this node has to look.
    #[error("entry {ordinal} ({key}) changed under its manifest: {why}")]
    Changed {
        /// The entry.
        ordinal: Ordinal,
        /// Its key.
        key: EntryKey,
        /// What was found.
        why: String,
    },
    /// A key cannot be served: it would not be accepted elsewhere.
    #[error("cannot serve shard {shard}: {why}")]
    BadEntry {
        /// The shard.
        shard: ShardId,
        /// Which entry and what is wrong with it.
        why: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The pool that hashes went away: this node is shutting down. Ask another.
    #[error(transparent)]
    Offload(#[from] OffloadGone),
}
