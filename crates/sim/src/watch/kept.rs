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
    /// Of these: bytes of chunks that could not be lost, beyond what may be asked of two sources. They were
    /// durable, or the store took them in the same life of the node.
    pub lost: u64,
    /// Of these: bytes beyond what the ends of the node's processes may have cost.
    pub beyond: u64,
    staged: BTreeMap<ShardId, Staged>,
}

/// What the end of a process may cost of one shard, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toll {
    /// The process was killed; without a number, its store does not say.
    Killed {
        /// What its store writes down late.
        lag: Option<u64>,
    },
    /// The power was lost.
    PowerLost {
        /// What is stored in one go before a checkpoint begins, the window included.
        unsynced: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Staged {
    chunks: BTreeMap<ChunkName, Kept>,
    /// How many calls were answered.
    calls: u64,
    /// All calls up to this one are durable.
    durable: u64,
    /// How often it began anew since the last checkpoint: with a life of the node, or after a checkpoint
    /// that failed.
    stretches: u64,
    /// Bytes that were stored while the last checkpoints ran: the one before, and the last one.
    during: [u64; 2],
    /// How many checkpoints run: a seal makes one of its own, beside one that runs already. One that is
    /// given up half way counts until the node's life ends, which allows more.
    syncing: u32,
    /// What each end may still cost.
    tolls: Vec<Option<u64>>,
    /// Bytes that may still come from two sources, because one of them was slow.
    twice: u64,
}

/// When a chunk was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// By this call, in this life.
    Taken { call: u64, boot: u64 },
    /// In a life that is over, and maybe lost with it: at which end.
    Doubtful(usize),
}

impl Stored {
    /// The store took chunks, in this life of the node.
    pub(super) fn take(&mut self, shard: &ShardId, boot: u64, chunks: Vec<(ChunkName, u64)>) {
        let staged = self.staged.entry(shard.clone()).or_default();
        staged.calls += 1;
        for (name, len) in chunks {
            self.bytes += len;
            staged.during[1] += if staged.syncing > 0 { len } else { 0 };
            let before = staged.chunks.insert(name, Kept::Taken { call: staged.calls, boot });
            match before {
                None => continue,
                Some(Kept::Taken { call, boot: of }) if call <= staged.durable || of == boot => {
                    self.lost += len.saturating_sub(staged.twice);
                    staged.twice = staged.twice.saturating_sub(len);
                }
                Some(Kept::Taken { .. }) => {}
                Some(Kept::Doubtful(end)) => {
                    let left = staged.tolls.get_mut(end).and_then(Option::as_mut);
                    self.beyond += left.map_or(0, |left| {
                        let beyond = len.saturating_sub(*left);
                        *left = left.saturating_sub(len);
                        beyond
                    });
                }
            }
            self.again += len;
        }
    }

    /// So many bytes more of a shard may come from two sources.
    pub(super) fn may_come_twice(&mut self, shard: &ShardId, bytes: u64) {
        self.staged.entry(shard.clone()).or_default().twice += bytes;
    }

    /// The node lives again: what was not durable may be gone, and no later checkpoint vouches for it.
    pub(super) fn booted(&mut self, toll: Toll) {
        for staged in self.staged.values_mut() {
            staged.stretches += 1;
            let end = staged.tolls.len();
            let (may_cost, takes_all) = match toll {
                Toll::Killed { lag } => (lag, false),
                Toll::PowerLost { unsynced } => {
                    let during = staged.during.iter().sum::<u64>();
                    (Some(staged.stretches.saturating_mul(unsynced).saturating_add(during)), true)
                }
            };
            staged.tolls.push(may_cost);
            staged.syncing = 0;
            let durable = staged.durable;
            for kept in staged.chunks.values_mut() {
                match kept {
                    Kept::Taken { call, .. } if *call > durable => *kept = Kept::Doubtful(end),
                    // What a process had written goes with the power all the same.
                    Kept::Doubtful(_) if takes_all => *kept = Kept::Doubtful(end),
                    Kept::Taken { .. } | Kept::Doubtful(_) => {}
                }
            }
        }
    }

