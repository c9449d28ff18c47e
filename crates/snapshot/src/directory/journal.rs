//! The journal of a staging: which chunks of larger content were stored, and what is durable.
//!
//! A claim is written after its chunks' bytes, some time after, so what the journal claims is, after a
//! crash of the process, there. After a power loss it may not be, unless a checkpoint says so: whoever reads a
//! journal back hashes what no checkpoint covers.
//!
//! Sixteen bytes of magic and version, then records of [`RECORD_LEN`] bytes: kind, attempt,
//! checkpoint; for a claim the content (algorithm, digest, length, chunk size) and a run of chunks;
//! and a check of eight bytes. The first record that does not check out ends the journal.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Digest};

use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::{Disk, DiskError, DiskFile};

const MAGIC: &[u8; 16] = b"peerstream jrnl\x02";
const BODY_LEN: usize = 1 + 4 + 4 + CONTENT_LEN + 8 + 4;
const CONTENT_LEN: usize = 1 + 32 + 8 + 1;
const RECORD_LEN: usize = BODY_LEN + 8;
/// Records that are read at once.
const READ_RECORDS: usize = 1 << 14;

const CLAIM: u8 = 1;
const SETTLED: u8 = 2;
const CHECKPOINT: u8 = 3;
const DOUBT: u8 = 4;

/// When something was stored: in which attempt, and which of its checkpoints makes it durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) attempt: u32,
    pub(super) checkpoint: u32,
}

/// One line of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// Chunks of a content were stored.
    Claim(Moment, ContentId, ChunkRange),
    /// What was claimed of a content so far counts no more: it has its final name, or its file was
    /// lost, or is replaced.
    Settled(ContentId),
    /// What was stored up to this moment, in the same attempt, is durable.
    Checkpoint(Moment),
    /// What was stored in this attempt and those before it may have been changed since: no
    /// checkpoint speaks for it any more.
    Doubt(u32),
}

/// An open journal. Records that come at once are written at once.
#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<dyn DiskFile>,
    /// Bytes of content that claims outside of the file may stand for.
    lag: u64,
    pending: Mutex<Pending>,
    tail: tokio::sync::Mutex<u64>,
}

/// Records that are not in the file yet.
#[derive(Debug, Default)]
struct Pending {
    records: BytesMut,
    /// Bytes of content that they claim.
    claimed: u64,
}

impl Journal {
    /// Opens or makes a journal and hands every record in it to `each`, in order. A journal of
    /// another format says nothing and begins anew.
    pub(super) async fn open(
        disk: &dyn Disk,
        path: &Path,
        lag: u64,
        each: impl FnMut(Record),
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
        Ok(Self { file, lag, pending: Mutex::default(), tail: tokio::sync::Mutex::new(tail) })
    }

    /// Adds records. Ready when they are in the file, though not synced. If it fails or is
    /// abandoned, they go in with the next ones.
    pub(super) async fn append(&self, records: &[Record]) -> Result<(), DiskError> {
        self.gather(records, 0);
        self.flush().await
    }

    /// Adds claims of this many bytes, which may wait for others: they go into the file with the next
    /// record that does not wait, or when all that wait stand for more than the lag.
    pub(super) async fn claim(&self, claims: &[Record], bytes: u64) -> Result<(), DiskError> {
        if self.gather(claims, bytes) < self.lag {
            return Ok(());
        }
        self.flush().await
    }

    fn gather(&self, records: &[Record], claimed: u64) -> u64 {
        let mut pending = self.pending();
        records.iter().for_each(|record| pending.records.extend_from_slice(&encode(record)));
        pending.claimed += claimed;
        pending.claimed
    }

