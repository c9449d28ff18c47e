//! What is offered stays as it is until it is released, and no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::EngineConfig;
use peerstream_engine::snapshot::{BoxFuture, MemoryStore, Overlay, Snapshot, Source, SourceError};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{ChunkSize, Ordinal, Selector, ShardId};
use tokio::sync::Semaphore;

use crate::pair::{Pair, REPLICA, content, key, shard, within};

/// How snapshots are used.
#[derive(Debug)]
struct Pins {
    opened: AtomicU32,
    released: AtomicU32,
    reading: AtomicU32,
    /// Reads that may go on.
    gate: Semaphore,
}

#[derive(Debug)]
struct Pinned {
    store: MemoryStore,
    pins: Arc<Pins>,
}

#[derive(Debug)]
struct Pin {
    inner: Arc<dyn Snapshot>,
    pins: Arc<Pins>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.released.fetch_add(1, Relaxed);
    }
}

impl Source for Pinned {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let inner = self.store.open(shard, selector).await?;
            self.pins.opened.fetch_add(1, Relaxed);
            Ok(Arc::new(Pin { inner, pins: self.pins.clone() }) as Arc<dyn Snapshot>)
        })
    }
}

impl Overlay for Pin {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            self.pins.reading.fetch_add(1, Relaxed);
            self.pins.gate.acquire().await.expect("never closed").forget();
            self.inner.read(ordinal, offset, len).await
        })
    }
}

/// A pair whose donor reads as many chunks as the gate lets through.
fn gated(network: &MemoryNetwork) -> (Pair, Arc<Pins>) {
    let size = ChunkSize::new(1024).unwrap();
    let store = MemoryStore::with_chunk_size(size);
    store.put(&shard(), key("big"), content(40 * 1024), Vec::new());
    let (opened, released, reading) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let pins = Arc::new(Pins { opened, released, reading, gate: Semaphore::new(10) });
    let source = Pinned { store, pins: pins.clone() };
    let sink = MemoryStore::with_chunk_size(size);
    (Pair::new(network, EngineConfig::default(), Arc::new(source), Arc::new(sink)), pins)
}

/// C20: a snapshot is pinned from the offer to the release, however long the transfer takes, and
/// released once.
#[tokio::test(start_paused = true)]
async fn a_snapshot_is_pinned_until_it_is_released() {
    within(async {
        let network = MemoryNetwork::new();
        let (pair, pins) = gated(&network);
        let plan = pair.bring_up();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(pins.reading.load(Relaxed) > 10, "a read waits");
        assert_eq!((pins.opened.load(Relaxed), pins.released.load(Relaxed)), (1, 0));
        pins.gate.add_permits(1000);
        assert!(plan.await.is_completed());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((pins.opened.load(Relaxed), pins.released.load(Relaxed)), (1, 1));
    })
    .await;
}

/// C20: a session that fails in the middle of a send releases its snapshot too, once.
#[tokio::test(start_paused = true)]
async fn a_session_that_fails_while_it_sends_releases_its_snapshot() {
    within(async {
        let network = MemoryNetwork::new();
        let (pair, pins) = gated(&network);
        let _plan = pair.bring_up();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(pins.reading.load(Relaxed) > 10, "a read waits");
        assert_eq!((pins.opened.load(Relaxed), pins.released.load(Relaxed)), (1, 0));
        network.crash(REPLICA.into());
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((pins.opened.load(Relaxed), pins.released.load(Relaxed)), (1, 1));
    })
    .await;
}
