//! What a source keeps of each entry beside its catalog: records of a fixed length, by ordinal.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::open_files::OpenFiles;
use crate::disk::{FileId, Metadata, OpenMode};
use crate::{Disk, DiskError};

/// A file of records of `N` bytes.
#[derive(Debug)]
pub(super) struct Records<const N: usize> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: OpenFiles<()>,
}

impl<const N: usize> Records<N> {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, file: OpenFiles::new() }
    }

    /// Writes records from ordinal `first` on.
    pub(super) async fn write(&self, first: u64, records: &[[u8; N]]) -> Result<(), DiskError> {
        if records.is_empty() {
            return Ok(());
        }
        let file = self.file.open(&*self.disk, (), &self.path, OpenMode::Create).await?;
        file.write_at(first * N as u64, Bytes::from(records.concat())).await
    }

    /// Records that were written, from ordinal `first` on.
    pub(super) async fn read(&self, first: u64, count: usize) -> Result<Vec<[u8; N]>, DiskError> {
        let file = self.file.open(&*self.disk, (), &self.path, OpenMode::Create).await?;
        let bytes = file.read_at(first * N as u64, count * N).await?;
        let (records, _) = bytes.as_chunks();
        if records.len() != count {
            return Err(DiskError::corrupt(&self.path, "it is cut off"));
        }
        Ok(records.to_vec())
    }

    pub(super) fn close(&self) {
        self.file.clear();
    }
}

/// Which file it was, and when its content changed last: with the length, which the manifest has, it
/// tells whether a file is still the one that was hashed.
pub(super) type Stamp = [u8; STAMP_LEN];

pub(super) const STAMP_LEN: usize = 24;

pub(super) fn stamp_of(metadata: &Metadata) -> Stamp {
    let FileId { device, inode } = metadata.id;
    let mut stamp = [0; STAMP_LEN];
    stamp[..8].copy_from_slice(&device.to_le_bytes());
    stamp[8..16].copy_from_slice(&inode.to_le_bytes());
    stamp[16..].copy_from_slice(&metadata.modified_ns.to_le_bytes());
    stamp
}
