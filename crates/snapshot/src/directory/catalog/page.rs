//! A page of a catalog and its record in the index, as bytes.
//!
//! In `pages`, a page is a checksum over its number, the chunk size and its body, followed by the
//! body in postcard. In `index`, record `n` is the offset and the length of page `n`. A page that is
//! written again goes to another place, and a record never crosses a sector, so that a crash leaves
//! the page as it was or as it is.

use peerstream_types::{ChunkSize, Entry};
use serde::{Deserialize, Serialize};

/// Entries of a full page: large enough that a read of one is worth its cost, small enough (some
/// 25 KiB at common key lengths) that a single entry can be looked up.
pub(super) const PAGE_ENTRIES: usize = 256;

/// Longest page in bytes: all keys and all metadata at their limits take less than this.
const PAGE_LEN_MAX: u64 = 2 << 20;

const CHECK_LEN: usize = 16;
const CHECK_DOMAIN: &str = "peerstream 2026-11 catalog page v1";
const MARK_DOMAIN: &str = "peerstream 2026-11 catalog mark v1";

/// Length of a record in the index.
pub(super) const INDEX_RECORD_LEN: usize = 16;

/// Where an entry is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) page: u64,
    pub(super) within: usize,
}

impl Place {
    pub(super) fn of(ordinal: u64) -> Self {
        let entries = PAGE_ENTRIES as u64;
        Self { page: ordinal / entries, within: (ordinal % entries) as usize }
    }
}

/// Stands for all entries up to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Mark(pub(super) [u8; 16]);

/// Some entries in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredPage {
    /// The ordinal of the first entry.
    pub(super) first: u64,
    /// The mark of all entries before.
    pub(super) before: Mark,
    /// Where the chaining values of the first entry that has some begin, counted in values.
    pub(super) values: u64,
    pub(super) entries: Vec<Entry>,
}

impl StoredPage {
    /// A page without entries.
    pub(super) fn empty(first: u64, before: Mark, values: u64) -> Self {
        Self { first, before, values, entries: Vec::new() }
    }

    pub(super) fn number(&self) -> u64 {
        Place::of(self.first).page
    }

    /// The mark of all entries before this page and the first `count` in it.
    pub(super) fn mark_after(&self, count: usize) -> Mark {
        let mut hasher = blake3::Hasher::new_derive_key(MARK_DOMAIN);
        hasher.update(&self.before.0);
        for entry in &self.entries[..count] {
            let bytes = postcard::to_stdvec(entry).expect("writing to memory does not fail");
            hasher.update(&bytes);
        }
        Mark(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    /// The page that follows when this one is full.
    pub(super) fn following(&self, size: ChunkSize) -> Self {
        let values = self.values_before(self.entries.len(), size);
        Self::empty(self.first + self.entries.len() as u64, self.mark_after(self.entries.len()), values)
    }

    /// Where the chaining values of the entry at `place` begin.
    pub(super) fn values_before(&self, place: usize, size: ChunkSize) -> u64 {
        let values = self.entries[..place].iter().map(|entry| values_of(entry, size));
        values.fold(self.values, u64::saturating_add)
    }

    pub(super) fn encode(&self, size: ChunkSize) -> Vec<u8> {
        let block = postcard::to_extend(self, vec![0; CHECK_LEN]);
        let mut block = block.expect("writing to memory does not fail");
        let check = check(self.number(), size, &block[CHECK_LEN..]);
        block[..CHECK_LEN].copy_from_slice(&check);
        block
    }
}

/// How many chaining values an entry has.
pub(super) fn values_of(entry: &Entry, size: ChunkSize) -> u64 {
    match (entry.chunks(size), entry.groups(size)) {
        (0 | 1, _) => 0,
        (chunks, 1) => chunks,
        (chunks, groups) => chunks + groups,
    }
}

pub(super) fn decode(number: u64, size: ChunkSize, block: &[u8]) -> Result<StoredPage, &'static str> {
    let (stored, body) = block.split_first_chunk::<CHECK_LEN>().ok_or("a page is cut off")?;
    if *stored != check(number, size, body) {
        return Err("the checksum of a page is wrong");
    }
    let page: StoredPage = postcard::from_bytes(body).map_err(|_| "a page cannot be decoded")?;
    let in_order = (page.first..).zip(&page.entries).all(|(ordinal, entry)| ordinal == entry.ordinal.0);
    if page.number() != number || page.entries.len() > PAGE_ENTRIES || !in_order {
        return Err("a page holds entries of another");
    }
    Ok(page)
}

/// The number and the chunk size are part of it, so that a page fits no other place.
fn check(number: u64, size: ChunkSize, body: &[u8]) -> [u8; CHECK_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key(CHECK_DOMAIN);
    hasher.update(&number.to_le_bytes()).update(&size.bytes().to_le_bytes()).update(body);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// The record of a page at `offset`.
pub(super) fn encode_record(offset: u64, len: usize) -> [u8; INDEX_RECORD_LEN] {
    let record = u128::from(offset) | u128::from(len as u64) << 64;
    record.to_le_bytes()
}

/// Offset and length of a page.
pub(super) fn decode_record(record: &[u8]) -> Result<(u64, usize), &'static str> {
    let record = <[u8; INDEX_RECORD_LEN]>::try_from(record).map_err(|_| "the index is cut off")?;
    let record = u128::from_le_bytes(record);
    let (offset, len) = (record as u64, (record >> 64) as u64);
    let len = usize::try_from(len).ok().filter(|len| *len as u64 <= PAGE_LEN_MAX);
    Ok((offset, len.ok_or("the index names a page that is too long")?))
}
