//! What shards are filled with: repeatable from a seed, and no two entries alike unless they are to be.

use std::ops::Range;

use peerstream_snapshot::MemoryStore;
use peerstream_types::{EntryKey, Position, ShardId};

use crate::random::Random;

/// The change log that all positions are of.
pub(crate) const LOG: &str = "wal";

/// The content of a shard: entries of several kinds, each with metadata of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How many small entries.
    pub small: u32,
    /// Their lengths in bytes.
    pub small_len: Range<u64>,
    /// How many large entries.
    pub large: u32,
    /// Their length in bytes.
    pub large_len: u64,
    /// How many entries without a byte (rows A30 and F-61).
    pub empty: u32,
    /// How many entries that all have the same bytes.
    pub copies: u32,
    /// Their length in bytes.
    pub copy_len: u64,
    /// How many entries that are equal but for four bytes in the middle, so for one chunk.
    pub similar: u32,
    /// Their length in bytes.
    pub similar_len: u64,
}

/// An entry to be put into a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: EntryKey,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
}

impl Item {
    pub(crate) fn new(kind: &str, number: u32, bytes: Vec<u8>) -> Self {
        Self { key: key(kind, number), bytes, metadata: format!("{kind} {number}").into_bytes() }
    }

    pub(crate) fn put(self, store: &MemoryStore, shard: &ShardId) {
        store.put(shard, self.key, self.bytes, self.metadata);
    }
}

impl Content {
    /// No entries at all: the shard exists and is empty.
    pub fn none() -> Self {
        Self {
            small: 0,
            small_len: 0..1,
            large: 0,
            large_len: 0,
            empty: 0,
            copies: 0,
            copy_len: 0,
            similar: 0,
            similar_len: 0,
        }
    }

    /// Only small entries, of 1 to 4 KiB.
    pub fn small(entries: u32) -> Self {
        Self { small: entries, small_len: 1024..4097, ..Self::none() }
    }

    /// Only large entries.
    pub fn large(entries: u32, len: u64) -> Self {
        Self { large: entries, large_len: len, ..Self::none() }
    }

    /// Only entries without a byte.
    pub fn empty(entries: u32) -> Self {
        Self { empty: entries, ..Self::none() }
    }

    /// Only entries that all have the same bytes.
    pub fn copies(entries: u32, len: u64) -> Self {
        Self { copies: entries, copy_len: len, ..Self::none() }
    }

    /// Only entries that are equal but for one chunk.
    pub fn similar(entries: u32, len: u64) -> Self {
        Self { similar: entries, similar_len: len, ..Self::none() }
    }

    /// Some of everything: 2,000 small entries, three of 5 MiB, one empty one.
    pub fn mixed() -> Self {
        Self { large: 3, large_len: 5 * 1024 * 1024, empty: 1, ..Self::small(2_000) }
    }

    /// Puts the content into a store, with a position and store state. For a node with a disk there is
    /// [`SimNode::fill`](crate::SimNode::fill).
    ///
    /// # Panics
    ///
    /// Never: the keys that it makes are valid.
    pub fn fill(&self, store: &MemoryStore, shard: &ShardId, seed: u64) {
        let mut random = Random::fork(seed, 1000 + u64::from(shard.index));
        store.create(shard);
        self.each(&mut random, |item| item.put(store, shard));
        let position = Position { log: LOG.to_owned(), epoch: 1, token: seed.to_le_bytes().to_vec() };
        store.set_position(shard, Some(position));
        store.set_state(shard, format!("state {seed}").into_bytes());
    }

    /// Makes one entry after another. Kinds that were added later come last, so that the others stay as
    /// they were.
    pub(crate) fn each(&self, random: &mut Random, mut take: impl FnMut(Item)) {
        let few = |kind, count, len| (0..count).map(move |number| (kind, number, len));
        let whole = few("empty", self.empty, 0).chain(few("large", self.large, self.large_len));
        let range = self.small_len.end.saturating_sub(self.small_len.start).max(1);
        let small: Vec<_> = (0..self.small)
            .map(|number| ("small", number, self.small_len.start + random.below(range)))
            .collect();
        for (kind, number, len) in whole.chain(small) {
            take(Item::new(kind, number, random.bytes(size(len))));
        }
        let copy = random.bytes(if self.copies > 0 { size(self.copy_len) } else { 0 });
        (0..self.copies).for_each(|number| take(Item::new("copy", number, copy.clone())));
        let similar = random.bytes(if self.similar > 0 { size(self.similar_len) } else { 0 });
        for number in 0..self.similar {
            let mut bytes = similar.clone();
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle).zip(number.to_le_bytes()).for_each(|(byte, own)| *byte ^= own);
            take(Item::new("similar", number, bytes));
        }
    }
}

fn size(len: u64) -> usize {
    usize::try_from(len).expect("test content fits in memory")
}

/// The key of an entry that [`Content::fill`] puts: `kind` is `small`, `large`,
/// `empty`, `copy` or `similar`.
///
/// # Panics
///
/// For a kind that is no path component.
pub fn key(kind: &str, number: u32) -> EntryKey {
    EntryKey::from_path(&format!("{kind}/{number:06}.sst")).expect("a valid path")
}
