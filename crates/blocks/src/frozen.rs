//! A snapshot of a shard that goes on being written.
//!
//! The original lists mutable blocks before flushed ones, so that a block that is flushed between two
//! pages is listed twice and never missed (row F-04). Here nothing moves while it is listed: the image is
//! frozen when it is opened, every block in it has the digest of just that content, and the inventory is
//! one manifest in key order. A write after that makes a newer version beside it, which the next
//! snapshot lists.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::content::{Described, top_of_outline};
use peerstream_snapshot::listing::{Frame, Listing};
use peerstream_snapshot::{BoxFuture, DiskError, Page, Snapshot, SourceError};
use peerstream_types::{
    ChainingValue, ChunkRange, ChunkSize, Codec, Digest, Entry, EntryKey, ManifestHeader, Ordinal, PageToken,
    Selector, ShardId,
};

use crate::key::start_of;
use crate::medium::{Head, Image, MediumError};

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct FrozenBlocks {
    listing: Listing,
    image: Arc<dyn Image>,
}

impl FrozenBlocks {
    pub(crate) fn new(
        shard: &ShardId,
        heads: Vec<(EntryKey, Head)>,
        frame: Frame,
        image: Box<dyn Image>,
    ) -> Result<Self, SourceError> {
        let entry = |(key, head): (EntryKey, Head)| Entry {
            ordinal: Ordinal(0),
            key,
            len: head.len,
            digest: Some(Digest::Blake3(head.digest)),
            kind: head.kind(),
            codec: Codec::Plain,
            metadata: head.tags,
        };
        let listing = Listing::seal(heads.into_iter().map(entry).collect(), frame)
            .map_err(|error| SourceError::BadEntry { shard: shard.clone(), why: error.to_string() })?;
        Ok(Self { listing, image: image.into() })
    }

    /// A part as a snapshot of its own. A time range selects the blocks that meet it, each `block_len_ms`
    /// long.
    pub(crate) fn select(self: Arc<Self>, selector: &Selector, block_len_ms: i64) -> Arc<Self> {
        let listing = match selector {
            Selector::All => return self,
            Selector::Time { start_ms, end_ms } => {
                let meets = |entry: &&Entry| {
                    let start = start_of(&entry.key);
                    let end = start.map(|start| start.saturating_add(block_len_ms));
                    start.is_some_and(|start| start < *end_ms) && end.is_some_and(|end| end > *start_ms)
                };
                let entries = self.listing.entries().iter().filter(meets).cloned().collect();
                let ManifestHeader { chunk_size, position, state, .. } = self.listing.header().clone();
                let part = Listing::seal(entries, Frame { chunk_size, position, state });
                part.expect("a part of a manifest is a manifest")
            }
            Selector::Entries(_) | Selector::Keys { .. } => {
                let part = self.listing.select(selector);
                part.expect("keys tell what is selected").0
            }
        };
        Arc::new(Self { listing, image: self.image.clone() })
    }

    fn chunk_size(&self) -> ChunkSize {
        self.listing.header().chunk_size
    }

    async fn bytes_of(&self, entry: &Entry, range: Range<usize>) -> Result<Bytes, SourceError> {
        let changed =
            |why: String| SourceError::Changed { ordinal: entry.ordinal, key: entry.key.clone(), why };
        let bytes = self.image.content(&entry.key, range.clone()).await?;
        let bytes = bytes.ok_or_else(|| changed("it is gone from its image".into()))?;
        if bytes.len() != range.len() {
            return Err(changed(format!("{} bytes instead of {}", bytes.len(), range.len())));
        }
        Ok(bytes)
    }

    async fn levels_of(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<Vec<ChainingValue>, SourceError> {
        let (entry, places) = self.listing.chunks(ordinal, level, range)?;
        let len = usize::try_from(entry.len).map_err(|_| SourceError::BadRange(ordinal))?;
        let content = self.bytes_of(entry, 0..len).await?;
        let size = self.chunk_size();
        let chunks = Described::of(size, &content).outline;
        let values = if level == 0 { chunks } else { top_of_outline(size, entry.len, &chunks) };
        Ok(values[places].to_vec())
    }
}

impl From<MediumError> for SourceError {
    fn from(error: MediumError) -> Self {
        match error {
            MediumError::Full(full) => DiskError::from(full).into(),
            MediumError::Disk(error) => error.into(),
            MediumError::Offload(error) => error.into(),
        }
    }
}

impl Snapshot for FrozenBlocks {
    fn header(&self) -> ManifestHeader {
        self.listing.header().clone()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(async move { self.listing.page(token, limit) })
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(async move { self.listing.run(first, count).map(<[Entry]>::to_vec) })
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(self.levels_of(ordinal, level, range))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let entry = self.listing.bytes(ordinal, offset, len)?;
            let from = usize::try_from(offset).map_err(|_| SourceError::BadRange(ordinal))?;
            self.bytes_of(entry, from..from + len).await
        })
    }
}
