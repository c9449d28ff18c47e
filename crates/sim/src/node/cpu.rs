//! A processor that charges virtual time for hashing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_snapshot::offload::{Inline, Job};
use peerstream_snapshot::{BoxFuture, Offload};

use super::life::Life;
use super::pace::Pace;
use crate::fault::{Effect, Tally};

/// The processor of a machine: as fast as can be, unless it is told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    pace: Pace,
    tally: Tally,
    takes: Arc<Mutex<Duration>>,
}

impl Cpu {
    pub(crate) fn new(tally: Tally) -> Self {
        Self { pace: Pace::default(), tally, takes: Arc::default() }
    }

    /// Whether anything takes longer than it should.
    pub(crate) fn is_slow(&self) -> bool {
        !self.job_time().is_zero()
    }

    /// Every job takes so long from now on, one after another.
    pub(crate) fn set_job_time(&self, takes: Duration) {
        *self.takes.lock().unwrap_or_else(PoisonError::into_inner) = takes;
    }

    fn job_time(&self) -> Duration {
        *self.takes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process has of the processor.
#[derive(Debug)]
pub(crate) struct SimOffload {
    cpu: Cpu,
    life: Life,
}

impl SimOffload {
    pub(crate) fn new(cpu: Cpu, life: Life) -> Self {
        Self { cpu, life }
    }
}

impl Offload for SimOffload {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        Box::pin(self.life.through(async {
            Inline.run(job).await;
            if self.cpu.is_slow() {
                self.cpu.tally.hit(Effect::SlowCpu);
            }
            self.cpu.pace.work(self.cpu.job_time()).await;
        }))
    }
}
