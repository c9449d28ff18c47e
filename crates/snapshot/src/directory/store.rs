//! Directories that are received, shown generation by generation, and served again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::{ManifestHeader, Selector, ShardId};

use super::Seams;
use super::budget::{Cleaned, Idle, excess};
use super::layout::ShardDir;
use super::options::StoreOptions;
use super::room::Ledger;
use super::scratch::Scratch;
use super::shard::Shard;
use super::staging::{DirectoryStaging, remove_staging};
use super::sweep::{list, numbers, sweep};
use super::tree::TreeSnapshot;
use crate::{
    BoxFuture, Disk, DiskError, Fence, Generation, Offload, Sink, SinkError, Snapshot, Source, SourceError,
    Staging,
};

/// Shards below one root, each a directory tree that is replaced as a whole. One process at a time
/// works on a root. See the [module](super) for what lies where.
#[derive(Debug)]
pub struct DirectoryStore {
    root: PathBuf,
    seams: Seams,
    options: StoreOptions,
    ledger: Arc<Ledger>,
    shards: Mutex<BTreeMap<ShardId, Arc<Shard>>>,
    faults: Vec<DiskError>,
    /// Where the catalogs of parts of shards are made, once someone asks for one.
    scratch: tokio::sync::OnceCell<Scratch>,
}

impl DirectoryStore {
    /// Opens the store at `root`, which is made if it is missing, and removes what a crash left
    /// half made. Staged content stays for the next attempt.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if the root cannot be made or listed. What is wrong with a single shard does
    /// not matter to the others: see [`DirectoryStore::faults`].
    pub async fn open(
        root: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
        offload: Arc<dyn Offload>,
    ) -> Result<Self, DiskError> {
        Self::open_with(root, disk, offload, StoreOptions::default()).await
    }

    /// Opens the store as [`DirectoryStore::open`] does, set up in another way.
    ///
    /// # Errors
    ///
    /// As for [`DirectoryStore::open`].
    pub async fn open_with(
        root: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
        offload: Arc<dyn Offload>,
        options: StoreOptions,
    ) -> Result<Self, DiskError> {
        let root = root.into();
        make_root(&*disk, &root).await?;
        let mut faults = Vec::new();
        for shard in shards_below(&*disk, &root).await? {
            let swept = sweep(&*disk, &ShardDir::new(&root, &shard), &BTreeSet::new()).await;
            faults.extend(swept.err());
        }
        let ledger = Arc::new(Ledger::new(disk.clone(), root.clone(), options.room));
        let seams = Seams { disk, offload };
        Ok(Self {
            root,
            seams,
            options,
            ledger,
            shards: Mutex::default(),
            faults,
            scratch: tokio::sync::OnceCell::new(),
        })
    }

    /// What `open` could not clean up. The shards concerned answer with the same error, or work and
    /// take more room than they should; the operator has to look.
    pub fn faults(&self) -> &[DiskError] {
        &self.faults
    }

    /// Where the host opens the published data of a shard, or `None` before the first publish.
    ///
    /// The directory is the host's to read until the publish after the next one. A host that writes
    /// to it serves its own checkpoints through [`DirectorySource`](super::DirectorySource) instead
    /// of this store, whose snapshots would then fail with [`SourceError::Changed`].
    ///
    /// # Errors
    ///
    /// [`SinkError::Disk`] if it cannot be told what is visible.
    pub async fn current_path(&self, shard: &ShardId) -> Result<Option<PathBuf>, SinkError> {
        let Some(shard) = self.existing(shard).await? else { return Ok(None) };
        let pointer = shard.pointer().await?;
        Ok(pointer.map(|pointer| shard.dir.generation(pointer.visible).data()))
    }

    /// Makes the generation before the visible one visible again, in one step; the newer one is removed
    /// once nothing reads it any more. What is staged stays staged.
    ///
    /// # Errors
    ///
    /// [`SinkError::NoPrevious`] if there is none: every publish allows for one step back.
    /// [`SinkError::Hook`] if the host does not take it. Nothing was changed then.
    pub async fn roll_back(&self, shard: &ShardId) -> Result<Generation, SinkError> {
        match self.existing(shard).await? {
            Some(shard) => shard.roll_back().await,
            None => Err(SinkError::NoPrevious(shard.clone())),
        }
    }

    /// Removes staged content that is older, or more, than [`StoreOptions::budget`] allows, the
    /// oldest first and never what a writer works on. Says what is gone. Call it when the store was
    /// opened, and now and then.
    ///
    /// # Errors
    ///
    /// What the disk says; some may be gone by then.
    pub async fn clean(&self, now_unix_ms: u64) -> Result<Vec<Cleaned>, DiskError> {
        let (disk, mut busy, mut idle) = (&*self.seams.disk, 0, Vec::new());
        for id in shards_below(disk, &self.root).await? {
            let (shard, dir) = (self.shard(&id), ShardDir::new(&self.root, &id));
            for target in numbers(disk, &dir.stagings()).await? {
                let found = Idle::look(disk, id.clone(), dir.staging(target)).await?;
                if shard.is_live() { busy += found.bytes } else { idle.push(found) }
            }
        }
        let mut cleaned = Vec::new();
        for (found, why) in excess(self.options.budget, now_unix_ms, busy, idle) {
            let shard = self.shard(&found.shard);
            // Nobody becomes a writer meanwhile: that takes the same lock.
            let mut staged = shard.staging.write().await;
            // There may have been one since.
            if !shard.is_live() && found.is_still_idle(disk).await? {
                staged.take_if(|area| area.dir.path() == found.dir.path());
                remove_staging(disk, &found.dir).await?;
                cleaned.push(Cleaned { shard: found.shard, bytes: found.bytes, why });
            }
        }
        Ok(cleaned)
    }

