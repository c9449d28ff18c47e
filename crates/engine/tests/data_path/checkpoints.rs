//! What is stored is made durable while the transfer goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_engine::snapshot::{
    BoxFuture, DiskError, Fence, Generation, Held, MemoryStore, Sink, SinkError, Staging, VerifiedChunk,
};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{ByteCount, ChunkSize, Entry, ManifestHeader, Ordinal, Selector, ShardId};
use peerstream_engine::{EngineConfig, PlanOutcome, ShardOutcome, Stage};
use tokio::time::Instant;

use crate::pair::{Pair, content, key, shard, within};

const CHUNK: u64 = 1024;
/// Chunks of the one entry.
const CHUNKS: u64 = 64;

/// What a sink saw and how it behaves.
#[derive(Debug)]
struct Watch {
    /// How long it takes to store a chunk.
    store_takes: Duration,
    checkpoint_takes: Duration,
    /// The checkpoint that fails, counted from one.
    failing: Option<usize>,
    stores_fail: AtomicBool,
    stored: AtomicU64,
    /// For each checkpoint: how much was stored when it began, and when it ended.
    checkpoints: Mutex<Vec<(u64, u64)>>,
    started: Instant,
}

#[derive(Debug)]
struct Watched {
    inner: MemoryStore,
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct WatchedStaging {
    inner: Arc<dyn Staging>,
    watch: Arc<Watch>,
}

impl Sink for Watched {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(async move {
            let inner = self.inner.stage(shard, selector, fence).await?;
            Ok(Arc::new(WatchedStaging { inner, watch: self.watch.clone() }) as Arc<dyn Staging>)
        })
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        self.inner.current(shard)
    }

    fn merges(&self, shard: &ShardId) -> bool {
        self.inner.merges(shard)
    }
}

impl Staging for WatchedStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.begin(header)
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.contribute(header)
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        self.inner.admit(entries)
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let bytes: u64 = chunks.iter().map(|chunk| chunk.bytes().len() as u64).sum();
            tokio::time::sleep(self.watch.store_takes * chunks.len() as u32).await;
            if self.watch.stores_fail.load(Relaxed) {
                let error = std::io::Error::other("full of sand");
                return Err(DiskError::new("write", "staging".as_ref(), &error).into());
            }
            self.inner.store(chunks).await?;
            self.watch.stored.fetch_add(bytes, Relaxed);
            Ok(())
        })
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.leave_out(ordinal)
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let (watch, began) = (&self.watch, self.watch.stored.load(Relaxed));
            tokio::time::sleep(watch.checkpoint_takes).await;
            let mut checkpoints = watch.checkpoints.lock().unwrap();
            checkpoints.push((began, watch.stored.load(Relaxed)));
            if watch.failing == Some(checkpoints.len()) {
                let error = std::io::Error::other("the cable is out");
                return Err(DiskError::new("sync", "staging".as_ref(), &error).into());
            }
            Ok(())
        })
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.seal(header)
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        self.inner.publish()
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.discard()
    }
}

/// Brings an entry of 64 chunks up: a chunk takes a second to store, a fetch has four of them.
async fn bring_up(
    checkpoint_bytes: u64,
    checkpoint_interval: Duration,
    checkpoint_takes: Duration,
    failing: Option<usize>,
) -> (PlanOutcome, Arc<Watch>) {
    let (pair, watch) = pair(checkpoint_bytes, checkpoint_interval, checkpoint_takes, failing);
    (pair.bring_up().await, watch)
}

fn pair(
    checkpoint_bytes: u64,
    checkpoint_interval: Duration,
    checkpoint_takes: Duration,
    failing: Option<usize>,
) -> (Pair, Arc<Watch>) {
    let size = ChunkSize::new(CHUNK).unwrap();
    let source = MemoryStore::with_chunk_size(size);
    source.put(&shard(), key("big"), content((CHUNKS * CHUNK) as usize), Vec::new());
    let watch = Watch {
        store_takes: Duration::from_secs(1),
        checkpoint_takes,
        failing,
        stores_fail: AtomicBool::new(false),
        stored: AtomicU64::new(0),
        checkpoints: Mutex::default(),
        started: Instant::now(),
    };
    let watch = Arc::new(watch);
    let sink = Watched { inner: MemoryStore::with_chunk_size(size), watch: watch.clone() };
    let mut config = EngineConfig { checkpoint_interval, ..EngineConfig::default() };
    config.checkpoint_bytes = ByteCount(checkpoint_bytes);
    config.recovery.window = ByteCount(4 * CHUNK);
    config.recovery.fetch_bytes = ByteCount(4 * CHUNK);
    let pair = Pair::new(&MemoryNetwork::new(), config, Arc::new(source), Arc::new(sink));
    (pair, watch)
}

