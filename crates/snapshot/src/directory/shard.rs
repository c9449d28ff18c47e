//! One shard of a directory store: its visible generation, its writer, its staging.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use peerstream_types::{ManifestHeader, ShardId};
use tokio::sync::RwLock;

use super::contents::Contents;
use super::image::Image;
use super::layout::ShardDir;
use super::{Seams, manifest_file, pointer};
use crate::writer::{Ticket, Writers};
use crate::{DiskError, Fence, Generation, SinkError};

/// A shard. Which generation is visible is on disk; what is here remembers it.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) dir: ShardDir,
    pub(super) seams: Seams,
    writers: Mutex<Writers>,
    /// Read by whoever adds to the staging; written by whoever opens, seals, publishes or removes
    /// it, so that none of these meets a half-done addition.
    pub(super) staging: RwLock<Option<Arc<Contents>>>,
    /// `None` while it is not known: before the first look, and while a publish is under way.
    visible: tokio::sync::Mutex<Option<Visible>>,
    /// The generations that snapshots may still read.
    images: Mutex<BTreeMap<Generation, Weak<Image>>>,
}

/// What readers see: nothing before the first publish.
pub(super) type Visible = Option<(Generation, ManifestHeader)>;

impl Shard {
    pub(super) fn new(id: ShardId, dir: ShardDir, seams: Seams) -> Self {
        Self {
            id,
            dir,
            seams,
            writers: Mutex::default(),
            staging: RwLock::default(),
            visible: tokio::sync::Mutex::default(),
            images: Mutex::default(),
        }
    }

    /// Lets a writer in, once the one before has nothing under way any more.
    pub(super) async fn enter(&self, fence: Fence) -> Result<Ticket, SinkError> {
        let _nothing_under_way = self.staging.write().await;
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).enter(&self.id, fence)
    }

    /// Whether the writer is still the one.
    pub(super) fn check(&self, ticket: Ticket) -> Result<(), SinkError> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).check(&self.id, ticket)
    }

    /// The visible generation.
    pub(super) async fn visible(&self) -> Result<Visible, DiskError> {
        let mut known = self.visible.lock().await;
        if let Some(visible) = &*known {
            return Ok(visible.clone());
        }
        let generation = pointer::read(&*self.seams.disk, &self.dir.current()).await?;
        let visible = match generation {
            None => None,
            Some(generation) => {
                let path = self.dir.generation(generation).manifest();
                let listing = manifest_file::read(&*self.seams.disk, &path).await?;
                Some((generation, listing.header().clone()))
            }
        };
        Ok(known.insert(visible).clone())
    }

    /// The generation that comes next.
    pub(super) async fn next(&self) -> Result<Generation, DiskError> {
        Ok(Generation(self.visible().await?.map_or(0, |(generation, _)| generation.0) + 1))
    }

    /// Makes a generation visible, in one step on disk. If it fails or is abandoned, what is visible
    /// is looked up on disk by whoever asks next.
    pub(super) async fn show(&self, generation: Generation, header: ManifestHeader) -> Result<(), DiskError> {
        let mut known = self.visible.lock().await;
        *known = None;
        pointer::swap(&*self.seams.disk, &self.dir.current(), generation).await?;
        *known = Some(Some((generation, header)));
        Ok(())
    }

    /// The image of the visible generation, shared by all who read it.
    pub(super) async fn image(&self) -> Result<Option<Arc<Image>>, DiskError> {
        let Some((generation, _)) = self.visible().await? else { return Ok(None) };
        if let Some(image) = self.image_in_use(generation) {
            return Ok(Some(image));
        }
        let dir = self.dir.generation(generation);
        let listing = manifest_file::read(&*self.seams.disk, &dir.manifest()).await?;
        let image = Arc::new(Image::of_manifest(self.seams.clone(), dir.data(), listing));
        self.images.lock().unwrap_or_else(PoisonError::into_inner).insert(generation, Arc::downgrade(&image));
        Ok(Some(image))
    }

    fn image_in_use(&self, generation: Generation) -> Option<Arc<Image>> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.get(&generation)?.upgrade().filter(|image| !image.has_changed())
    }

    /// The generations that open snapshots read.
    pub(super) fn in_use(&self) -> BTreeSet<Generation> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|_, image| image.strong_count() > 0);
        images.keys().copied().collect()
    }
}
