//! The source that makes checkpoints when someone asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_types::{Position, Selector, ShardId, WallClock};

use super::checkpointer::Checkpointer;
use super::layout::{remove_all, shard_dir};
use super::lease::{Checkpoint, LeasedSnapshot};
use super::shelf::{Answer, Half, Shelf, Turn};
use crate::disk::FileKind;
use crate::{BoxFuture, DirectorySource, Disk, DiskError, Snapshot, Source, SourceError};

/// When checkpoints are made and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// How long a checkpoint is handed out after it was begun. The older it is, the more of the change
    /// log its receivers have to follow; the younger, the more often the host makes one, and the more of
    /// them stand beside each other. Default 60 minutes.
    pub ttl: Duration,
    /// A checkpoint that nobody held for this long is removed before it is stale: the space that it
    /// keeps is worth more than the time to make it again. Default 120 minutes, which only matters where
    /// `ttl` is longer.
    pub unused_max: Duration,
    /// Most checkpoints of one shard beside each other, at least 1: the newest, and stale ones in use.
    /// Each keeps the space of what the host has deleted or rewritten since. Default 4.
    pub beside_max: usize,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self { ttl: minutes(60), unused_max: minutes(120), beside_max: 4 }
    }
}

impl CheckpointSettings {
    pub(super) fn is_stale(&self, checkpoint: &Checkpoint, now_ms: u64) -> bool {
        checkpoint.is_spoilt() || u128::from(checkpoint.age_ms(now_ms)) >= self.ttl.as_millis()
    }

    /// Whether the newest checkpoint can go if nobody uses it.
    pub(super) fn is_spare(&self, checkpoint: &Checkpoint, now_ms: u64) -> bool {
        self.is_stale(checkpoint, now_ms)
            || u128::from(checkpoint.idle_ms(now_ms)) >= self.unused_max.as_millis()
    }
}

/// What a [`CheckpointSource`] works with.
#[derive(Debug, Clone)]
pub struct CheckpointParts {
    /// The host.
    pub checkpointer: Arc<dyn Checkpointer>,
    /// Lists, hashes and reads the checkpoints. It may serve other shards as well, but nobody else binds
    /// the shards of this source there.
    pub directory: Arc<DirectorySource>,
    /// Where checkpoints are.
    pub disk: Arc<dyn Disk>,
    /// How old they are.
    pub clock: Arc<dyn WallClock>,
}

/// A checkpoint, for those who look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// Of which shard.
    pub shard: ShardId,
    /// Which one; counts up over all shards of a source.
    pub number: u64,
    /// How long ago it was begun, in milliseconds.
    pub age_ms: u64,
    /// How many snapshots hold it.
    pub leases: usize,
    /// Whether it is handed out no more.
    pub is_stale: bool,
}

/// Serves checkpoints of a live store, made when someone asks and shared until they are stale. See the
/// [module](super).
///
/// ```
/// # use std::sync::Arc;
/// # use peerstream_snapshot::checkpoint::*;
/// # use peerstream_snapshot::{BlockingPool, DirectorySource, RealDisk, Source};
/// # use peerstream_types::{PageToken, Selector, WallClock};
/// # #[derive(Debug)] struct Clock;
/// # impl WallClock for Clock { fn unix_ms(&self) -> u64 { 1 } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (live, root) = (dir.path().join("live"), dir.path().join("checkpoints"));
/// # let work = dir.path().join("work");
/// # std::fs::create_dir(&live)?;
/// std::fs::write(live.join("000001.sst"), "some rows")?;
///
/// let disk = Arc::new(RealDisk::new());
/// let rules = TreeRules { immutable: vec!["*.sst".parse()?], ..TreeRules::default() };
/// let tree = TreeCheckpointer::new(disk.clone(), rules);
/// tree.add(&"metrics@1/0".parse()?, &live);
/// let parts = CheckpointParts {
///     checkpointer: Arc::new(tree),
///     directory: Arc::new(DirectorySource::new(work, RealDisk::new(), BlockingPool::new())),
///     disk,
///     clock: Arc::new(Clock),
/// };
/// let source = CheckpointSource::at(root, parts, CheckpointSettings::default()).await?;
/// let snapshot = source.open(&"metrics@1/0".parse()?, &Selector::All).await?;
/// std::fs::remove_file(live.join("000001.sst"))?;
/// let page = snapshot.page(&PageToken::START, 10).await?;
/// assert_eq!(&snapshot.read(page.entries[0].ordinal, 0, 9).await?[..], b"some rows");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CheckpointSource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    parts: CheckpointParts,
    settings: CheckpointSettings,
    shelves: Mutex<BTreeMap<ShardId, Arc<Shelf>>>,
    /// Numbers are never given twice, so that a checkpoint cannot be taken for another one.
    next: AtomicU64,
}

