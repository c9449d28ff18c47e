//! A store of tables that are merged now and then. When it may delete the file of a table that was
//! merged away is what `tests/seeds.rs` tries out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, MemoryStore, Page, Snapshot, Source, SourceError};
use peerstream_types::{
    ChainingValue, ChunkRange, Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Selector, ShardId,
};

/// Tables of a shard.
const TABLES: u32 = 16;
const TABLE_LEN: usize = 64 * 1024;

/// When files of tables that were merged away are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleaning {
    /// When no snapshot is open.
    WhenIdle,
    /// At once.
    AtOnce,
}

/// The tables of one shard. Clones are the same.
#[derive(Debug, Clone)]
pub struct Tables {
    shard: ShardId,
    cleaning: Cleaning,
    /// What a snapshot shows.
    catalogue: MemoryStore,
    files: Arc<Mutex<Files>>,
}

#[derive(Debug, Default)]
struct Files {
    merges: u32,
    merged_away: Vec<EntryKey>,
    deleted: BTreeSet<EntryKey>,
    /// Held by every snapshot of the present process.
    reading: Arc<()>,
}

impl Tables {
    pub fn new(shard: ShardId, cleaning: Cleaning) -> Self {
        let tables = Self { shard, cleaning, catalogue: MemoryStore::new(), files: Arc::default() };
        (0..TABLES).for_each(|number| tables.put(number));
        tables
    }

    /// The same files, as a process that starts finds them.
    pub fn reopened(&self) -> Self {
        self.files().reading = Arc::default();
        self.clone()
    }

    /// Merges the oldest table into a new one.
    pub fn merge(&self) {
        let mut files = self.files();
        let oldest = name(files.merges);
        self.put(files.merges + TABLES);
        self.catalogue.remove(&self.shard, &oldest);
        files.merges += 1;
        files.merged_away.push(oldest);
        if self.cleaning == Cleaning::AtOnce || Arc::strong_count(&files.reading) == 1 {
            let gone = std::mem::take(&mut files.merged_away);
            files.deleted.extend(gone);
        }
    }

    fn put(&self, number: u32) {
        self.catalogue.put(&self.shard, name(number), vec![number as u8; TABLE_LEN], Vec::new());
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(number: u32) -> EntryKey {
    EntryKey::from_path(&format!("{number:06}.table")).expect("a valid path")
}

impl Source for Tables {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let reading = self.files().reading.clone();
            let shown = self.catalogue.open(shard, selector).await?;
            Ok(Arc::new(Image { tables: self.clone(), shown, _reading: reading }) as Arc<dyn Snapshot>)
        })
    }
}

/// A snapshot: what it shows is read from the files.
struct Image {
    tables: Tables,
    shown: Arc<dyn Snapshot>,
    _reading: Arc<()>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image of {}", self.tables.shard)
    }
}

impl Snapshot for Image {
    fn header(&self) -> ManifestHeader {
        self.shown.header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        self.shown.page(token, limit)
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        self.shown.entries(first, count)
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        self.shown.outline(ordinal, level, range)
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            for Entry { key, .. } in self.shown.entries(ordinal, 1).await? {
                if self.tables.files().deleted.contains(&key) {
                    let why = "it was merged away".to_owned();
                    return Err(SourceError::Changed { ordinal, key, why });
                }
            }
            self.shown.read(ordinal, offset, len).await
        })
    }
}
