//! A view of a tree: all of it, or a part.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken, Selector};

use super::super::scratch::Scratch;
use super::part::Selected;
use super::{Tree, View, check};
use crate::directory::reading::ReadError;
use crate::disk::{ReadFile, SmallFile};
use crate::{BoxFuture, Content, DiskError, Page, Snapshot, SourceError};

/// A snapshot; holds the tree while it lives.
#[derive(Debug)]
pub(in crate::directory) struct TreeSnapshot {
    tree: Arc<Tree>,
    part: Option<Selected>,
}

impl TreeSnapshot {
    /// `None` if keys do not tell what is selected. The catalog of a part is made in `scratch`.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(in crate::directory) async fn select(
        tree: Arc<Tree>,
        selector: &Selector,
        scratch: &Scratch,
    ) -> Result<Option<Arc<dyn Snapshot>>, DiskError> {
        let part = match selector {
            Selector::All => None,
            Selector::Time { .. } => return Ok(None),
            Selector::Entries(_) | Selector::Keys { .. } => {
                let disk = tree.seams.disk.clone();
                Some(Selected::copy(disk, scratch, &tree.view, selector).await?)
            }
        };
        Ok(Some(Arc::new(Self { tree, part })))
    }

    fn view(&self) -> &View {
        self.part.as_ref().map_or(&self.tree.view, |part| &part.view)
    }

    /// The ordinal of an entry in the catalog of the tree.
    async fn place(&self, ordinal: Ordinal) -> Result<Ordinal, SourceError> {
        let Some(part) = &self.part else { return Ok(ordinal) };
        part.catalog().entry(ordinal).await?;
        let place = part.places.read(ordinal.0, 1).await?;
        Ok(Ordinal(place.first().map_or(u64::MAX, |place| u64::from_le_bytes(*place))))
    }

    async fn values(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<Vec<ChainingValue>, SourceError> {
        let catalog = &self.tree.view.catalog;
        let values = catalog.outline(self.place(ordinal).await?, level, range).await;
        // What is out of range, is so under the ordinal that was asked for.
        let renamed = |error| match matches!(error, SourceError::BadRange(_)) {
            true => SourceError::BadRange(ordinal),
            false => error,
        };
        let values = values.map_err(renamed)?;
        Ok(values.ok_or_else(|| DiskError::corrupt(catalog.dir(), "an outline does not fit its digest"))?)
    }

    /// Reads small entries at once. What is unchanged after it was read, was so before.
    async fn read_small(&self, entries: Vec<Entry>) -> Result<Vec<Content>, SourceError> {
        let Some(first) = entries.first().map(|entry| entry.ordinal.0) else { return Ok(Vec::new()) };
        let stamps = self.view().stamps(first, entries.len()).await?;
        let wanted = entries.iter().map(|entry| ReadFile {
            path: self.tree.path(entry),
            limit: usize::try_from(entry.len).map_or(usize::MAX, |len| len + 1),
        });
        let read = self.tree.seams.disk.read_files(wanted.collect()).await;
        let mut contents = Vec::with_capacity(entries.len());
        for (place, (entry, read)) in entries.into_iter().zip(read).enumerate() {
            let checked = read.map_err(ReadError::from).and_then(|SmallFile { bytes, metadata }| {
                check(&entry, Some(metadata), stamps.get(place))?;
                let fits = bytes.len() as u64 == entry.len;
                fits.then_some(bytes).ok_or_else(|| ReadError::Changed("its length changed".into()))
            });
            let checked = self.tree.note(&entry.key, checked);
            let bytes = checked.map_err(|error| error.of(&entry));
            contents.push(Content { entry, bytes });
        }
        Ok(contents)
    }
}

impl Drop for TreeSnapshot {
    /// The tree may be kept for the next one who asks; its open files are not.
    fn drop(&mut self) {
        // The cache has one reference, this snapshot another.
        if Arc::strong_count(&self.tree) <= 2 {
            self.tree.close_files();
        }
    }
}

impl Snapshot for TreeSnapshot {
    fn header(&self) -> ManifestHeader {
        self.view().catalog.header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(self.view().catalog.page(token, limit))
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(self.view().catalog.run(first, count))
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(self.values(ordinal, level, range))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let view = self.view();
            let entry = view.catalog.bytes(ordinal, offset, len).await?;
            if len == 0 {
                return Ok(Bytes::new());
            }
            let bytes = self.tree.read(view, &entry, offset, len).await;
            bytes.map_err(|error| error.of(&entry))
        })
    }

    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(async move {
            let catalog = &self.view().catalog;
            let entries = catalog.run(first, count).await?;
            let size = catalog.chunk_size();
            match entries.iter().find(|entry| entry.chunks(size) > 1) {
                Some(long) => Err(SourceError::BadRange(long.ordinal)),
                None => self.read_small(entries).await,
            }
        })
    }
}
