//! A store in memory: source and sink for tests, simulations and examples.
//!
//! Runtime-free and deterministic: nothing waits, and a run with the same calls gives the same
//! answers. It keeps what the directory store keeps, but for the life of the value only.

mod image;
mod snapshot;
mod staging;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use peerstream_types::entry::METADATA_LEN_MAX;
use peerstream_types::{ChunkSize, EntryKey, ManifestHeader, Position, Selector, ShardId};

use crate::content::ContentId;
use crate::writer::Writers;
use crate::{BoxFuture, Fence, Generation, Sink, SinkError, Snapshot, Source, SourceError, Staging};
use image::{Image, Stored};
use staging::MemoryStaging;

/// Shards in memory. Clones share them. See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    chunk_size: ChunkSize,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<ShardId, Shard>,
    stats: MemoryStats,
}

#[derive(Debug, Default)]
struct Shard {
    /// What `open` serves; `None` while nothing was put or published.
    live: Option<Arc<Image>>,
    published: Option<Published>,
    writers: Writers,
    staged: BTreeMap<ContentId, BTreeMap<u64, Bytes>>,
}

/// The visible generation of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Counts up from one.
    pub generation: Generation,
    /// The sealed header.
    pub header: ManifestHeader,
    /// The content by key.
    pub entries: BTreeMap<EntryKey, Bytes>,
}

/// What a memory store did, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    /// Entries hashed for snapshots.
    pub entries_hashed: u64,
    /// Chunks kept.
    pub chunks_stored: u64,
    /// Bytes of the chunks kept.
    pub bytes_stored: u64,
    /// Chunks that came although they were held.
    pub chunks_duplicate: u64,
    /// Generations published.
    pub publishes: u64,
}

impl MemoryStore {
    /// An empty store that cuts content into chunks of the default size.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that cuts what is put into it into chunks of another size.
    pub fn with_chunk_size(chunk_size: ChunkSize) -> Self {
        Self { chunk_size, ..Self::default() }
    }

    /// Makes the shard exist, empty if it is new.
    pub fn create(&self, shard: &ShardId) {
        self.change(shard, |_| {});
    }

    /// Puts an entry, replacing one with the same key. A key that is a relative path makes a file,
    /// any other one a block. Open snapshots stay as they are.
    ///
    /// # Panics
    ///
    /// If there is more metadata than [`METADATA_LEN_MAX`].
    pub fn put(&self, shard: &ShardId, key: EntryKey, content: impl Into<Bytes>, metadata: Vec<u8>) {
        assert!(metadata.len() <= METADATA_LEN_MAX, "metadata of {key} is too long");
        let stored = Stored::new(&key, content.into(), metadata);
        self.change(shard, |image| drop(image.contents.insert(key, stored)));
    }

    /// Removes an entry.
    pub fn remove(&self, shard: &ShardId, key: &EntryKey) {
        self.change(shard, |image| drop(image.contents.remove(key)));
    }

    /// Sets where the change log continues after the data.
    pub fn set_position(&self, shard: &ShardId, position: Option<Position>) {
        self.change(shard, |image| image.position = position);
    }

    /// Sets what the store needs to open the data. A shard with more than
    /// [`STATE_LEN_MAX`](peerstream_types::manifest::STATE_LEN_MAX) bytes of it cannot be served.
    pub fn set_state(&self, shard: &ShardId, state: Vec<u8>) {
        self.change(shard, |image| image.state = state);
    }

    /// What was published last, or `None` before the first publish.
    pub fn published(&self, shard: &ShardId) -> Option<Published> {
        self.lock().shards.get(shard)?.published.clone()
    }

    /// What the store did so far.
    pub fn stats(&self) -> MemoryStats {
        self.lock().stats
    }

    fn change(&self, shard: &ShardId, change: impl FnOnce(&mut Image)) {
        let mut inner = self.lock();
        let shard = inner.shards.entry(shard.clone()).or_default();
        let live = shard.live.get_or_insert_with(|| Arc::new(Image::new(self.chunk_size)));
        change(Arc::make_mut(live).changed());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_now(&self, shard: &ShardId, selector: &Selector) -> Result<Arc<dyn Snapshot>, SourceError> {
        let mut inner = self.lock();
        let live = inner.shards.get(shard).and_then(|shard| shard.live.clone());
        let image = live.ok_or_else(|| SourceError::NoSuchShard(shard.clone()))?;
        let (hashed, new) = image.hashed(shard)?;
        inner.stats.entries_hashed += new;
        let selected = hashed.select(selector);
        selected.map_or_else(
            || Err(SourceError::UnsupportedSelector(shard.clone())),
            |snapshot| Ok(snapshot as Arc<dyn Snapshot>),
        )
    }

    fn stage_now(
        &self,
        shard: &ShardId,
        selector: &Selector,
        fence: Fence,
    ) -> Result<Arc<dyn Staging>, SinkError> {
        if *selector != Selector::All {
            return Err(SinkError::UnsupportedSelector(shard.clone()));
        }
        let ticket = self.lock().shards.entry(shard.clone()).or_default().writers.enter(shard, fence)?;
        Ok(Arc::new(MemoryStaging::new(self.clone(), shard.clone(), ticket)))
    }
}

impl Source for MemoryStore {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move { self.open_now(shard, selector) })
    }
}

/// Takes whole shards only.
impl Sink for MemoryStore {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(async move { self.stage_now(shard, selector, fence) })
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        let published = self.published(shard);
        Box::pin(async move { Ok(published.map(|p| (p.generation, p.header))) })
    }
}
