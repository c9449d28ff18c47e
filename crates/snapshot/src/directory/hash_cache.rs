//! What files were hashed to, so that a file that did not change is hashed once in its life: across
//! restarts, and across checkpoints that are hard links of the same files.
//!
//! A file is known by device, inode, length and mtime. [`Table`](table::Table) has the digests, and
//! [`Outlines`](outlines::Outlines) the chaining values of the chunks of the longer ones. Both are
//! bounded, both check what they read, and neither is needed: what cannot be read, or kept, is hashed
//! again.
//!
//! # Files that were changed just now
//!
//! File systems keep mtimes coarsely, up to two seconds apart. A file whose mtime is less than
//! [`RACY_NS`] old when the hashing begins is not kept: a change during or after it might leave the
//! mtime as it is. "Now" is the mtime of a file that is written for the purpose, which is the clock
//! of the file system rather than that of the process; it has to be one that agrees with that of the
//! files served, as all file systems of one machine do.
//!
//! What is written through a shared mapping changes the mtime only when the system gets to it. Served
//! files are not written to, so this is no matter here, but a reason not to break that promise.

mod outlines;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkRange, ChunkSize, Digest, Ordinal};

use self::outlines::Outlines;
use self::table::Table;
use super::catalog::Catalog;
use crate::disk::{Metadata, OpenMode};
use crate::{Disk, DiskError};

/// How old an mtime has to be, in nanoseconds: twice what the coarsest file system needs, less the
/// tick of its clock.
pub(super) const RACY_NS: i64 = 2_000_000_000;

/// Digests and outlines of files. Lives as long as its directory; one source at a time uses it.
#[derive(Debug)]
pub(super) struct HashCache {
    disk: Arc<dyn Disk>,
    probe: PathBuf,
    table: Table,
    outlines: Outlines,
}

impl HashCache {
    /// Opens the cache in `dir`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(super) async fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, DiskError> {
        disk.create_dir_all(&dir).await?;
        let outlines = Outlines::open(disk.clone(), dir.join("outlines")).await?;
        let table = Table::new(disk.clone(), dir.join("digests"));
        Ok(Self { disk, probe: dir.join("now"), table, outlines })
    }

    /// The clock of the file system; the beginning of time if it cannot be read, so that no file is
    /// old enough to be kept.
    pub(super) async fn now_ns(&self) -> i64 {
        self.touch().await.ok().flatten().map_or(i64::MIN, |probe| probe.modified_ns)
    }

    async fn touch(&self) -> Result<Option<Metadata>, DiskError> {
        let file = self.disk.open(&self.probe, OpenMode::Create).await?;
        file.write_at(0, Bytes::from_static(b".")).await?;
        self.disk.metadata(&self.probe).await
    }

    /// What files were hashed to, where it is known.
    pub(super) async fn look_up(&self, size: ChunkSize, files: &[Metadata]) -> Vec<Option<Digest>> {
        self.table.look_up(size, files).await
    }

    /// Keeps what files were hashed to. `now_ns` was read before they were.
    pub(super) async fn keep(&self, size: ChunkSize, now_ns: i64, files: Vec<(Metadata, Digest)>) {
        let old = |file: &(Metadata, Digest)| is_old(now_ns, &file.0);
        let files: Vec<_> = files.into_iter().filter(old).collect();
        if !files.is_empty() {
            self.table.keep(size, &files).await.ok();
        }
    }

    /// Keeps what a file of more than one chunk was hashed to, with the outline that the catalog has of
    /// it.
    pub(super) async fn keep_long(
        &self,
        now_ns: i64,
        file: (Metadata, Digest),
        catalog: &Catalog,
        ordinal: Ordinal,
    ) {
        let size = catalog.chunk_size();
        if is_old(now_ns, &file.0)
            && self.outlines.keep(size, file.1, file.0.len, catalog, ordinal).await.is_ok()
        {
            self.keep(size, now_ns, vec![file]).await;
        }
    }

    /// Chaining values of chunks of a file with that digest; `None` if they are not kept. They are not
    /// checked.
    pub(super) async fn outline(
        &self,
        size: ChunkSize,
        digest: Digest,
        range: ChunkRange,
    ) -> Option<Vec<ChainingValue>> {
        self.outlines.read(size, digest, range).await.ok().flatten()
    }

    /// Closes what it has open.
    pub(super) fn close_files(&self) {
        self.table.close();
    }
}

fn is_old(now_ns: i64, metadata: &Metadata) -> bool {
    now_ns.checked_sub(metadata.modified_ns).is_some_and(|age| age >= RACY_NS)
}
