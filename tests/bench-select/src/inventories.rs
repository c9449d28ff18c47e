//! The inventories of three peers of one shard: blocks of series, the same everywhere but for one key
//! of a hundred that one peer lacks, and one of a hundred of which one peer has another copy. They are
//! made page by page, as they are asked for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::BytesMut;
use peerstream_snapshot::ManifestHasher;
use peerstream_types::{
    ChunkSize, Codec, Digest, Entry, EntryCounts, EntryKey, EntryKind, ManifestHeader, Ordinal, PageToken,
};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::limits::PAGE_ENTRIES_MAX;
use peerstream_wire::{InventoryPage, frame};

use crate::Result;

/// Peers that list.
pub(crate) const PEERS: u64 = 3;
/// Of so many keys one is missing somewhere, and one differs somewhere.
const PERIOD: u64 = 100;
/// Which of them is missing.
const MISSING: u64 = 17;
/// Which of them differs.
const DIFFERING: u64 = 53;
/// Pages that wait to be taken, of each peer.
const PAGES_AHEAD: usize = 1;

/// How many of the first keys differ somewhere.
pub(crate) fn contested(entries: u64) -> u64 {
    count(entries, DIFFERING)
}

/// How many of the first keys are missing somewhere.
pub(crate) fn missing(entries: u64) -> u64 {
    count(entries, MISSING)
}

fn count(entries: u64, place: u64) -> u64 {
    entries / PERIOD + u64::from(entries % PERIOD > place)
}

/// What one peer has, and how far it is listed.
pub(crate) struct Inventory {
    peer: u64,
    keys: u64,
    next: u64,
    hasher: ManifestHasher,
}

impl Inventory {
    pub(crate) fn new(peer: u64, keys: u64) -> Self {
        Self { peer, keys, next: 0, hasher: ManifestHasher::new() }
    }

    /// What the peer offers before it has listed anything.
    pub(crate) fn offered(&self) -> ManifestHeader {
        ManifestHeader {
            chunk_size: ChunkSize::DEFAULT,
            counts: EntryCounts::default(),
            digest: None,
            position: None,
            state: Vec::new(),
        }
    }

    /// Lists everything on a thread of its own. Few pages wait at a time: memory does not grow.
    pub(crate) fn serve(mut self) -> Result<Receiver<BytesMut>> {
        let (pages, taken) = sync_channel(PAGES_AHEAD);
        std::thread::Builder::new().name(format!("peer-{}", self.peer)).spawn(move || self.list(&pages))?;
        Ok(taken)
    }

    fn list(&mut self, pages: &SyncSender<BytesMut>) {
        loop {
            let page = self.page();
            let is_last = page.next.is_none();
            let mut out = BytesMut::new();
            // Whoever takes the pages sees a listing without an end, and says so.
            let encoded = frame::encode(&InventoryPage::V1(page), &mut out);
            if encoded.is_err() || pages.send(out).is_err() || is_last {
                return;
            }
        }
    }

    fn page(&mut self) -> InventoryPageV1 {
        let mut entries = Vec::with_capacity(PAGE_ENTRIES_MAX);
        while entries.len() < PAGE_ENTRIES_MAX && self.next < self.keys {
            if let Some(entry) = self.entry(self.next) {
                self.hasher.entry(&entry);
                entries.push(entry);
            }
            self.next += 1;
        }
        let next = PageToken::new(self.next.to_be_bytes()).ok().filter(|_| self.next < self.keys);
        let sealed = next.is_none().then(|| {
            let header = ManifestHeader { counts: self.hasher.counts(), ..self.offered() };
            ManifestHeader { digest: Some(self.hasher.clone().seal(&header)), ..header }
        });
        InventoryPageV1 { entries: entries.try_into().unwrap_or_default(), next, sealed }
    }

    fn entry(&self, index: u64) -> Option<Entry> {
        let (turn, place) = (index / PERIOD % PEERS, index % PERIOD);
        let is_odd_one = turn == self.peer;
        if is_odd_one && place == MISSING {
            return None;
        }
        let mut digest = [0; 32];
        digest.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&index.to_le_bytes()));
        digest[31] = u8::from(is_odd_one && place == DIFFERING);
        Some(Entry {
            ordinal: Ordinal(self.hasher.counts().entries),
            key: EntryKey::new(key(index)).ok()?,
            len: 4096,
            digest: Some(Digest::Blake3(digest)),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: b"host=a,zone=b".to_vec(),
        })
    }
}

/// The id of a series and the start of a block, 30 bytes. Written by hand: formatting would take longer
/// than all that is measured.
fn key(index: u64) -> Vec<u8> {
    let mut key = b"series-000000000000/1700000000".to_vec();
    let mut left = index;
    for digit in key[7..19].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    key
}
