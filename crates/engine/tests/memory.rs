//! What the data path holds in memory at most, whatever is moved.
//!
//! Both ends run in this process; live heap is looked at whenever something is read or stored. The
//! source copies what it reads, as one on a disk does, and the sink keeps nothing.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use peerstream_engine::EngineConfig;
use peerstream_engine::snapshot::{
    BoxFuture, Fence, Generation, Held, MemoryStore, Overlay, Sink, SinkError, Snapshot, Source, SourceError,
    Staging, VerifiedChunk,
};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{Entry, ManifestHeader, Ordinal, Selector, ShardId};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "data_path/pair.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod pair;

use pair::{Pair, content, key, shard, within};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;

/// The highest that live heap was seen.
#[derive(Debug, Clone, Default)]
struct Peak(Arc<AtomicUsize>);

impl Peak {
    fn look(&self) -> usize {
        let stats = HEAP.stats();
        let live = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
        self.0.fetch_max(live, Relaxed);
        live
    }
}

/// Content that is in memory before anything is counted, and copied when it is read.
#[derive(Debug)]
struct Copied {
    snapshot: Arc<dyn Snapshot>,
    peak: Peak,
}

#[derive(Debug)]
struct CopiedSource(Arc<Copied>);

impl Source for CopiedSource {
    fn open<'a>(
        &'a self,
        _shard: &'a ShardId,
        _selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(std::future::ready(Ok(self.0.clone() as Arc<dyn Snapshot>)))
    }
}

impl Overlay for Copied {
    fn under(&self) -> &dyn Snapshot {
        &*self.snapshot
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let bytes = Bytes::copy_from_slice(&self.snapshot.read(ordinal, offset, len).await?);
            self.peak.look();
            Ok(bytes)
        })
    }
}

/// Takes everything and keeps nothing.
#[derive(Debug, Clone)]
struct Nowhere(Peak);

impl Sink for Nowhere {
    fn stage<'a>(
        &'a self,
        _shard: &'a ShardId,
        _selector: &'a Selector,
        _fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(std::future::ready(Ok(Arc::new(self.clone()) as Arc<dyn Staging>)))
    }

    fn current<'a>(
        &'a self,
        _shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Staging for Nowhere {
    fn begin<'a>(&'a self, _header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn admit(&self, _entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Holds its batch while others have their turn, as a disk would.
    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            self.0.look();
            drop(chunks);
            Ok(())
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn seal<'a>(&'a self, _header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(std::future::ready(Ok(Generation(1))))
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Moves `entries` entries of `len` bytes; how much more was live at a time than before.
async fn moved(entries: usize, len: usize) -> usize {
    let store = MemoryStore::new();
    let bytes = Bytes::from(content(len));
    for index in 0..entries {
        store.put(&shard(), key(&format!("{index:07}")), bytes.clone(), Vec::new());
    }
    let peak = Peak::default();
    let snapshot = store.open(&shard(), &Selector::All).await.unwrap();
    let source = Copied { snapshot, peak: peak.clone() };
    let before = peak.look();
    let pair = Pair::new(
        &MemoryNetwork::new(),
        EngineConfig::default(),
        Arc::new(CopiedSource(Arc::new(source))),
        Arc::new(Nowhere(peak.clone())),
    );
    let outcome = pair.bring_up().await;
    assert!(outcome.is_completed(), "{outcome:?}");
    peak.0.load(Relaxed) - before
}

/// M-33, F-64, A18, D16: both ends together keep to the budget that [`EngineConfig`] states for one shard,
/// and what they hold does not grow with the size of an entry, nor with the number of entries.
#[tokio::test]
async fn memory_keeps_to_its_budget_whatever_is_moved() {
    within(async {
        // Window, batches of the receiver, entries under way, batches of the sender, idle buffers.
        let budget = (8 + 4 + 3 + 4 + 4) * MIB;
        for (few, many) in [((1, 32 * MIB), (1, 128 * MIB)), ((20_000, 1024), (60_000, 1024))] {
            let (small, large) = (moved(few.0, few.1).await, moved(many.0, many.1).await);
            assert!(small.max(large) < budget, "{small} and {large} bytes");
            assert!(large < small + 2 * MIB, "{small} bytes for {few:?}, {large} for {many:?}");
        }
    })
    .await;
}
