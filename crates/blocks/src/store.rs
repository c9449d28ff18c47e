//! A store of blocks: written by its host, served to peers, and merged with what peers have.

mod absorb;
mod doors;
mod open;
mod purge;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::{DiskError, OffloadGone};
use peerstream_types::{ChunkSize, Position, ShardId};
use tokio::sync::OwnedMutexGuard;

use crate::cell::Cell;
use crate::frozen::FrozenBlocks;
use crate::horizon::Knowledge;
use crate::limits::{APPLY_BLOCKS, BLOCKS_MAX, HOOK_NAME_LEN_MAX};
use crate::medium::{Change, Facts, Head, Medium, MediumError, ShardMedium};
use crate::memory::Memory;
use crate::writers::Writers;
use crate::{BlockKey, BlockKeyError, MergeError, MergeHook, Stamp};
pub(crate) use absorb::Copy;

/// How a block store treats its blocks. The same in all replicas of a dataset.
#[derive(Debug, Clone)]
pub struct BlockOptions {
    /// Decides between copies of a block that differ.
    pub hook: Arc<dyn MergeHook>,
    /// How long tombstones are kept at least, in the unit of [`Stamp`]. The longer, the longer may a
    /// replica be away and still be repaired in place. Default ten days, in milliseconds.
    pub horizon: u64,
    /// How long a block is in time, in milliseconds: which blocks a time range selects. Default two hours.
    pub block_len_ms: i64,
    /// How blocks are cut when they are served. Default [`ChunkSize::DEFAULT`].
    pub chunk_size: ChunkSize,
}

impl BlockOptions {
    /// The defaults, with a hook.
    pub fn new(hook: impl MergeHook + 'static) -> Self {
        Self {
            hook: Arc::new(hook),
            horizon: 10 * 24 * 3600 * 1000,
            block_len_ms: 2 * 3600 * 1000,
            chunk_size: ChunkSize::DEFAULT,
        }
    }
}

/// Why a block store did not do what its host asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The payload is none of the merge hook's, or the merge is too long. Nothing was changed.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Something is kept under the key whose tags are not those of the key. The store is damaged.
    #[error(transparent)]
    Key(#[from] BlockKeyError),
    /// A delete that this write is older than may have been forgotten already: to take it could bring
    /// back what was deleted. Nothing was changed; write it with a newer stamp if it is meant.
    #[error("shard {shard}: deletes up to {purged} are forgotten, so a write of {stamp} is not taken")]
    BeyondHorizon {
        /// The shard.
        shard: ShardId,
        /// The oldest stamp in the write.
        stamp: Stamp,
        /// The newest delete that is forgotten.
        purged: Stamp,
    },
    /// Nothing is kept of the shard. Nothing was changed.
    #[error("shard {0} is not held here")]
    NoSuchShard(ShardId),
    /// The shard has [`BLOCKS_MAX`] blocks, tombstones among them, and the change would add one, which
    /// could not be served. Nothing was changed; blocks that are there are written as before. Divide the
    /// data into more shards, or let blocks cover more time.
    #[error("the shard has {BLOCKS_MAX} blocks already, and may have no more")]
    Full,
    /// The disk failed; whether the change happened is open.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The pool that the database runs on went away: this node is shutting down.
    #[error(transparent)]
    Offload(#[from] OffloadGone),
}

impl From<MediumError> for BlockError {
    fn from(error: MediumError) -> Self {
        match error {
            MediumError::Full(_) => Self::Full,
            MediumError::Disk(error) => error.into(),
            MediumError::Offload(error) => error.into(),
        }
    }
}

/// What a store has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its key.
    pub key: BlockKey,
    /// The last delete of it that is remembered.
    pub deleted: Option<Stamp>,
    /// What was written after that, in the hook's encoding; `None` for a tombstone.
    pub payload: Option<Bytes>,
}

/// Shards of blocks, in memory or on disk; clones share them. See the [crate](crate).
///
/// A shard is *ready* once its host has [created](Self::create) it, or a recovery was published into it;
/// before that it takes writes, and is not served. One change of a shard is made at a time. Writes
/// survive the end of the process where the medium does, and a power loss after [`flush`](Self::flush).
/// An abandoned call may or may not have changed its block; nothing else.
#[derive(Clone)]
pub struct BlockStore {
    inner: Arc<Inner>,
}

struct Inner {
    medium: Box<dyn Medium>,
    options: BlockOptions,
    shards: Mutex<BTreeMap<ShardId, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<OpenShard>>>;

/// A shard as the store has it open.
pub(crate) struct OpenShard {
    pub(crate) medium: Box<dyn ShardMedium>,
    pub(crate) writers: Writers,
    /// The snapshot that somebody may still hold, if nothing was written since.
    frozen: Weak<FrozenBlocks>,
}

pub(crate) type ShardGuard = tokio::sync::OwnedMappedMutexGuard<Option<OpenShard>, OpenShard>;

impl BlockStore {
    /// A store in memory.
    ///
    /// # Panics
    ///
    /// If the name of the hook is longer than [`HOOK_NAME_LEN_MAX`].
    pub fn in_memory(options: BlockOptions) -> Self {
        Self::over(Box::new(Memory), options)
    }

