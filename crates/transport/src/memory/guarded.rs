//! State behind a lock that is held for a few steps, and never while a waker runs or a task waits.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use super::waiters::{Ticket, Waiters, Wakes};

/// A lock whose holders collect wake-ups and fire them after it is released.
#[derive(Debug)]
pub(super) struct Guarded<S>(Mutex<S>);

impl<S> Guarded<S> {
    pub(super) fn new(state: S) -> Self {
        Self(Mutex::new(state))
    }

    /// Runs `change` under the lock, then wakes whom it says.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut S, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let result = self.nested(&mut wakes, change);
        wakes.fire();
        result
    }

    /// [`Guarded::with`] inside another lock, whose holder fires the wake-ups.
    pub(super) fn nested<R>(&self, wakes: &mut Wakes, change: impl FnOnce(&mut S, &mut Wakes) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), wakes)
    }

    /// A future that tries `attempt` whenever the waiters of `queue` are woken, until it succeeds.
    pub(super) fn wait<T, Q, A>(&self, queue: Q, attempt: A) -> Waiting<'_, S, Q, A>
    where
        Q: Fn(&mut S) -> &mut Waiters + Unpin,
        A: FnMut(&mut S, &mut Wakes) -> Option<T> + Unpin,
    {
        Waiting { guarded: self, queue, attempt, ticket: None }
    }
}

/// See [`Guarded::wait`]. Cancel safe: an attempt either succeeds and is returned, or changes nothing.
pub(super) struct Waiting<'a, S, Q: Fn(&mut S) -> &mut Waiters, A> {
    guarded: &'a Guarded<S>,
    queue: Q,
    attempt: A,
    ticket: Option<Ticket>,
}

impl<S, T, Q, A> Future for Waiting<'_, S, Q, A>
where
    Q: Fn(&mut S) -> &mut Waiters + Unpin,
    A: FnMut(&mut S, &mut Wakes) -> Option<T> + Unpin,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        this.guarded.with(|state, wakes| match (this.attempt)(state, wakes) {
            Some(output) => Poll::Ready(output),
            None => {
                (this.queue)(state).register(&mut this.ticket, cx);
                Poll::Pending
            }
        })
    }
}

impl<S, Q: Fn(&mut S) -> &mut Waiters, A> Drop for Waiting<'_, S, Q, A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.guarded.with(|state, _| (self.queue)(state).forget(ticket));
        }
    }
}
