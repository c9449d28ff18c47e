//! A store that keeps tables in a list, and what it takes to serve it.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_engine::snapshot::content::Described;
use peerstream_engine::snapshot::listing::{Frame, Listing};
use peerstream_engine::snapshot::{BoxFuture, Page, Snapshot, Source, SourceError};
use peerstream_engine::types::{
    ChainingValue, ChunkRange, ChunkSize, Codec, Entry, EntryKey, EntryKind, ManifestHeader, Ordinal,
    PageToken, Selector, ShardId,
};

/// Tables by name, in ascending order.
#[derive(Debug, Clone)]
pub struct Tables(Arc<Vec<(EntryKey, Bytes)>>);

impl Tables {
    pub fn new(mut tables: Vec<(&str, Bytes)>) -> Self {
        tables.sort_unstable();
        let key = |name| EntryKey::new(name).expect("a table's name is a key");
        Self(Arc::new(tables.into_iter().map(|(name, rows)| (key(name), rows)).collect()))
    }

    pub fn contents(&self) -> BTreeMap<EntryKey, Bytes> {
        self.0.iter().cloned().collect()
    }
}

/// Tables at one moment: they are shared, never changed, so the image costs nothing but its hashes.
#[derive(Debug)]
struct Image {
    tables: Tables,
    listing: Listing,
    outlines: Vec<Vec<ChainingValue>>,
}

impl Source for Tables {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        let image = match selector {
            Selector::All => Ok(Arc::new(Image::of(self)) as Arc<dyn Snapshot>),
            _ => Err(SourceError::UnsupportedSelector(shard.clone())),
        };
        Box::pin(ready(image))
    }
}

impl Image {
    fn of(tables: &Tables) -> Self {
        let size = ChunkSize::DEFAULT;
        let (mut entries, mut outlines) = (Vec::new(), Vec::new());
        for (key, rows) in &*tables.0 {
            let Described { digest, outline } = Described::of(size, rows);
            entries.push(Entry {
                ordinal: Ordinal(0), // the listing numbers them
                key: key.clone(),
                len: rows.len() as u64,
                digest: Some(digest),
                kind: EntryKind::Block,
                codec: Codec::Plain,
                metadata: Vec::new(),
            });
            outlines.push(outline);
        }
        let listing = Listing::seal(entries, Frame { chunk_size: size, ..Frame::default() });
        Self { tables: tables.clone(), listing: listing.expect("names differ"), outlines }
    }
}

impl Snapshot for Image {
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
        let chunks = self.listing.chunks(ordinal, level, range);
        let values = chunks.map(|(_, places)| self.outlines[ordinal.0 as usize][places].to_vec());
        Box::pin(ready(values))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        let rows = |_: &Entry| {
            let from = offset as usize;
            self.tables.0[ordinal.0 as usize].1.slice(from..from + len)
        };
        Box::pin(ready(self.listing.bytes(ordinal, offset, len).map(rows)))
    }
}
