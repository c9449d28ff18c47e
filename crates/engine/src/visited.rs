//! What an engine came across, for simulations that ask whether everything was visited.

use std::collections::BTreeSet;

use peerstream_recovery::WaitReason;
use peerstream_session::visited::{Step, Visited as Steps};

/// What an engine's sessions and jobs came across, those that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visited {
    steps: Steps,
    waits: BTreeSet<&'static str>,
}

impl Visited {
    pub(crate) fn session(&mut self, steps: &Steps) {
        self.steps.merge(steps);
    }

    pub(crate) fn job(&mut self, waits: &BTreeSet<&'static str>) {
        self.waits.extend(waits);
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
}
