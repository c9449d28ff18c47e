//! A source in front of a good one, which goes wrong as its [`StoreFaults`] say.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, Page, Snapshot, Source, SourceError};
use peerstream_types::{
    ChainingValue, ChunkRange, Entry, ManifestHeader, Ordinal, PageToken, Selector, ShardId,
};

use super::{Lie, StoreFaults};
use crate::node::Life;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct FaultySource {
    inner: Arc<dyn Source>,
    faults: StoreFaults,
    life: Life,
}

impl FaultySource {
    pub(crate) fn new(inner: Arc<dyn Source>, faults: StoreFaults, life: Life) -> Self {
        Self { inner, faults, life }
    }
}

impl Source for FaultySource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(self.life.through(async move {
            if self.faults.is_not_ready() {
                let why = "it is told so".to_owned();
                return Err(SourceError::NotReady { shard: shard.clone(), why });
            }
            let inner = self.inner.open(shard, selector).await?;
            let (faults, life) = (self.faults.clone(), self.life.clone());
            Ok(Arc::new(FaultySnapshot { inner, faults, life }) as Arc<dyn Snapshot>)
        }))
    }
}

struct FaultySnapshot {
    inner: Arc<dyn Snapshot>,
    faults: StoreFaults,
    life: Life,
}

impl fmt::Debug for FaultySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {:?}", self.inner)
    }
}

impl Snapshot for FaultySnapshot {
    fn header(&self) -> ManifestHeader {
        self.inner.header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(self.life.through(async move {
            let mut page = self.inner.page(token, limit).await?;
            if self.faults.lies(Lie::Manifest) {
                page.entries.iter_mut().for_each(|entry| entry.metadata.push(0));
            }
            Ok(page)
        }))
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        Box::pin(self.life.through(self.inner.entries(first, count)))
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(self.life.through(async move {
            let mut values = self.inner.outline(ordinal, level, range).await?;
            if self.faults.lies(Lie::Outline) {
                values.iter_mut().for_each(|value| value.0[0] ^= 1);
            }
            Ok(values)
        }))
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(self.life.through(async move {
            self.faults.before_read().await;
            let bytes = self.inner.read(ordinal, offset, len).await?;
            let entry = self.inner.entries(ordinal, 1).await?;
            let key = &entry.first().ok_or(SourceError::NoSuchEntry(ordinal))?.key;
            self.faults.after_read(key, ordinal, bytes)
        }))
    }
}
