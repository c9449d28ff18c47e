//! What a source holds in a fact.

use bytes::Bytes;
use peerstream_types::{ChunkSize, DatasetName, EntryKey, GROUP_CHUNKS, Position, ShardId};

/// The content of one shard.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The shard.
    pub shard: ShardId,
    /// How content is cut. Small, so that entries of many chunks are cheap.
    pub chunk_size: ChunkSize,
    /// Keys, all of them relative paths, and content.
    pub entries: Vec<(EntryKey, Bytes)>,
    /// Position of the snapshot.
    pub position: Option<Position>,
    /// State of the store.
    pub state: Vec<u8>,
}

impl Seed {
    /// A shard without entries.
    pub(super) fn empty() -> Self {
        let dataset = DatasetName::new("facts").expect("it is a name");
        let chunk_size = ChunkSize::new(1024).expect("it is a chunk size");
        let shard = ShardId::new(dataset, 1, 0);
        Self { shard, chunk_size, entries: Vec::new(), position: None, state: Vec::new() }
    }

    /// Entries of every size that matters, nested, one twice (rows F-61 and A30: one is empty).
    pub(super) fn sample() -> Self {
        let position = Position { log: "wal".into(), epoch: 2, token: b"41".to_vec() };
        Self { position: Some(position), state: b"schema 7".to_vec(), ..Self::empty() }
            .with("one-chunk", 1024, 1)
            .with("z/two-chunks", 2048, 2)
            .with("a/deep/er/many-chunks", 9 * 1024 + 1, 3)
            .with("a/deep/empty", 0, 0)
            .with("a.tiny", 1, 4)
            .with("copy-of-many-chunks", 9 * 1024 + 1, 3)
    }

    /// Entries of just one group of chunks, and of more.
    pub(super) fn grouped() -> Self {
        let group = GROUP_CHUNKS as usize * 1024;
        Self::empty().with("one-group", group, 6).with("a/groups", 2 * group + 2 * 1024 + 1, 7)
    }

    /// Adds an entry whose content is told by its length and `salt`.
    pub(super) fn with(mut self, key: &str, len: usize, salt: usize) -> Self {
        let content = (0..len).map(|i| ((i / 251 + i + salt * 17) % 251) as u8).collect();
        self.entries.push((EntryKey::from_path(key).expect("it is a path"), content));
        self
    }

    pub(super) fn content(&self, key: &EntryKey) -> &Bytes {
        let entry = self.entries.iter().find(|(own, _)| own == key);
        &entry.unwrap_or_else(|| panic!("{key} was not seeded")).1
    }
}
