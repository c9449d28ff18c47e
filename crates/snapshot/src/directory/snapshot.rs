//! A view of an image: all of it, or a part.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken, Selector};

use super::image::Image;
use crate::content::top_of_outline;
use crate::listing::Listing;
use crate::{BoxFuture, Page, Snapshot, SourceError};

/// A snapshot; holds the image while it lives.
#[derive(Debug)]
pub(super) struct DirectorySnapshot {
    image: Arc<Image>,
    listing: Listing,
    /// Where the entries are in the image, if this is a part of it.
    places: Option<Vec<usize>>,
}

impl DirectorySnapshot {
    /// `None` if keys do not tell what is selected.
    pub(super) fn select(image: Arc<Image>, selector: &Selector) -> Option<Arc<dyn Snapshot>> {
        let (listing, places) = if *selector == Selector::All {
            (image.listing().clone(), None)
        } else {
            let (listing, places) = image.listing().select(selector)?;
            (listing, Some(places))
        };
        Some(Arc::new(Self { image, listing, places }))
    }

    fn place(&self, entry: &Entry) -> usize {
        let place = usize::try_from(entry.ordinal.0).expect("bounded by ENTRIES_MAX");
        self.places.as_ref().map_or(place, |places| places[place])
    }
}

impl Drop for DirectorySnapshot {
    /// The image may be kept for the next one who asks; its open files are not.
    fn drop(&mut self) {
        // The cache has one reference, this snapshot another.
        if Arc::strong_count(&self.image) <= 2 {
            self.image.close_files();
        }
    }
}

impl Snapshot for DirectorySnapshot {
    fn header(&self) -> ManifestHeader {
        self.listing.header().clone()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(std::future::ready(self.listing.page(token, limit)))
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(std::future::ready(self.listing.run(first, count).map(<[Entry]>::to_vec)))
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(async move {
            let (entry, places) = self.listing.chunks(ordinal, level, range)?;
            let outline = self.image.outline(self.place(entry)).await.map_err(|error| error.of(entry))?;
            if level == 0 {
                return Ok(outline[places].to_vec());
            }
            Ok(top_of_outline(self.listing.header().chunk_size, entry.len, &outline)[places].to_vec())
        })
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let entry = self.listing.bytes(ordinal, offset, len)?;
            if len == 0 {
                return Ok(Bytes::new());
            }
            let bytes = self.image.read(self.place(entry), offset, len).await;
            bytes.map_err(|error| error.of(entry))
        })
    }
}
