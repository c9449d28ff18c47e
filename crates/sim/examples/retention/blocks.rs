//! A store of blocks: every write adds one, and the oldest one falls out. When its file may be deleted
//! is what is tested.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, MemoryStore, Overlay, Snapshot, Source, SourceError};
use peerstream_types::{Entry, EntryKey, Ordinal, Selector, ShardId};

/// Blocks that are kept.
const WINDOW: usize = 24;
/// Bytes of a block.
const BLOCK_LEN: usize = 64 * 1024;

/// When the file of a block that fell out is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Once no snapshot lists it.
    OnceUnread,
    /// At once, whoever reads it.
    AtOnce,
}

/// The blocks of one shard at one node. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    retention: Retention,
    shard: ShardId,
    /// What a snapshot lists: as a store of one's own would, it keeps an image while somebody has it.
    catalogue: MemoryStore,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    window: VecDeque<EntryKey>,
    /// What is on the disk.
    files: BTreeSet<EntryKey>,
    /// By how many snapshots of this process a block is listed.
    listed: BTreeMap<EntryKey, usize>,
    written: u32,
}

impl Blocks {
    /// A store that has been written to for a while.
    pub(crate) fn new(shard: ShardId, retention: Retention) -> Self {
        let catalogue = MemoryStore::new();
        catalogue.create(&shard);
        let blocks = Self { retention, shard, catalogue, state: Arc::default() };
        (0..WINDOW).for_each(|_| blocks.write());
        blocks
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a block, the same one at all who write as often; the oldest one falls out.
    pub(crate) fn write(&self) {
        let mut state = self.state();
        let number = state.written;
        state.written += 1;
        let name = EntryKey::from_path(&format!("block-{number:06}")).expect("a valid path");
        let bytes: Vec<u8> = (0..BLOCK_LEN).map(|at| (at as u32 ^ number.wrapping_mul(31)) as u8).collect();
        self.catalogue.put(&self.shard, name.clone(), bytes, Vec::new());
        state.files.insert(name.clone());
        state.window.push_back(name);
        if state.window.len() > WINDOW
            && let Some(old) = state.window.pop_front()
        {
            self.catalogue.remove(&self.shard, &old);
        }
        self.retain(&mut state);
    }

    /// A process starts: it knows of no snapshot.
    pub(crate) fn restarted(&self) -> Self {
        let mut state = self.state();
        state.listed.clear();
        self.retain(&mut state);
        drop(state);
        self.clone()
    }

    /// The policy.
    fn retain(&self, state: &mut State) {
        let State { window, files, listed, .. } = state;
        let is_listed =
            |name: &EntryKey| self.retention == Retention::OnceUnread && listed.contains_key(name);
        files.retain(|name| window.contains(name) || is_listed(name));
    }
}

impl Source for Blocks {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let lease = Lease::take(self.clone());
            let image = self.catalogue.open(shard, selector).await?;
            Ok(Arc::new(Listed { lease, image }) as Arc<dyn Snapshot>)
        })
    }
}

/// Says which blocks a snapshot lists, as long as it is held.
struct Lease {
    blocks: Blocks,
    names: Vec<EntryKey>,
}

impl Lease {
    fn take(blocks: Blocks) -> Self {
        let mut state = blocks.state();
        let names: Vec<_> = state.window.iter().cloned().collect();
        names.iter().for_each(|name| *state.listed.entry(name.clone()).or_default() += 1);
        drop(state);
        Self { blocks, names }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.blocks.state();
        for name in &self.names {
            if let Some(count) = state.listed.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    state.listed.remove(name);
                }
            }
        }
        self.blocks.retain(&mut state);
    }
}

/// A snapshot: what it lists is read from the files.
struct Listed {
    lease: Lease,
    image: Arc<dyn Snapshot>,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks", self.lease.names.len())
    }
}

impl Overlay for Listed {
    fn under(&self) -> &dyn Snapshot {
        &*self.image
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            for Entry { key, .. } in self.image.entries(ordinal, 1).await? {
                if !self.lease.blocks.state().files.contains(&key) {
                    let why = "its file was deleted".to_owned();
                    return Err(SourceError::Changed { ordinal, key, why });
                }
            }
            self.image.read(ordinal, offset, len).await
        })
    }
}
