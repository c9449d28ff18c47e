//! What a block store keeps its blocks in: the part that differs between memory, a log and a tree.

use std::fmt;
use std::future::ready;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::{BoxFuture, DiskError, Generation, OffloadGone};
use peerstream_types::{EntryKey, EntryKind, ManifestHeader, Position, ShardId};
use serde::{Deserialize, Serialize};

use crate::horizon::Knowledge;
use crate::limits::{ABSORBED_MAX, BLOCKS_MAX};

/// What is known of a block without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Canonical tags.
    pub(crate) tags: Vec<u8>,
    /// BLAKE3 of the content.
    pub(crate) digest: [u8; 32],
    /// Length of the content in bytes.
    pub(crate) len: u64,
    /// Whether there is a payload; a tombstone has none.
    pub(crate) is_block: bool,
    /// Copies that were merged into it: it has all that is in them, whatever else was merged or written.
    absorbed: Vec<[u8; 32]>,
}

impl Head {
    pub(crate) fn new(tags: Vec<u8>, digest: [u8; 32], len: u64, kind: EntryKind) -> Self {
        Self { tags, digest, len, is_block: kind == EntryKind::Block, absorbed: Vec::new() }
    }

    pub(crate) fn kind(&self) -> EntryKind {
        if self.is_block { EntryKind::Block } else { EntryKind::Tombstone }
    }

    /// Bytes of it that are more in one block than in another: tags, and copies that are remembered.
    pub(crate) fn len_about(&self) -> u64 {
        (self.tags.len() + 32 * self.absorbed.len()) as u64
    }

    /// Whether it is the head of just this content.
    pub(crate) fn is_of(&self, content: &Bytes) -> bool {
        *digest_of_whole(content).as_bytes() == self.digest
    }

    /// Whether a copy with this digest would bring nothing new.
    pub(crate) fn has(&self, digest: &[u8; 32]) -> bool {
        self.digest == *digest || self.absorbed.contains(digest)
    }

    /// The head of the same block after a merge: what was absorbed stays so.
    pub(crate) fn inherit(&mut self, before: &Self) {
        self.absorbed.clone_from(&before.absorbed);
    }

    /// Remembers a copy that was merged, also if it is what is here: that may be written to. The oldest
    /// memory gives way.
    pub(crate) fn absorb(&mut self, digest: [u8; 32]) {
        if !self.absorbed.contains(&digest) {
            if self.absorbed.len() == ABSORBED_MAX {
                self.absorbed.remove(0);
            }
            self.absorbed.push(digest);
        }
    }
}

/// What is kept of a shard beside its blocks, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Whether the shard is whole: it may be served.
    pub(crate) ready: bool,
    /// How many recoveries were published.
    pub(crate) generation: u64,
    /// The header that was published last.
    pub(crate) header: Option<ManifestHeader>,
    /// Where the change log continues after the data.
    pub(crate) position: Option<Position>,
    /// What it knows of deletes.
    pub(crate) knowledge: Knowledge,
    /// The name of the merge hook that its payloads belong to.
    pub(crate) hook: String,
}

impl Facts {
    pub(crate) fn new(hook: &str) -> Self {
        Self { hook: hook.to_owned(), ..Self::default() }
    }

    pub(crate) fn current(&self) -> Option<(Generation, ManifestHeader)> {
        Some((Generation(self.generation), self.header.clone()?))
    }

    /// After the publish of a recovery.
    pub(crate) fn publish(&mut self, header: ManifestHeader) -> Generation {
        self.ready = true;
        self.generation += 1;
        self.position.clone_from(&header.position);
        self.header = Some(header);
        Generation(self.generation)
    }

    /// After the shard was emptied. Generations count on.
    pub(crate) fn clear(&mut self) {
        *self = Self { generation: self.generation, ..Self::new(&self.hook) };
    }
}

/// A change of one block: what it is from now on, or `None` if nothing is left of it.
pub(crate) type Change = (EntryKey, Option<(Head, Bytes)>);

/// Opens shards.
pub(crate) trait Medium: Send + Sync + fmt::Debug {
    /// Whether something is kept of the shard.
    fn exists<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<bool, MediumError>>;

    /// Opens a shard, which may have nothing yet. The caller has it open once at a time.
    fn open<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<Box<dyn ShardMedium>, MediumError>>;
}

/// One open shard. Its owner makes one call at a time; an abandoned change may or may not happen.
pub(crate) trait ShardMedium: Send + Sync + fmt::Debug {
    /// `None` while nothing was kept of the shard.
    fn facts(&self) -> Option<&Facts>;

    /// Lets facts and blocks be of one moment again after a change that was abandoned or failed: the owner
    /// calls it before anything else whenever it takes the shard up.
    fn settle(&mut self) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(ready(Ok(())))
    }

    /// The head of a block.
    fn head<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<Head>, MediumError>>;

    /// The head and the content of a block.
    fn get<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<(Head, Bytes)>, MediumError>>;

    /// Makes all of it in one step: after a crash all of it is there or nothing. A step after which there
    /// would be more than [`BLOCKS_MAX`] blocks, and more than before, is refused. It survives the end of
    /// the process, and a power loss once it was synced. Steps survive in their order.
    fn apply(&mut self, changes: Vec<Change>, facts: Option<Facts>)
    -> BoxFuture<'_, Result<(), MediumError>>;

    /// Makes all that was applied survive a power loss.
    fn sync(&mut self) -> BoxFuture<'_, Result<(), MediumError>>;

    /// An image of all blocks as they are now, and stay in it whatever is applied later.
    fn freeze(&self) -> BoxFuture<'_, Result<Box<dyn Image>, MediumError>>;
}

/// Frozen blocks.
pub(crate) trait Image: Send + Sync + fmt::Debug {
    /// All blocks, in the order of their keys.
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(EntryKey, Head)>, MediumError>>;

    /// Bytes of a block's content; fewer if it has not so many, `None` if there is no such block.
    fn content<'a>(
        &'a self,
        key: &'a EntryKey,
        range: Range<usize>,
    ) -> BoxFuture<'a, Result<Option<Bytes>, MediumError>>;
}

/// How many blocks there are after a step, of `before`; `has` says which of them were there.
pub(crate) fn blocks_after<E: From<Full>>(
    before: usize,
    changes: &[Change],
    mut has: impl FnMut(&EntryKey) -> Result<bool, E>,
) -> Result<usize, E> {
    let mut after = before;
    for (key, block) in changes {
        match (has(key)?, block) {
            (false, Some(_)) => after += 1,
            (true, None) => after -= 1,
            (true, Some(_)) | (false, None) => {}
        }
    }
    if after > BLOCKS_MAX.max(before) { Err(Full.into()) } else { Ok(after) }
}

/// There are as many blocks as there may be. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard has all the {BLOCKS_MAX} blocks that it may have")]
pub(crate) struct Full;

impl From<Full> for DiskError {
    fn from(full: Full) -> Self {
        let path = PathBuf::from("blocks");
        Self { operation: "add to", path, kind: DiskErrorKind::Full, why: full.to_string() }
    }
}

/// A medium failed, or refused a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MediumError {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Offload(#[from] OffloadGone),
}
