//! Outlines of files that were hashed: one file per digest, with the chaining values of the chunks.
//!
//! There are two directories. What is kept goes to `new`, and what is read there from `old` moves back
//! to it. When `new` is half of the room, it becomes `old`, and the `old` one is removed: what was not
//! used for long goes, and nothing is kept in memory to know it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Digest, Ordinal};

use super::super::catalog::Catalog;
use crate::disk::OpenMode;
use crate::limits::{NAMES_MAX, OUTLINE_RUN, OUTLINES_KEPT_LEN};
use crate::{Disk, DiskError, SourceError};

const VALUE_LEN: usize = 32;
/// What a file takes at least.
const BLOCK_LEN: u64 = 4096;

#[derive(Debug)]
pub(super) struct Outlines {
    disk: Arc<dyn Disk>,
    new: PathBuf,
    old: PathBuf,
    /// Bytes in `new`.
    used: AtomicU64,
}

impl Outlines {
    pub(super) async fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, DiskError> {
        let (new, old) = (dir.join("new"), dir.join("old"));
        disk.create_dir_all(&new).await?;
        disk.create_dir_all(&old).await?;
        let outlines = Self { disk, new, old, used: AtomicU64::new(0) };
        outlines.measure().await?;
        Ok(outlines)
    }

    async fn measure(&self) -> Result<(), DiskError> {
        let mut after = None;
        loop {
            let listed = self.disk.list(&self.new, after.as_deref(), NAMES_MAX).await?;
            let used: u64 = listed.iter().map(|file| file.metadata.len.max(BLOCK_LEN)).sum();
            self.used.fetch_add(used, Ordering::Relaxed);
            let Some(last) = listed.into_iter().next_back() else { return Ok(()) };
            after = Some(last.name);
        }
    }

    /// Chaining values as they are kept, if they are.
    pub(super) async fn read(
        &self,
        size: ChunkSize,
        digest: Digest,
        range: ChunkRange,
    ) -> Result<Option<Vec<ChainingValue>>, DiskError> {
        let name = name(size, digest);
        let (new, old) = (self.new.join(&name), self.old.join(&name));
        if self.disk.metadata(&new).await?.is_none() {
            let Some(found) = self.disk.metadata(&old).await? else { return Ok(None) };
            self.disk.rename(&old, &new).await?;
            self.add(found.len).await?;
        }
        let file = self.disk.open(&new, OpenMode::Read).await?;
        let len = range.count as usize * VALUE_LEN;
        let bytes = file.read_at(range.first.0.saturating_mul(VALUE_LEN as u64), len).await?;
        let (values, _) = bytes.as_chunks();
        Ok((bytes.len() == len).then(|| values.iter().copied().map(ChainingValue).collect()))
    }

    /// Keeps the outline that a catalog has of an entry of `len` bytes.
    pub(super) async fn keep(
        &self,
        size: ChunkSize,
        digest: Digest,
        len: u64,
        catalog: &Catalog,
        ordinal: Ordinal,
    ) -> Result<(), SourceError> {
        let path = self.new.join(name(size, digest));
        let chunks = size.chunks_in(len);
        self.add(chunks.saturating_mul(VALUE_LEN as u64)).await?;
        let file = self.disk.open(&path, OpenMode::Create).await?;
        let mut first = 0;
        while first < chunks {
            let count = u32::try_from(chunks - first).map_or(OUTLINE_RUN, |rest| rest.min(OUTLINE_RUN));
            let values = catalog.outline(ordinal, 0, ChunkRange { first: ChunkIndex(first), count }).await?;
            let values =
                values.ok_or_else(|| DiskError::corrupt(catalog.dir(), "an outline does not fit"))?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.0).collect();
            file.write_at(first * VALUE_LEN as u64, Bytes::from(bytes)).await?;
            first += u64::from(count);
        }
        Ok(())
    }

    /// Counts what comes to `new`, and makes room for it.
    async fn add(&self, len: u64) -> Result<(), DiskError> {
        let len = len.max(BLOCK_LEN);
        if self.used.fetch_add(len, Ordering::Relaxed).saturating_add(len) <= OUTLINES_KEPT_LEN / 2 {
            return Ok(());
        }
        self.used.store(len, Ordering::Relaxed);
        self.disk.remove_dir_all(&self.old).await?;
        self.disk.rename(&self.new, &self.old).await?;
        self.disk.create_dir_all(&self.new).await
    }
}

fn name(size: ChunkSize, digest: Digest) -> String {
    format!("{}-{}", digest.to_string().replace(':', "-"), size.bytes())
}
