//! Where received bytes wait, and how they become visible.

use std::fmt;
use std::sync::Arc;

use peerstream_types::{ChunkRange, Entry, EntryKey, KeyError, ManifestHeader, Ordinal, Selector, ShardId};

use crate::{BoxFuture, DiskError, OffloadGone, VerifiedChunk};

/// Orders the writers of a shard: a writer with a larger fence replaces one with a smaller fence,
/// whose operations fail with [`SinkError::Fenced`] from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// Which generation of a shard is visible; counts up with every publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Chunks of an entry that are already staged and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The entry.
    pub ordinal: Ordinal,
    /// Its verified chunks: ascending, disjoint.
    pub chunks: Vec<ChunkRange>,
}

/// Receives shards.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Opens the staging of the selected part of a shard, with whatever an earlier attempt left
    /// there. One writer per shard: see [`Fence`].
    ///
    /// # Errors
    ///
    /// [`SinkError::Fenced`] if a writer with a larger fence was here before.
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>>;

    /// The manifest header of the visible generation, or `None` before the first publish.
    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>>;
}

/// Where the verified chunks of one shard wait until publish. Kept by content: what was verified
/// for one manifest is found again under the next one with equal digests.
///
/// Calls come in this order: `begin`, then `admit` and `store` in any mixture (a chunk only after
/// its entry was admitted), `seal`, `publish`. `begin` again starts over with another manifest and
/// keeps the content. Dropping a staging keeps what is in it.
pub trait Staging: Send + Sync + fmt::Debug {
    /// Starts (over) with a manifest. Only its chunk size is final yet. Content is kept.
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Takes the next entries of the manifest, in order, and says which of their chunks are already
    /// held. Keys are checked here: what this sink cannot keep is refused.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadKey`], [`SinkError::DuplicateKey`]: the manifest cannot be used here.
    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>>;

    /// Keeps chunks: many small entries at once, or a few large chunks. Idempotent. After an error
    /// some of them may be kept. Not cancel safe either way: the call is simply repeated.
    ///
    /// What is kept outlives this writer. Until the next checkpoint, the end of the process, or of the
    /// store's value in it, may cost some of what came last: no more than a fast path has in flight, a few
    /// MiB.
    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Makes everything stored so far survive the end of the process and a power loss.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Checks that every admitted entry is complete and makes all of it durable; nothing is visible
    /// yet. `header` is the sealed one.
    ///
    /// # Errors
    ///
    /// [`SinkError::Incomplete`] if chunks are missing: the caller is at fault.
    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Makes the sealed generation visible in one step: data, position and state together. The old
    /// generation stays readable until then, and stays if this fails. Not cancel safe: an abandoned
    /// call may or may not have published; [`Sink::current`] tells.
    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>>;

    /// Throws the staged content away.
    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Why a sink did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A newer writer has taken the shard over. This one must stop; nothing of it was published.
    #[error("shard {shard}: a newer writer (fence {newer}) has taken over")]
    Fenced {
        /// The shard.
        shard: ShardId,
        /// The newer writer's fence.
        newer: u64,
    },
    /// The source's manifest names something that cannot be kept here. The source is at fault;
    /// nothing of this page was admitted.
    #[error("the manifest cannot be kept here: {0}")]
    BadKey(#[from] KeyError),
    /// An entry cannot be kept here for another reason than its key: it cannot be verified, or is of
    /// a kind that this sink does not hold. The source is at fault, or the wrong one for this sink;
    /// nothing of this page was admitted.
    #[error("entry {key} cannot be kept here: {why}")]
    BadEntry {
        /// The entry.
        key: EntryKey,
        /// What is wrong with it.
        why: String,
    },
    /// Two entries with one key, or keys out of order. The source is at fault.
    #[error("the manifest names {0} twice or out of order")]
    DuplicateKey(EntryKey),
    /// An entry that was never admitted, or a chunk that it does not have.
    #[error("{0} was not admitted with that chunk")]
    NotAdmitted(EntryKey),
    /// Chunks are missing, so nothing was sealed.
    #[error("{missing} entries are incomplete, the first is {first}")]
    Incomplete {
        /// How many entries.
        missing: u64,
        /// The first of them.
        first: EntryKey,
    },
    /// `publish` before `seal`.
    #[error("nothing is sealed")]
    NotSealed,
    /// The sealed header does not fit what was admitted. The source is at fault.
    #[error("the sealed manifest does not fit its pages: {0}")]
    BadManifest(String),
    /// The sink does not receive this shard. Nothing was changed; ask for one that it receives.
    #[error("shard {0} is not received here")]
    NoSuchShard(ShardId),
    /// The sink cannot take this part of a shard.
    #[error("this sink cannot take that part of shard {0}")]
    UnsupportedSelector(ShardId),
    /// There is no room for what the manifest holds. Nothing of this page was admitted, what is
    /// staged is kept: make room, then start again.
    #[error("no room for shard {shard}: {needed} bytes are needed, {free} may be used")]
    NoRoom {
        /// The shard.
        shard: ShardId,
        /// Bytes that are still to come, other shards under way included.
        needed: u64,
        /// Bytes that may be used.
        free: u64,
    },
    /// The host did not take the new generation. The one before is still the visible one. Staging is
    /// kept, so nothing has to be fetched again: publish again once the host is ready.
    #[error("shard {shard}: the host did not take the new generation, the old one stays visible: {why}")]
    Hook {
        /// The shard.
        shard: ShardId,
        /// What the host said.
        why: String,
    },
    /// There is no generation before the visible one to go back to. Nothing was changed.
    #[error("shard {0} has no generation to go back to")]
    NoPrevious(ShardId),
    /// The disk failed; staging is kept.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The pool that hashes went away: this node is shutting down. Staging is kept.
    #[error(transparent)]
    Offload(#[from] OffloadGone),
}
