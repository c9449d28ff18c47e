//! Content for a node, wherever it keeps its shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_snapshot::verify::{Scheme, scheme};
use peerstream_snapshot::{
    Fence, Generation, Held, MemoryStore, SinkError, Snapshot, Source, Staging, VerifiedChunk,
    VerifiedOutline,
};
use peerstream_types::{
    ChunkIndex, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken, Selector, ShardId,
};

use crate::content::Content;
use crate::node::SimNode;

/// Entries of one page.
const PAGE: usize = 1024;

impl SimNode {
    /// Puts content into a shard of this node: at once in memory, as a new generation on a disk, for
    /// which the disk takes its time.
    ///
    /// # Panics
    ///
    /// If the disk does not take it.
    pub async fn fill(&self, shard: &ShardId, content: &Content, seed: u64) {
        if let Some(store) = self.store.as_memory() {
            content.fill(store, shard, seed);
            return;
        }
        let model = MemoryStore::new();
        content.fill(&model, shard, seed);
        let published = self.publish(shard, &model).await;
        published.unwrap_or_else(|error| panic!("{} cannot be filled: {error}", self.id));
    }

    /// Publishes what a store in memory has as the next generation of this node, past its faults but not
    /// past its disk. Never ends if the node crashes meanwhile.
    ///
    /// # Errors
    ///
    /// What the sink says: the disk fails or is full, or the engine is at work on the shard.
    /// [`SinkError::NoSuchShard`] of a store of its own that receives nothing.
    pub async fn publish(&self, shard: &ShardId, model: &MemoryStore) -> Result<Generation, SinkError> {
        // Below all fences of this life's engine: a recovery that has begun goes first.
        let fence = Fence(self.process.incarnation.0 << 16);
        let snapshot = model.open(shard, &Selector::All).await.expect("the model has the shard");
        let sink = self.store.dataset().sink.ok_or_else(|| SinkError::NoSuchShard(shard.clone()))?;
        let staging = sink.stage(shard, &Selector::All, fence).await?;
        copy(&*snapshot, &*staging).await
    }
}

/// Stages all of a snapshot, and publishes it.
async fn copy(from: &dyn Snapshot, to: &dyn Staging) -> Result<Generation, SinkError> {
    let header = from.header();
    to.begin(&ManifestHeader { digest: None, counts: Default::default(), ..header.clone() }).await?;
    let mut token = PageToken::START;
    loop {
        let page = from.page(&token, PAGE).await.expect("a store in memory lists what it has");
        let entries: Vec<_> = page.entries.into_iter().map(Arc::new).collect();
        let held = ranges(to.admit(entries.clone()).await?);
        for entry in &entries {
            let held = held.get(&entry.ordinal).map_or(&[][..], Vec::as_slice);
            let chunks = missing(from, &header, entry, held).await;
            if !chunks.is_empty() {
                to.store(chunks).await?;
            }
        }
        match (page.next, page.sealed) {
            (Some(next), _) => token = next,
            (None, sealed) => {
                to.seal(&sealed.unwrap_or(header)).await?;
                return to.publish().await;
            }
        }
    }
}

fn ranges(held: Vec<Held>) -> BTreeMap<Ordinal, Vec<ChunkRange>> {
    held.into_iter().map(|held| (held.ordinal, held.chunks)).collect()
}

/// The chunks of an entry that are not held, verified.
async fn missing(
    from: &dyn Snapshot,
    header: &ManifestHeader,
    entry: &Arc<Entry>,
    held: &[ChunkRange],
) -> Vec<VerifiedChunk> {
    let (size, mut chunks) = (header.chunk_size, Vec::new());
    let outline = outline(from, header, entry).await;
    for index in (0..entry.chunks(size)).map(ChunkIndex) {
        if held.iter().any(|range| range.iter().any(|held| held == index)) {
            continue;
        }
        let len = usize::try_from(size.len_of(index, entry.len)).expect("a chunk is small");
        let bytes = from.read(entry.ordinal, index.0 * size.bytes(), len).await;
        let bytes = bytes.expect("a store in memory reads what it has");
        let chunk = VerifiedChunk::check(entry, size, outline.as_ref(), index, bytes);
        chunks.push(chunk.expect("a store in memory is right about its bytes"));
    }
    chunks
}

async fn outline(
    from: &dyn Snapshot,
    header: &ManifestHeader,
    entry: &Arc<Entry>,
) -> Option<VerifiedOutline> {
    let size = header.chunk_size;
    match scheme(entry, size).expect("entries in memory have digests") {
        Scheme::Empty | Scheme::Whole => None,
        Scheme::Outline => {
            let count = u32::try_from(entry.chunks(size)).expect("one group has few chunks");
            let all = ChunkRange { first: ChunkIndex(0), count };
            let values = from.outline(entry.ordinal, 0, all).await.expect("it has an outline");
            Some(VerifiedOutline::check(entry, size, values).expect("and that is right"))
        }
        Scheme::Groups => panic!("{}: entries of simulated disks have one group of chunks", entry.key),
    }
}