    /// A checkpoint of a shard begins. Says how many calls were answered so far: what it covers.
    pub(super) fn syncing(&mut self, shard: &ShardId) -> u64 {
        let staged = self.staged.entry(shard.clone()).or_default();
        staged.syncing += 1;
        if staged.syncing == 1 {
            staged.during = [staged.during[1], 0];
        }
        staged.calls
    }

    /// It ended: everything up to this call is durable, if there is one.
    pub(super) fn synced(&mut self, shard: &ShardId, durable: Option<u64>) {
        let staged = self.staged.entry(shard.clone()).or_default();
        staged.syncing = staged.syncing.saturating_sub(1);
        match durable {
            Some(calls) => {
                staged.durable = staged.durable.max(calls);
                staged.stretches = 0;
            }
            None => staged.stretches += 1,
        }
    }

    /// What is published is no longer staged: it may be brought here again from the beginning.
    pub(super) fn published(&mut self, shard: &ShardId) {
        self.staged.remove(shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Toll = Toll::Killed { lag: Some(10) };

    fn shard() -> ShardId {
        "metrics@1/0".parse().unwrap()
    }

    fn chunk(index: u64) -> Vec<(ChunkName, u64)> {
        vec![((EntryKey::from_path("a").unwrap(), None, index), 10)]
    }

    #[test]
    fn only_what_was_not_durable_may_be_lost_with_its_process() {
        let shard = shard();
        let mut stored = Stored::default();
        stored.take(&shard, 1, chunk(0));
        let covered = stored.syncing(&shard);
        stored.take(&shard, 1, chunk(1));
        stored.synced(&shard, Some(covered));
        stored.booted(KILLED);
        // A checkpoint of the next life does not vouch for what the last one may have lost.
        let covered = stored.syncing(&shard);
        stored.synced(&shard, Some(covered));
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
        assert_eq!((stored.again, stored.lost, stored.beyond), (30, 20, 0), "that is another job");
    }

    #[test]
    fn the_end_of_a_process_costs_no_more_than_the_store_says() {
        let (shard, mut stored) = (shard(), Stored::default());
        (0..3).for_each(|index| stored.take(&shard, 1, chunk(index)));
        stored.booted(KILLED);
        stored.take(&shard, 2, chunk(0));
        assert_eq!(stored.beyond, 0);
        stored.take(&shard, 2, chunk(1));
        assert_eq!((stored.beyond, stored.lost), (10, 0));
        stored.booted(Toll::Killed { lag: None });
        stored.take(&shard, 3, chunk(1));
        assert_eq!(stored.beyond, 10, "a store that says nothing is not held to it");
    }

    #[test]
    fn a_loss_of_power_costs_what_no_checkpoint_had_to_cover() {
        let (shard, mut stored) = (shard(), Stored::default());
        stored.take(&shard, 1, chunk(0));
        stored.booted(KILLED);
        (1..3).for_each(|index| stored.take(&shard, 2, chunk(index)));
        stored.booted(Toll::PowerLost { unsynced: 10 });
        (0..2).for_each(|index| stored.take(&shard, 3, chunk(index)));
        assert_eq!(stored.beyond, 0, "ten bytes in each of two lives");
        stored.take(&shard, 3, chunk(2));
        assert_eq!(stored.beyond, 10, "a checkpoint had been due");

        let mut stored = Stored::default();
        let covered = stored.syncing(&shard);
        (0..2).for_each(|index| stored.take(&shard, 1, chunk(index)));
        stored.synced(&shard, Some(covered));
        stored.booted(Toll::PowerLost { unsynced: 0 });
        (0..2).for_each(|index| stored.take(&shard, 2, chunk(index)));
        assert_eq!(stored.beyond, 0, "both came while a checkpoint ran");
    }

    /// Found by the sweep: a seal that began beside a slow checkpoint hid what was stored meanwhile.
    #[test]
    fn checkpoints_that_run_side_by_side_count_once() {
        let (shard, mut stored) = (shard(), Stored::default());
        let first = stored.syncing(&shard);
        (0..5).for_each(|index| stored.take(&shard, 1, chunk(index)));
        stored.syncing(&shard);
        stored.synced(&shard, Some(first));
        stored.syncing(&shard);
        stored.booted(Toll::PowerLost { unsynced: 10 });
        (0..5).for_each(|index| stored.take(&shard, 2, chunk(index)));
        assert_eq!((stored.again, stored.beyond), (50, 0));
    }
}
