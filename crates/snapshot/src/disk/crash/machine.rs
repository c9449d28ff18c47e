//! The machine: a medium, its faults, and how often it was started.

use super::faults::Faults;
use super::medium::Medium;
use super::power::Survival;

/// What all handles share.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub(super) medium: Medium,
    pub(super) faults: Faults,
    /// Which process may work; those before it have ended.
    pub(super) boot: u64,
}

impl Machine {
    pub(super) fn crash(&mut self, survival: Survival) -> u64 {
        self.medium.crash(survival);
        self.restart()
    }

    pub(super) fn kill(&mut self) -> u64 {
        self.medium.close_all();
        self.restart()
    }

    pub(super) fn without_open_files(mut self) -> Self {
        self.medium.close_all();
        self
    }

    fn restart(&mut self) -> u64 {
        self.faults.restart();
        self.boot += 1;
        self.boot
    }
}
