//! What a node has, in memory, on a disk or in a store of its author's, and what can be seen of it
//! without disturbing it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_blocks::{BlockOptions, BlockStore};
use peerstream_engine::Dataset;
use peerstream_snapshot::directory::StoreOptions;
use peerstream_snapshot::offload::Inline;
use peerstream_snapshot::{
    BoxFuture, DirectoryStore, Disk, DiskError, Fence, Generation, MemoryStore, Offload, Sink, SinkError,
    Snapshot, Source, SourceError, Staging,
};
use peerstream_types::{ByteCount, ManifestHeader, Selector, ShardId};

use super::blocks::{BlockSpec, BlockView, OnBlocks};
use crate::disk::{DiskSpec, DiskUnit, SimDisk};
use crate::fault::Tally;

/// Where a directory store is on its disk.
const ROOT: &str = "/srv/peerstream";

/// Where a node keeps its shards.
#[derive(Debug, Clone)]
pub enum StoreSpec {
    /// In memory: nothing takes time, and nothing is lost in a crash.
    Memory(MemoryStore),
    /// In a directory store on a disk of its own, which loses what a disk may lose.
    Disk(DiskSpec),
    /// In a block store on a disk of its own: a mergeable dataset.
    Blocks(BlockSpec),
    /// In a store of yours.
    Own(OwnStore),
}

/// A store of yours: opened each time the node starts. What the function that opens it shares between
/// calls outlives a crash, as a disk does; what it makes anew does not. A process that has crashed
/// stands still, and drops nothing that it holds.
#[derive(Clone)]
pub struct OwnStore(Arc<dyn Fn() -> Dataset + Send + Sync>);

impl OwnStore {
    /// A store that is opened like this.
    pub fn new(open: impl Fn() -> Dataset + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for OwnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnStore")
    }
}

impl From<MemoryStore> for StoreSpec {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(store)
    }
}

impl From<DiskSpec> for StoreSpec {
    fn from(disk: DiskSpec) -> Self {
        Self::Disk(disk)
    }
}

impl From<BlockSpec> for StoreSpec {
    fn from(blocks: BlockSpec) -> Self {
        Self::Blocks(blocks)
    }
}

impl From<OwnStore> for StoreSpec {
    fn from(own: OwnStore) -> Self {
        Self::Own(own)
    }
}

/// What outlives a process of what it keeps its shards in.
#[derive(Debug, Clone)]
pub(crate) enum Medium {
    Memory(MemoryStore),
    Disk(DiskUnit),
    Blocks(DiskUnit, BlockOptions),
    Own(OwnStore),
}

impl Medium {
    pub(crate) fn new(spec: &StoreSpec, tally: &Tally) -> Self {
        match spec {
            StoreSpec::Memory(store) => Self::Memory(store.clone()),
            StoreSpec::Disk(spec) => Self::Disk(DiskUnit::new(spec.clone(), tally.clone())),
            StoreSpec::Blocks(spec) => {
                Self::Blocks(DiskUnit::new(spec.disk.clone(), tally.clone()), spec.options.clone())
            }
            StoreSpec::Own(own) => Self::Own(own.clone()),
        }
    }

    /// How much of a shard it takes before it writes down that it did, of all kinds of entries.
    pub(crate) fn lag(&self) -> Option<ByteCount> {
        match self {
            Self::Memory(_) => Some(ByteCount(0)),
            Self::Disk(unit) => Some(ByteCount(unit.spec().store.lag.saturating_mul(2))),
            // A copy of several chunks is kept once it is whole.
            Self::Blocks(..) | Self::Own(_) => None,
        }
    }

    pub(crate) fn disk(&self) -> Option<&DiskUnit> {
        match self {
            Self::Memory(_) | Self::Own(_) => None,
            Self::Disk(unit) | Self::Blocks(unit, _) => Some(unit),
        }
    }
}

/// A node's store. It stands for the [`MemoryStore`] of a node that keeps its shards in memory, and
/// panics where it is taken for one and is none: ask the node then.
#[derive(Debug, Clone)]
pub struct SimStore(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Memory(MemoryStore),
    Disk(Arc<OnDisk>),
    Blocks(Arc<OnBlocks>),
    Own(Dataset),
}

#[derive(Debug)]
struct OnDisk {
    unit: DiskUnit,
    store: Arc<DirectoryStore>,
    seen: Mutex<Option<Seen>>,
}

/// A store that was opened on a copy of the disk.
#[derive(Debug)]
struct Seen {
    /// Of the disk, when it was copied.
    version: (u64, u64),
    store: Arc<DirectoryStore>,
}

impl Deref for SimStore {
    type Target = MemoryStore;

    fn deref(&self) -> &MemoryStore {
        match &self.0 {
            Kind::Memory(store) => store,
            Kind::Disk(_) => panic!("this node keeps its shards on a disk: ask the node"),
            Kind::Blocks(_) => panic!("this node keeps its shards in a block store: ask the node"),
            Kind::Own(_) => panic!("this node keeps its shards in a store of its own: ask the node"),
        }
    }
}

impl SimStore {
    pub(crate) fn memory(store: MemoryStore) -> Self {
        Self(Kind::Memory(store))
    }

