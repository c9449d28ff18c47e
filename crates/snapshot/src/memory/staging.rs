//! Where received chunks wait in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use peerstream_types::{ChunkIndex, Entry, ManifestHeader, ShardId};

use super::image::{Image, Stored};
use super::{Inner, MemoryStore, Published, Shard};
use crate::chunk_set::ChunkSet;
use crate::content::ContentId;
use crate::incoming::{Incoming, not_begun};
use crate::writer::Ticket;
use crate::{BoxFuture, Generation, Held, SinkError, Staging, VerifiedChunk};

/// A writer of a shard. The chunks are kept by the store, the manifest by the writer.
#[derive(Debug)]
pub(super) struct MemoryStaging {
    store: MemoryStore,
    shard: ShardId,
    ticket: Ticket,
    incoming: Mutex<Option<Incoming>>,
}

impl MemoryStaging {
    pub(super) fn new(store: MemoryStore, shard: ShardId, ticket: Ticket) -> Self {
        Self { store, shard, ticket, incoming: Mutex::new(None) }
    }

    /// Runs `work` as the shard's one writer; one operation at a time.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut Option<Incoming>, &mut Inner) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let mut incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner: MutexGuard<'_, Inner> = self.store.lock();
        inner.shards.entry(self.shard.clone()).or_default().writers.check(&self.shard, self.ticket)?;
        work(&mut incoming, &mut inner)
    }

    fn admit_now(&self, page: Vec<Arc<Entry>>) -> Result<Vec<Held>, SinkError> {
        self.write(|incoming, inner| {
            let incoming = incoming.as_mut().ok_or_else(not_begun)?;
            let admission = incoming.check(&page)?;
            let staged = &inner.shards[&self.shard].staged;
            let held = |entry: &Arc<Entry>| {
                let chunks = staged.get(&incoming.content_of(entry))?;
                let held: ChunkSet = chunks.keys().copied().map(ChunkIndex).collect();
                Some(Held { ordinal: entry.ordinal, chunks: held.ranges() })
            };
            let held = page.iter().filter_map(held).collect();
            incoming.admit(admission, page);
            Ok(held)
        })
    }

    fn store_now(&self, chunk: &VerifiedChunk) -> Result<(), SinkError> {
        self.write(|incoming, inner| {
            let incoming = incoming.as_ref();
            let none = || SinkError::NotAdmitted(chunk.entry().key.clone());
            let content = incoming.ok_or_else(none)?.owner(chunk)?;
            let shard = inner.shards.entry(self.shard.clone()).or_default();
            let chunks = shard.staged.entry(content).or_default();
            if chunks.contains_key(&chunk.index().0) {
                inner.stats.chunks_duplicate += 1;
                return Ok(());
            }
            chunks.insert(chunk.index().0, chunk.bytes().clone());
            inner.stats.chunks_stored += 1;
            inner.stats.bytes_stored += chunk.bytes().len() as u64;
            Ok(())
        })
    }

    fn seal_now(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        self.write(|incoming, inner| {
            let incoming = incoming.as_mut().ok_or_else(not_begun)?;
            let staged = &inner.shards[&self.shard].staged;
            let held = |content: ContentId| staged.get(&content).map_or(0, |chunks| chunks.len() as u64);
            incoming.check_seal(header, held)?;
            incoming.set_sealed(header.clone());
            Ok(())
        })
    }

    fn publish_now(&self) -> Result<Generation, SinkError> {
        self.write(|incoming, inner| {
            let sealed = incoming.as_ref().ok_or(SinkError::NotSealed)?;
            let header = sealed.sealed()?.clone();
            let shard = inner.shards.entry(self.shard.clone()).or_default();
            let image = image_of(sealed, &header, &shard.staged);
            let generation = Generation(shard.published.as_ref().map_or(0, |p| p.generation.0) + 1);
            let content = |(key, stored): (_, &Stored)| (Clone::clone(key), stored.content.clone());
            let entries = image.contents.iter().map(content).collect();
            *shard = Shard {
                live: Some(Arc::new(image)),
                published: Some(Published { generation, header, entries }),
                writers: std::mem::take(&mut shard.writers),
                staged: BTreeMap::new(),
            };
            inner.stats.publishes += 1;
            *incoming = None;
            Ok(generation)
        })
    }
}

/// The generation that a complete manifest makes.
fn image_of(
    incoming: &Incoming,
    header: &ManifestHeader,
    staged: &BTreeMap<ContentId, BTreeMap<u64, Bytes>>,
) -> Image {
    let mut image = Image::new(header.chunk_size);
    image.position.clone_from(&header.position);
    image.state.clone_from(&header.state);
    for (entry, content) in incoming.entries() {
        let content = staged.get(&content).map(join).unwrap_or_default();
        let stored = Stored { content, metadata: entry.metadata.clone(), kind: entry.kind };
        image.contents.insert(entry.key.clone(), stored);
    }
    image
}

fn join(chunks: &BTreeMap<u64, Bytes>) -> Bytes {
    let mut all = BytesMut::new();
    chunks.values().for_each(|chunk| all.extend_from_slice(chunk));
    all.freeze()
}

impl Staging for MemoryStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        let begin = |incoming: &mut Option<Incoming>, _: &mut Inner| {
            *incoming = Some(Incoming::begin(header)?);
            Ok(())
        };
        Box::pin(async move { self.write(begin) })
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(async move { self.admit_now(entries) })
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { chunks.iter().try_for_each(|chunk| self.store_now(chunk)) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { self.write(|_, _| Ok(())) })
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move { self.seal_now(header) })
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(async move { self.publish_now() })
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        let discard = |incoming: &mut Option<Incoming>, inner: &mut Inner| {
            *incoming = None;
            inner.shards.entry(self.shard.clone()).or_default().staged.clear();
            Ok(())
        };
        Box::pin(async move { self.write(discard) })
    }
}
