//! The offload seam: work that costs CPU runs away from the task that asked for it.

#[cfg(feature = "tokio")]
mod bounded;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::BoxFuture;

#[cfg(feature = "tokio")]
pub use bounded::BlockingPool;

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

/// The pool went away, or the job panicked: there is no answer. Nothing else was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job was not run: its pool is shutting down, or the job panicked")]
pub struct OffloadGone;

/// Runs `f` through the seam and hands its answer back. Cancel safe as far as `f` is: a job whose
/// future was dropped may still run.
///
/// # Errors
///
/// [`OffloadGone`] if the pool never ran it to its end.
pub async fn run_for<T, F>(offload: &dyn Offload, f: F) -> Result<T, OffloadGone>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let answer = Arc::new(Mutex::new(None));
    let slot = answer.clone();
    let job = move || {
        let value = f();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    };
    offload.run(Box::new(job)).await;
    let value = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    value.ok_or(OffloadGone)
}
