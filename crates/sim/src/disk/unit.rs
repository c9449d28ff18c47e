//! The disk as a piece of hardware: it outlives the processes that use it.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use peerstream_snapshot::disk::FileKind;
use peerstream_snapshot::disk::crash::{CrashDisk, Fault, Side, Survival};
use peerstream_snapshot::{Disk, DiskError};
use peerstream_types::ByteCount;
use tokio::task::unconstrained;

use super::{Cost, DiskSpec};
use crate::node::Pace;

/// A disk of a machine. Clones are the same.
#[derive(Clone)]
pub(crate) struct DiskUnit {
    spec: DiskSpec,
    pace: Pace,
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
}

impl DiskUnit {
    pub(crate) fn new(spec: DiskSpec) -> Self {
        let disk = CrashDisk::new();
        disk.set_capacity(spec.capacity.map(|capacity| capacity.0));
        let state = Arc::new(Mutex::new(State { disk, slower: 1, flips: 0, power_losses: 0 }));
        Self { spec, pace: Pace::default(), state }
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

    /// The process ends, what was written stays.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.disk = state.disk.kill();
    }

    /// The power is lost.
    pub(crate) fn lose_power(&self, survival: Survival) {
        let mut state = self.lock();
        state.disk = state.disk.crash(survival);
        state.power_losses += 1;
    }

    pub(crate) fn stop_at(&self, skip: u64, side: Side) {
        self.present().stop_at(skip, side);
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.present().fail(fault);
    }

    pub(crate) fn heal(&self) {
        self.present().heal();
    }

    /// Leaves so much room.
    pub(crate) fn leave_room(&self, bytes: ByteCount) {
        let disk = self.present();
        disk.set_capacity(Some(disk.used().saturating_add(bytes.0)));
    }

    /// There is as much room as there was in the beginning.
    pub(crate) fn make_room(&self) {
        self.present().set_capacity(self.spec.capacity.map(|capacity| capacity.0));
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
