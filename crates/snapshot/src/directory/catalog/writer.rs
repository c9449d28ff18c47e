//! Catalogs grow entry by entry.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, Digest, Entry, EntryKey, ManifestHeader, Ordinal};

use super::outline::Groups;
use super::page::{self, INDEX_RECORD_LEN, Mark, PAGE_ENTRIES, StoredPage};
use super::{Catalog, End, Part, State, head};
use crate::disk::OpenMode;
use crate::limits::CATALOG_ENTRIES_MAX;
use crate::listing::Frame;
use crate::{Disk, DiskError, ManifestHasher, OffloadGone, SourceError};

/// Why a catalog does not take an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::directory) enum CatalogError {
    /// It does not follow the one before.
    #[error("{0} is listed twice, or out of order")]
    Order(EntryKey),
    #[error("more than {CATALOG_ENTRIES_MAX} entries")]
    TooMany,
    /// What was pushed before may be lost: give the catalog up.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Adds entries in key order. Readers see each at once. Not cancel safe: a writer whose call was
/// abandoned is given up. Dropped unsealed, it leaves readers an error.
#[derive(Debug)]
pub(in crate::directory) struct CatalogWriter {
    catalog: Arc<Catalog>,
    hasher: ManifestHasher,
    last: Option<EntryKey>,
    /// Where the next page goes.
    offset: u64,
    /// Where the chaining values of the next entry go.
    values: u64,
    groups: Option<Groups>,
}

impl CatalogWriter {
    /// Begins a catalog at `dir`, in place of what is there. The frame is what is known of the header
    /// by now.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(in crate::directory) async fn create(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        frame: Frame,
    ) -> Result<Self, DiskError> {
        let dir = dir.into();
        disk.remove_dir_all(&dir).await?;
        disk.create_dir_all(&dir).await?;
        Ok(Self::new(disk, dir, frame))
    }

    fn new(disk: Arc<dyn Disk>, dir: PathBuf, frame: Frame) -> Self {
        let Frame { chunk_size, position, state } = frame;
        let hasher = ManifestHasher::new();
        let header = ManifestHeader { chunk_size, counts: hasher.counts(), digest: None, position, state };
        let tail = Some(Arc::new(StoredPage::empty(0, Mark::default(), 0)));
        let catalog = Catalog::new(disk, dir, OpenMode::Create, State { header, tail, end: End::Growing });
        Self { catalog: Arc::new(catalog), hasher, last: None, offset: 0, values: 0, groups: None }
    }

    /// What is written, to be read.
    pub(in crate::directory) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Adds entries in key order; their ordinals are set here.
    ///
    /// # Errors
    ///
    /// [`CatalogError`]; the entries before the one at fault are in.
    pub(in crate::directory) async fn push(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<(), CatalogError> {
        let pushed = self.push_all(entries).await;
        // Once for all of them: a page for each entry would be a lot of pages.
        self.catalog.state.modify(|_| {});
        pushed
    }

    async fn push_all(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), CatalogError> {
        for entry in entries {
            if self.last.as_ref().is_some_and(|last| *last >= entry.key) {
                return Err(CatalogError::Order(entry.key));
            }
            let ordinal = self.hasher.counts().entries;
            if ordinal >= CATALOG_ENTRIES_MAX {
                return Err(CatalogError::TooMany);
            }
            self.announce(Entry { ordinal: Ordinal(ordinal), ..entry });
            if self.tail().entries.len() == PAGE_ENTRIES {
                self.flush().await?;
                self.turn();
            }
        }
        Ok(())
    }

    /// Appends chaining values of the chunks of the next entry to be pushed, which has `len` bytes, in
    /// parts as large or small as they come.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(in crate::directory) async fn append_outline(
        &mut self,
        len: u64,
        values: &[ChainingValue],
    ) -> Result<(), DiskError> {
        let size = self.catalog.chunk_size();
        let groups = self.groups.get_or_insert_with(|| Groups::new(size, len));
        let place = self.values + groups.chunks();
        groups.add(values);
        self.catalog.write_values(place, values).await
    }

    /// Ends the outline of the next entry to be pushed. Says the digest that it vouches for; `None`
    /// unless there was a value for each of its chunks, more than one. What came is forgotten then.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(in crate::directory) async fn finish_outline(&mut self) -> Result<Option<Digest>, DiskError> {
        let Some(groups) = self.groups.take() else { return Ok(None) };
        let place = self.values + groups.chunks();
        let Some((digest, top)) = groups.finish() else { return Ok(None) };
        self.catalog.write_values(place, &top).await?;
        Ok(Some(digest))
    }

    /// Writes the page that is being filled as it is.
    async fn flush(&mut self) -> Result<(), DiskError> {
        let page = self.tail();
        if page.entries.is_empty() {
            return Ok(());
        }
        let size = self.catalog.chunk_size();
        let block = page.encode(size);
        let record = page::encode_record(self.offset, block.len());
        let (offset, len) = (self.offset, block.len() as u64);
        self.offset += len;
        self.catalog.file(Part::Pages).await?.write_at(offset, block.into()).await?;
        let at = page.number() * INDEX_RECORD_LEN as u64;
        self.catalog.file(Part::Index).await?.write_at(at, Bytes::copy_from_slice(&record)).await
    }

    /// Seals it, after which nothing is pushed. The frame may say more than the one it was begun with,
    /// except of the chunk size. Not durable before [`Catalog::sync`].
    ///
    /// # Errors
    ///
    /// What the disk says; it is not sealed then.
    pub(in crate::directory) async fn seal(&mut self, frame: Frame) -> Result<Arc<Catalog>, DiskError> {
        self.flush().await?;
        let Frame { position, state, .. } = frame;
        let chunk_size = self.catalog.chunk_size();
        let counts = self.hasher.counts();
        let mut header = ManifestHeader { chunk_size, counts, digest: None, position, state };
        header.digest = Some(self.hasher.clone().seal(&header));
        self.catalog.file(Part::Head).await?.write_at(0, head::encode(&header)).await?;
        self.catalog.state.modify(|state| {
            *state = State { header, tail: None, end: End::Sealed };
        });
        Ok(self.catalog.clone())
    }

    /// Gives it up; readers that wait for more get the error.
    pub(in crate::directory) fn fail(self, error: SourceError) {
        self.catalog.state.modify(|state| state.end = End::Failed(error));
    }

    /// Adds an entry. Wakes nobody.
    fn announce(&mut self, entry: Entry) {
        let size = self.catalog.chunk_size();
        self.hasher.entry(&entry);
        self.values = self.values.saturating_add(page::values_of(&entry, size));
        self.last = Some(entry.key.clone());
        let counts = self.hasher.counts();
        self.catalog.state.send_if_modified(|state| {
            state.header.counts = counts;
            let tail = state.tail.as_mut().expect("a catalog that grows has a tail");
            Arc::make_mut(tail).entries.push(entry);
            false
        });
    }

    /// Begins the page after a full one, which is on disk.
    fn turn(&mut self) {
        let size = self.catalog.chunk_size();
        let next = self.tail().following(size);
        self.catalog.state.modify(|state| state.tail = Some(Arc::new(next)));
    }

    fn tail(&self) -> Arc<StoredPage> {
        self.catalog.state.look(|state| state.tail.clone()).expect("a catalog that grows has a tail")
    }
}

impl Drop for CatalogWriter {
    fn drop(&mut self) {
        self.catalog.state.send_if_modified(|state| {
            let growing = matches!(state.end, End::Growing);
            if growing {
                state.end = End::Failed(OffloadGone.into());
            }
            growing
        });
    }
}