impl CheckpointSource {
    /// A source with its checkpoints below `root`, which is its own, and on the file system of the live
    /// store if hard links or reflinks are to be made. Removes what an earlier process left there.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if what was left cannot be listed or removed.
    pub async fn at(
        root: impl Into<PathBuf>,
        parts: CheckpointParts,
        settings: CheckpointSettings,
    ) -> Result<Self, DiskError> {
        let root = root.into();
        remove_all(&*parts.disk, &root).await?;
        let shelves = Mutex::default();
        Ok(Self(Arc::new(Inner { root, parts, settings, shelves, next: AtomicU64::new(1) })))
    }

    /// Removes what nobody uses and nobody will: stale checkpoints, those unused for long, and what is
    /// left of failed ones. Call it now and then, a minute apart, say; it is cancel safe.
    ///
    /// # Errors
    ///
    /// The first [`DiskError`]; the rest was still cleaned, and the next call tries again.
    pub async fn clean(&self, now_ms: u64) -> Result<(), DiskError> {
        let shelves: Vec<_> = self.0.lock().values().cloned().collect();
        let mut result = Ok(());
        for shelf in shelves {
            result = result.and(self.0.clear(&shelf, now_ms).await);
        }
        // A shard that was asked for once, by whomever, is not remembered for ever.
        self.0.lock().retain(|_, shelf| !shelf.is_empty() || Arc::strong_count(shelf) > 1);
        result
    }

    /// All checkpoints, by shard and age.
    pub fn checkpoints(&self) -> Vec<CheckpointStatus> {
        let now_ms = self.0.parts.clock.unix_ms();
        let shelves: Vec<_> = self.0.lock().values().cloned().collect();
        let status = |shelf: &Arc<Shelf>, leases: usize, one: &Checkpoint| CheckpointStatus {
            shard: shelf.shard.clone(),
            number: one.number,
            age_ms: one.age_ms(now_ms),
            leases,
            is_stale: self.0.settings.is_stale(one, now_ms),
        };
        let each = |shelf: &Arc<Shelf>| -> Vec<_> {
            shelf.whole().iter().map(|(leases, one)| status(shelf, *leases, one)).collect()
        };
        shelves.iter().flat_map(each).collect()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Shelf>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self, shard: &ShardId) -> Arc<Shelf> {
        let make = || Arc::new(Shelf::new(shard.clone()));
        self.lock().entry(shard.clone()).or_insert_with(make).clone()
    }

    async fn snapshot(
        self: &Arc<Self>,
        shard: &ShardId,
        selector: &Selector,
    ) -> Result<Arc<dyn Snapshot>, SourceError> {
        let shelf = self.shelf(shard);
        loop {
            let checkpoint = self.lease(&shelf).await.inspect_err(|_| self.forget(&shelf))?;
            let bound = shelf.bound.read().await;
            // Another one may have taken its place since; then that one is opened.
            if *bound != Some(checkpoint.number) {
                continue;
            }
            let inner = checkpoint.note(self.parts.directory.open(shard, selector).await)?;
            let clock = self.parts.clock.clone();
            return Ok(Arc::new(LeasedSnapshot { inner, checkpoint, clock }));
        }
    }

