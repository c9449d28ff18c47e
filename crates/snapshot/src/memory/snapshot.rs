//! An immutable image of a shard in memory.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken, Selector};

use crate::listing::Listing;
use crate::{BoxFuture, Page, Snapshot, SourceError};

/// The chaining values of an entry; none where it has at most one chunk, or group.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    pub(super) chunks: Arc<[ChainingValue]>,
    pub(super) groups: Arc<[ChainingValue]>,
}

/// Contents and outlines by ordinal.
#[derive(Debug)]
pub(super) struct MemorySnapshot {
    listing: Listing,
    contents: Vec<Bytes>,
    outlines: Vec<Levels>,
}

impl MemorySnapshot {
    pub(super) fn new(listing: Listing, contents: Vec<Bytes>, outlines: Vec<Levels>) -> Self {
        Self { listing, contents, outlines }
    }

    /// A part as a snapshot of its own, or `None` if keys do not tell what is selected.
    pub(super) fn select(self: Arc<Self>, selector: &Selector) -> Option<Arc<Self>> {
        if *selector == Selector::All {
            return Some(self);
        }
        let (listing, places) = self.listing.select(selector)?;
        let contents = places.iter().map(|place| self.contents[*place].clone()).collect();
        let outlines = places.iter().map(|place| self.outlines[*place].clone()).collect();
        Some(Arc::new(Self { listing, contents, outlines }))
    }

    fn outline_now(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<Vec<ChainingValue>, SourceError> {
        let (entry, places) = self.listing.chunks(ordinal, level, range)?;
        let levels = &self.outlines[entry.ordinal.0 as usize];
        let values = if level == 0 { &levels.chunks } else { &levels.groups };
        Ok(values[places].to_vec())
    }

    fn read_now(&self, ordinal: Ordinal, offset: u64, len: usize) -> Result<Bytes, SourceError> {
        let entry = self.listing.bytes(ordinal, offset, len)?;
        let from = usize::try_from(offset).map_err(|_| SourceError::BadRange(ordinal))?;
        Ok(self.contents[entry.ordinal.0 as usize].slice(from..from + len))
    }
}

impl Snapshot for MemorySnapshot {
    fn header(&self) -> ManifestHeader {
        self.listing.header().clone()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(ready(self.listing.page(token, limit)))
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(ready(self.listing.run(first, count).map(<[Entry]>::to_vec)))
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(ready(self.outline_now(ordinal, level, range)))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(ready(self.read_now(ordinal, offset, len)))
    }
}
