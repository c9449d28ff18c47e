//! One shard of a directory store: its visible generation, its writer, its staging.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use peerstream_types::{ManifestHeader, ShardId};
use tokio::sync::RwLock;

use super::Seams;
use super::area::Area;
use super::catalog::Catalog;
use super::layout::ShardDir;
use super::local::Local;
use super::options::StoreOptions;
use super::pointer::{self, Pointer};
use super::room::Ledger;
use super::sweep::{next_unused, sweep};
use super::tree::Tree;
use crate::disk::DiskErrorKind;
use crate::writer::{Ticket, Writers};
use crate::{DiskError, Fence, Generation, SinkError};

/// A shard. Which generation is visible is on disk; what is here remembers it.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) dir: ShardDir,
    pub(super) seams: Seams,
    pub(super) options: StoreOptions,
    pub(super) ledger: Arc<Ledger>,
    writers: Mutex<Writers>,
    /// Read by whoever adds to the staging; written by whoever opens, seals, publishes or removes
    /// it, so that none of these meets a half-done addition.
    pub(super) staging: RwLock<Option<Arc<Area>>>,
    live: Mutex<Weak<Live>>,
    /// `None` while it is not known: before the first look, and while a publish is under way. Inside,
    /// `None` before the first publish.
    shown: tokio::sync::Mutex<Option<Option<Shown>>>,
    /// The generations that snapshots may still read. One has several trees if some are stale.
    trees: Mutex<BTreeMap<Generation, Vec<Weak<Tree>>>>,
}

/// Held by every writer as long as it lives.
#[derive(Debug)]
pub(super) struct Live;

/// What readers see.
#[derive(Debug)]
struct Shown {
    pointer: Pointer,
    /// Of the visible generation, once somebody asked for it. Where it is damaged, all that goes on
    /// without it does.
    header: Option<ManifestHeader>,
}

