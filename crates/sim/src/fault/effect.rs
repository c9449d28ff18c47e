//! What faults did: one that nobody met had no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes the effects with their names and the list of all of them, so that none can be left out of it.
macro_rules! effects {
    ($($(#[$doc:meta])* $effect:ident = $name:literal,)*) => {
        /// Something that a fault did to somebody.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Effect {
            $($(#[$doc])* $effect,)*
        }

        impl Effect {
            /// All that there are.
            pub(crate) const ALL: &[Self] = &[$(Self::$effect,)*];

            /// What the trace and the sweep call it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$effect => $name,)*
                }
            }
        }
    };
}

effects! {
    /// A process that ran was killed.
    Killed = "crash",
    /// One was killed at a step that was named before.
    KilledAtStep = "crash at a step",
    /// The power of one that ran was lost.
    PowerLost = "power loss",
    /// It was lost at a change of the disk that was named before.
    PowerLostAtDisk = "power loss at a change of the disk",
    /// One that was down runs.
    Restarted = "restart",
    /// A cut ended a connection, kept somebody from dialling, or swallowed a datagram.
    Cut = "cut",
    /// A cut of one direction did.
    CutOneWay = "one-way cut",
    /// The cut of a flap did.
    Flapped = "flapping link",
    /// Something was wrong with a link, and is not any more.
    Healed = "heal",
    /// A datagram was lost.
    Lost = "lossy link",
    /// A datagram came twice.
    Doubled = "duplicating link",
    /// A datagram came with a wrong bit.
    Spoiled = "corrupting link",
    /// Bytes went over a link that is slower than those of the run.
    SlowLink = "slow link",
    /// Bytes went through the cap of a node.
    Capped = "cap of a node",
    /// Bytes went between two zones with links of their own.
    Zoned = "zone",
    /// Something found no room on a disk.
    NoRoom = "full disk",
    /// An operation of a disk failed.
    DiskFailed = "failing disk",
    /// A bit of a file is another one.
    Rotted = "bit rot",
    /// An operation of a disk took longer.
    SlowDisk = "slow disk",
    /// A job of a processor took longer.
    SlowCpu = "slow processor",
    /// Somebody looked at a clock that was wrong.
    WrongTime = "wrong clock",
    /// A node has another certificate.
    Rotated = "certificate rotation",
    /// A read had to wait.
    Stalled = "stalled read",
    /// A read gave a wrong bit.
    ReadWrong = "corrupt read",
    /// A read failed because of a change.
    ReadChanged = "read of a changed entry",
    /// Something was wrong with a machine, and is not any more.
    Recovered = "recovery",
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
