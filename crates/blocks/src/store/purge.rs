//! Forgets deletes, part after part: the shard is written meanwhile.

use std::vec;

use peerstream_types::{EntryKey, ShardId};

use super::{BlockError, BlockStore, OpenShard, sealed};
use crate::Stamp;
use crate::cell::{Cell, DELETE_END};
use crate::horizon::may_be_forgotten;
use crate::limits::{APPLY_BLOCKS, APPLY_LEN};

impl BlockStore {
    /// Forgets deletes that are older than the horizon at `now`, and not newer than what this replica was
    /// synced to. Answers how many blocks changed by that. Open snapshots stay as they are. Other calls
    /// have their turn between parts of it; abandoned or failed, it has forgotten some.
    ///
    /// # Errors
    ///
    /// [`BlockError::NoSuchShard`], [`BlockError::Disk`].
    pub async fn purge(&self, shard: &ShardId, now: Stamp) -> Result<u64, BlockError> {
        let no_such = || BlockError::NoSuchShard(shard.clone());
        let mut old = self.old_deletes(shard, now).await?.into_iter();
        let mut forgotten = 0;
        while old.len() > 0 {
            let mut open = self.known_shard(shard).await?.ok_or_else(no_such)?;
            // A recovery may have begun since, and what it brings knows of fewer deletes.
            let Some(limit) = self.purge_limit(&open, now) else { break };
            forgotten += self.forget_some(&mut open, &mut old, limit).await?;
        }
        Ok(forgotten)
    }

    fn purge_limit(&self, open: &OpenShard, now: Stamp) -> Option<Stamp> {
        self.facts_of(open).knowledge.purge_limit(now, self.inner.options.horizon)
    }

    /// Which blocks have a delete that may be forgotten. Looks at an image, and at no payload.
    async fn old_deletes(&self, shard: &ShardId, now: Stamp) -> Result<Vec<EntryKey>, BlockError> {
        let open = self.known_shard(shard).await?.ok_or_else(|| BlockError::NoSuchShard(shard.clone()))?;
        let Some(limit) = self.purge_limit(&open, now) else { return Ok(Vec::new()) };
        let image = open.medium.freeze().await?;
        drop(open);
        let mut old = Vec::new();
        for (key, _) in image.heads().await? {
            let Some(start) = image.content(&key, 0..DELETE_END).await? else { continue };
            if Cell::delete_in(self.hook(), &start)?.is_some_and(|stamp| may_be_forgotten(stamp, limit)) {
                old.push(key);
            }
        }
        Ok(old)
    }

    /// Forgets the deletes of the next of these blocks, as they are now, in one step, which also says that
    /// they are forgotten.
    async fn forget_some(
        &self,
        open: &mut OpenShard,
        old: &mut vec::IntoIter<EntryKey>,
        limit: Stamp,
    ) -> Result<u64, BlockError> {
        let (mut changes, mut newest, mut len) = (Vec::new(), None, 0);
        for key in old.by_ref().take(APPLY_BLOCKS) {
            let Some((head, content)) = open.medium.get(&key).await? else { continue };
            let cell = Cell::decode(self.hook(), &content)?;
            let Some(stamp) = cell.delete().filter(|stamp| may_be_forgotten(*stamp, limit)) else { continue };
            newest = newest.max(Some(stamp));
            changes.push((key, cell.without_deletes(limit).map(|left| sealed(&head, &left))));
            len += content.len();
            if len >= APPLY_LEN {
                break;
            }
        }
        let forgotten = changes.len() as u64;
        let mut facts = self.facts_of(open);
        facts.knowledge.purged(newest);
        let facts = (open.medium.facts() != Some(&facts)).then_some(facts);
        open.apply(changes, facts).await?;
        Ok(forgotten)
    }
}
