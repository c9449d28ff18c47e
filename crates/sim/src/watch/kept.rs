//! Which verified chunks a store took, and which of them are durable.

use std::collections::BTreeMap;

use peerstream_types::{Digest, EntryKey, ShardId};

/// One chunk of one entry of a shard, by content.
pub type ChunkName = (EntryKey, Option<Digest>, u64);

/// Verified chunks on their way into a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Bytes that the store took.
    pub bytes: u64,
    /// Of them: bytes of chunks that it had taken before, since the shard was last published there.
    pub again: u64,
    /// Of these: bytes of chunks that could not be lost. They were durable, or the store took them in
    /// the same life of the node.
    pub lost: u64,
    staged: BTreeMap<ShardId, Staged>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Staged {
    chunks: BTreeMap<ChunkName, Kept>,
    /// How many calls were answered.
    calls: u64,
    /// All calls up to this one are durable.
    durable: u64,
}

/// When a chunk was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    call: u64,
    boot: u64,
}

impl Kept {
    /// In a life that is over, and maybe lost with it.
    const DOUBTFUL: Self = Self { call: u64::MAX, boot: 0 };
}

impl Stored {
    /// The store took chunks, in this life of the node.
    pub(super) fn take(&mut self, shard: &ShardId, boot: u64, chunks: Vec<(ChunkName, u64)>) {
        let staged = self.staged.entry(shard.clone()).or_default();
        staged.calls += 1;
        for (name, len) in chunks {
            self.bytes += len;
            let Some(before) = staged.chunks.insert(name, Kept { call: staged.calls, boot }) else {
                continue;
            };
            self.again += len;
            if before.call <= staged.durable || before.boot == boot {
                self.lost += len;
            }
        }
    }

    /// The node lives again: what was not durable may be gone, and no later checkpoint vouches for it.
    pub(super) fn booted(&mut self) {
        for staged in self.staged.values_mut() {
            let durable = staged.durable;
            let doubtful = staged.chunks.values_mut().filter(|kept| kept.call > durable);
            doubtful.for_each(|kept| *kept = Kept::DOUBTFUL);
        }
    }

    /// How many calls of a shard were answered so far: what a checkpoint that begins now covers.
    pub(super) fn calls(&self, shard: &ShardId) -> u64 {
        self.staged.get(shard).map_or(0, |staged| staged.calls)
    }

    /// Everything up to this call is durable.
    pub(super) fn durable(&mut self, shard: &ShardId, calls: u64) {
        let staged = self.staged.entry(shard.clone()).or_default();
        staged.durable = staged.durable.max(calls);
    }

    /// What is published is no longer staged: it may be brought here again from the beginning.
    pub(super) fn published(&mut self, shard: &ShardId) {
        self.staged.remove(shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_durable_may_be_lost_with_its_process() {
        let shard: ShardId = "metrics@1/0".parse().unwrap();
        let chunk = |index| vec![((EntryKey::from_path("a").unwrap(), None, index), 10)];
        let mut stored = Stored::default();
        stored.take(&shard, 1, chunk(0));
        let covered = stored.calls(&shard);
        stored.take(&shard, 1, chunk(1));
        stored.durable(&shard, covered);
        stored.booted();
        // A checkpoint of the next life does not vouch for what the last one may have lost.
        stored.durable(&shard, stored.calls(&shard));
        stored.take(&shard, 2, chunk(1));
        assert_eq!(
            (stored.bytes, stored.again, stored.lost),
            (30, 10, 0),
            "it came after the checkpoint began"
        );
        stored.take(&shard, 2, chunk(0));
        assert_eq!((stored.again, stored.lost), (20, 10), "it was durable");
        stored.take(&shard, 2, chunk(1));
        assert_eq!((stored.again, stored.lost), (30, 20), "the process had it all the time");
        stored.published(&shard);
        stored.take(&shard, 2, chunk(0));
        assert_eq!((stored.again, stored.lost), (30, 20), "that is another job");
    }
}
