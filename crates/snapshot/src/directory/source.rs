//! Directories that are served as they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ChunkSize, Position, Selector, ShardId};

use tokio::sync::OnceCell;

use super::Seams;
use super::hash_cache::HashCache;
use super::scratch::Scratch;
use super::tree::{Tree, TreeSnapshot, Workshop};
use crate::listing::Frame;
use crate::pace::Unpaced;
use crate::{BoxFuture, Disk, DiskError, Offload, ReadPacer, Snapshot, Source, SourceError};

/// Serves directories, such as the checkpoints of a database, each as one shard.
///
/// `open` answers at once: entries are announced as they are hashed, in key order, and the manifest is
/// sealed at the end; a page waits for its first entry. What goes wrong on the way is the answer to
/// those who wait, and the next `open` starts over. What is hashed is kept: all snapshots of one
/// binding share it, and a file that does not change is hashed once in its life, also across restarts
/// and across checkpoints that share it by hard links.
///
/// The caller promises that nothing below a directory changes while it is served. A broken promise
/// is noticed: a file that was replaced or written to since it was hashed, as far as its inode, length
/// and mtime tell, fails with [`SourceError::Changed`] when it is opened to be read; for what remains,
/// the receiver finds a digest mismatch. The next `open` after such a failure looks at the directory
/// again.
///
/// ```
/// # use peerstream_snapshot::{BlockingPool, DirectorySource, RealDisk, Source};
/// # use peerstream_types::{PageToken, Selector};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let checkpoint = tempfile::tempdir()?;
/// std::fs::write(checkpoint.path().join("000001.sst"), "some rows")?;
///
/// # let work = tempfile::tempdir()?;
/// let source = DirectorySource::new(work.path(), RealDisk::new(), BlockingPool::new());
/// let shard = "metrics@1/0".parse()?;
/// source.serve(&shard, checkpoint.path(), None, Vec::new())?;
/// let snapshot = source.open(&shard, &Selector::All).await?;
/// let page = snapshot.page(&PageToken::START, 100).await?;
/// assert_eq!(page.entries[0].len, 9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DirectorySource {
    seams: Seams,
    pacer: Arc<dyn ReadPacer>,
    chunk_size: ChunkSize,
    work: PathBuf,
    shop: OnceCell<Workshop>,
    bindings: Mutex<BTreeMap<ShardId, Arc<Binding>>>,
}

#[derive(Debug)]
struct Binding {
    path: PathBuf,
    frame: Frame,
    /// The tree that was hashed last, or is being hashed, so that it is hashed once however many ask.
    tree: tokio::sync::Mutex<Option<Arc<Tree>>>,
}

impl DirectorySource {
    /// Serves nothing yet; cuts content into chunks of the default size. The directory `work` is the
    /// source's own, see [`DirectorySource::with_seams`].
    pub fn new(work: impl Into<PathBuf>, disk: impl Disk + 'static, offload: impl Offload + 'static) -> Self {
        Self::with_seams(work, Arc::new(disk), Arc::new(offload), ChunkSize::DEFAULT)
    }

    /// With a disk and a pool that are shared, and a chunk size.
    ///
    /// Manifests and hashes lie in the directory `work`, which is made if it is missing and belongs to
    /// this source alone; it must not lie inside a directory that is served. The hashes stay from one
    /// process to the next, at most 128 MiB of digests and 1 GiB of outlines, and may be removed while
    /// no source uses them; the rest is removed by the first `open`.
    pub fn with_seams(
        work: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
        offload: Arc<dyn Offload>,
        chunk_size: ChunkSize,
    ) -> Self {
        let (work, seams) = (work.into(), Seams { disk, offload });
        let (pacer, bindings) = (Arc::new(Unpaced), Mutex::default());
        Self { seams, pacer, chunk_size, work, shop: OnceCell::new(), bindings }
    }

    /// Charges `pacer` for what is read to be hashed; call it before the first `open`. By default,
    /// hashing goes as fast as it can.
    #[must_use]
    pub fn paced(self, pacer: Arc<dyn ReadPacer>) -> Self {
        Self { pacer, ..self }
    }

    /// Binds a directory as the content of a shard, in place of what was bound to it; open
    /// snapshots keep what they have. Nothing is read before the first `open`. The position was
    /// captured before the content of the directory was.
    ///
    /// # Errors
    ///
    /// [`SourceError::BadEntry`] if position or state are larger than allowed.
    pub fn serve(
        &self,
        shard: &ShardId,
        path: impl Into<PathBuf>,
        position: Option<Position>,
        state: Vec<u8>,
    ) -> Result<(), SourceError> {
        if state.len() > STATE_LEN_MAX || !position.as_ref().is_none_or(Position::is_well_formed) {
            let why = "its position or its state is larger than allowed".into();
            return Err(SourceError::BadEntry { shard: shard.clone(), why });
        }
        let frame = Frame { chunk_size: self.chunk_size, position, state };
        let binding = Binding { path: path.into(), frame, tree: tokio::sync::Mutex::default() };
        self.lock().insert(shard.clone(), Arc::new(binding));
        Ok(())
    }

    /// Serves the shard no longer. Open snapshots go on: keep the directory until they are gone.
    pub fn stop_serving(&self, shard: &ShardId) {
        self.lock().remove(shard);
    }

    async fn shop(&self) -> Result<&Workshop, DiskError> {
        self.shop.get_or_try_init(|| self.open_shop()).await
    }

    async fn open_shop(&self) -> Result<Workshop, DiskError> {
        let disk = &self.seams.disk;
        let scratch = Scratch::open(disk.clone(), self.work.join("catalogs")).await?;
        let cache = Arc::new(HashCache::open(disk.clone(), self.work.join("hashes")).await?);
        let dir = disk.metadata(&self.work).await?.map(|found| found.id);
        Ok(Workshop { scratch, cache, pacer: self.pacer.clone(), dir })
    }

    async fn tree(&self, shard: &ShardId) -> Result<Arc<Tree>, SourceError> {
        let binding = self.lock().get(shard).cloned();
        let binding = binding.ok_or_else(|| SourceError::NoSuchShard(shard.clone()))?;
        let mut tree = binding.tree.lock().await;
        if let Some(tree) = tree.as_ref().filter(|tree| !tree.is_stale()) {
            return Ok(tree.clone());
        }
        let (shop, frame) = (self.shop().await?, binding.frame.clone());
        let begun = Tree::hash(self.seams.clone(), shop, &binding.path, frame, shard).await?;
        Ok(tree.insert(Arc::new(begun)).clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Binding>>> {
        self.bindings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for DirectorySource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let tree = self.tree(shard).await?;
            let snapshot = TreeSnapshot::select(tree, selector, &self.shop().await?.scratch).await?;
            snapshot.ok_or_else(|| SourceError::UnsupportedSelector(shard.clone()))
        })
    }
}

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;
