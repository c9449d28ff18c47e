//! Which shards are open, one owner at a time.

use super::{
    BlockStore, DiskError, Facts, MediumError, OpenShard, OwnedMutexGuard, PoisonError, ShardGuard, ShardId,
    Slot, shard_path,
};

impl BlockStore {
    /// The shard, to change it; it begins to exist with the first change.
    pub(crate) async fn shard(&self, shard: &ShardId) -> Result<ShardGuard, MediumError> {
        let slot = self.shards().entry(shard.clone()).or_default().clone();
        self.lock(shard, slot).await
    }

    /// The shard, if something is kept of it: what peers ask for makes nothing open that is not there.
    pub(crate) async fn known_shard(&self, shard: &ShardId) -> Result<Option<ShardGuard>, MediumError> {
        let slot = self.shards().get(shard).cloned();
        let open = match slot {
            Some(slot) => self.lock(shard, slot).await?,
            None if self.inner.medium.exists(shard).await? => self.shard(shard).await?,
            None => return Ok(None),
        };
        Ok(open.medium.facts().is_some().then_some(open))
    }

    /// What is kept beside the blocks, or how it begins.
    pub(crate) fn facts_of(&self, open: &OpenShard) -> Facts {
        open.medium.facts().cloned().unwrap_or_else(|| Facts::new(self.hook().name()))
    }

    async fn lock(&self, shard: &ShardId, slot: Slot) -> Result<ShardGuard, MediumError> {
        let mut guard = slot.lock_owned().await;
        if guard.is_none() {
            let open = OpenShard::new(self.inner.medium.open(shard).await?);
            let hook = self.hook().name();
            if let Some(other) = open.medium.facts().map(|facts| &facts.hook).filter(|name| *name != hook) {
                let why = format!("its blocks are merged with {other}, and not with {hook}");
                return Err(DiskError::corrupt(shard_path(shard).as_ref(), why).into());
            }
            *guard = Some(open);
        }
        let open = OwnedMutexGuard::try_map(guard, Option::as_mut);
        let mut open = open.ok().expect("it was opened above");
        open.medium.settle().await?;
        Ok(open)
    }

    fn shards(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<ShardId, Slot>> {
        self.inner.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
