//! What is transferred.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A transfer may take this long, whatever its size: a start, a handshake, a machine that is busy.
const LIMIT_BASE: Duration = Duration::from_secs(120);
/// And this many bytes a second: a tenth of the slowest contestant.
const LIMIT_BYTES_PER_SEC: u64 = 10 << 20;
/// And this many files a second: what a disk creates that syncs each of them.
const LIMIT_FILES_PER_SEC: u64 = 500;

/// A kind of workload; the peer program makes them, from a fixed seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Workload {
    /// One file of 2 GiB.
    A,
    /// 200 files of 1 to 64 MiB, 2 GiB together.
    B,
    /// 20,000 files of 4 to 64 KiB.
    C,
    /// A million files of 1 KiB.
    D,
}

impl Workload {
    pub(super) const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A workload that is there.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) dir: PathBuf,
    pub(super) size: Size,
}

/// How much it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Size {
    /// How long a transfer of it may take before it counts as a hang.
    pub(super) fn limit(self) -> Duration {
        LIMIT_BASE + Duration::from_secs(self.bytes / LIMIT_BYTES_PER_SEC + self.files / LIMIT_FILES_PER_SEC)
    }

    pub(super) fn mib(self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }

    pub(super) fn gib(self) -> f64 {
        self.bytes as f64 / f64::from(1 << 30)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {:.0} MiB", self.files, self.mib())
    }
}
