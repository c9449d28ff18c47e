//! The entries of a manifest that is still coming in, in the order of their keys: appended page by
//! page, read back from front to back.
//!
//! Sixteen bytes of magic and version and the chunk size, then blocks: length, a check of sixteen
//! bytes, and entries in postcard. The first block that does not check out ends the log.

use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use peerstream_types::{ChunkSize, Entry};

use crate::disk::OpenMode;
use crate::limits::{LOG_BLOCK_ENTRIES, LOG_BLOCK_LEN_MAX};
use crate::{Disk, DiskError, DiskFile};

const MAGIC: &[u8; 16] = b"peerstream lst\x01\0";
const HEADER_LEN: usize = 17;
const CHECK_LEN: usize = 16;
const FRAME_LEN: usize = 4 + CHECK_LEN;

/// The log of an attempt, open for more.
#[derive(Debug)]
pub(super) struct EntryLog {
    file: Arc<dyn DiskFile>,
    tail: u64,
    /// Bytes beyond the tail, of a page that may not have been admitted.
    beyond: u64,
}

impl EntryLog {
    /// Makes a new log.
    pub(super) async fn create(disk: &dyn Disk, path: &Path, size: ChunkSize) -> Result<Self, DiskError> {
        let file = disk.open(path, OpenMode::Create).await?;
        let header = [&MAGIC[..], &[u8::from(size)]].concat();
        file.write_at(0, header.into()).await?;
        Ok(Self { file, tail: HEADER_LEN as u64, beyond: 0 })
    }

    /// Writes entries behind those that were added. They are added by [`EntryLog::keep`]; what is
    /// written next takes their place otherwise.
    pub(super) async fn append(&mut self, entries: &[Arc<Entry>]) -> Result<(), DiskError> {
        if self.beyond > 0 {
            self.file.set_len(self.tail).await?;
        }
        let mut bytes = BytesMut::new();
        for block in entries.chunks(LOG_BLOCK_ENTRIES) {
            let body = postcard::to_stdvec(&block.iter().map(|entry| &**entry).collect::<Vec<_>>());
            let body = body.expect("writing to memory does not fail");
            bytes.put_u32_le(u32::try_from(body.len()).expect("a block is small"));
            bytes.extend_from_slice(&check(&body));
            bytes.extend_from_slice(&body);
        }
        self.beyond = bytes.len() as u64;
        self.file.write_at(self.tail, bytes.freeze()).await
    }

    /// Adds what was written last.
    pub(super) fn keep(&mut self) {
        self.tail += std::mem::take(&mut self.beyond);
    }

    /// Reads what was added so far, from the beginning.
    pub(super) fn reader(&self, size: ChunkSize) -> EntryReader {
        EntryReader::new(self.file.clone(), size, self.tail)
    }
}

/// Reads a log, a block at a time.
#[derive(Debug)]
pub(super) struct EntryReader {
    file: Arc<dyn DiskFile>,
    size: ChunkSize,
    offset: u64,
    end: u64,
    block: std::vec::IntoIter<Entry>,
}

impl EntryReader {
    fn new(file: Arc<dyn DiskFile>, size: ChunkSize, end: u64) -> Self {
        Self { file, size, offset: HEADER_LEN as u64, end, block: Vec::new().into_iter() }
    }

    /// Opens the log of an earlier attempt, or `None` if it is of another format.
    pub(super) async fn open(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, DiskError> {
        let file = disk.open(path, OpenMode::Read).await?;
        let header = file.read_at(0, HEADER_LEN).await?;
        let size = header.strip_prefix(MAGIC).and_then(<[u8]>::first).copied();
        let size = size.and_then(|log| ChunkSize::try_from(log).ok());
        Ok(size.map(|size| Self::new(file, size, u64::MAX)))
    }

    /// The chunk size of the manifest.
    pub(super) fn chunk_size(&self) -> ChunkSize {
        self.size
    }

    /// The next entry, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, DiskError> {
        if let Some(entry) = self.block.next() {
            return Ok(Some(entry));
        }
        let Some(body) = self.next_block().await? else { return Ok(None) };
        let entries: Vec<Entry> = postcard::from_bytes(&body).unwrap_or_default();
        self.block = entries.into_iter();
        Ok(self.block.next())
    }

    async fn next_block(&mut self) -> Result<Option<Bytes>, DiskError> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let frame = self.file.read_at(self.offset, FRAME_LEN).await?;
        let Some((len, sum)) = frame.split_first_chunk() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        if len == 0 || len > LOG_BLOCK_LEN_MAX {
            return Ok(None);
        }
        let body = self.file.read_at(self.offset + FRAME_LEN as u64, len).await?;
        if body.len() < len || check(&body) != sum {
            return Ok(None);
        }
        self.offset += (FRAME_LEN + len) as u64;
        Ok(Some(body))
    }
}

fn check(body: &[u8]) -> [u8; CHECK_LEN] {
    *blake3::hash(body).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, EntryKey, EntryKind, Ordinal};

    use super::*;
    use crate::RealDisk;
    use crate::content::digest_of_whole;

    fn entry(ordinal: u64) -> Arc<Entry> {
        Arc::new(Entry {
            ordinal: Ordinal(ordinal),
            key: EntryKey::from_path(&format!("d/{ordinal:06}")).unwrap(),
            len: ordinal,
            digest: Some(digest_of_whole(&ordinal.to_le_bytes())),
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: vec![7],
        })
    }

    async fn read(path: &Path) -> Vec<Entry> {
        let mut reader = EntryReader::open(&RealDisk::new(), path).await.unwrap().unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().await.unwrap() {
            entries.push(entry);
        }
        entries
    }

    #[tokio::test]
    async fn entries_are_read_back_up_to_the_first_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("entries");
        let entries: Vec<_> = (0..3 * LOG_BLOCK_ENTRIES as u64 / 2).map(entry).collect();
        let mut log = EntryLog::create(&RealDisk::new(), &path, ChunkSize::DEFAULT).await.unwrap();
        for page in entries.chunks(LOG_BLOCK_ENTRIES + 3) {
            // What was refused leaves no trace.
            log.append(&entries[..2]).await.unwrap();
            log.append(page).await.unwrap();
            log.keep();
        }
        assert!(read(&path).await.iter().eq(entries.iter().map(|entry| &**entry)));
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let left = read(&path).await;
        assert!(!left.is_empty() && left.len() < entries.len());
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&path).await, left);
    }

    /// Pins the format: a staging of today has to be readable tomorrow.
    #[tokio::test]
    async fn the_format_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("entries");
        let mut log = EntryLog::create(&RealDisk::new(), &path, ChunkSize::DEFAULT).await.unwrap();
        log.append(&[entry(0), entry(1)]).await.unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            blake3::hash(&bytes).to_hex().as_str(),
            "d8bb5bdf77cffb1f23678dc233455c1222a33f2e459b367b89119be5c27b6284"
        );
    }
}
