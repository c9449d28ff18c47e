//! A bounded pool of blocking threads for CPU-heavy work.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Job, Offload};
use crate::BoxFuture;

/// Runs jobs on tokio's blocking pool, at most as many at once as there are cores: more would only
/// take turns. Must be called within a tokio runtime.
#[derive(Debug, Clone)]
pub struct BlockingPool {
    slots: Arc<Semaphore>,
}

impl BlockingPool {
    /// A pool with one job per core.
    pub fn new() -> Self {
        Self::with_limit(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// A pool with at most `limit` jobs under way.
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        Self { slots: Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS))) }
    }
}

impl Default for BlockingPool {
    fn default() -> Self {
        Self::new()
    }
}

impl Offload for BlockingPool {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Ok(slot) = self.slots.clone().acquire_owned().await else { return };
            let job = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                job();
            });
            // A job that was not run to its end has left no answer, and `run_for` says so.
            job.await.ok();
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::offload::{OffloadGone, run_for};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_jobs_run_than_the_limit() {
        let pool = BlockingPool::with_limit(NonZeroUsize::MIN);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..32usize)
            .map(|i| {
                let (pool, running, most) = (pool.clone(), running.clone(), most.clone());
                tokio::spawn(async move {
                    let job = move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        i
                    };
                    run_for(&pool, job).await
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ok(i));
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_job_without_an_answer_is_a_typed_error() {
        let pool = BlockingPool::new();
        let quiet = || -> u8 { std::panic::resume_unwind(Box::new("no answer")) };
        assert_eq!(run_for(&pool, quiet).await, Err(OffloadGone));
        assert_eq!(run_for(&pool, || 7).await, Ok(7));
    }
}
