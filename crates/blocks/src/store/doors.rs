//! The store as a source and as a sink.

use std::sync::Arc;

use peerstream_snapshot::listing::Frame;
use peerstream_snapshot::{
    BoxFuture, DiskError, Fence, Generation, Sink, SinkError, Snapshot, Source, SourceError, Staging,
};
use peerstream_types::{ManifestHeader, Selector, ShardId};

use super::{BlockStore, OpenShard};
use crate::frozen::FrozenBlocks;
use crate::medium::{Facts, MediumError};
use crate::staging::MergeStaging;

impl BlockStore {
    async fn open_now(&self, shard: &ShardId, selector: &Selector) -> Result<Arc<dyn Snapshot>, SourceError> {
        let no_such = || SourceError::NoSuchShard(shard.clone());
        let mut open = self.known_shard(shard).await?.ok_or_else(no_such)?;
        let facts = self.facts_of(&open);
        if !facts.ready {
            let why = "it is not whole: no recovery of it was published yet".to_owned();
            return Err(SourceError::NotReady { shard: shard.clone(), why });
        }
        let frozen = match open.frozen.upgrade() {
            Some(frozen) => frozen,
            None => self.freeze(shard, &mut open, facts).await?,
        };
        Ok(frozen.select(selector, self.inner.options.block_len_ms))
    }

    /// Position, state and blocks are of one moment, for nothing changes while the shard is locked.
    async fn freeze(
        &self,
        shard: &ShardId,
        open: &mut OpenShard,
        facts: Facts,
    ) -> Result<Arc<FrozenBlocks>, SourceError> {
        let image = open.medium.freeze().await?;
        let heads = image.heads().await?;
        let state = facts.knowledge.claim().encode(self.hook().name());
        let frame = Frame { chunk_size: self.inner.options.chunk_size, position: facts.position, state };
        let frozen = Arc::new(FrozenBlocks::new(shard, heads, frame, image)?);
        open.frozen = Arc::downgrade(&frozen);
        Ok(frozen)
    }

    async fn stage_now(
        &self,
        shard: &ShardId,
        selector: &Selector,
        fence: Fence,
    ) -> Result<Arc<dyn Staging>, SinkError> {
        if *selector != Selector::All {
            return Err(SinkError::UnsupportedSelector(shard.clone()));
        }
        let ticket = self.shard(shard).await?.writers.enter(shard, fence)?;
        Ok(Arc::new(MergeStaging::new(self.clone(), shard.clone(), ticket)))
    }
}

impl From<MediumError> for SinkError {
    fn from(error: MediumError) -> Self {
        match error {
            MediumError::Full(full) => DiskError::from(full).into(),
            MediumError::Disk(error) => error.into(),
            MediumError::Offload(error) => error.into(),
        }
    }
}

/// Serves shards that are ready, any part of them.
impl Source for BlockStore {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(self.open_now(shard, selector))
    }
}

/// Merges whole shards into what is there.
impl Sink for BlockStore {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(self.stage_now(shard, selector, fence))
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        Box::pin(async move {
            let open = self.known_shard(shard).await?;
            Ok(open.and_then(|open| open.medium.facts()?.current()))
        })
    }

    fn merges(&self, _shard: &ShardId) -> bool {
        true
    }
}
