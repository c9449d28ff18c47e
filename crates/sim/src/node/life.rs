//! The life of a node's process: it can end between any two steps, and then nothing of it goes on.
//!
//! An engine touches the world through its seams only: transport, store, disk, offload. Each answer of
//! a seam is a *step*. A process that has ended gets no answer any more, so its tasks stand still where
//! they are. To end it at any await is therefore the same, for all that can be seen from outside, as to
//! end it after any step: what it does between two of them stays in its own memory.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Killed: what was written is there, synced or not.
    Killed,
    /// The power is lost: the disk keeps what was synced, and maybe more.
    PowerLost,
}

/// One process. Clones are the same.
#[derive(Clone)]
pub(crate) struct Life(Arc<State>);

struct State {
    over: AtomicBool,
    ended: Notify,
    steps: AtomicU64,
    /// The step after which it is killed.
    last: AtomicU64,
    /// Ends the node, with all that belongs to that.
    end_node: Box<dyn Fn(End) + Send + Sync>,
}

impl Life {
    /// A process that begins. `end_node` is called when it has come to the step that was to be its
    /// last, or its disk to the change that was.
    pub(crate) fn begin(end_node: impl Fn(End) + Send + Sync + 'static) -> Self {
        let (over, ended, end_node) = (AtomicBool::new(false), Notify::new(), Box::new(end_node));
        let (steps, last) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self(Arc::new(State { over, ended, steps, last, end_node }))
    }

    /// Nothing is answered any more.
    pub(crate) fn finish(&self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    /// Waits for the end.
    pub(crate) async fn over(&self) {
        let ended = self.0.ended.notified();
        if !self.is_over() {
            ended.await;
        }
    }

    /// Steps so far.
    pub(crate) fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Is killed after so many more steps.
    pub(crate) fn end_after(&self, steps: u64) {
        self.0.last.store(self.steps().saturating_add(steps.max(1)), Ordering::Relaxed);
    }

    /// Ends the node with its process.
    pub(crate) fn end_node(&self, end: End) {
        if !self.is_over() {
            (self.0.end_node)(end);
        }
    }

    /// Hands an answer over, unless this was the last step, or there is nobody any more.
    pub(crate) fn answer<T>(&self, answer: Poll<T>) -> Poll<T> {
        if answer.is_ready() {
            let steps = self.0.steps.fetch_add(1, Ordering::Relaxed) + 1;
            if steps >= self.0.last.load(Ordering::Relaxed) {
                self.end_node(End::Killed);
            }
        }
        // Without a waker: the task is never woken again for this.
        if self.is_over() { Poll::Pending } else { answer }
    }

    /// Does something of the process: one step.
    pub(crate) async fn through<T>(&self, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        poll_fn(|cx| match self.is_over() {
            true => Poll::Pending,
            false => self.answer(step.as_mut().poll(cx)),
        })
        .await
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steps, over) = (self.steps(), self.is_over());
        f.debug_struct("Life").field("steps", &steps).field("over", &over).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn the_last_step_is_done_and_not_answered() {
        let seen = Arc::new(AtomicU64::new(0));
        let ends = seen.clone();
        let life = Life::begin(move |_| {
            ends.fetch_add(1, Ordering::Relaxed);
        });
        life.end_after(2);
        life.through(ready(())).await;
        assert_eq!(seen.load(Ordering::Relaxed), 0);
        life.through(ready(())).await;
        assert_eq!(seen.load(Ordering::Relaxed), 1, "who it belongs to is told, and decides");
        life.finish();
        let mut done = false;
        assert!(timeout(LONG, life.through(async { done = true })).await.is_err());
        assert!(!done, "a step after the end is not taken");
        life.over().await;
    }
}
