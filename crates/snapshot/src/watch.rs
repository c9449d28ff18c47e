//! A value that many may wait for, as in `tokio::sync::watch`. But there, those who wait are woken in
//! an order that differs from one process to the next; here they go on in the order in which they began
//! to wait, so that a simulated run comes again. Whatever runs in a simulation and has more than one
//! who waits for the same thing waits with this.
//!
//! ```
//! use peerstream_snapshot::watch;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (sender, receiver) = watch::channel(0);
//! let waits = tokio::spawn(async move { receiver.wait_for(|pages| *pages >= 2).await });
//! sender.send_replace(1);
//! sender.modify(|pages| *pages += 1);
//! assert_eq!(waits.await.unwrap(), Ok(2));
//! # }
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    value: Mutex<T>,
    changed: Notify,
    senders: AtomicUsize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes the value. Clones are the same.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Sees the value. Clones are the same.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// Nobody is left who could change the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left who could change the value")]
pub struct Closed;

/// A value, and the two ends of it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// A value that nobody waits for yet.
    pub fn new(value: T) -> Self {
        let (value, changed, senders) = (Mutex::new(value), Notify::new(), AtomicUsize::new(1));
        Self(Arc::new(Shared { value, changed, senders }))
    }

    /// Another one who may wait for it.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(self.0.clone())
    }

    /// Puts another value there; gives the one before.
    pub fn send_replace(&self, value: T) -> T {
        let before = std::mem::replace(&mut *self.0.lock(), value);
        self.0.changed.notify_waiters();
        before
    }

    /// Changes the value in place; whoever waits looks at it.
    ///
    /// `modify` must not use the same channel: the value is locked meanwhile.
    pub fn modify(&self, modify: impl FnOnce(&mut T)) {
        modify(&mut self.0.lock());
        self.0.changed.notify_waiters();
    }

    /// Changes the value in place; says whether it did. If not, nobody is woken.
    ///
    /// `modify` must not use the same channel: the value is locked meanwhile.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let is_modified = modify(&mut self.0.lock());
        if is_modified {
            self.0.changed.notify_waiters();
        }
        is_modified
    }

    /// Looks at the value as it is now.
    ///
    /// `look` must not use the same channel: the value is locked meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.lock())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Receiver<T> {
    /// Whether nobody is left who could change the value.
    pub fn is_closed(&self) -> bool {
        self.0.senders.load(Ordering::Acquire) == 0
    }

    /// Waits until the value is like this, and leaves it where it is. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Closed`]: it is not like this, and never will be.
    pub async fn until(&self, mut is_so: impl FnMut(&T) -> bool) -> Result<(), Closed> {
        self.find(|value| is_so(value).then_some(())).await
    }

    /// What `look` finds in the value, as soon as it finds something.
    async fn find<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> Result<R, Closed> {
        loop {
            // What changes from here on is not missed.
            let changed = self.0.changed.notified();
            let is_closed = self.is_closed();
            let found = look(&self.0.lock());
            if let Some(found) = found {
                return Ok(found);
            }
            if is_closed {
                return Err(Closed);
            }
            changed.await;
        }
    }
}

impl<T: Clone> Receiver<T> {
    /// The value as it is now.
    pub fn get(&self) -> T {
        self.0.lock().clone()
    }

    /// Waits until the value is like this, and gives it. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Closed`]: it is not like this, and never will be.
    pub async fn wait_for(&self, mut is_so: impl FnMut(&T) -> bool) -> Result<T, Closed> {
        self.find(|value| is_so(value).then(|| value.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_go_on_in_their_order() {
        let (sender, receiver) = channel(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (receiver, woken) = (receiver.clone(), woken.clone());
            tasks.push(tokio::spawn(async move {
                receiver.wait_for(|value| *value == 2).await.unwrap();
                woken.lock().unwrap().push(number);
            }));
        }
        for value in [1, 2] {
            tokio::task::yield_now().await;
            sender.send_replace(value);
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_sender() {
        let (sender, receiver) = channel(None::<u8>);
        let other = sender.clone();
        let waits = tokio::spawn(async move { receiver.wait_for(Option::is_some).await });
        tokio::task::yield_now().await;
        drop(sender);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(other);
        assert_eq!(waits.await.unwrap(), Err(Closed));
    }

    #[tokio::test]
    async fn a_value_that_is_there_is_not_waited_for() {
        let (sender, receiver) = channel(None);
        assert!(sender.send_if_modified(|value| value.replace(7).is_none()));
        assert!(!sender.send_if_modified(|_| false));
        drop(sender);
        assert_eq!(receiver.wait_for(Option::is_some).await, Ok(Some(7)));
    }
}
