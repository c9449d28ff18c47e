//! When checkpoints are made, shared, kept and removed: a host in memory, a temporary directory, and a
//! clock that stands still until it is told otherwise.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use peerstream_types::{Ordinal, PageToken};
use tokio::sync::{Notify, Semaphore};

use super::super::checkpointer::CheckpointError;
use super::*;
use crate::{BlockingPool, RealDisk};

const MINUTE: u64 = 60_000;

#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl WallClock for Clock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store with one file, which holds how often it was written to. Its log position is that number.
#[derive(Debug)]
struct Host {
    written: AtomicU64,
    checkpoints: AtomicU64,
    fails: AtomicBool,
    panics: AtomicBool,
    /// One permit per checkpoint that may be made.
    gate: Semaphore,
    begun: Notify,
}

impl Default for Host {
    fn default() -> Self {
        let (fails, panics) = (AtomicBool::new(false), AtomicBool::new(false));
        let gate = Semaphore::new(1000);
        let (written, checkpoints) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { written, checkpoints, fails, panics, gate, begun: Notify::new() }
    }
}

impl Host {
    fn write(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Relaxed)
    }
}

impl Checkpointer for Host {
    fn position<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<Position>, CheckpointError>> {
        Box::pin(async move {
            if shard.index > 0 {
                return Err(CheckpointError::NoSuchShard);
            }
            let token = self.written.load(Ordering::Relaxed).to_be_bytes().to_vec();
            self.write();
            Ok(Some(Position { log: "writes".into(), epoch: 1, token }))
        })
    }

    fn checkpoint<'a>(
        &'a self,
        _shard: &'a ShardId,
        dir: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<u8>, CheckpointError>> {
        Box::pin(async move {
            self.checkpoints.fetch_add(1, Ordering::Relaxed);
            self.begun.notify_one();
            self.gate.acquire().await.unwrap().forget();
            std::fs::create_dir(dir).unwrap();
            self.write();
            let written = self.written.load(Ordering::Relaxed);
            std::fs::write(dir.join("written"), written.to_be_bytes()).unwrap();
            assert!(!self.panics.load(Ordering::Relaxed), "a fault of the host");
            if self.fails.load(Ordering::Relaxed) {
                return Err(CheckpointError::NotNow("the host is busy".into()));
            }
            self.write();
            Ok(written.to_be_bytes().to_vec())
        })
    }
}