    pub(crate) fn own(store: &OwnStore) -> Self {
        Self(Kind::Own((store.0)()))
    }

    pub(crate) fn in_blocks(disk: SimDisk, options: BlockOptions) -> Self {
        Self(Kind::Blocks(Arc::new(OnBlocks::open(disk, options))))
    }

    /// Opens the store on a disk, in no time.
    pub(crate) fn on_disk(disk: SimDisk, offload: Arc<dyn Offload>) -> Result<Self, DiskError> {
        let unit = disk.unit().clone();
        let options = unit.spec().store.clone();
        let opened = unit.in_no_time(open(Arc::new(disk), offload, options))?;
        Ok(Self(Kind::Disk(Arc::new(OnDisk { unit, store: Arc::new(opened), seen: Mutex::default() }))))
    }

    /// What serves and receives.
    pub(crate) fn dataset(&self) -> Dataset {
        match &self.0 {
            Kind::Memory(store) => Dataset {
                source: Some(Arc::new(store.clone())),
                sink: Some(Arc::new(store.clone())),
                ..Dataset::default()
            },
            Kind::Disk(disk) => Dataset {
                source: Some(disk.store.clone()),
                sink: Some(disk.store.clone()),
                ..Dataset::default()
            },
            Kind::Blocks(blocks) => {
                let store = Arc::new(blocks.store().clone());
                Dataset { source: Some(store.clone()), sink: Some(store), ..Dataset::default() }
            }
            Kind::Own(dataset) => dataset.clone(),
        }
    }

    /// The block store that the node's host writes to, if it is one.
    pub(crate) fn as_blocks(&self) -> Option<&BlockStore> {
        Some(self.on_blocks()?.store())
    }

    pub(crate) fn on_blocks(&self) -> Option<&Arc<OnBlocks>> {
        match &self.0 {
            Kind::Blocks(blocks) => Some(blocks),
            Kind::Memory(_) | Kind::Disk(_) | Kind::Own(_) => None,
        }
    }

    /// The store in memory, if it is one.
    pub(crate) fn as_memory(&self) -> Option<&MemoryStore> {
        match &self.0 {
            Kind::Memory(store) => Some(store),
            Kind::Disk(_) | Kind::Blocks(_) | Kind::Own(_) => None,
        }
    }

    /// What there really is, to look at only.
    pub(crate) fn observed(&self) -> Dataset {
        match &self.0 {
            Kind::Memory(_) | Kind::Own(_) => self.dataset(),
            Kind::Disk(disk) => {
                let view = Arc::new(View(disk.clone()));
                Dataset { source: Some(view.clone()), sink: Some(view), ..Dataset::default() }
            }
            Kind::Blocks(blocks) => {
                let view = Arc::new(BlockView(blocks.clone()));
                Dataset { source: Some(view.clone()), sink: Some(view), ..Dataset::default() }
            }
        }
    }

    pub(crate) async fn snapshot(&self, shard: &ShardId) -> Option<Arc<dyn Snapshot>> {
        match &self.0 {
            Kind::Memory(store) => store.open(shard, &Selector::All).await.ok(),
            Kind::Disk(disk) => disk.look().await.ok()?.open(shard, &Selector::All).await.ok(),
            Kind::Blocks(blocks) => Source::open(&blocks.look(), shard, &Selector::All).await.ok(),
            Kind::Own(own) => own.source.as_ref()?.open(shard, &Selector::All).await.ok(),
        }
    }

    pub(crate) async fn current(&self, shard: &ShardId) -> Option<(Generation, ManifestHeader)> {
        match &self.0 {
            Kind::Memory(store) => store.current(shard).await.ok()?,
            Kind::Disk(disk) => disk.look().await.ok()?.current(shard).await.ok()?,
            Kind::Blocks(blocks) => blocks.look().current(shard).await.ok()?,
            Kind::Own(own) => own.sink.as_ref()?.current(shard).await.ok()?,
        }
    }
}

impl OnDisk {
    /// A store on a copy of the disk as it is: to look at it neither takes time nor changes anything.
    async fn look(&self) -> Result<Arc<DirectoryStore>, DiskError> {
        let version = self.unit.version();
        if let Some(seen) = &*self.seen.lock().unwrap_or_else(PoisonError::into_inner)
            && seen.version == version
        {
            return Ok(seen.store.clone());
        }
        let copy = Arc::new(self.unit.copy());
        let store = Arc::new(open(copy, Arc::new(Inline), StoreOptions::default()).await?);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Seen { version, store: store.clone() });
        Ok(store)
    }
}

/// What is on a disk, to look at only.
#[derive(Debug)]
struct View(Arc<OnDisk>);

impl Source for View {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let store = self.0.look().await.map_err(SourceError::Disk)?;
            Source::open(&*store, shard, selector).await
        })
    }
}

impl Sink for View {
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
        Box::pin(async move { self.0.look().await?.current(shard).await })
    }
}

async fn open(
    disk: Arc<dyn Disk>,
    offload: Arc<dyn Offload>,
    options: StoreOptions,
) -> Result<DirectoryStore, DiskError> {
    DirectoryStore::open_with(ROOT, disk, offload, options).await
}
