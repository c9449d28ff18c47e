//! A snapshot whose errors are counted, and which is counted itself as long as somebody has it.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, Content, Page, Snapshot, SourceError};
use peerstream_types::{ChainingValue, ChunkRange, Entry, ManifestHeader, NodeId, Ordinal, PageToken};

use super::books::SharedBooks;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct TapSnapshot {
    inner: Arc<dyn Snapshot>,
    node: NodeId,
    /// The life of the node that opened it.
    boot: u64,
    books: SharedBooks,
}

impl Drop for TapSnapshot {
    fn drop(&mut self) {
        let mut books = self.books.lock();
        let books = books.node(&self.node);
        // A life that is over holds what it held for ever, and that is nobody's.
        if books.boots == self.boot {
            books.leases = books.leases.saturating_sub(1);
        }
    }
}

impl TapSnapshot {
    pub(super) fn new(inner: Arc<dyn Snapshot>, node: NodeId, books: SharedBooks) -> Self {
        let boot = {
            let mut books = books.lock();
            let books = books.node(&node);
            books.leases += 1;
            books.boots
        };
        Self { inner, node, boot, books }
    }

    async fn seen<T>(&self, work: BoxFuture<'_, Result<T, SourceError>>) -> Result<T, SourceError> {
        work.await.inspect_err(|error| self.books.error("SourceError", error))
    }
}

impl Snapshot for TapSnapshot {
    fn header(&self) -> ManifestHeader {
        self.inner.header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(self.seen(self.inner.page(token, limit)))
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(self.seen(self.inner.entries(first, count)))
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(self.seen(self.inner.outline(ordinal, level, range)))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(self.seen(self.inner.read(ordinal, offset, len)))
    }

    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(async move {
            let contents = self.seen(self.inner.contents(first, count)).await?;
            let failed = contents.iter().filter_map(|content| content.bytes.as_ref().err());
            failed.for_each(|error| self.books.error("SourceError", error));
            Ok(contents)
        })
    }
}