struct World {
    host: Arc<Host>,
    clock: Arc<Clock>,
    source: CheckpointSource,
    root: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(CheckpointSettings { beside_max: 2, ..CheckpointSettings::default() }).await
    }

    async fn with(settings: CheckpointSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("checkpoints");
        let (host, clock) = (Arc::new(Host::default()), Arc::new(Clock::default()));
        let source = CheckpointSource::at(&root, parts(dir.path(), &host, &clock), settings).await.unwrap();
        Self { host, clock, source, root, dir }
    }

    /// Opens a snapshot; what it lists is hashed by then.
    async fn open(&self) -> Result<Arc<dyn Snapshot>, SourceError> {
        let snapshot = self.source.open(&shard(), &Selector::All).await?;
        snapshot.page(&PageToken::START, 100).await?;
        Ok(snapshot)
    }

    fn pass(&self, minutes: u64) {
        self.clock.0.fetch_add(minutes * MINUTE, Ordering::Relaxed);
    }

    async fn clean(&self) {
        self.source.clean(self.clock.unix_ms()).await.unwrap();
    }

    /// The numbers of the checkpoints that stand on the disk.
    fn on_disk(&self) -> Vec<String> {
        let Ok(names) = std::fs::read_dir(shard_dir(&self.root, &shard())) else { return Vec::new() };
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn parts(dir: &Path, host: &Arc<Host>, clock: &Arc<Clock>) -> CheckpointParts {
    CheckpointParts {
        checkpointer: host.clone(),
        directory: Arc::new(DirectorySource::new(dir.join("work"), RealDisk::new(), BlockingPool::new())),
        disk: Arc::new(RealDisk::new()),
        clock: clock.clone(),
    }
}

fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn position(snapshot: &Arc<dyn Snapshot>) -> u64 {
    number(&snapshot.header().position.unwrap().token)
}

async fn content(snapshot: &Arc<dyn Snapshot>) -> u64 {
    let bytes: Bytes = snapshot.read(Ordinal(0), 0, 8).await.unwrap();
    number(&bytes)
}

/// F-39: the host is written to before, while and after it is frozen; what the snapshot says of its
/// position is never ahead of what it holds.
#[tokio::test]
async fn the_position_is_never_ahead_of_the_content() {
    let world = World::new().await;
    for _ in 0..5 {
        let snapshot = world.open().await.unwrap();
        assert!(position(&snapshot) < content(&snapshot).await);
        assert_eq!(number(&snapshot.header().state), content(&snapshot).await, "the state is of the content");
        drop(snapshot);
        world.pass(60);
    }
    assert_eq!(world.host.checkpoints(), 5);
}

/// F-40: made when someone asks, and once however many ask.
#[tokio::test]
async fn however_many_ask_one_checkpoint_is_made() {
    let world = World::new().await;
    assert_eq!((world.host.checkpoints(), world.on_disk().len()), (0, 0), "nothing before someone asks");
    let opened = futures_util::future::join_all((0..8).map(|_| world.open())).await;
    let headers: Vec<_> = opened.iter().map(|one| one.as_ref().unwrap().header()).collect();
    assert!(headers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.host.checkpoints(), 1);
    assert_eq!(world.source.checkpoints()[0].leases, 8);
}

/// F-40: a checkpoint is shared with its own position and state until its time is over.
#[tokio::test]
async fn a_checkpoint_is_shared_until_it_is_stale() {
    let world = World::new().await;
    let first = world.open().await.unwrap().header();
    world.pass(59);
    world.host.write();
    assert_eq!(world.open().await.unwrap().header(), first);
    world.clean().await;
    assert_eq!(world.on_disk(), ["1"], "what may still be asked for stays");
    world.pass(1);
    assert!(world.source.checkpoints()[0].is_stale);
    let second = world.open().await.unwrap();
    assert_ne!(second.header().position, first.position);
    assert_eq!((world.host.checkpoints(), world.on_disk()), (2, vec!["2".to_owned()]));
}

/// F-41: the old files and the new ones never mix, and there is a bound.
#[tokio::test]
async fn a_stale_checkpoint_in_use_gets_a_successor_beside_it() {
    let world = World::new().await;
    let first = world.open().await.unwrap();
    let before = content(&first).await;
    world.pass(60);
    let second = world.open().await.unwrap();
    assert_eq!(world.on_disk(), ["1", "2"]);
    assert!(position(&first) < before && before < position(&second), "each has its own position");
    assert_eq!(content(&first).await, before);
    assert!(content(&second).await > position(&second));

    world.pass(60);
    let busy = world.open().await.unwrap_err();
    assert!(matches!(busy, SourceError::NotReady { .. }), "{busy}");
    assert!(busy.to_string().contains("2 stale checkpoints are in use"), "{busy}");
    assert_eq!(content(&first).await, before, "those in use are not touched");
    drop(second);
    world.open().await.unwrap();
    assert_eq!(world.on_disk(), ["1", "3"]);
}

/// F-40: neither time nor cleaning takes a checkpoint from those who use it.
#[tokio::test]
async fn what_is_in_use_is_not_removed() {
    let world = World::new().await;
    let snapshot = world.open().await.unwrap();
    let before = content(&snapshot).await;
    world.pass(100_000);
    world.clean().await;
    assert_eq!((content(&snapshot).await, world.on_disk().len()), (before, 1));
    drop(snapshot);
    world.clean().await;
    assert_eq!((world.on_disk().len(), world.source.checkpoints().len()), (0, 0));
}

#[tokio::test]
async fn what_nobody_uses_for_long_is_removed_before_it_is_stale() {
    let day = Duration::from_secs(24 * 60 * 60);
    let world = World::with(CheckpointSettings { ttl: day, ..CheckpointSettings::default() }).await;
    let snapshot = world.open().await.unwrap();
    world.pass(200);
    drop(snapshot);
    world.pass(119);
    world.clean().await;
    assert_eq!(world.on_disk().len(), 1);
    world.pass(1);
    world.clean().await;
    assert_eq!(world.on_disk().len(), 0);
}

/// F-40, C20: a session that dies while it opens or reads leaves no lease behind.
#[tokio::test]
async fn a_lease_ends_with_whoever_held_it() {
    let world = World::new().await;
    let held = world.open().await.unwrap();
    let session = tokio::spawn(async move {
        held.read(Ordinal(0), 0, 8).await.unwrap();
        std::future::pending::<()>().await;
        drop(held);
    });
    tokio::task::yield_now().await;
    assert_eq!(world.source.checkpoints()[0].leases, 1);
    session.abort();
    session.await.unwrap_err();
    assert_eq!(world.source.checkpoints()[0].leases, 0);

    world.pass(60);
    world.host.gate.forget_permits(1000);
    let (source, host) = (world.source.clone(), world.host.clone());
    let session = tokio::spawn(async move { source.open(&shard(), &Selector::All).await.map(drop) });
    host.begun.notified().await;
    session.abort();
    session.await.unwrap_err();
    host.gate.add_permits(1);
    let snapshot = world.open().await.unwrap();
    assert_eq!(host.checkpoints(), 2, "what the dead one asked for serves the next");
    drop(snapshot);
    assert_eq!(world.source.checkpoints()[0].leases, 0);
}

/// F-40: one failure for all who wait, nothing of it on the disk, and another attempt by the next.
#[tokio::test]
async fn a_failed_checkpoint_leaves_nothing_and_the_next_open_tries_again() {
    let world = World::new().await;
    world.host.fails.store(true, Ordering::Relaxed);
    for opened in futures_util::future::join_all((0..4).map(|_| world.open())).await {
        let error = opened.unwrap_err();
        assert!(error.to_string().contains("the host is busy"), "{error}");
    }
    assert_eq!((world.host.checkpoints(), world.on_disk().len()), (1, 0));
    world.host.fails.store(false, Ordering::Relaxed);
    assert!(world.open().await.is_ok());
}

#[tokio::test]
async fn a_host_that_panics_is_asked_again() {
    let world = World::new().await;
    world.host.panics.store(true, Ordering::Relaxed);
    let error = world.open().await.unwrap_err();
    assert!(matches!(error, SourceError::NotReady { .. }), "{error}");
    world.host.panics.store(false, Ordering::Relaxed);
    assert!(world.open().await.is_ok());
    assert_eq!(world.on_disk(), ["2"], "what it left is removed");
}

#[tokio::test]
async fn what_a_crash_left_is_removed_on_start() {
    let world = World::new().await;
    let kept = world.root.join("facts@1/0/notes");
    std::fs::create_dir_all(world.root.join("facts@1/0/7/sub")).unwrap();
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(world.root.join("facts@1/0/7/sub/file"), "x").unwrap();
    let parts = parts(world.dir.path(), &world.host, &world.clock);
    CheckpointSource::at(&world.root, parts, CheckpointSettings::default()).await.unwrap();
    assert_eq!(world.on_disk(), ["notes"], "what is not ours is left alone");
}

/// Peers may ask for any shard: those that nobody holds take no room.
#[tokio::test]
async fn a_shard_that_is_not_held_is_not_remembered() {
    let world = World::new().await;
    let other = "facts@1/9".parse().unwrap();
    let error = world.source.open(&other, &Selector::All).await.unwrap_err();
    assert_eq!(error, SourceError::NoSuchShard(other));
    assert!(world.source.0.lock().is_empty());
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_is_not_handed_out_again() {
    let world = World::new().await;
    let snapshot = world.open().await.unwrap();
    std::fs::write(shard_dir(&world.root, &shard()).join("1/written"), "another length").unwrap();
    let read = snapshot.read(Ordinal(0), 0, 8).await;
    assert!(matches!(read, Err(SourceError::Changed { .. })), "{read:?}");
    let again = world.open().await.unwrap();
    assert!(position(&again) < content(&again).await);
    assert_eq!(world.on_disk(), ["1", "2"]);
}