    pub(crate) fn over(medium: Box<dyn Medium>, options: BlockOptions) -> Self {
        assert!(options.hook.name().len() <= HOOK_NAME_LEN_MAX, "the name of the merge hook is too long");
        Self { inner: Arc::new(Inner { medium, options, shards: Mutex::default() }) }
    }

    /// Says that this node is where the shard begins: it is ready, empty if it is new.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn create(&self, shard: &ShardId) -> Result<(), BlockError> {
        let mut open = self.shard(shard).await?;
        let facts = Facts { ready: true, ..self.facts_of(&open) };
        Ok(open.apply(Vec::new(), Some(facts)).await?)
    }

    /// Whether the shard is ready: created here, or published by a recovery.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn is_ready(&self, shard: &ShardId) -> Result<bool, BlockError> {
        let open = self.known_shard(shard).await?;
        Ok(open.is_some_and(|open| open.medium.facts().is_some_and(|facts| facts.ready)))
    }

    /// Writes a block: merges a payload of the hook into what is there. Taken at any time, while the
    /// shard is received or served too.
    ///
    /// # Errors
    ///
    /// [`BlockError::Merge`], [`BlockError::BeyondHorizon`], [`BlockError::Full`], [`BlockError::Disk`].
    pub async fn write(&self, shard: &ShardId, key: &BlockKey, payload: &[u8]) -> Result<(), BlockError> {
        let hook = self.hook();
        let (cell, stamp) = (Cell::written(hook, payload)?, hook.oldest(payload)?);
        let mut open = self.shard(shard).await?;
        let mut facts = self.facts_of(&open);
        let written = facts.knowledge.write(stamp);
        written.map_err(|purged| BlockError::BeyondHorizon { shard: shard.clone(), stamp, purged })?;
        self.change(&mut open, key, &cell, facts).await
    }

    /// Deletes what was written to a block up to `stamp`. What is written later stays, here and
    /// elsewhere: the delete travels to other replicas as a tombstone. Does not ask whether there is
    /// such a block, for another replica may have it. There is always room for it in a block that is here.
    ///
    /// # Errors
    ///
    /// [`BlockError::Full`], [`BlockError::Disk`]; [`BlockError::Merge`] if the hook cannot read what is here:
    /// it is damaged, or of another version of the hook.
    pub async fn delete(&self, shard: &ShardId, key: &BlockKey, stamp: Stamp) -> Result<(), BlockError> {
        let mut open = self.shard(shard).await?;
        let facts = self.facts_of(&open);
        self.change(&mut open, key, &Cell::deleted(stamp), facts).await
    }

    /// What is under a key, `None` if nothing is known of it.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn read(&self, shard: &ShardId, key: &BlockKey) -> Result<Option<Block>, BlockError> {
        let Some(open) = self.known_shard(shard).await? else { return Ok(None) };
        let found = open.medium.get(&key.to_entry_key()).await?;
        found.map(|(_, content)| self.block(key.clone(), &content)).transpose()
    }

    /// The blocks of a shard that follow `after`, in the order of their keys, tombstones among them: at
    /// most `limit`, and never more than 1024. Each call sees the shard as it is then.
    ///
    /// # Errors
    ///
    /// [`BlockError::NoSuchShard`], [`BlockError::Disk`].
    pub async fn scan(
        &self,
        shard: &ShardId,
        after: Option<&BlockKey>,
        limit: usize,
    ) -> Result<Vec<Block>, BlockError> {
        let no_such = || BlockError::NoSuchShard(shard.clone());
        let open = self.known_shard(shard).await?.ok_or_else(no_such)?;
        let image = open.medium.freeze().await?;
        drop(open);
        let after = after.map(BlockKey::to_entry_key);
        let heads = image.heads().await?;
        let from = after.map_or(0, |after| heads.partition_point(|(key, _)| *key <= after));
        let mut blocks = Vec::new();
        for (key, head) in heads.into_iter().skip(from).take(limit.min(APPLY_BLOCKS)) {
            let content = image.content(&key, 0..usize::try_from(head.len).unwrap_or(usize::MAX)).await?;
            let content =
                content.ok_or_else(|| DiskError::corrupt(shard_path(shard).as_ref(), "a block is gone"))?;
            if !head.is_of(&content) {
                let why = format!("block {key} is not what was written");
                return Err(DiskError::corrupt(shard_path(shard).as_ref(), why).into());
            }
            blocks.push(self.block(BlockKey::from_entry(&key, &head.tags)?, &content)?);
        }
        Ok(blocks)
    }

    /// Where the change log continues after what was written so far, for the next snapshot. A recovery
    /// that is published sets it too.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn set_position(&self, shard: &ShardId, position: Option<Position>) -> Result<(), BlockError> {
        let mut open = self.shard(shard).await?;
        let facts = Facts { position, ..self.facts_of(&open) };
        Ok(open.apply(Vec::new(), Some(facts)).await?)
    }

    /// Where the change log continues, as it was set or published last.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn position(&self, shard: &ShardId) -> Result<Option<Position>, BlockError> {
        let open = self.known_shard(shard).await?;
        Ok(open.and_then(|open| open.medium.facts()?.position.clone()))
    }

    /// Says that every delete up to `stamp` has come to this replica, by whatever way the host has, and
    /// that none will be made any more with such a stamp. A recovery of all that sources have says it too,
    /// if each of them has heard of as much. Only tombstones up to there are ever forgotten, and those
    /// that are older than all data here.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn mark_synced(&self, shard: &ShardId, stamp: Stamp) -> Result<(), BlockError> {
        let mut open = self.shard(shard).await?;
        let mut facts = self.facts_of(&open);
        facts.knowledge.mark_synced(stamp);
        Ok(open.apply(Vec::new(), Some(facts)).await?)
    }

    /// Empties the shard, as if nothing had ever been kept of it; it is not ready then. What
    /// [`SinkError::BeyondHorizon`](peerstream_snapshot::SinkError::BeyondHorizon) asks for: whoever owns
    /// the data decides, for what only this replica has is lost. A recovery into it that is under way ends
    /// with [`SinkError::Fenced`](peerstream_snapshot::SinkError::Fenced): begin another one.
    ///
    /// Ended half way, by a crash, an error or because it was abandoned, it may have left blocks, of which
    /// nothing is claimed: no position, and not that any delete has come. Call it again; until then such a
    /// shard is not repaired from who has forgotten deletes.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn clear(&self, shard: &ShardId) -> Result<(), BlockError> {
        let Some(mut open) = self.known_shard(shard).await? else { return Ok(()) };
        open.writers.expel();
        let mut facts = self.facts_of(&open);
        facts.clear();
        let half_way = Facts { knowledge: Knowledge::LEAST, ..facts.clone() };
        open.apply(Vec::new(), Some(half_way)).await?;
        open.medium.sync().await?;
        let heads = open.medium.freeze().await?.heads().await?;
        for part in heads.chunks(APPLY_BLOCKS) {
            open.apply(part.iter().map(|(key, _)| (key.clone(), None)).collect(), None).await?;
        }
        open.apply(Vec::new(), Some(facts)).await?;
        Ok(open.medium.sync().await?)
    }

    /// Makes all that was written to the shard survive a power loss.
    ///
    /// # Errors
    ///
    /// [`BlockError::Disk`].
    pub async fn flush(&self, shard: &ShardId) -> Result<(), BlockError> {
        let Some(mut open) = self.known_shard(shard).await? else { return Ok(()) };
        Ok(open.medium.sync().await?)
    }

    pub(crate) fn hook(&self) -> &dyn MergeHook {
        &*self.inner.options.hook
    }

    /// Merges one cell into the shard.
    async fn change(
        &self,
        open: &mut OpenShard,
        key: &BlockKey,
        cell: &Cell,
        facts: Facts,
    ) -> Result<(), BlockError> {
        let entry_key = key.to_entry_key();
        let before = open.medium.get(&entry_key).await?;
        let (head, cell) = match &before {
            Some((head, content)) => {
                (Some(head), Cell::decode(self.hook(), content)?.merge(self.hook(), cell)?)
            }
            None => (None, cell.clone()),
        };
        let fresh = || Head::new(key.tags().encoded().to_vec(), [0; 32], 0, cell.kind());
        let after = sealed(&head.cloned().unwrap_or_else(fresh), &cell);
        let changes =
            if before.as_ref() == Some(&after) { Vec::new() } else { vec![(entry_key, Some(after))] };
        let facts = (open.medium.facts() != Some(&facts)).then_some(facts);
        Ok(open.apply(changes, facts).await?)
    }

    fn block(&self, key: BlockKey, content: &Bytes) -> Result<Block, BlockError> {
        let cell = Cell::decode(self.hook(), content)?;
        Ok(Block { key, deleted: cell.delete(), payload: cell.payload().cloned() })
    }
}

impl OpenShard {
    fn new(medium: Box<dyn ShardMedium>) -> Self {
        Self { medium, writers: Writers::default(), frozen: Weak::new() }
    }

    /// Changes the shard; the next snapshot is a new one.
    pub(crate) async fn apply(
        &mut self,
        changes: Vec<Change>,
        facts: Option<Facts>,
    ) -> Result<(), MediumError> {
        if changes.is_empty() && facts.is_none() {
            return Ok(());
        }
        self.frozen = Weak::new();
        self.medium.apply(changes, facts).await
    }
}

/// What is kept of a cell, of which `before` is the head so far.
pub(crate) fn sealed(before: &Head, cell: &Cell) -> (Head, Bytes) {
    let content = cell.encode();
    let digest = *digest_of_whole(&content).as_bytes();
    let mut head = Head::new(before.tags.clone(), digest, content.len() as u64, cell.kind());
    head.inherit(before);
    (head, content)
}

/// What errors call a shard where they name a path.
fn shard_path(shard: &ShardId) -> String {
    shard.to_string()
}

impl fmt::Debug for BlockStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockStore").field("medium", &self.inner.medium).finish_non_exhaustive()
    }
}