const HOUR: Duration = Duration::from_secs(3600);

/// Promise 2: after so many bytes a checkpoint begins, and what it covers is all that was stored.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_comes_every_so_many_bytes() {
    within(async {
        let (outcome, watch) = bring_up(16 * CHUNK, HOUR, Duration::ZERO, None).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let began: Vec<u64> = watch.checkpoints.lock().unwrap().iter().map(|(began, _)| *began).collect();
        assert_eq!(began[..3], [16 * CHUNK, 32 * CHUNK, 48 * CHUNK]);
    })
    .await;
}

/// Promise 2: a slow transfer is made durable too, by time.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_comes_every_so_often() {
    within(async {
        let (outcome, watch) = bring_up(u64::MAX, Duration::from_secs(10), Duration::ZERO, None).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let checkpoints = watch.checkpoints.lock().unwrap();
        // Some 64 s of storing, in fetches of 4 s; the time runs from the first stored chunk on.
        assert!((4..=6).contains(&checkpoints.len()), "{checkpoints:?}");
    })
    .await;
}

/// A checkpoint does not stop the transfer, and there is one at a time.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_runs_beside_the_transfer() {
    within(async {
        let (outcome, watch) = bring_up(8 * CHUNK, HOUR, Duration::from_secs(20), None).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert!(watch.started.elapsed() < Duration::from_secs(70), "the transfer alone takes 64 s");
        let checkpoints = watch.checkpoints.lock().unwrap();
        assert!((2..=3).contains(&checkpoints.len()), "{checkpoints:?}");
        assert!(checkpoints.iter().all(|(began, ended)| ended - began >= 16 * CHUNK), "{checkpoints:?}");
    })
    .await;
}

/// M-34: a disk that cannot make it durable ends the shard with its reason, as one that cannot store does.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_fails_ends_the_shard() {
    within(async {
        let (outcome, watch) = bring_up(16 * CHUNK, HOUR, Duration::ZERO, Some(2)).await;
        let said = outcome.shards[0].outcome.to_string();
        assert!(said.contains("the cable is out"), "{said}");
        assert!(watch.stored.load(Relaxed) < CHUNKS * CHUNK);
    })
    .await;
}

/// Promise 8: a disk that hangs while it keeps what is verified does not keep a plan that is called off.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_a_plan_that_is_called_off() {
    within(async {
        let (pair, watch) = pair(u64::MAX, HOUR, Duration::MAX, None);
        let plan = pair.bring_up();
        tokio::time::sleep(Duration::from_secs(10)).await;
        plan.abort("changed my mind");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shown = plan.state().shards[0].clone();
        assert_eq!(shown.stage, Stage::Keeping);
        assert_eq!(shown.waiting.as_deref(), Some("the store to make durable what is verified"));
        let outcome = plan.await;
        assert!(matches!(outcome.shards[0].outcome, ShardOutcome::Aborted { .. }), "{outcome:?}");
        assert!(watch.started.elapsed() < Duration::from_secs(20), "{:?}", watch.started.elapsed());
    })
    .await;
}

/// A plan that failed waits for its store as long as nobody calls it off, and its source does not.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_the_source() {
    within(async {
        let (pair, watch) = pair(u64::MAX, HOUR, Duration::MAX, None);
        watch.stores_fail.store(true, Relaxed);
        let plan = pair.bring_up();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(plan.state().shards[0].stage, Stage::Keeping);
        assert_eq!(pair.donor_sessions(), 0, "it was released");
        tokio::time::sleep(HOUR).await;
        assert_eq!(plan.state().shards[0].stage, Stage::Keeping);
        plan.abort("it hangs");
        let outcome = plan.await;
        assert!(outcome.shards[0].outcome.to_string().contains("full of sand"), "{outcome:?}");
        assert!(watch.started.elapsed() < HOUR + Duration::from_secs(60));
    })
    .await;
}