    async fn flush(&self) -> Result<(), DiskError> {
        let mut tail = self.tail.lock().await;
        let (batch, claimed) = {
            let pending = self.pending();
            (pending.records.clone().freeze(), pending.claimed)
        };
        if batch.is_empty() {
            return Ok(());
        }
        let len = batch.len();
        self.file.write_at(*tail, batch).await?;
        *tail += len as u64;
        let mut pending = self.pending();
        drop(pending.records.split_to(len));
        pending.claimed -= claimed;
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what was appended durable.
    pub(super) async fn sync(&self) -> Result<(), DiskError> {
        self.file.sync().await
    }
}

/// Reads records up to the first bad one, and says where that is.
async fn replay(file: &dyn DiskFile, mut each: impl FnMut(Record)) -> Result<u64, DiskError> {
    let mut tail = MAGIC.len() as u64;
    loop {
        let records = file.read_at(tail, READ_RECORDS * RECORD_LEN).await?;
        let mut good = 0;
        for record in records.chunks_exact(RECORD_LEN).map_while(decode) {
            each(record);
            good += RECORD_LEN;
        }
        tail += good as u64;
        if good < READ_RECORDS * RECORD_LEN {
            return Ok(tail);
        }
    }
}

fn encode(record: &Record) -> [u8; RECORD_LEN] {
    const NEVER: Moment = Moment { attempt: 0, checkpoint: 0 };
    const NONE: ChunkRange = ChunkRange { first: ChunkIndex(0), count: 0 };
    let (kind, moment, content, range) = match *record {
        Record::Claim(moment, content, range) => (CLAIM, moment, Some(content), range),
        Record::Settled(content) => (SETTLED, NEVER, Some(content), NONE),
        Record::Checkpoint(moment) => (CHECKPOINT, moment, None, NONE),
        Record::Doubt(attempt) => (DOUBT, Moment { attempt, checkpoint: 0 }, None, NONE),
    };
    let mut bytes = Vec::with_capacity(RECORD_LEN);
    bytes.push(kind);
    bytes.extend_from_slice(&moment.attempt.to_le_bytes());
    bytes.extend_from_slice(&moment.checkpoint.to_le_bytes());
    match content {
        Some(content) => encode_content(&content, &mut bytes),
        None => bytes.extend_from_slice(&[0; CONTENT_LEN]),
    }
    bytes.extend_from_slice(&range.first.0.to_le_bytes());
    bytes.extend_from_slice(&range.count.to_le_bytes());
    bytes.extend_from_slice(&check(&bytes));
    bytes.try_into().expect("the parts add up to RECORD_LEN")
}

fn encode_content(content: &ContentId, bytes: &mut Vec<u8>) {
    bytes.push(content.digest.code());
    bytes.extend_from_slice(content.digest.as_bytes());
    bytes.extend_from_slice(&content.len.to_le_bytes());
    bytes.push(content.chunk_size.into());
}

fn decode(record: &[u8]) -> Option<Record> {
    let (body, sum) = record.split_at_checked(BODY_LEN)?;
    if check(body) != sum {
        return None;
    }
    let (&kind, rest) = body.split_first()?;
    let (attempt, rest) = rest.split_first_chunk()?;
    let (checkpoint, rest) = rest.split_first_chunk()?;
    let moment =
        Moment { attempt: u32::from_le_bytes(*attempt), checkpoint: u32::from_le_bytes(*checkpoint) };
    let (content, rest) = rest.split_at_checked(CONTENT_LEN)?;
    let (first, rest) = rest.split_first_chunk()?;
    let first = ChunkIndex(u64::from_le_bytes(*first));
    let range = ChunkRange { first, count: u32::from_le_bytes(rest.try_into().ok()?) };
    match kind {
        CLAIM => decode_content(content)
            .filter(|content| {
                first.0.checked_add(range.count.into()).is_some_and(|end| end <= content.chunks())
            })
            .map(|content| Record::Claim(moment, content, range)),
        SETTLED => decode_content(content).map(Record::Settled),
        CHECKPOINT => Some(Record::Checkpoint(moment)),
        DOUBT => Some(Record::Doubt(moment.attempt)),
        _ => None,
    }
}

fn decode_content(bytes: &[u8]) -> Option<ContentId> {
    let (code, rest) = bytes.split_first()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let digest =
        [Digest::Blake3(*digest), Digest::Sha256(*digest)].into_iter().find(|d| d.code() == *code)?;
    let chunk_size = ChunkSize::try_from(*rest.first()?).ok()?;
    Some(ContentId { digest, len: u64::from_le_bytes(*len), chunk_size })
}

fn check(body: &[u8]) -> [u8; 8] {
    *blake3::hash(body).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
#[path = "journal/tests.rs"]
mod tests;
