//! A manifest on disk, page by page: entries in key order, and the outlines of the longer ones.
//!
//! # What lies where
//!
//! | file | holds |
//! |---|---|
//! | `pages` | pages of [`PAGE_ENTRIES`] entries, each with its checksum |
//! | `index` | a record of fixed size per page: where it is |
//! | `outlines` | chaining values, 32 bytes each: for each entry of more than one chunk those of its chunks, followed, if there is more than one group, by those of its groups |
//! | `head` | the sealed header; written last: where it is, the catalog is sealed |
//!
//! Nothing is kept in memory but the page that is being filled and a few pages that were read last,
//! so a catalog of millions of entries costs what one of a thousand does. A page is found with one
//! positioned read of the index. Where an entry's chaining values begin follows from its page.
//!
//! Whatever is read is checked: head and pages have checksums, chaining values are checked against
//! the digest of their entry.

mod cache;
mod cursor;
mod head;
mod outline;
mod page;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerstream_types::{ChunkSize, Entry, ManifestHeader, Ordinal, PageToken};

use self::cache::PageCache;
use self::page::{INDEX_RECORD_LEN, Mark, PAGE_ENTRIES, Place, StoredPage};
use super::open_files::OpenFiles;
use crate::disk::OpenMode;
use crate::limits::READ_LEN_MAX;
use crate::{Disk, DiskError, DiskFile, Page, SourceError, watch};

pub(super) use self::cursor::Cursor;
pub(super) use self::writer::{CatalogError, CatalogWriter};

/// A catalog to read, also while its [`CatalogWriter`] goes on.
#[derive(Debug)]
pub(super) struct Catalog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// How its files are opened.
    mode: OpenMode,
    files: OpenFiles<Part>,
    pages: PageCache,
    state: watch::Sender<State>,
}

/// The files of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Pages,
    Index,
    Outlines,
    Head,
}

#[derive(Debug)]
struct State {
    /// As far as it is known; final once sealed.
    header: ManifestHeader,
    /// The page that is being filled; all before it are on disk. `None` once sealed.
    tail: Option<Arc<StoredPage>>,
    end: End,
}

#[derive(Debug, Clone)]
enum End {
    Growing,
    Sealed,
    Failed(SourceError),
}

impl State {
    fn entries(&self) -> u64 {
        self.header.counts.entries
    }

    fn has_ended(&self) -> bool {
        !matches!(self.end, End::Growing)
    }
}

impl Catalog {
    fn new(disk: Arc<dyn Disk>, dir: PathBuf, mode: OpenMode, state: State) -> Self {
        let state = watch::Sender::new(state);
        Self { disk, dir, mode, files: OpenFiles::new(), pages: PageCache::default(), state }
    }

    /// Opens a sealed catalog. Its head is checked now, its pages when they are read.
    ///
    /// # Errors
    ///
    /// Corrupt if it was not sealed or the head is damaged.
    pub(super) async fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let dir = dir.into();
        let header = head::read(&*disk, &dir.join("head")).await?;
        Ok(Self::new(disk, dir, OpenMode::Read, State { header, tail: None, end: End::Sealed }))
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it holds, as far as it is known.
    pub(super) fn header(&self) -> ManifestHeader {
        self.state.look(|state| state.header.clone())
    }

    /// How content is cut.
    pub(super) fn chunk_size(&self) -> ChunkSize {
        self.state.look(|state| state.header.chunk_size)
    }

    /// How many entries are announced, without a copy of the header.
    pub(super) fn entries(&self) -> u64 {
        self.state.look(State::entries)
    }

    /// Waits until it is sealed.
    ///
    /// # Errors
    ///
    /// Why it never will be.
    pub(super) async fn sealed(&self) -> Result<ManifestHeader, SourceError> {
        self.wait(State::has_ended).await;
        self.state.look(|state| match &state.end {
            End::Failed(error) => Err(error.clone()),
            End::Growing | End::Sealed => Ok(state.header.clone()),
        })
    }

