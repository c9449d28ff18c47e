//! What an engine came across, for simulations that ask whether everything was visited.

use std::collections::BTreeSet;

use peerstream_recovery::{CloseReason, Stats, WaitReason};
use peerstream_session::visited::{Step, Visited as Steps};

/// What an engine's sessions and jobs came across, those that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visited {
    steps: Steps,
    waits: BTreeSet<&'static str>,
    closes: BTreeSet<&'static str>,
    shares: BTreeSet<&'static str>,
}

/// What sources of one shard do for each other: names, and what a job counts of it.
type Share = (&'static str, fn(&Stats) -> u64);

const SHARES: [Share; 3] = [
    ("passed on", |stats| stats.passed_on),
    ("stolen", |stats| stats.stolen),
    ("asked twice", |stats| stats.twice_bytes),
];

impl Visited {
    pub(crate) fn session(&mut self, steps: &Steps) {
        self.steps.merge(steps);
    }

    pub(crate) fn job(
        &mut self,
        waits: &BTreeSet<&'static str>,
        closes: &BTreeSet<&'static str>,
        stats: &Stats,
    ) {
        self.waits.extend(waits);
        self.closes.extend(closes);
        let done = SHARES.iter().filter(|(_, count)| count(stats) > 0);
        self.shares.extend(done.map(|(name, _)| name));
    }

    /// The steps of sessions: role, state, input.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.steps()
    }

    /// Every step of a session that there is.
    pub fn every_step() -> impl Iterator<Item = Step> {
        Steps::every_step()
    }

    /// What jobs have waited for, by name.
    pub fn waits(&self) -> impl Iterator<Item = &'static str> {
        self.waits.iter().copied()
    }

    /// Everything that a job can wait for.
    pub fn every_wait() -> impl Iterator<Item = &'static str> {
        WaitReason::NAMES.into_iter()
    }

    /// Why jobs closed sources, by name.
    pub fn closes(&self) -> impl Iterator<Item = &'static str> {
        self.closes.iter().copied()
    }

    /// Everything why a job can close a source.
    pub fn every_close() -> impl Iterator<Item = &'static str> {
        CloseReason::NAMES.into_iter()
    }

    /// What sources of one shard did for each other, by name.
    pub fn shares(&self) -> impl Iterator<Item = &'static str> {
        self.shares.iter().copied()
    }

    /// Everything that they can do.
    pub fn every_share() -> impl Iterator<Item = &'static str> {
        SHARES.iter().map(|(name, _)| *name)
    }
}