    /// The shard, whether it exists or not.
    fn shard(&self, id: &ShardId) -> Arc<Shard> {
        let make = || {
            let dir = ShardDir::new(&self.root, id);
            let (seams, options) = (self.seams.clone(), self.options.clone());
            Arc::new(Shard::new(id.clone(), dir, seams, options, self.ledger.clone()))
        };
        self.lock().entry(id.clone()).or_insert_with(make).clone()
    }

    /// The shard if it exists: a question about one that does not, maybe from a peer, leaves nothing
    /// behind.
    async fn existing(&self, id: &ShardId) -> Result<Option<Arc<Shard>>, DiskError> {
        if let Some(shard) = self.lock().get(id) {
            return Ok(Some(shard.clone()));
        }
        let dir = ShardDir::new(&self.root, id);
        let found = self.seams.disk.metadata(dir.path()).await?;
        Ok(found.map(|_| self.shard(id)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Shard>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn snapshot(&self, id: &ShardId, selector: &Selector) -> Result<Arc<dyn Snapshot>, SourceError> {
        let none = || SourceError::NoSuchShard(id.clone());
        let shard = self.existing(id).await?.ok_or_else(none)?;
        let tree = shard.tree().await?.ok_or_else(|| SourceError::NotReady {
            shard: id.clone(),
            why: "nothing was published yet".into(),
        })?;
        let scratch = self
            .scratch
            .get_or_try_init(|| Scratch::open(self.seams.disk.clone(), self.root.join("scratch")));
        let snapshot = TreeSnapshot::select(tree, selector, scratch.await?).await?;
        snapshot.ok_or_else(|| SourceError::UnsupportedSelector(id.clone()))
    }

    async fn writer(
        &self,
        id: &ShardId,
        selector: &Selector,
        fence: Fence,
    ) -> Result<Arc<dyn Staging>, SinkError> {
        if *selector != Selector::All {
            return Err(SinkError::UnsupportedSelector(id.clone()));
        }
        let shard = self.shard(id);
        Ok(Arc::new(DirectoryStaging::enter(shard, fence).await?))
    }
}

/// Makes the root and what is missing above it, to stay.
async fn make_root(disk: &dyn Disk, root: &Path) -> Result<(), DiskError> {
    let above = root.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
    let mut new = BTreeSet::new();
    for dir in above.clone() {
        if disk.metadata(dir).await?.is_none() {
            new.insert(dir);
        }
    }
    disk.create_dir_all(root).await?;
    for dir in above {
        let synced = disk.sync_dir(dir).await;
        // One that was there may belong to others, who see to its name.
        if new.contains(dir) {
            synced?;
        }
    }
    Ok(())
}

/// The shards that have a directory. Other names are not ours, and left alone.
async fn shards_below(disk: &dyn Disk, root: &Path) -> Result<Vec<ShardId>, DiskError> {
    let mut shards = Vec::new();
    for dataset in list(disk, root).await? {
        let Some(name) = dataset.name.to_str() else { continue };
        if format!("{name}/0").parse::<ShardId>().is_err() {
            continue;
        }
        for index in list(disk, &root.join(name)).await? {
            let id = index.name.to_str().map(|index| format!("{name}/{index}"));
            let own = |id: &String| id.parse().ok().filter(|shard: &ShardId| shard.to_string() == *id);
            shards.extend(id.as_ref().and_then(own));
        }
    }
    Ok(shards)
}

impl Source for DirectoryStore {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(self.snapshot(shard, selector))
    }
}

/// Takes whole shards of files only. Fences hold for the life of this value: a new process starts
/// with none.
impl Sink for DirectoryStore {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(self.writer(shard, selector, fence))
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        Box::pin(async move {
            match self.existing(shard).await? {
                Some(shard) => Ok(shard.current().await?),
                None => Ok(None),
            }
        })
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "store/checkpoint_tests.rs"]
mod checkpoint_tests;

#[cfg(test)]
#[path = "store/resume_tests.rs"]
mod resume_tests;

#[cfg(test)]
#[path = "store/lease_tests.rs"]
mod lease_tests;

#[cfg(test)]
#[path = "store/clean_tests.rs"]
mod clean_tests;

#[cfg(test)]
#[path = "store/publish_tests.rs"]
mod publish_tests;

#[cfg(test)]
#[path = "store/room_tests.rs"]
mod room_tests;
