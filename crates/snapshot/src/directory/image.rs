//! An immutable directory tree with its manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use peerstream_types::{ChainingValue, Entry};
use tokio::sync::OnceCell;

use super::Seams;
use super::hash::describe;
use super::open_files::OpenFiles;
use super::reading::{ReadError, read_exact};
use crate::DiskFile;
use crate::content::Described;
use crate::disk::OpenMode;
use crate::listing::Listing;

type Outline = Arc<[ChainingValue]>;

/// The files below a root, their manifest, and the outlines of those with more than one chunk, by
/// place in the manifest. Shared by all snapshots of it.
#[derive(Debug)]
pub(super) struct Image {
    seams: Seams,
    root: PathBuf,
    listing: Listing,
    outlines: BTreeMap<usize, OnceCell<Outline>>,
    files: OpenFiles<usize>,
    changed: AtomicBool,
}

impl Image {
    /// A tree whose manifest is known. Outlines are made when they are first asked for, and checked
    /// against the manifest then.
    pub(super) fn of_manifest(seams: Seams, root: PathBuf, listing: Listing) -> Self {
        let size = listing.header().chunk_size;
        let long = listing.entries().iter().filter(|entry| entry.chunks(size) > 1);
        let outlines = long.map(|entry| (place_of(entry), OnceCell::new())).collect();
        Self::new(seams, root, listing, outlines)
    }

    fn new(
        seams: Seams,
        root: PathBuf,
        listing: Listing,
        outlines: BTreeMap<usize, OnceCell<Outline>>,
    ) -> Self {
        Self { seams, root, listing, outlines, files: OpenFiles::new(), changed: AtomicBool::new(false) }
    }

    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether a read has found that a file is not what the manifest says.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Bytes of the entry at `place`, which the caller has checked to exist.
    pub(super) async fn read(&self, place: usize, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let result = self.read_open(place, offset, len).await;
        self.note(place, result)
    }

    async fn read_open(&self, place: usize, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let file_len = self.listing.entries()[place].len;
        let file = match self.files.get(&place) {
            Some(file) => file,
            None => self.open(place, file_len).await?,
        };
        read_exact(&*file, file_len, offset, len).await
    }

    async fn open(&self, place: usize, file_len: u64) -> Result<Arc<dyn DiskFile>, ReadError> {
        let file = self.seams.disk.open(&self.path(place), OpenMode::Read).await?;
        let found = file.len().await?;
        if found != file_len {
            return Err(ReadError::Changed(format!("{found} bytes instead of {file_len}")));
        }
        self.files.keep(place, file.clone());
        Ok(file)
    }

    /// The outline of the entry at `place`, which the caller has checked to have one.
    pub(super) async fn outline(&self, place: usize) -> Result<Outline, ReadError> {
        let cell = &self.outlines[&place];
        let outline = cell.get_or_try_init(|| self.make_outline(place)).await.cloned();
        self.note(place, outline)
    }

    async fn make_outline(&self, place: usize) -> Result<Outline, ReadError> {
        let entry = &self.listing.entries()[place];
        let mut answer = None;
        let files = vec![(self.path(place), entry.len)];
        let size = self.listing.header().chunk_size;
        let described = describe(&self.seams, size, files, |_, described| answer = Some(described)).await;
        described.map_err(|(_, error)| error)?;
        match answer {
            Some(Described { digest, outline }) if Some(digest) == entry.digest => Ok(outline.into()),
            _ => Err(ReadError::Changed("its digest is another".into())),
        }
    }

    /// Closes what is kept open; the next read opens it again.
    pub(super) fn close_files(&self) {
        self.files.clear();
    }

    fn path(&self, place: usize) -> PathBuf {
        let key = &self.listing.entries()[place].key;
        self.root.join(key.as_path().expect("keys were checked when the manifest was made"))
    }

    fn note<T>(&self, place: usize, result: Result<T, ReadError>) -> Result<T, ReadError> {
        if matches!(result, Err(ReadError::Changed(_))) {
            self.changed.store(true, Ordering::Relaxed);
            self.files.forget(&place);
        }
        result
    }
}

fn place_of(entry: &Entry) -> usize {
    usize::try_from(entry.ordinal.0).expect("bounded by ENTRIES_MAX")
}