    /// Whether its writer gave up.
    pub(super) fn has_failed(&self) -> bool {
        self.state.look(|state| matches!(state.end, End::Failed(_)))
    }

    /// The entries from `token` on, as [`Snapshot::page`](crate::Snapshot::page) answers it: waits for
    /// one that is not announced yet.
    ///
    /// # Errors
    ///
    /// [`SourceError::BadToken`] for a token that no page of such entries gave; why the writer gave up,
    /// where its last entry was read.
    pub(super) async fn page(&self, token: &PageToken, limit: usize) -> Result<Page, SourceError> {
        let from = self.place_of(token).await?;
        self.wait(|state| state.entries() > from || state.has_ended()).await;
        let (to, sealed) = self.state.look(|state| {
            let to = from.saturating_add(limit.max(1) as u64).min(state.entries());
            match &state.end {
                End::Failed(error) if to == from => Err(error.clone()),
                End::Sealed if to == state.entries() => Ok((to, Some(state.header.clone()))),
                End::Growing | End::Failed(_) | End::Sealed => Ok((to, None)),
            }
        })?;
        let entries = self.gather(from, to).await?;
        let next = if sealed.is_some() { None } else { Some(self.token(to).await?) };
        Ok(Page { entries, next, sealed })
    }

    /// The entries of a run of ordinals. What is not announced yet does not exist yet.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`] for the first ordinal past the end.
    pub(super) async fn run(&self, first: Ordinal, count: u32) -> Result<Vec<Entry>, SourceError> {
        let known = self.entries();
        let end = first.0.checked_add(u64::from(count)).filter(|end| *end <= known);
        let end = end.ok_or(SourceError::NoSuchEntry(Ordinal(first.0.max(known))))?;
        Ok(self.gather(first.0, end).await?)
    }

    /// An entry by its ordinal.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`].
    pub(super) async fn entry(&self, ordinal: Ordinal) -> Result<Entry, SourceError> {
        let (page, place) = self.locate(ordinal).await?;
        Ok(page.entries[place].clone())
    }

    /// The entry, if it has the bytes asked for and they may be read at once.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoSuchEntry`]; [`SourceError::BadRange`] past its end, or for more than
    /// [`READ_LEN_MAX`] bytes.
    pub(super) async fn bytes(
        &self,
        ordinal: Ordinal,
        offset: u64,
        len: usize,
    ) -> Result<Entry, SourceError> {
        let (page, place) = self.locate(ordinal).await?;
        let entry = &page.entries[place];
        let end = offset.checked_add(len as u64);
        let inside = len <= READ_LEN_MAX && end.is_some_and(|end| end <= entry.len);
        inside.then(|| entry.clone()).ok_or(SourceError::BadRange(ordinal))
    }

    /// Reads the entries in order, from `first` on.
    pub(super) fn cursor(self: &Arc<Self>, first: Ordinal) -> Cursor {
        Cursor::new(self.clone(), first)
    }

