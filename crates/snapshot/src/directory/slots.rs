//! Where each entry of a staged manifest lies: one record of fixed size per ordinal.
//!
//! Thirty-two bytes of magic, then a record per ordinal: pack, checkpoint, offset, and a check of
//! sixteen bytes that binds them to the attempt, the ordinal and the entry's digest and length. What
//! does not check out (never written, torn, of another entry) says nothing, so records are written
//! without order and without care, and a page that was refused half way leaves no harm.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use peerstream_types::Ordinal;

use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::limits::SLOTS_READ;
use crate::{Disk, DiskError, DiskFile};

const MAGIC: &[u8; RECORD_LEN] = b"peerstream slots\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const RECORD_LEN: usize = 32;
/// Stands where a pack number would, for content that has a file of its own.
const FILE: u32 = u32::MAX;
/// Most packs of a staging.
pub(super) const PACK_MAX: u32 = u32::MAX - 1;

/// Where the complete content of an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a pack, at an offset.
    Packed { pack: u32, offset: u64 },
    /// In the file that its digest names.
    File,
}

/// What a record says of an entry: it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) place: Place,
    /// The checkpoint that makes the content durable; zero if it was durable before the attempt.
    pub(super) checkpoint: u32,
}

/// The records of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    file: Arc<dyn DiskFile>,
    key: [u8; 32],
}

impl Slots {
    /// Makes the records of a new attempt: none of them says anything yet.
    pub(super) async fn create(disk: &dyn Disk, path: &Path, attempt: u32) -> Result<Self, DiskError> {
        let file = disk.open(path, OpenMode::Create).await?;
        file.write_at(0, Bytes::from_static(MAGIC)).await?;
        Ok(Self { file, key: key_of(attempt) })
    }

    /// Opens the records of an earlier attempt, or `None` if they are of another format.
    pub(super) async fn open(disk: &dyn Disk, path: &Path, attempt: u32) -> Result<Option<Self>, DiskError> {
        let file = disk.open(path, OpenMode::Read).await?;
        let known = file.read_at(0, RECORD_LEN).await? == MAGIC[..];
        Ok(known.then_some(Self { file, key: key_of(attempt) }))
    }

    /// Writes records, ascending by ordinal: one write per run of ordinals.
    pub(super) async fn write(&self, records: &[(Ordinal, ContentId, Slot)]) -> Result<(), DiskError> {
        for run in records.chunk_by(|(a, ..), (b, ..)| a.0 + 1 == b.0) {
            let mut bytes = BytesMut::with_capacity(run.len() * RECORD_LEN);
            for (ordinal, id, slot) in run {
                bytes.extend_from_slice(&self.encode(*ordinal, id, *slot));
            }
            self.file.write_at(offset_of(run[0].0), bytes.freeze()).await?;
        }
        Ok(())
    }

    /// Reads on from any ordinal.
    pub(super) fn reader(&self) -> SlotReader {
        SlotReader { slots: self.clone(), first: 0, records: Bytes::new() }
    }

    fn encode(&self, ordinal: Ordinal, id: &ContentId, slot: Slot) -> [u8; RECORD_LEN] {
        let (pack, offset) = match slot.place {
            Place::Packed { pack, offset } => (pack, offset),
            Place::File => (FILE, 0),
        };
        let mut record = [0; RECORD_LEN];
        record[..4].copy_from_slice(&pack.to_le_bytes());
        record[4..8].copy_from_slice(&slot.checkpoint.to_le_bytes());
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        let check = self.check(ordinal, id, &record[..16]);
        record[16..].copy_from_slice(&check);
        record
    }

    fn decode(&self, ordinal: Ordinal, id: &ContentId, record: &[u8]) -> Option<Slot> {
        let (said, check) = record.split_at_checked(16)?;
        if self.check(ordinal, id, said) != check {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes([said[at], said[at + 1], said[at + 2], said[at + 3]]);
        let offset = u64::from(word(8)) | u64::from(word(12)) << 32;
        let place = match word(0) {
            FILE => Place::File,
            pack => Place::Packed { pack, offset },
        };
        Some(Slot { place, checkpoint: word(4) })
    }

    /// Sixty-four bytes, a single block of the hash: this runs once per entry.
    fn check(&self, ordinal: Ordinal, id: &ContentId, said: &[u8]) -> [u8; 16] {
        let mut bound = [0; 64];
        bound[..16].copy_from_slice(said);
        bound[16..24].copy_from_slice(&ordinal.0.to_le_bytes());
        bound[24..32].copy_from_slice(&id.len.to_le_bytes());
        bound[32..].copy_from_slice(id.digest.as_bytes());
        let hash = blake3::keyed_hash(&self.key, &bound);
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

fn key_of(attempt: u32) -> [u8; 32] {
    blake3::derive_key("peerstream 2026-11 slots v1", &attempt.to_le_bytes())
}

fn offset_of(ordinal: Ordinal) -> u64 {
    (ordinal.0 + 1) * RECORD_LEN as u64
}

/// Reads records in ascending order, [`SLOTS_READ`] at a time.
#[derive(Debug)]
pub(super) struct SlotReader {
    slots: Slots,
    first: u64,
    records: Bytes,
}

impl SlotReader {
    /// What is said of an entry.
    pub(super) async fn get(&mut self, ordinal: Ordinal, id: &ContentId) -> Result<Option<Slot>, DiskError> {
        let held = (self.records.len() / RECORD_LEN) as u64;
        if ordinal.0 < self.first || ordinal.0 >= self.first + held {
            self.records = self.slots.file.read_at(offset_of(ordinal), SLOTS_READ * RECORD_LEN).await?;
            self.first = ordinal.0;
        }
        let place = usize::try_from(ordinal.0 - self.first).expect("within one read") * RECORD_LEN;
        let record = self.records.get(place..place + RECORD_LEN);
        Ok(record.and_then(|record| self.slots.decode(ordinal, id, record)))
    }
}

#[cfg(test)]
#[path = "slots/tests.rs"]
mod tests;
