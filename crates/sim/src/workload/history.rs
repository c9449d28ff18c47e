//! What a shard holds after each of the writes to it: a pure function of its seed.

use peerstream_snapshot::{MemoryStore, Source as _};
use peerstream_types::{EntryKey, ManifestHeader, Position, Selector, ShardId};

use crate::content::{Content, Item, LOG, key};
use crate::random::Random;

/// Entries that are written and not removed yet.
const WINDOW: u64 = 16;
/// Lengths of the entries that are written, in bytes.
const LEN: std::ops::Range<u64> = 1024..128 * 1024;

/// The versions of a shard: version 0 is its content, and with each write comes an entry, and the
/// oldest one of those goes. Position and state name the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    shard: ShardId,
    content: Content,
    seed: u64,
}

impl History {
    /// The versions of a shard that begins with some content.
    pub fn new(shard: ShardId, content: Content, seed: u64) -> Self {
        Self { shard, content, seed }
    }

    /// The shard.
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// The position of a version.
    pub fn position(version: u64) -> Position {
        Position { log: LOG.to_owned(), epoch: 1, token: version.to_be_bytes().to_vec() }
    }

    /// The version that a position is of; `None` if it is of another log.
    pub fn version(position: &Position) -> Option<u64> {
        let token = position.token.as_slice().try_into().ok()?;
        (position.log == LOG && position.epoch == 1).then(|| u64::from_be_bytes(token))
    }

    /// A store that holds one version.
    pub fn at(&self, version: u64) -> MemoryStore {
        let store = MemoryStore::new();
        self.begin(&store);
        for write in version.saturating_sub(WINDOW) + 1..=version {
            self.entry(write).put(&store, &self.shard);
        }
        self.name(&store, version);
        store
    }

    /// The header that every store shows that holds this version.
    pub async fn header(&self, version: u64) -> Option<ManifestHeader> {
        Some(self.at(version).open(&self.shard, &Selector::All).await.ok()?.header())
    }

    /// Makes a store hold version 0.
    pub(super) fn begin(&self, store: &MemoryStore) {
        let mut random = Random::fork(self.seed, 1000 + u64::from(self.shard.index));
        store.create(&self.shard);
        self.content.each(&mut random, |item| item.put(store, &self.shard));
        self.name(store, 0);
    }

    /// Moves a store from the version before on, in one step for all who open the shard.
    pub(super) fn write(&self, store: &MemoryStore, version: u64) {
        self.entry(version).put(store, &self.shard);
        if let Some(gone) = version.checked_sub(WINDOW).filter(|gone| *gone > 0) {
            store.remove(&self.shard, &Self::key(gone));
        }
        self.name(store, version);
    }

    fn name(&self, store: &MemoryStore, version: u64) {
        store.set_position(&self.shard, Some(Self::position(version)));
        store.set_state(&self.shard, format!("version {version}").into_bytes());
    }

    fn key(write: u64) -> EntryKey {
        key("written", Self::number(write))
    }

    fn number(write: u64) -> u32 {
        u32::try_from(write).expect("no run writes so often")
    }

    fn entry(&self, write: u64) -> Item {
        let mut random = Random::fork(self.seed, 1 << 32 | write);
        let len = LEN.start + random.below(LEN.end - LEN.start);
        let bytes = random.bytes(usize::try_from(len).expect("an entry is small"));
        Item::new("written", Self::number(write), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::shard;

    #[tokio::test]
    async fn a_store_that_is_moved_on_holds_what_the_version_says() {
        let history = History::new(shard(0), Content::small(3), 7);
        let store = MemoryStore::new();
        history.begin(&store);
        for version in 1..=2 * WINDOW {
            history.write(&store, version);
            let header = store.open(&shard(0), &Selector::All).await.unwrap().header();
            assert_eq!(Some(&header), history.header(version).await.as_ref(), "version {version}");
            assert_eq!(header.position.as_ref().and_then(History::version), Some(version));
        }
    }
}
