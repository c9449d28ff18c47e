//! The journal of a staging: which chunks were stored.
//!
//! A record is written after its chunk's bytes, so what the journal claims is, after a crash of the
//! process, there. After a power loss it may not be: whoever reads a journal back checks the bytes.
//!
//! Sixteen bytes of magic and version, then records of [`RECORD_LEN`] bytes: algorithm, digest,
//! length, chunk size, chunk index, and a checksum of eight bytes. The first record that does not
//! check out ends the journal.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use peerstream_types::{ChunkIndex, ChunkSize, Digest};

use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::{Disk, DiskError, DiskFile};

const MAGIC: &[u8; 16] = b"peerstream jrnl\x01";
const CLAIM_LEN: usize = 1 + 32 + 8 + 1 + 8;
const RECORD_LEN: usize = CLAIM_LEN + 8;
/// Records that are read at once.
const READ_RECORDS: usize = 1 << 14;

/// A chunk that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) content: ContentId,
    pub(super) chunk: ChunkIndex,
}

/// An open journal. Records that come at once are written at once.
#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<dyn DiskFile>,
    /// Records that are not in the file yet, at most one per chunk that is being stored.
    pending: Mutex<BytesMut>,
    tail: tokio::sync::Mutex<u64>,
}

impl Journal {
    /// Opens or makes a journal and hands every claim in it to `each`. A journal of another format
    /// claims nothing and begins anew.
    pub(super) async fn open(
        disk: &dyn Disk,
        path: &Path,
        each: impl FnMut(Claim),
    ) -> Result<Self, DiskError> {
        let file = disk.open(path, OpenMode::Create).await?;
        let tail = if file.read_at(0, MAGIC.len()).await? == MAGIC[..] {
            replay(&*file, each).await?
        } else {
            file.set_len(0).await?;
            file.write_at(0, Bytes::from_static(MAGIC)).await?;
            MAGIC.len() as u64
        };
        file.set_len(tail).await?;
        Ok(Self { file, pending: Mutex::default(), tail: tokio::sync::Mutex::new(tail) })
    }

    /// Adds a record. Ready when it is in the file, though not synced. If it fails or is abandoned,
    /// the record goes in with the next one.
    pub(super) async fn append(&self, claim: &Claim) -> Result<(), DiskError> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&encode(claim));
        let mut tail = self.tail.lock().await;
        let batch = self.pending.lock().unwrap_or_else(PoisonError::into_inner).clone().freeze();
        if batch.is_empty() {
            return Ok(());
        }
        let len = batch.len();
        self.file.write_at(*tail, batch).await?;
        *tail += len as u64;
        drop(self.pending.lock().unwrap_or_else(PoisonError::into_inner).split_to(len));
        Ok(())
    }

    /// Makes what was appended durable.
    pub(super) async fn sync(&self) -> Result<(), DiskError> {
        self.file.sync().await
    }
}

/// Reads records up to the first bad one, and says where that is.
async fn replay(file: &dyn DiskFile, mut each: impl FnMut(Claim)) -> Result<u64, DiskError> {
    let mut tail = MAGIC.len() as u64;
    loop {
        let records = file.read_at(tail, READ_RECORDS * RECORD_LEN).await?;
        let mut good = 0;
        for claim in records.chunks_exact(RECORD_LEN).map_while(decode) {
            each(claim);
            good += RECORD_LEN;
        }
        tail += good as u64;
        if good < READ_RECORDS * RECORD_LEN {
            return Ok(tail);
        }
    }
}

fn encode(claim: &Claim) -> [u8; RECORD_LEN] {
    let ContentId { digest, len, chunk_size } = claim.content;
    let mut record = Vec::with_capacity(RECORD_LEN);
    record.push(digest.code());
    record.extend_from_slice(digest.as_bytes());
    record.extend_from_slice(&len.to_le_bytes());
    record.push(chunk_size.into());
    record.extend_from_slice(&claim.chunk.0.to_le_bytes());
    record.extend_from_slice(&check(&record));
    record.try_into().expect("the parts add up to RECORD_LEN")
}

fn decode(record: &[u8]) -> Option<Claim> {
    let (claim, sum) = record.split_at_checked(CLAIM_LEN)?;
    if check(claim) != sum {
        return None;
    }
    let (code, rest) = claim.split_first()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (log, rest) = rest.split_first()?;
    let digest =
        [Digest::Blake3(*digest), Digest::Sha256(*digest)].into_iter().find(|d| d.code() == *code)?;
    let chunk_size = ChunkSize::try_from(*log).ok()?;
    let content = ContentId { digest, len: u64::from_le_bytes(*len), chunk_size };
    let chunk = ChunkIndex(u64::from_le_bytes(rest.try_into().ok()?));
    (chunk.0 < content.chunks()).then_some(Claim { content, chunk })
}

fn check(claim: &[u8]) -> [u8; 8] {
    *blake3::hash(claim).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
#[path = "journal/tests.rs"]
mod tests;
