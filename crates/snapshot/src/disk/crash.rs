//! A disk in memory that loses what a real one may lose.
//!
//! [`CrashDisk`] is a machine with one file system. It keeps apart what processes see, which is in
//! the cache, and what is durable, and it can lose its power at any operation. Everything is decided
//! by the calls and by seeds, so a run can be repeated.
//!
//! ```
//! # use std::path::Path;
//! # use bytes::Bytes;
//! # use peerstream_snapshot::disk::crash::{CrashDisk, Survival};
//! # use peerstream_snapshot::disk::{Disk, OpenMode};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = CrashDisk::new();
//! let file = disk.open(Path::new("rows"), OpenMode::Create).await?;
//! file.write_at(0, Bytes::from_static(b"written and synced")).await?;
//! file.sync().await?;
//!
//! // The content is durable, the name is not.
//! let disk = disk.crash(Survival::Nothing);
//! assert_eq!(disk.metadata(Path::new("rows")).await?, None);
//! assert!(file.len().await.is_err(), "the process that had it open is gone");
//! # Ok(())
//! # }
//! ```
//!
//! # The model
//!
//! - **Content** is durable after a sync of the file. After a crash each piece of a file (512 or
//!   4,096 bytes, aligned) is as it was after some prefix of the changes to it since then, each piece
//!   for itself: writes are torn and change places, but no piece mixes two moments. Length and mtime
//!   go together, apart from the pieces; what the length covers and no piece has is zeros.
//! - **Names** are durable after a sync of their directory: a new file whose directory was not synced
//!   is gone, though its content was. Each change of a name survives by itself, unless an earlier one
//!   of the same name was lost. A rename is one change: it survives as a whole or not at all, and the
//!   sync of either directory makes it durable. A directory whose own name was lost takes with it what
//!   is in it.
//! - **`sync_fs`** makes everything durable, and so does age: of the changes that nobody syncs, the
//!   oldest are written back once there are more than [`WRITEBACK_CHANGES`].
//! - **Hard links** are names of one file; a clone is a file of its own. A file without a name lives as
//!   long as it is open.
//! - **[`crash`](CrashDisk::crash)** cuts the power; [`Survival`] says what becomes of the rest.
//!   **[`kill`](CrashDisk::kill)** ends the process only: the cache stays, and is as little durable as
//!   before. Both make a new handle; the old one and its files fail from then on.
//! - **Operations** are counted in the steps that the system does: a directory that is removed counts
//!   one for each name in it, a file that is written as a whole one for its name and one for its
//!   content. Faults and stops hit between any two of them.
//! - **Room** is what files hold, holes included; names and directories take none.
//! - **Time** stands still unless it is set, so that many changes share an mtime as they do on a
//!   clock with coarse ticks. File numbers are never used twice.
//!
//! # Not in the model
//!
//! Symbolic links, modes, owners, `..`; sparse files; garbage in place of what was lost (it reads as
//! the old content or as zeros); a sync that fails and drops what it should have written (what was
//! not synced stays so, and the next sync is good for it); latency (a simulator adds its own).

mod caller;
mod content;
mod faults;
mod handle;
mod machine;
mod medium;
mod names;
mod power;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DiskError;
use caller::Caller;
use machine::Machine;

pub use faults::{Counts, Fault, Operation, OperationKind, Side};
pub use power::Survival;

/// Changes that wait for a sync: of names, and for each file of its content. Beyond that the oldest
/// are written back, as a system does after a while, so that memory does not grow with what nobody
/// ever syncs.
pub const WRITEBACK_CHANGES: usize = 16_384;

/// Longest file in bytes. Files are held in memory, holes too.
pub const FILE_LEN_MAX: u64 = 1 << 30;

/// One process on a machine whose disk can crash. Clones are the same process.
#[derive(Clone)]
pub struct CrashDisk {
    machine: Arc<Mutex<Machine>>,
    boot: u64,
}

impl CrashDisk {
    /// A machine with an empty disk, without limit or fault.
    pub fn new() -> Self {
        Self { machine: Arc::default(), boot: 0 }
    }

    /// Cuts the power and starts the machine again with what survived. Ends a stop; faults and
    /// capacity stay.
    pub fn crash(&self, survival: Survival) -> Self {
        let boot = self.machine().crash(survival);
        Self { machine: self.machine.clone(), boot }
    }

    /// Ends the process and starts another: what was written is there, synced or not. Ends a stop;
    /// faults and capacity stay.
    pub fn kill(&self) -> Self {
        let boot = self.machine().kill();
        Self { machine: self.machine.clone(), boot }
    }

    /// A second machine whose disk and cache are as they stand now. Open files stay with the first
    /// one, which notices nothing: one run may so be continued in many ways.
    pub fn fork(&self) -> Self {
        let machine = self.machine().clone().without_open_files();
        Self { machine: Arc::new(Mutex::new(machine)), boot: self.boot }
    }

    /// Cuts the power before or after a change: `skip` changes from now on are carried out, the next
    /// one and everything after it fails. [`CrashDisk::crash`] or [`CrashDisk::kill`] goes on.
    /// Operations that only read are not counted: a stop at one of them is a stop after the change
    /// before it.
    pub fn stop_at(&self, skip: u64, side: Side) {
        self.machine().faults.stop_at(skip, side);
    }

    /// The change at which the power was cut.
    pub fn stopped(&self) -> Option<Operation> {
        self.machine().faults.stopped().cloned()
    }

    /// Operations so far, over all processes, failed ones included.
    pub fn counts(&self) -> Counts {
        self.machine().faults.counts()
    }

    /// Adds a fault. The first that fits an operation decides.
    pub fn fail(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.machine().faults.clear();
    }

    /// How many bytes all files may hold; `None` for as many as they like. What is there already stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine().medium.set_capacity(bytes);
    }

    /// Bytes that all files hold.
    pub fn used(&self) -> u64 {
        self.machine().medium.used()
    }

    /// Whether a write that does not fit writes the part that does, as some file systems do. Default
    /// no.
    pub fn set_short_writes(&self, on: bool) {
        self.machine().medium.set_short_writes(on);
    }

    /// Sets the clock, in nanoseconds since 1970: the mtime of what is changed from now on.
    pub fn set_time_ns(&self, now: i64) {
        self.machine().medium.set_time_ns(now);
    }

    /// Flips a bit of what a reader of the file sees, as a bad disk does: bit `bit % 8` of byte
    /// `bit / 8`. Its mtime does not change.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if there is no such file, or it has no such bit.
    pub fn flip(&self, path: &Path, bit: u64) -> Result<(), DiskError> {
        self.machine().medium.flip(path, bit).map_err(|error| DiskError::new("flip", path, &error))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process does, unless it has ended.
    fn call<T>(&self, call: impl FnOnce(&mut Caller<'_>) -> T) -> T {
        let mut machine = self.machine();
        call(&mut Caller::new(&mut machine, self.boot))
    }
}

impl Default for CrashDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CrashDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashDisk").field("boot", &self.boot).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
