//! A directory tree with its catalog, and the snapshots of it.

mod build;
mod hashing;
mod part;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use peerstream_types::{Entry, EntryKey, ShardId};
use tokio::task::AbortHandle;

use self::build::Build;
use self::hashing::Hashing;
use super::Seams;
use super::catalog::{Catalog, CatalogWriter};
use super::hash_cache::HashCache;
use super::open_files::OpenFiles;
use super::reading::{ReadError, read_exact};
use super::records::{Records, STAMP_LEN, Stamp, stamp_of};
use super::scratch::{Scratch, ScratchDir};
use super::walk::Walk;
use crate::disk::{DiskErrorKind, FileId, Metadata, OpenMode};
use crate::listing::Frame;
use crate::{DiskError, DiskFile, ReadPacer, SourceError};

pub(super) use self::snapshot::TreeSnapshot;

/// The files below a root, and what the catalog says of them. Shared by all snapshots of it.
#[derive(Debug)]
pub(super) struct Tree {
    seams: Seams,
    root: PathBuf,
    view: View,
    files: OpenFiles<EntryKey>,
    changed: AtomicBool,
    /// Dropped in this order: nobody writes to the directory any more when it is removed.
    _build: Option<Task>,
    _dir: Option<ScratchDir>,
}

/// What is known of the entries that a snapshot shows.
#[derive(Debug, Clone)]
struct View {
    catalog: Arc<Catalog>,
    /// Of the files as they were hashed; none for files that nobody but this store writes.
    stamps: Option<Arc<Records<STAMP_LEN>>>,
}

/// What a source makes its catalogs with.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) scratch: Scratch,
    pub(super) cache: Arc<HashCache>,
    pub(super) pacer: Arc<dyn ReadPacer>,
    /// The directory that holds all that, and must not be served.
    pub(super) dir: Option<FileId>,
}

/// Ends with whoever wants it.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tree {
    /// Begins to walk and hash a tree. The catalog grows from now on.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or no room to begin. What goes wrong later, those find who wait
    /// for pages.
    pub(super) async fn hash(
        seams: Seams,
        shop: &Workshop,
        root: &Path,
        frame: Frame,
        shard: &ShardId,
    ) -> Result<Self, SourceError> {
        let missing = || {
            let why = "no such directory".into();
            DiskError { operation: "list", path: root.to_owned(), kind: DiskErrorKind::NotFound, why }
        };
        seams.disk.metadata(root).await?.ok_or_else(missing)?;
        let dir = shop.scratch.take();
        let writer =
            CatalogWriter::create(seams.disk.clone(), dir.path().join("catalog"), frame.clone()).await?;
        let stamps = Arc::new(Records::new(seams.disk.clone(), dir.path().join("stamps")));
        let view = View { catalog: writer.catalog().clone(), stamps: Some(stamps.clone()) };
        let size = frame.chunk_size;
        let walk = Walk::new(seams.disk.clone(), root.to_owned(), shard.clone(), shop.dir);
        let (cache, pacer) = (shop.cache.clone(), shop.pacer.clone());
        let hashing = Hashing { seams: seams.clone(), cache, pacer, size };
        let build = Build { hashing, writer, stamps, shard: shard.clone() };
        let build = Some(Task(tokio::spawn(build.run(walk, frame)).abort_handle()));
        Ok(Self::new(seams, root.to_owned(), view, build, Some(dir)))
    }

    fn new(seams: Seams, root: PathBuf, view: View, build: Option<Task>, dir: Option<ScratchDir>) -> Self {
        let (files, changed) = (OpenFiles::new(), AtomicBool::new(false));
        Self { seams, root, view, files, changed, _build: build, _dir: dir }
    }

    /// A tree whose catalog is sealed, and whose files nobody changes.
    pub(super) fn of_catalog(seams: Seams, root: PathBuf, catalog: Arc<Catalog>) -> Self {
        Self::new(seams, root, View { catalog, stamps: None }, None, None)
    }

    /// Whether it is of no use to those who open it now: its catalog was given up, or a read has found
    /// that a file is not what the catalog says.
    pub(super) fn is_stale(&self) -> bool {
        self.changed.load(Ordering::Relaxed) || self.view.catalog.has_failed()
    }

    /// Bytes of an entry of `view`, which the caller has checked to have them.
    async fn read(&self, view: &View, entry: &Entry, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let result = self.read_open(view, entry, offset, len).await;
        self.note(&entry.key, result)
    }

    async fn read_open(
        &self,
        view: &View,
        entry: &Entry,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ReadError> {
        let file = match self.files.get(&entry.key) {
            Some(file) => file,
            None => self.open(view, entry).await?,
        };
        read_exact(&*file, entry.len, offset, len).await
    }

    /// Opens a file and looks whether it is the one that was hashed.
    async fn open(&self, view: &View, entry: &Entry) -> Result<Arc<dyn DiskFile>, ReadError> {
        let path = self.path(entry);
        let file = self.seams.disk.open(&path, OpenMode::Read).await?;
        let found = self.seams.disk.metadata(&path).await?;
        let stamp = view.stamps(entry.ordinal.0, 1).await?;
        check(entry, found, stamp.first())?;
        self.files.keep(entry.key.clone(), file.clone());
        Ok(file)
    }

    /// Closes what is kept open; the next read opens it again.
    fn close_files(&self) {
        self.files.clear();
        self.view.close_files();
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(entry.key.as_path().expect("keys were checked when the catalog was made"))
    }

    fn note<T>(&self, key: &EntryKey, result: Result<T, ReadError>) -> Result<T, ReadError> {
        if matches!(result, Err(ReadError::Changed(_))) {
            self.changed.store(true, Ordering::Relaxed);
            self.files.forget(key);
        }
        result
    }
}

impl View {
    /// The stamps of a run of entries; none if there are none.
    async fn stamps(&self, first: u64, count: usize) -> Result<Vec<Stamp>, DiskError> {
        match &self.stamps {
            Some(stamps) => stamps.read(first, count).await,
            None => Ok(Vec::new()),
        }
    }

    fn close_files(&self) {
        self.catalog.close_files();
        if let Some(stamps) = &self.stamps {
            stamps.close();
        }
    }
}

/// Whether what is found is what was hashed.
fn check(entry: &Entry, found: Option<Metadata>, stamp: Option<&Stamp>) -> Result<(), ReadError> {
    let found = found.ok_or_else(|| ReadError::Changed("it is gone".into()))?;
    if found.len != entry.len {
        return Err(ReadError::Changed(format!("{} bytes instead of {}", found.len, entry.len)));
    }
    if stamp.is_some_and(|stamp| *stamp != stamp_of(&found)) {
        return Err(ReadError::Changed("it was written to, or replaced".into()));
    }
    Ok(())
}
