//! The disk as a piece of hardware: it outlives the processes that use it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use peerstream_snapshot::disk::crash::{CrashDisk, Fault, Side, Survival};
use peerstream_snapshot::disk::{DiskErrorKind, FileKind};
use peerstream_snapshot::{Disk, DiskError};
use peerstream_types::ByteCount;
use tokio::task::unconstrained;

use super::{Cost, DiskSpec};
use crate::fault::{Effect, Tally};
use crate::node::Pace;

/// A disk of a machine. Clones are the same.
#[derive(Clone)]
pub(crate) struct DiskUnit {
    spec: DiskSpec,
    pace: Pace,
    tally: Tally,
    state: Arc<Mutex<State>>,
}

struct State {
    /// As the present process sees it.
    disk: CrashDisk,
    /// How many times as long everything takes; nothing takes any time while it is zero.
    slower: u32,
    /// Bits that were flipped, which the disk does not count as changes.
    flips: u64,
    power_losses: u64,
    /// The change at which the power is to be lost, counted over all processes, and on which side of it.
    stop: Option<(u64, Side)>,
    /// What fails for a while, by number.
    failing: BTreeMap<u64, Fault>,
    failures_so_far: u64,
    /// It has less room than in the beginning.
    is_filled: bool,
}

impl DiskUnit {
    pub(crate) fn new(spec: DiskSpec, tally: Tally) -> Self {
        let disk = CrashDisk::new();
        disk.set_capacity(spec.capacity.map(|capacity| capacity.0));
        let state = State {
            disk,
            slower: 1,
            flips: 0,
            power_losses: 0,
            stop: None,
            failing: BTreeMap::new(),
            failures_so_far: 0,
            is_filled: false,
        };
        Self { spec, pace: Pace::default(), tally, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spec(&self) -> &DiskSpec {
        &self.spec
    }

    /// The disk as the present process sees it, without delay.
    pub(crate) fn present(&self) -> CrashDisk {
        self.lock().disk.clone()
    }

    /// A copy that nobody else uses and where nothing fails: what a process would find that starts now.
    pub(crate) fn copy(&self) -> CrashDisk {
        let copy = self.present().fork().kill();
        copy.heal();
        copy.set_capacity(None);
        copy
    }

    /// Changes whenever what is on the disk may have.
    pub(crate) fn version(&self) -> (u64, u64) {
        let state = self.lock();
        (state.disk.counts().changes, state.flips)
    }

    /// How often the power was lost.
    pub(crate) fn power_losses(&self) -> u64 {
        self.lock().power_losses
    }

    /// The process ends, what was written stays, and so does the change at which the power is to go.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.disk = state.disk.kill();
        if let Some((change, side)) = state.stop {
            state.disk.stop_at(change.saturating_sub(state.disk.counts().changes), side);
        }
    }

    /// The power is lost.
    pub(crate) fn lose_power(&self, survival: Survival) {
        let mut state = self.lock();
        state.disk = state.disk.crash(survival);
        state.power_losses += 1;
        state.stop = None;
    }

    pub(crate) fn stop_at(&self, skip: u64, side: Side) {
        let mut state = self.lock();
        state.stop = Some((state.disk.counts().changes.saturating_add(skip), side));
        state.disk.stop_at(skip, side);
    }

    /// The power is not to be lost any more.
    pub(crate) fn disarm(&self) {
        let mut state = self.lock();
        if state.stop.take().is_some() {
            // A stop cannot be taken back, and nobody comes to this change.
            state.disk.stop_at(u64::MAX, Side::After);
        }
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.present().fail(fault);
    }

    /// Lets operations fail until the end of this failure, which the number names, or all are healed.
    pub(crate) fn begin_failure(&self, fault: Fault) -> u64 {
        let mut state = self.lock();
        state.failures_so_far += 1;
        let number = state.failures_so_far;
        state.failing.insert(number, fault.clone());
        state.disk.fail(fault);
        number
    }

    /// Ends one failure, and leaves others that began for a while.
    pub(crate) fn end_failure(&self, number: u64) {
        let mut state = self.lock();
        if state.failing.remove(&number).is_some() {
            state.disk.heal();
            state.failing.values().for_each(|fault| state.disk.fail(fault.clone()));
        }
    }

    /// Nothing fails any more. Says whether anything did that began for a while.
    pub(crate) fn heal(&self) -> bool {
        let mut state = self.lock();
        state.disk.heal();
        !std::mem::take(&mut state.failing).is_empty()
    }

    /// Whether anything is wrong with it that does not end by itself.
    pub(crate) fn is_bad(&self) -> bool {
        let state = self.lock();
        state.slower != 1 || !state.failing.is_empty() || state.is_filled
    }

    /// Counts what an error of an operation comes from.
    pub(super) fn count(&self, error: &DiskError) {
        if error.kind == DiskErrorKind::Full {
            self.tally.hit(Effect::NoRoom);
        } else if error.why.contains("told to fail") {
            self.tally.hit(Effect::DiskFailed);
        }
    }

    /// Leaves so much room.
    pub(crate) fn leave_room(&self, bytes: ByteCount) {
        let mut state = self.lock();
        state.is_filled = true;
        state.disk.set_capacity(Some(state.disk.used().saturating_add(bytes.0)));
    }

    /// There is as much room as there was in the beginning.
    pub(crate) fn make_room(&self) {
        let mut state = self.lock();
        state.is_filled = false;
        state.disk.set_capacity(self.spec.capacity.map(|capacity| capacity.0));
    }

    pub(crate) fn set_slower(&self, times: u32) {
        self.lock().slower = times.max(1);
    }

    /// Does something with the disk in no time: what waits for the disk only is done at once.
    ///
    /// # Panics
    ///
    /// If it waits for anything else.
    pub(crate) fn in_no_time<T>(&self, work: impl Future<Output = T>) -> T {
        let slower = std::mem::take(&mut self.lock().slower);
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(done) = pin!(unconstrained(work)).poll(&mut cx) else {
            panic!("it waits for something else than the disk");
        };
        self.lock().slower = slower;
        done
    }

    /// All files that are not empty, with their lengths in bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let (disk, mut files, mut dirs) = (self.copy(), Vec::new(), vec![PathBuf::from("/")]);
        while let Some(dir) = dirs.pop() {
            let listed = self.in_no_time(disk.list(&dir, None, usize::MAX));
            for entry in listed.expect("a copy without faults can be listed") {
                let path = dir.join(entry.name);
                match entry.metadata.kind {
                    FileKind::Dir => dirs.push(path),
                    FileKind::File | FileKind::Other => files.push((path, entry.metadata.len)),
                }
            }
        }
        files.retain(|(_, len)| *len > 0);
        files.sort();
        files
    }

    pub(crate) fn flip(&self, path: &Path, bit: u64) -> Result<(), DiskError> {
        self.lock().flips += 1;
        self.present().flip(path, bit)
    }

    pub(super) async fn take_time(&self, cost: Cost) {
        let (spec, slower) = (&self.spec, self.lock().slower);
        if slower == 0 {
            return;
        }
        if slower > 1 {
            self.tally.hit(Effect::SlowDisk);
        }
        let more = match cost {
            Cost::Look => Duration::ZERO,
            Cost::Sync => spec.sync,
            Cost::Bytes(bytes) => {
                Duration::from_secs_f64(bytes as f64 / spec.rate.bytes_per_sec().max(1) as f64)
            }
        };
        self.pace.work((spec.latency + more) * slower).await;
    }
}

impl fmt::Debug for DiskUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskUnit").field("spec", &self.spec).finish_non_exhaustive()
    }
}
