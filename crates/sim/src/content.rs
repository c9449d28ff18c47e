//! What shards are filled with: repeatable from a seed, and no two entries alike.

use std::ops::Range;

use peerstream_snapshot::MemoryStore;
use peerstream_types::{EntryKey, Position, ShardId};

use crate::random::Random;

/// The content of a shard: files in small and large sizes, each with metadata of its own.
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
}

impl Content {
    /// No entries at all: the shard exists and is empty.
    pub fn none() -> Self {
        Self { small: 0, small_len: 0..1, large: 0, large_len: 0, empty: 0 }
    }

    /// Only small entries, of 1 to 4 KiB.
    pub fn small(entries: u32) -> Self {
        Self { small: entries, small_len: 1024..4097, ..Self::none() }
    }

    /// Only large entries.
    pub fn large(entries: u32, len: u64) -> Self {
        Self { large: entries, large_len: len, ..Self::none() }
    }

    /// Some of everything: 2,000 small entries, three of 5 MiB, one empty one.
    pub fn mixed() -> Self {
        Self { large: 3, large_len: 5 * 1024 * 1024, empty: 1, ..Self::small(2_000) }
    }

    /// Puts the content into a store, with a position and store state.
    ///
    /// # Panics
    ///
    /// Never: the keys that it makes are valid.
    pub fn fill(&self, store: &MemoryStore, shard: &ShardId, seed: u64) {
        let mut random = Random::fork(seed, 1000 + u64::from(shard.index));
        store.create(shard);
        let few = |kind, count, len| (0..count).map(move |number| (kind, number, len));
        let whole = few("empty", self.empty, 0).chain(few("large", self.large, self.large_len));
        let range = self.small_len.end.saturating_sub(self.small_len.start).max(1);
        let small: Vec<_> = (0..self.small)
            .map(|number| ("small", number, self.small_len.start + random.below(range)))
            .collect();
        for (kind, number, len) in whole.chain(small) {
            let bytes = random.bytes(usize::try_from(len).expect("test content fits in memory"));
            store.put(shard, key(kind, number), bytes, format!("{kind} {number}").into_bytes());
        }
        let position = Position { log: "wal".to_owned(), epoch: 1, token: seed.to_le_bytes().to_vec() };
        store.set_position(shard, Some(position));
        store.set_state(shard, format!("state {seed}").into_bytes());
    }
}

/// The key of an entry that [`Content::fill`] puts: `kind` is `small`, `large` or `empty`.
///
/// # Panics
///
/// For a kind that is no path component.
pub fn key(kind: &str, number: u32) -> EntryKey {
    EntryKey::from_path(&format!("{kind}/{number:06}.sst")).expect("a valid path")
}
