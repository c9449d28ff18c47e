//! A checkpoint, and the snapshots that keep it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, Ordinal, PageToken, WallClock};

use crate::{BoxFuture, Content, Overlay, Page, Snapshot, SourceError};

/// A checkpoint that is whole. Its shelf has one reference; every other one is a lease.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) number: u64,
    dir: PathBuf,
    made_ms: u64,
    used_ms: AtomicU64,
    spoilt: AtomicBool,
}

impl Checkpoint {
    /// `made_ms` is when it was begun: it is as old as its oldest part.
    pub(super) fn new(number: u64, dir: PathBuf, made_ms: u64) -> Self {
        Self { number, dir, made_ms, used_ms: AtomicU64::new(made_ms), spoilt: AtomicBool::new(false) }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.made_ms)
    }

    /// How long ago somebody let go of it.
    pub(super) fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed))
    }

    /// A checkpoint that does not hold what it should, or holds what cannot be served, is not handed
    /// out again: the host may do better the next time.
    pub(super) fn note<T>(&self, result: Result<T, SourceError>) -> Result<T, SourceError> {
        if matches!(result, Err(SourceError::Changed { .. } | SourceError::BadEntry { .. })) {
            self.spoilt.store(true, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.spoilt.load(Ordering::Relaxed)
    }
}

/// How many snapshots hold it, those that are being opened included.
pub(super) fn leases(checkpoint: &Arc<Checkpoint>) -> usize {
    Arc::strong_count(checkpoint) - 1
}

/// A snapshot of a checkpoint, and a lease on it. The fields are dropped in this order: the checkpoint
/// outlives what reads it.
#[derive(Debug)]
pub(super) struct LeasedSnapshot {
    pub(super) inner: Arc<dyn Snapshot>,
    pub(super) checkpoint: Arc<Checkpoint>,
    pub(super) clock: Arc<dyn WallClock>,
}

impl Drop for LeasedSnapshot {
    fn drop(&mut self) {
        self.checkpoint.used_ms.fetch_max(self.clock.unix_ms(), Ordering::Relaxed);
    }
}

impl LeasedSnapshot {
    fn note<T>(&self, result: Result<T, SourceError>) -> Result<T, SourceError> {
        self.checkpoint.note(result)
    }
}

impl Overlay for LeasedSnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(async move { self.note(self.inner.page(token, limit).await) })
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        Box::pin(async move { self.note(self.inner.outline(ordinal, level, range).await) })
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move { self.note(self.inner.read(ordinal, offset, len).await) })
    }

    fn contents(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Content>, SourceError>> {
        Box::pin(async move {
            let contents = self.inner.contents(first, count).await;
            for one in contents.iter().flatten() {
                self.note(one.bytes.as_ref().map(drop).map_err(Clone::clone)).ok();
            }
            self.note(contents)
        })
    }
}
