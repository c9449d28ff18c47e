//! What faults did: one that nobody met had no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that a fault did to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// A process that ran was killed.
    Killed,
    /// One was killed at a step that was named before.
    KilledAtStep,
    /// The power of one that ran was lost.
    PowerLost,
    /// It was lost at a change of the disk that was named before.
    PowerLostAtDisk,
    /// One that was down runs.
    Restarted,
    /// A cut ended a connection, kept somebody from dialling, or swallowed a datagram.
    Cut,
    /// A cut of one direction did.
    CutOneWay,
    /// The cut of a flap did.
    Flapped,
    /// Something was wrong with a link, and is not any more.
    Healed,
    /// A datagram was lost.
    Lost,
    /// A datagram came twice.
    Doubled,
    /// A datagram came with a wrong bit.
    Spoiled,
    /// Bytes went over a link that is slower than those of the run.
    SlowLink,
    /// Bytes went through the cap of a node.
    Capped,
    /// Bytes went between two zones with links of their own.
    Zoned,
    /// Something found no room on a disk.
    NoRoom,
    /// An operation of a disk failed.
    DiskFailed,
    /// A bit of a file is another one.
    Rotted,
    /// An operation of a disk took longer.
    SlowDisk,
    /// A job of a processor took longer.
    SlowCpu,
    /// Somebody looked at a clock that was wrong.
    WrongTime,
    /// A node has another certificate.
    Rotated,
    /// A read had to wait.
    Stalled,
    /// A read gave a wrong bit.
    ReadWrong,
    /// A read failed because of a change.
    ReadChanged,
    /// Something was wrong with a machine, and is not any more.
    Recovered,
}

impl Effect {
    /// What the trace and the sweep call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "crash",
            Self::KilledAtStep => "crash at a step",
            Self::PowerLost => "power loss",
            Self::PowerLostAtDisk => "power loss at a change of the disk",
            Self::Restarted => "restart",
            Self::Cut => "cut",
            Self::CutOneWay => "one-way cut",
            Self::Flapped => "flapping link",
            Self::Healed => "heal",
            Self::Lost => "lossy link",
            Self::Doubled => "duplicating link",
            Self::Spoiled => "corrupting link",
            Self::SlowLink => "slow link",
            Self::Capped => "cap of a node",
            Self::Zoned => "zone",
            Self::NoRoom => "full disk",
            Self::DiskFailed => "failing disk",
            Self::Rotted => "bit rot",
            Self::SlowDisk => "slow disk",
            Self::SlowCpu => "slow processor",
            Self::WrongTime => "wrong clock",
            Self::Rotated => "certificate rotation",
            Self::Stalled => "stalled read",
            Self::ReadWrong => "corrupt read",
            Self::ReadChanged => "read of a changed entry",
            Self::Recovered => "recovery",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts effects. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<Effect, u64>>>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Effect, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub(crate) fn hit(&self, effect: Effect) {
        *self.lock().entry(effect).or_default() += 1;
    }

    /// How many there were.
    pub(crate) fn count(&self, effect: Effect) -> u64 {
        self.lock().get(&effect).copied().unwrap_or(0)
    }

    /// All that there were.
    pub(crate) fn seen(&self) -> Vec<Effect> {
        self.lock().keys().copied().collect()
    }
}
