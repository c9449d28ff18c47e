//! The offload seam: work that costs CPU runs away from the task that asked for it.

use std::fmt;

use crate::BoxFuture;

/// A piece of work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs CPU-heavy work (hashing, compression) elsewhere: on a bounded pool, or at once in
/// simulations.
pub trait Offload: Send + Sync + fmt::Debug {
    /// Runs `job` and is ready when it has ended. Waits for room when the pool is busy. A job whose
    /// future was dropped may still run.
    fn run(&self, job: Job) -> BoxFuture<'_, ()>;
}

/// Runs every job at once, in the task that asks: for simulations and single-threaded tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl Offload for Inline {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        job();
        Box::pin(std::future::ready(()))
    }
}