    /// A lease on a fresh checkpoint. It is made in a task of its own: whoever asks may go away, and the
    /// others, or the next one, still get it.
    async fn lease(self: &Arc<Self>, shelf: &Arc<Shelf>) -> Answer {
        let told = match shelf.turn(&self.settings, self.parts.clock.unix_ms()) {
            Turn::Leased(checkpoint) => return Ok(checkpoint),
            Turn::Wait(told) => told,
            Turn::Make(tell, told) => {
                let (inner, shelf) = (self.clone(), shelf.clone());
                tokio::spawn(async move {
                    let answer = inner.make(&shelf).await;
                    shelf.made();
                    drop(shelf);
                    tell.send_replace(Some(answer));
                });
                told
            }
        };
        let abandoned = || SourceError::NotReady {
            shard: shelf.shard.clone(),
            why: "its checkpoint was abandoned: the host panicked, or this node is shutting down".into(),
        };
        let answer = told.wait_for(Option::is_some).await.ok().flatten();
        answer.unwrap_or_else(|| Err(abandoned()))
    }

    /// A shard of which nothing is known is not remembered: peers may ask for any. The last who asked for
    /// it forgets it.
    fn forget(&self, shelf: &Arc<Shelf>) {
        let mut shelves = self.lock();
        if shelf.is_empty() && Arc::strong_count(shelf) == 2 {
            shelves.remove(&shelf.shard);
        }
    }

    async fn make(&self, shelf: &Shelf) -> Answer {
        let now_ms = self.parts.clock.unix_ms();
        // What cannot be removed still takes room, and counts.
        self.clear(shelf, now_ms).await.ok();
        self.check_room(shelf)?;
        let position = self.parts.checkpointer.position(&shelf.shard).await;
        let position = position.map_err(|error| error.of(&shelf.shard))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let made = self.fill(shelf, number, position, now_ms).await;
        if made.is_err() {
            self.clear(shelf, now_ms).await.ok();
        }
        made
    }

    /// One more must be allowed beside those that are there.
    fn check_room(&self, shelf: &Shelf) -> Result<(), SourceError> {
        let (used, doomed) = shelf.count();
        if used + doomed < self.settings.beside_max {
            return Ok(());
        }
        let why = format!(
            "{used} stale checkpoints are in use and {doomed} could not be removed, {} may be there; \
             once one of them is free, the next is made",
            self.settings.beside_max
        );
        Err(SourceError::NotReady { shard: shelf.shard.clone(), why })
    }

    async fn fill(&self, shelf: &Shelf, number: u64, position: Option<Position>, now_ms: u64) -> Answer {
        let (shard, disk) = (&shelf.shard, &*self.parts.disk);
        let parent = shard_dir(&self.root, shard);
        disk.create_dir_all(&parent).await?;
        let dir = parent.join(number.to_string());
        let half = Half::new(shelf, dir.clone());
        let state = self.parts.checkpointer.checkpoint(shard, &dir).await;
        let state = state.map_err(|error| error.of(shard))?;
        check_made(disk, shard, &dir).await?;
        // Waits for those who are opening the one before.
        let mut bound = shelf.bound.write().await;
        self.parts.directory.serve(shard, &dir, position, state)?;
        *bound = Some(number);
        half.keep();
        let checkpoint = Arc::new(Checkpoint::new(number, dir, now_ms));
        shelf.put(&checkpoint);
        Ok(checkpoint)
    }

    async fn clear(&self, shelf: &Shelf, now_ms: u64) -> Result<(), DiskError> {
        let spare = shelf.doom_spare(&self.settings, now_ms);
        // Somebody who is at the binding now is about to see that it is not his; the next checkpoint
        // replaces it.
        if let Ok(mut bound) = shelf.bound.try_write()
            && bound.is_some_and(|bound| spare.contains(&bound))
        {
            self.parts.directory.stop_serving(&shelf.shard);
            *bound = None;
        }
        let mut result = Ok(());
        for dir in shelf.doomed() {
            match self.parts.disk.remove_dir_all(&dir).await {
                Ok(()) => shelf.removed(&dir),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

/// The host may say that it is done, and have made nothing.
async fn check_made(disk: &dyn Disk, shard: &ShardId, dir: &Path) -> Result<(), SourceError> {
    let found = disk.metadata(dir).await?;
    if found.is_some_and(|found| found.kind == FileKind::Dir) {
        return Ok(());
    }
    let why = format!("the host made no directory {}", dir.display());
    Err(SourceError::NotReady { shard: shard.clone(), why })
}

impl Source for CheckpointSource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(self.0.snapshot(shard, selector))
    }
}

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;
