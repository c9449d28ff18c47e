//! Where received bytes wait, and how they become visible.

use std::fmt;
use std::future::ready;
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

    /// Whether the entries of a shard are merged into a live store (a *merge sink*), instead of making
    /// a generation of their own. Constant for a shard.
    ///
    /// A merge sink commits idempotent pieces into a store that goes on being written: an entry may be
    /// read from the moment it is complete, but nothing is *ready* before [`Staging::publish`], which
    /// commits position and state and says that the shard is whole. It takes variants of one key from
    /// several sources, and the merge of that store decides what becomes of them.
    fn merges(&self, _shard: &ShardId) -> bool {
        false
    }
}

/// Where the verified chunks of one shard wait until publish. Kept by content: what was verified
/// for one manifest is found again under the next one with equal digests.
///
/// Calls come in this order: `begin`, then `admit` and `store` in any mixture (a chunk only after
/// its entry was admitted), `seal`, `publish`. `begin` again starts over with another manifest and
/// keeps the content. Dropping a staging keeps what is in it.
///
/// With a [merge sink](Sink::merges), the manifest may be a union of those of several sources: each of
/// them but the first is announced with `contribute`, and entries with one key may differ. Their
/// ordinals count on through the union, variants included.
pub trait Staging: Send + Sync + fmt::Debug {
    /// Starts (over) with a manifest. Only its chunk size is final yet. Content is kept.
    ///
    /// # Errors
    ///
    /// [`SinkError::BeyondHorizon`] and [`SinkError::SourceBeyondHorizon`] as for
    /// [`contribute`](Self::contribute), of merge sinks only.
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Says that another source contributes to the manifest under way, before any of its entries is
    /// admitted. A merge sink checks that no delete is lost between it, this replica and the sources
    /// before, and takes its state into account; its chunk size must be the one begun with. Idempotent:
    /// a source that comes back with a newer snapshot contributes again. Other sinks take no notice:
    /// all of their sources have one manifest, or one follows the other with `begin`.
    ///
    /// # Errors
    ///
    /// [`SinkError::BeyondHorizon`]: this replica is too old. [`SinkError::SourceBeyondHorizon`]: that
    /// source is. [`SinkError::BadManifest`]: its state means nothing here. The manifest under way
    /// stays as it is.
    fn contribute<'a>(&'a self, _header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(ready(Ok(())))
    }

    /// Takes the next entries of the manifest, in order, and says which of their chunks are already
    /// held. Keys are checked here: what this sink cannot keep is refused.
    ///
    /// Keys ascend. With a merge sink neighbours may share a key: *variants* of one block, unequal
    /// copies of different replicas, each with another digest. Every other sink refuses equal keys.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadKey`], [`SinkError::DuplicateKey`]: the manifest cannot be used here.
    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>>;

    /// Keeps chunks: many small entries at once, or a few large chunks. Idempotent. After an error
    /// some of them may be kept. Not cancel safe either way: the call is simply repeated.
    ///
    /// A merge sink may find fault with the content of an entry, when the last chunk of it is stored. It
    /// forgets what it has of the copy that the error names. Other entries of the call lose nothing: what is
    /// not kept of them is, or is found fault with in its turn, when they are stored again without it.
    ///
    /// What is kept outlives this writer. Until the next checkpoint, the end of the process, or of the
    /// store's value in it, may cost some of what came last: no more than a fast path has in flight, a few
    /// MiB.
    ///
    /// # Errors
    ///
    /// Of merge sinks only, and of one entry: [`SinkError::BadEntry`], the source is at fault;
    /// [`SinkError::Unmergeable`], nobody is.
    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Says that a variant cannot be had, and that the consistency level does without it: `seal` no
    /// longer asks for it. The other variants of its key are merged as ever. For merge sinks only;
    /// no generation is whole without an entry, so other sinks take no notice. Idempotent.
    ///
    /// Changes that the left out variant had are missing from then on: what is published after that keeps
    /// the position that this replica had, or none, whatever the header says.
    ///
    /// # Errors
    ///
    /// [`SinkError::BadManifest`] for an ordinal that was not admitted: the caller is at fault.
    fn leave_out(&self, _ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(ready(Ok(())))
    }

    /// Makes everything stored so far survive the end of the process and a power loss.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Checks that every admitted entry is complete and makes all of it durable; nothing is visible
    /// yet. `header` is the sealed one.
    ///
    /// A merge sink has merged an entry into the live store when the last of its chunks was stored, at
    /// the latest here. Its `header` is the sealed one while there is one source. With several, no
    /// source has sealed the union: the sink takes the position from `header`, which is the least of
    /// theirs, or none if something was [left out](Self::leave_out), and compares neither counts nor digest.
    ///
    /// # Errors
    ///
    /// [`SinkError::Incomplete`] if chunks are missing: the caller is at fault.
    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Makes the sealed generation visible in one step: data, position and state together. The old
    /// generation stays readable until then, and stays if this fails. Not cancel safe: an abandoned
    /// call may or may not have published; [`Sink::current`] tells.
    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>>;

    /// Throws the staged content away. What a merge sink has merged stays: it is part of the live store.
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
    /// nothing of this page was admitted. Of [`Staging::store`]: its content, which fits its digest, is not
    /// what this sink holds. This copy is of no use, whoever has it.
    #[error("entry {key} cannot be kept here: {why}")]
    BadEntry {
        /// The entry.
        key: EntryKey,
        /// What is wrong with it.
        why: String,
    },
    /// A copy of an entry is good, but a merge sink cannot make it one with what it has of the entry: it
    /// would be too long, say, or that is damaged. No source is at fault. What was here stays as it is: go
    /// on without this copy.
    #[error("entry {key} cannot be merged with what is here: {why}")]
    Unmergeable {
        /// The entry.
        key: EntryKey,
        /// What is in the way.
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
    #[error(
        "no room for shard {shard}: {needed} bytes are needed, {free} are free, of which {reserve} stay \
         free as a reserve"
    )]
    NoRoom {
        /// The shard.
        shard: ShardId,
        /// Bytes that are still to come, other shards under way included.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Those of them that the sink leaves free. The rest is what may be used.
        reserve: u64,
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
    /// This replica has data that is older than deletes which the source has made and forgotten since
    /// (its tombstone horizon): what was deleted would come back. Nothing of the source was merged.
    /// Empty the shard here (its data is of no use any more), then bootstrap it from nothing.
    #[error(
        "shard {shard}: this replica knows of deletes up to {synced} only, and {purged} is forgotten \
         elsewhere: empty the shard, then bootstrap it"
    )]
    BeyondHorizon {
        /// The shard.
        shard: ShardId,
        /// The stamp up to which every delete is known to be in this replica's data, what was merged
        /// from other sources included.
        synced: u64,
        /// The stamp of the newest delete that the source no longer knows.
        purged: u64,
    },
    /// The source has data that is older than deletes which this replica, or a source before it, has
    /// made and forgotten since. Nothing of it was merged, the others are not affected: go on without
    /// it. It has to be repaired from nothing itself.
    #[error(
        "shard {shard}: the source knows of deletes up to {synced} only, and {purged} is forgotten here: go \
         on without it"
    )]
    SourceBeyondHorizon {
        /// The shard.
        shard: ShardId,
        /// The stamp up to which every delete is known to be in the source's data.
        synced: u64,
        /// The stamp of the newest delete that is no longer known here.
        purged: u64,
    },
    /// The disk failed; staging is kept.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The pool that hashes went away: this node is shutting down. Staging is kept.
    #[error(transparent)]
    Offload(#[from] OffloadGone),
}
