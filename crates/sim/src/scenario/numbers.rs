//! Numbers of scenarios that make sense.

use super::{ContentSpec, Expect, Fleet, Links, RunOptions, Scenario, Store};
use crate::fault::{Fault, within};

/// Longest time, in seconds: more than a week.
const S_MAX: u64 = 1_000_000;
/// The same in milliseconds.
const MS_MAX: u64 = 1_000 * S_MAX;
/// Fastest cap or link, in KiB per second.
const RATE_MAX: u64 = 1 << 33;
/// Largest window and longest queue, in KiB: 4 GiB.
const WINDOW_MAX: u64 = 1 << 22;
/// Most shards.
const SHARDS_MAX: u32 = 10_000;
/// Most entries of one kind in a shard.
const ENTRIES_MAX: u32 = 1_000_000;
/// Largest entry, in KiB: 1 GiB.
const LARGE_MAX: u64 = 1 << 20;
/// Most content of a fleet's shards, in KiB, each counted once: 16 GiB.
const CONTENT_MAX: u64 = 1 << 24;

impl Scenario {
    /// Refuses numbers that cannot be meant.
    pub(super) fn check_numbers(&self, options: &RunOptions) -> Result<(), String> {
        within("limit_s", self.limit_s, 1, S_MAX)?;
        within("mend_after_ms", self.mend_after_ms, 0, MS_MAX)?;
        self.fleet.check()?;
        self.content.check()?;
        if self.fleet.store == Store::Blocks && self.content.shards != 1 {
            return Err("a fleet of block stores has one shard".to_owned());
        }
        self.link.iter().try_for_each(Links::check)?;
        self.levels.iter().try_for_each(|levels| within("levels.within_ms", levels.within_ms, 1, MS_MAX))?;
        self.expect.check()?;
        self.mix.iter().try_for_each(crate::fault::Mix::check)?;
        for (place, timed) in self.fault.iter().enumerate() {
            let checked = timed.check().and_then(|()| self.content.has_entry(&timed.fault));
            checked.map_err(|error| format!("fault {place}: {error}"))?;
        }
        let faults = self.faults(options).len();
        match options.without.iter().find(|place| **place >= faults) {
            None => Ok(()),
            Some(place) => {
                Err(format!("there is no fault {place} to leave out: there are {faults}, from 0 on"))
            }
        }
    }
}

impl Fleet {
    fn check(&self) -> Result<(), String> {
        within("read_ms", self.read_ms, 0, MS_MAX)?;
        within("window_kib", self.window_kib, 1, WINDOW_MAX)?;
        within("join_from_kib", self.join_from_kib, 0, CONTENT_MAX)?;
        within("up_kib", self.up_kib, 0, RATE_MAX)?;
        within("down_kib", self.down_kib, 0, RATE_MAX)
    }
}

impl ContentSpec {
    fn check(&self) -> Result<(), String> {
        let Self { shards, small, large, large_kib, empty, copies, similar } = *self;
        within("shards", shards, 1, SHARDS_MAX)?;
        let counts =
            [("small", small), ("large", large), ("empty", empty), ("copies", copies), ("similar", similar)];
        counts.into_iter().try_for_each(|(what, count)| within(what, count, 0, ENTRIES_MAX))?;
        within("large_kib", large_kib, 1, LARGE_MAX)?;
        let entries = [large, copies, similar].map(u64::from).iter().sum::<u64>();
        let kib = u64::from(shards) * (entries * large_kib + 4 * u64::from(small));
        within("content of all shards, in KiB,", kib, 0, CONTENT_MAX)
    }

    /// Refuses faults of entries that there are none of.
    fn has_entry(&self, fault: &Fault) -> Result<(), String> {
        let (what, entry, count) = if let Fault::CorruptEntry { entry, .. } = fault {
            ("large", *entry, self.large)
        } else if let Fault::ChangeEntry { entry, .. } = fault {
            ("small", *entry, self.small)
        } else {
            return Ok(());
        };
        match entry < count {
            true => Ok(()),
            false => Err(format!("there is no {what} entry {entry}: there are {count}, from 0 on")),
        }
    }
}

impl Links {
    fn check(&self) -> Result<(), String> {
        within("latency_ms", self.latency_ms, 0, MS_MAX)?;
        within("rate_kib", self.rate_kib, 1, RATE_MAX)?;
        within("queue_kib", self.queue_kib, 1, WINDOW_MAX)?;
        within("loss_ppm", self.loss_ppm, 0, 1_000_000)
    }
}

impl Expect {
    fn check(&self) -> Result<(), String> {
        within("within_s", self.within_s, 0, S_MAX)?;
        self.wasted_per_mille.map_or(Ok(()), |most| within("wasted_per_mille", most, 0, 1_000))?;
        self.percent_of_bound.map_or(Ok(()), |percent| within("percent_of_bound", percent, 1, 1_000_000))
    }
}
