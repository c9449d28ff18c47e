//! Budgets: how often and how soon something is asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_types::Ordinal;

use crate::wanted::Item;

/// Exponential waits with jitter (row F-12): `first`, then doubled up to `cap`, each of them taken
/// somewhere between its half and its whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The wait after the first failure, before jitter. Default 2 s.
    pub first: Duration,
    /// No wait is longer. Default 30 s.
    pub cap: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), cap: Duration::from_secs(30) }
    }
}

impl BackOff {
    /// The wait after the `failures`-th failure in a row, counted from one. Equal arguments give
    /// equal waits.
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.cap);
        let half = whole / 2;
        let span = u64::try_from((whole - half).as_nanos()).unwrap_or(u64::MAX - 1);
        half + Duration::from_nanos(mix(seed ^ u64::from(failures)) % (span + 1))
    }
}

/// Spreads a seed over all bits (the finaliser of SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What happens to an item that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ask the same source again.
    Again,
    /// Leave it to another source.
    Aside,
}

/// Attempts used up at one source (row F-11). Only items that failed and are not finished are kept,
/// and failed items are asked again before fresh ones, so there are at most as many as the window
/// holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tries(BTreeMap<Item, u32>);

impl Tries {
    /// Uses up one attempt of `limit`.
    pub(crate) fn fail(&mut self, item: Item, limit: u32) -> Verdict {
        let used = self.0.entry(item).or_default();
        *used += 1;
        if *used < limit {
            return Verdict::Again;
        }
        self.0.remove(&item);
        Verdict::Aside
    }

    /// How often the item failed.
    pub(crate) fn used(&self, item: Item) -> u32 {
        self.0.get(&item).copied().unwrap_or(0)
    }

    /// What failed here and has attempts left, with how often it failed.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (Item, u32)> {
        self.0.iter().map(|(item, used)| (*item, *used))
    }

    /// The item is finished.
    pub(crate) fn forget(&mut self, item: Item) {
        self.0.remove(&item);
    }

    /// The entry is left.
    pub(crate) fn forget_entry(&mut self, ordinal: Ordinal) {
        let items: Vec<Item> = self.0.range(Item::all_of(ordinal)).map(|(item, _)| *item).collect();
        for item in items {
            self.0.remove(&item);
        }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::ChunkIndex;

    use super::*;

    /// G-12, F-12: 2 s, doubled, at most 30 s, each between its half and its whole.
    #[test]
    fn waits_double_up_to_the_cap_with_jitter() {
        let back_off = BackOff::default();
        for (failures, whole) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (u32::MAX, 30)] {
            let whole = Duration::from_secs(whole);
            let delays: Vec<_> = (0..50).map(|seed| back_off.delay(failures, seed)).collect();
            assert!(delays.iter().all(|d| (whole / 2..=whole).contains(d)), "{failures}: {delays:?}");
            assert!(delays.iter().any(|d| *d != delays[0]), "no jitter after {failures}");
            assert_eq!(back_off.delay(failures, 7), back_off.delay(failures, 7));
        }
    }

    #[test]
    fn an_item_is_left_after_its_attempts() {
        let item = Item { ordinal: Ordinal(1), chunk: ChunkIndex(2) };
        let mut tries = Tries::default();
        assert_eq!([tries.fail(item, 3), tries.fail(item, 3)], [Verdict::Again; 2]);
        assert_eq!(tries.used(item), 2);
        assert_eq!(tries.fail(item, 3), Verdict::Aside);
        assert!(tries.0.is_empty(), "a finished item costs no memory");
    }
}
