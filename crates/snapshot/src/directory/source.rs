//! Directories that are served as they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ChunkSize, Position, Selector, ShardId};

use super::Seams;
use super::image::Image;
use super::snapshot::DirectorySnapshot;
use crate::listing::Frame;
use crate::{BoxFuture, Disk, Offload, Snapshot, Source, SourceError};

/// Serves directories, such as the checkpoints of a database, each as one shard.
///
/// The caller promises that nothing below a directory changes while it is served. A broken promise
/// is noticed: reads fail with [`SourceError::Changed`] or the receiver finds a digest mismatch, and
/// the next `open` hashes the directory again. What is hashed is kept until then, so all snapshots
/// of one binding share it.
///
/// ```
/// # use peerstream_snapshot::{BlockingPool, DirectorySource, RealDisk, Source};
/// # use peerstream_types::Selector;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let checkpoint = tempfile::tempdir()?;
/// std::fs::write(checkpoint.path().join("000001.sst"), "some rows")?;
///
/// let source = DirectorySource::new(RealDisk::new(), BlockingPool::new());
/// let shard = "metrics@1/0".parse()?;
/// source.serve(&shard, checkpoint.path(), None, Vec::new())?;
/// let snapshot = source.open(&shard, &Selector::All).await?;
/// assert_eq!(snapshot.header().counts.bytes, 9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DirectorySource {
    seams: Seams,
    chunk_size: ChunkSize,
    bindings: Mutex<BTreeMap<ShardId, Arc<Binding>>>,
}

#[derive(Debug)]
struct Binding {
    path: PathBuf,
    frame: Frame,
    /// Locked while the tree is hashed, so that it is hashed once however many ask.
    image: tokio::sync::Mutex<Option<Arc<Image>>>,
}

impl DirectorySource {
    /// Serves nothing yet; cuts content into chunks of the default size.
    pub fn new(disk: impl Disk + 'static, offload: impl Offload + 'static) -> Self {
        Self::with_seams(Arc::new(disk), Arc::new(offload), ChunkSize::DEFAULT)
    }

    /// With a disk and a pool that are shared, and a chunk size.
    pub fn with_seams(disk: Arc<dyn Disk>, offload: Arc<dyn Offload>, chunk_size: ChunkSize) -> Self {
        Self { seams: Seams { disk, offload }, chunk_size, bindings: Mutex::default() }
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
        let binding = Binding { path: path.into(), frame, image: tokio::sync::Mutex::default() };
        self.lock().insert(shard.clone(), Arc::new(binding));
        Ok(())
    }

    /// Serves the shard no longer. Open snapshots go on: keep the directory until they are gone.
    pub fn stop_serving(&self, shard: &ShardId) {
        self.lock().remove(shard);
    }

    async fn image(&self, shard: &ShardId) -> Result<Arc<Image>, SourceError> {
        let binding = self.lock().get(shard).cloned();
        let binding = binding.ok_or_else(|| SourceError::NoSuchShard(shard.clone()))?;
        let mut image = binding.image.lock().await;
        if let Some(image) = image.as_ref().filter(|image| !image.has_changed()) {
            return Ok(image.clone());
        }
        let hashed = Image::of_tree(self.seams.clone(), &binding.path, binding.frame.clone(), shard).await?;
        Ok(image.insert(Arc::new(hashed)).clone())
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
            let image = self.image(shard).await?;
            DirectorySnapshot::select(image, selector)
                .ok_or_else(|| SourceError::UnsupportedSelector(shard.clone()))
        })
    }
}

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;
