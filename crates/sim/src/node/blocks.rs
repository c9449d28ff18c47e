//! A block store on a simulated disk: what its host writes to, and what can be seen of it without
//! disturbing it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_blocks::{Block, BlockError, BlockKey, BlockOptions, BlockStore, SeriesUnion};
use peerstream_snapshot::{
    BoxFuture, Fence, Generation, Sink, SinkError, Snapshot, Source, SourceError, Staging,
};
use peerstream_types::{ManifestHeader, Selector, ShardId};

use crate::disk::{DiskSpec, DiskUnit, SimDisk};

/// Where a block store is on its disk.
const ROOT: &str = "/srv/blocks";
/// Blocks of one answer.
const PAGE: usize = 1024;

/// A block store on a disk of its own: [`NodeSpec::kind`](super::NodeSpec::kind) is then
/// [`DatasetKind::Mergeable`](peerstream_types::DatasetKind::Mergeable).
#[derive(Debug, Clone)]
pub struct BlockSpec {
    /// The disk. What it says of a directory store is of no meaning here.
    pub disk: DiskSpec,
    /// How blocks are treated. The same at all nodes.
    pub options: BlockOptions,
}

impl Default for BlockSpec {
    /// A union of points, with the defaults of block stores and of simulated disks.
    fn default() -> Self {
        Self { disk: DiskSpec::default(), options: BlockOptions::new(SeriesUnion) }
    }
}

/// A block store on a disk, in one life of its node.
#[derive(Debug)]
pub(crate) struct OnBlocks {
    unit: DiskUnit,
    options: BlockOptions,
    store: BlockStore,
    seen: Mutex<Option<((u64, u64), BlockStore)>>,
}

impl OnBlocks {
    pub(super) fn open(disk: SimDisk, options: BlockOptions) -> Self {
        let unit = disk.unit().clone();
        let store = BlockStore::on_disk(Arc::new(disk), ROOT, options.clone());
        Self { unit, options, store, seen: Mutex::default() }
    }

    /// The one that the node's host writes to.
    pub(crate) fn store(&self) -> &BlockStore {
        &self.store
    }

    /// A store on a copy of the disk as it is: to look at it neither takes time nor changes anything.
    pub(crate) fn look(&self) -> BlockStore {
        let version = self.unit.version();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((known, store)) if *known == version => store.clone(),
            _ => {
                let store = BlockStore::on_disk(Arc::new(self.unit.copy()), ROOT, self.options.clone());
                *seen = Some((version, store.clone()));
                store
            }
        }
    }

    /// All blocks of a shard, as a process would find them that starts now.
    pub(crate) async fn all(&self, shard: &ShardId) -> Result<BTreeMap<BlockKey, Block>, BlockError> {
        let (store, mut all, mut after) = (self.look(), BTreeMap::new(), None);
        loop {
            let page = store.scan(shard, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.key.clone());
            all.extend(page.into_iter().map(|block| (block.key.clone(), block)));
        }
    }
}

/// What is on the disk, to look at only.
#[derive(Debug)]
pub(super) struct BlockView(pub(super) Arc<OnBlocks>);

impl Source for BlockView {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move { Source::open(&self.0.look(), shard, selector).await })
    }
}

impl Sink for BlockView {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        _: &'a Selector,
        _: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(async move { Err(SinkError::NoSuchShard(shard.clone())) })
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        Box::pin(async move { self.0.look().current(shard).await })
    }

    fn merges(&self, _: &ShardId) -> bool {
        true
    }
}