    /// Makes it durable, names and all. What the writer has not flushed is not part of it.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(super) async fn sync(&self) -> Result<(), DiskError> {
        let head = self.header().is_sealed().then_some(Part::Head);
        for part in [Part::Pages, Part::Index, Part::Outlines].into_iter().chain(head) {
            self.file(part).await?.sync().await?;
        }
        self.disk.sync_dir(&self.dir).await
    }

    /// Closes its files and forgets what was read; the next read opens them again.
    pub(super) fn close_files(&self) {
        self.files.clear();
        self.pages.clear();
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        self.state.subscribe().until(until).await.expect("the sender is this catalog's own");
    }

    async fn gather(&self, from: u64, to: u64) -> Result<Vec<Entry>, DiskError> {
        let mut entries = Vec::new();
        while from + (entries.len() as u64) < to {
            let at = from + entries.len() as u64;
            let page = self.page_with(at).await?;
            let rest = page.entries.iter().skip(Place::of(at).within);
            let missing = usize::try_from(to - at).unwrap_or(usize::MAX);
            entries.extend(rest.take(missing).cloned());
        }
        Ok(entries)
    }

    async fn locate(&self, ordinal: Ordinal) -> Result<(Arc<StoredPage>, usize), SourceError> {
        if ordinal.0 >= self.entries() {
            return Err(SourceError::NoSuchEntry(ordinal));
        }
        Ok((self.page_with(ordinal.0).await?, Place::of(ordinal.0).within))
    }

    /// The page with an entry that exists.
    async fn page_with(&self, ordinal: u64) -> Result<Arc<StoredPage>, DiskError> {
        let place = Place::of(ordinal);
        let tail = self.state.look(|state| state.tail.clone());
        if let Some(tail) = tail.filter(|tail| tail.first <= ordinal) {
            return Ok(tail);
        }
        if let Some(page) = self.pages.get(place.page) {
            return Ok(page);
        }
        let size = self.chunk_size();
        let page = Arc::new(self.load(place.page, size).await?);
        let expected = (self.entries() - page.first).min(PAGE_ENTRIES as u64);
        if page.entries.len() as u64 != expected {
            return Err(self.corrupt(Part::Pages, "a page lacks entries"));
        }
        self.pages.keep(page.clone());
        Ok(page)
    }

    async fn load(&self, number: u64, size: ChunkSize) -> Result<StoredPage, DiskError> {
        let at = number * INDEX_RECORD_LEN as u64;
        let record = self.file(Part::Index).await?.read_at(at, INDEX_RECORD_LEN).await?;
        let (offset, len) = page::decode_record(&record).map_err(|why| self.corrupt(Part::Index, why))?;
        let block = self.file(Part::Pages).await?.read_at(offset, len).await?;
        if block.len() != len {
            return Err(self.corrupt(Part::Pages, "a page is cut off"));
        }
        page::decode(number, size, &block).map_err(|why| self.corrupt(Part::Pages, why))
    }

    /// A token is the place of the next entry and a mark of all entries before it: it fits every
    /// catalog that begins with just these, also the same one after a restart, and no other.
    async fn token(&self, place: u64) -> Result<PageToken, DiskError> {
        if place == 0 {
            return Ok(PageToken::START);
        }
        let mut token = place.to_be_bytes().to_vec();
        token.extend_from_slice(&self.mark(place).await?.0);
        Ok(PageToken::new(token).expect("24 bytes are a token"))
    }

    async fn place_of(&self, token: &PageToken) -> Result<u64, SourceError> {
        if *token == PageToken::START {
            return Ok(0);
        }
        let (place, mark) = token.as_bytes().split_first_chunk().ok_or(SourceError::BadToken)?;
        let place = u64::from_be_bytes(*place);
        self.wait(|state| state.entries() >= place || state.has_ended()).await;
        if place == 0 || place > self.entries() || self.mark(place).await?.0 != *mark {
            return Err(SourceError::BadToken);
        }
        Ok(place)
    }

    /// The mark of the first `place` entries, at least one.
    async fn mark(&self, place: u64) -> Result<Mark, DiskError> {
        let page = self.page_with(place - 1).await?;
        Ok(page.mark_after(Place::of(place - 1).within + 1))
    }

    async fn file(&self, part: Part) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.files.open(&*self.disk, part, &self.path(part), self.mode).await
    }

    fn path(&self, part: Part) -> PathBuf {
        self.dir.join(match part {
            Part::Pages => "pages",
            Part::Index => "index",
            Part::Outlines => "outlines",
            Part::Head => "head",
        })
    }

    fn corrupt(&self, part: Part, why: &str) -> DiskError {
        DiskError::corrupt(&self.path(part), why)
    }
}
