//! Tasks that wait for one thing, in the order in which they came.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// Names a waiting future, so that it can be forgotten when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// The wakers of the futures that wait. As many as there are such futures, never more.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    waiting: BTreeMap<Ticket, Waker>,
}

impl Waiters {
    /// Remembers who polls, under the ticket it already has or a new one.
    pub(super) fn register(&mut self, ticket: &mut Option<Ticket>, cx: &Context<'_>) {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next += 1;
            Ticket(self.next)
        });
        self.waiting.insert(ticket, cx.waker().clone());
    }

    /// Forgets a future that is done or dropped.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// Hands all wakers over. Those whose wish is still not met register again.
    pub(super) fn wake_all(&mut self, wakes: &mut Wakes) {
        wakes.0.extend(std::mem::take(&mut self.waiting).into_values());
    }
}

/// Wakers to call once every lock is released: a waker may poll its task on the spot.
#[derive(Debug, Default)]
pub(super) struct Wakes(Vec<Waker>);

impl Wakes {
    /// Takes the waker of the one task that waits, if one does.
    pub(super) fn take(&mut self, waker: &mut Option<Waker>) {
        self.0.extend(waker.take());
    }

    /// Calls the wakers. No lock may be held.
    pub(super) fn fire(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::super::guarded::Guarded;
    use super::*;

    #[test]
    fn a_dropped_future_leaves_no_waker() {
        let guarded = Guarded::new(Waiters::default());
        let waiting = |guarded: &Guarded<Waiters>| guarded.with(|waiters, _| waiters.waiting.len());
        let cx = &mut Context::from_waker(Waker::noop());
        {
            let mut never = pin!(guarded.wait(|waiters| waiters, |_, _| None::<()>));
            for _ in 0..3 {
                assert_eq!(never.as_mut().poll(cx), Poll::Pending);
                assert_eq!(waiting(&guarded), 1, "a future waits once, however often it is polled");
            }
        }
        assert_eq!(waiting(&guarded), 0);
    }
}
