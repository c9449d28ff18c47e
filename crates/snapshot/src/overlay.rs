//! A snapshot that stands over another one, and answers itself only what it changes.

use std::fmt;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken};

use crate::source::read_one_by_one;
use crate::{BoxFuture, Content, Page, Snapshot, SourceError};

/// A snapshot over another one: to hold a lease as long as it is in use, to count, to check once more
/// before bytes leave. What it does not write itself is answered by the one under it. All methods mean
/// what those of [`Snapshot`] mean, and must be as cancel safe. Calls
/// go through `dyn Snapshot`: on the type itself, the names are those of both traits.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use bytes::Bytes;
/// use peerstream_snapshot::{BoxFuture, Overlay, Snapshot, SourceError};
/// use peerstream_types::Ordinal;
///
/// /// Counts what it gives away.
/// #[derive(Debug)]
/// struct Counted {
///     under: Arc<dyn Snapshot>,
///     bytes: AtomicU64,
/// }
///
/// impl Overlay for Counted {
///     fn under(&self) -> &dyn Snapshot {
///         &*self.under
///     }
///
///     fn read(&self, ordinal: Ordinal, at: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
///         self.bytes.fetch_add(len as u64, Ordering::Relaxed);
///         self.under.read(ordinal, at, len)
///     }
/// }
///
/// # use peerstream_snapshot::{MemoryStore, Source};
/// # use peerstream_types::{EntryKey, Selector, ShardId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, shard): (_, ShardId) = (MemoryStore::new(), "metrics@1/0".parse()?);
/// # store.put(&shard, EntryKey::from_path("a")?, "rows", Vec::new());
/// let under = store.open(&shard, &Selector::All).await?;
/// let counted = Arc::new(Counted { under, bytes: AtomicU64::new(0) });
/// // Small entries are read in one go, and count all the same.
/// let snapshot: Arc<dyn Snapshot> = counted.clone();
/// assert_eq!(snapshot.contents(Ordinal(0), 1).await?[0].bytes, Ok("rows".into()));
/// assert_eq!(counted.bytes.load(Ordering::Relaxed), 4);
/// # Ok(())
/// # }
/// ```
pub trait Overlay: Send + Sync + fmt::Debug {
    /// The one that answers what this one does not.
    fn under(&self) -> &dyn Snapshot;

    /// As [`Snapshot::page`].
    ///
    /// # Errors
    ///
    /// Those of the snapshot under it.
    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        self.under().page(token, limit)
    }

    /// As [`Snapshot::entries`].
    ///
    /// # Errors
    ///
    /// Those of the snapshot under it.
    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        self.under().entries(first, count)
    }

    /// As [`Snapshot::outline`].
    ///
    /// # Errors
    ///
    /// Those of the snapshot under it.
    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        self.under().outline(ordinal, level, range)
    }

    /// As [`Snapshot::read`].
    ///
    /// # Errors
    ///
    /// Those of the snapshot under it.
    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        self.under().read(ordinal, offset, len)
    }

    /// As [`Snapshot::contents`], but with the `entries` and `read` of this one, so that whoever changes
    /// what is read need not think of it; slower than asking the one under it.
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::contents`].
    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(read_one_by_one(self, first, count))
    }
}

impl<T: Overlay + ?Sized> Snapshot for T {
    fn header(&self) -> ManifestHeader {
        self.under().header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Overlay::page(self, token, limit)
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Overlay::entries(self, first, count)
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Overlay::outline(self, ordinal, level, range)
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Overlay::read(self, ordinal, offset, len)
    }

    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Overlay::contents(self, first, count)
    }
}
