//! That something has changed, for those who wait for it.
//!
//! Those who wait are woken in the order in which they began to, so that a simulated run comes again.
//! No runtime is needed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct Inner(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    next_ticket: u64,
    /// One for each who waits, in the order in which they began to.
    waiting: BTreeMap<u64, Waker>,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Announces changes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct ChangeSource(Arc<Inner>);

impl ChangeSource {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears of what is announced from now on.
    pub fn subscribe(&self) -> Changes {
        let seen = self.0.lock().version;
        Changes { source: Some(self.0.clone()), seen, ticket: None }
    }

    /// Something has changed: whoever waits looks. Announce after the change can be seen.
    pub fn announce(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.version += 1;
            mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

/// Hears of changes. Several that come before it is asked are one.
#[derive(Debug)]
pub struct Changes {
    source: Option<Arc<Inner>>,
    seen: u64,
    ticket: Option<u64>,
}

impl Changes {
    /// For what says nothing when it changes.
    pub fn never() -> Self {
        Self { source: None, seen: 0, ticket: None }
    }

    /// Whether changes are announced at all. Where they are not, there may have been one at any time.
    pub fn are_announced(&self) -> bool {
        self.source.is_some()
    }

    /// Whether something has changed since this was last asked or waited for.
    pub fn take(&mut self) -> bool {
        let Some(source) = &self.source else { return false };
        let version = source.lock().version;
        mem::replace(&mut self.seen, version) != version
    }

    /// Ready once something has changed, like [`take`](Self::take).
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &self.source else { return Poll::Pending };
        let mut state = source.lock();
        if state.version != self.seen {
            self.seen = state.version;
            // Whoever announced it has taken the place in the queue away.
            self.ticket = None;
            return Poll::Ready(());
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        state.waiting.insert(ticket, context.waker().clone());
        Poll::Pending
    }

    /// Waits until something has changed; forever where that is not announced. Cancel safe: a change
    /// is not lost.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let (Some(source), Some(ticket)) = (&self.source, self.ticket) {
            source.lock().waiting.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Log(Arc<Mutex<Vec<u32>>>, u32);

    impl Wake for Log {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(self.1);
        }
    }

    #[test]
    fn those_who_wait_are_woken_in_their_order_and_once() {
        let (source, log) = (ChangeSource::new(), Arc::new(Mutex::new(Vec::new())));
        let mut waiting: Vec<Changes> = (0..4).map(|_| source.subscribe()).collect();
        for number in [2, 0, 3, 1, 2] {
            let waker = Waker::from(Arc::new(Log(log.clone(), number)));
            let mut context = Context::from_waker(&waker);
            assert!(waiting[number as usize].poll_changed(&mut context).is_pending());
        }
        drop(waiting.pop());
        source.announce();
        source.announce();
        assert_eq!(*log.lock().unwrap(), [2, 0, 1], "3 has gone");
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting[2].poll_changed(&mut context).is_ready());
        assert!(waiting[2].poll_changed(&mut context).is_pending(), "two that came together are one");
        assert!(waiting[0].take() && !waiting[0].take());
    }

    #[test]
    fn nothing_is_heard_of_what_was_before_or_is_never_said() {
        let source = ChangeSource::new();
        source.announce();
        assert!(!source.subscribe().take());
        let mut never = Changes::never();
        assert!(!never.are_announced() && !never.take());
        assert!(never.poll_changed(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