impl Shard {
    pub(super) fn new(
        id: ShardId,
        dir: ShardDir,
        seams: Seams,
        options: StoreOptions,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            id,
            dir,
            seams,
            options,
            ledger,
            writers: Mutex::default(),
            staging: RwLock::default(),
            live: Mutex::default(),
            shown: tokio::sync::Mutex::default(),
            trees: Mutex::default(),
        }
    }

    /// Lets a writer in, once the one before has nothing under way any more.
    pub(super) async fn enter(&self, fence: Fence) -> Result<(Ticket, Arc<Live>), SinkError> {
        let _nothing_under_way = self.staging.write().await;
        let ticket = lock(&self.writers).enter(&self.id, fence)?;
        Ok((ticket, self.live()))
    }

    /// Whether the writer is still the one.
    pub(super) fn check(&self, ticket: Ticket) -> Result<(), SinkError> {
        lock(&self.writers).check(&self.id, ticket)
    }

    /// A share in the shard's being written to.
    fn live(&self) -> Arc<Live> {
        let mut live = lock(&self.live);
        let now = live.upgrade().unwrap_or_else(|| Arc::new(Live));
        *live = Arc::downgrade(&now);
        now
    }

    /// Whether there is a writer.
    pub(super) fn is_live(&self) -> bool {
        lock(&self.live).strong_count() > 0
    }

    /// The visible generation with its manifest.
    pub(super) async fn current(&self) -> Result<Option<(Generation, ManifestHeader)>, DiskError> {
        let mut known = self.shown.lock().await;
        let Some(shown) = self.look(&mut known).await? else { return Ok(None) };
        let generation = shown.pointer.visible;
        let header = match &shown.header {
            Some(header) => header.clone(),
            None => shown.header.insert(self.catalog(generation).await?.header()).clone(),
        };
        Ok(Some((generation, header)))
    }

    /// The same, where one with a damaged manifest is as good as none.
    pub(super) async fn visible(&self) -> Result<Option<(Generation, ManifestHeader)>, DiskError> {
        let damaged = |error: &DiskError| match error.kind {
            DiskErrorKind::Corrupt | DiskErrorKind::NotFound => true,
            DiskErrorKind::Full | DiskErrorKind::Other => false,
        };
        // A damaged pointer is another matter.
        self.pointer().await?;
        self.current().await.or_else(|error| if damaged(&error) { Ok(None) } else { Err(error) })
    }

    /// The number of the generation that comes next.
    pub(super) async fn next(&self) -> Result<Generation, DiskError> {
        match self.pointer().await? {
            Some(pointer) => Ok(pointer.next()),
            None => next_unused(&*self.seams.disk, &self.dir).await,
        }
    }

    pub(super) async fn pointer(&self) -> Result<Option<Pointer>, DiskError> {
        let mut known = self.shown.lock().await;
        Ok(self.look(&mut known).await?.map(|shown| shown.pointer))
    }

    async fn look<'a>(
        &self,
        known: &'a mut Option<Option<Shown>>,
    ) -> Result<Option<&'a mut Shown>, DiskError> {
        if known.is_none() {
            let pointer = pointer::read(&*self.seams.disk, &self.dir.current()).await?;
            *known = Some(pointer.map(|pointer| Shown { pointer, header: None }));
        }
        Ok(known.as_mut().and_then(Option::as_mut))
    }

    async fn catalog(&self, generation: Generation) -> Result<Catalog, DiskError> {
        Catalog::open(self.seams.disk.clone(), self.dir.generation(generation).catalog()).await
    }

    /// The visible generation as a place to take content from. What cannot be read is not there.
    pub(super) async fn local(&self) -> Option<Local> {
        let generation = self.pointer().await.ok()??.visible;
        let catalog = Arc::new(self.catalog(generation).await.ok()?);
        let data = self.dir.generation(generation).data();
        Some(Local::new(catalog, data, self.options.immutable))
    }

    /// Lets the host prepare for a generation.
    pub(super) async fn prepare(
        &self,
        generation: Generation,
        header: &ManifestHeader,
    ) -> Result<(), SinkError> {
        let Some(hook) = &self.options.hook else { return Ok(()) };
        let data = self.dir.generation(generation).data();
        let prepared = hook.prepare(&self.id, &data, header).await;
        prepared.map_err(|why| SinkError::Hook { shard: self.id.clone(), why: why.0 })
    }

    /// Tells the host that a generation is visible.
    pub(super) async fn shown(&self, generation: Generation, header: &ManifestHeader) {
        if let Some(hook) = &self.options.hook {
            hook.shown(&self.id, &self.dir.generation(generation).data(), header).await;
        }
    }

    /// Makes a new generation visible, in one step on disk.
    pub(super) async fn show(&self, generation: Generation, header: ManifestHeader) -> Result<(), DiskError> {
        let old = self.pointer().await?;
        self.point(Pointer::publish(old, generation), header).await
    }

    /// If it fails or is abandoned, what is visible is looked up on disk by whoever asks next.
    async fn point(&self, pointer: Pointer, header: ManifestHeader) -> Result<(), DiskError> {
        let mut known = self.shown.lock().await;
        *known = None;
        pointer::swap(&*self.seams.disk, &self.dir.current(), pointer).await?;
        *known = Some(Some(Shown { pointer, header: Some(header) }));
        Ok(())
    }

    /// Makes the generation before the visible one visible again.
    pub(super) async fn roll_back(&self) -> Result<Generation, SinkError> {
        let _alone = self.staging.write().await;
        let none = || SinkError::NoPrevious(self.id.clone());
        let back = self.pointer().await?.ok_or_else(none)?.roll_back().ok_or_else(none)?;
        let header = self.catalog(back.visible).await?.header();
        self.prepare(back.visible, &header).await?;
        self.point(back, header.clone()).await?;
        self.shown(back.visible, &header).await;
        // The next sweep takes what this one leaves.
        sweep(&*self.seams.disk, &self.dir, &self.in_use()).await.ok();
        Ok(back.visible)
    }

    /// The tree of the visible generation, shared by all who read it.
    pub(super) async fn tree(&self) -> Result<Option<Arc<Tree>>, DiskError> {
        loop {
            let Some(Pointer { visible: generation, .. }) = self.pointer().await? else { return Ok(None) };
            let tree = self.tree_of(generation).await;
            // A sweep that did not see the tree in use has taken at most what no pointer needs: then
            // another generation is visible by now.
            if self.pointer().await?.is_some_and(|pointer| pointer.needs(generation)) {
                return tree.map(Some);
            }
        }
    }

    async fn tree_of(&self, generation: Generation) -> Result<Arc<Tree>, DiskError> {
        if let Some(tree) = lock(&self.trees).get(&generation).and_then(|trees| usable(trees)) {
            return Ok(tree);
        }
        let data = self.dir.generation(generation).data();
        let catalog = Arc::new(self.catalog(generation).await?);
        let mut trees = lock(&self.trees);
        let trees = trees.entry(generation).or_default();
        // Somebody else may have opened it meanwhile.
        if let Some(tree) = usable(trees) {
            return Ok(tree);
        }
        let tree = Arc::new(Tree::of_catalog(self.seams.clone(), data, catalog));
        trees.retain(is_held);
        trees.push(Arc::downgrade(&tree));
        Ok(tree)
    }

    /// The generations that open snapshots read.
    pub(super) fn in_use(&self) -> BTreeSet<Generation> {
        let mut trees = lock(&self.trees);
        trees.retain(|_, trees| trees.iter().any(is_held));
        trees.keys().copied().collect()
    }
}

fn is_held(tree: &Weak<Tree>) -> bool {
    tree.strong_count() > 0
}

/// The one that is for those who open it now.
fn usable(trees: &[Weak<Tree>]) -> Option<Arc<Tree>> {
    trees.iter().filter_map(Weak::upgrade).find(|tree| !tree.is_stale())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
