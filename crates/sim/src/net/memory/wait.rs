//! A sleep that ends with the connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use peerstream_transport::Connection;
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The moment has come.
    InTime,
    /// The connection has ended.
    Ended,
}

/// A wait of one half of a stream; costs nothing before it is first needed.
#[derive(Default)]
pub(super) struct Wait {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The lock is never taken: it only makes the future shareable, as halves have to be.
    ended: Option<Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl Wait {
    /// Waits until a moment.
    pub(super) fn poll_until(
        &mut self,
        at: Instant,
        connection: &Arc<dyn Connection>,
        cx: &mut Context<'_>,
    ) -> Poll<Woken> {
        if self.poll_ended(connection, cx).is_ready() {
            return Poll::Ready(Woken::Ended);
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).map(|()| Woken::InTime)
    }

    /// Waits until the connection ends.
    pub(super) fn poll_ended(&mut self, connection: &Arc<dyn Connection>, cx: &mut Context<'_>) -> Poll<()> {
        if connection.close_reason().is_some() {
            return Poll::Ready(());
        }
        let ended = self.ended.get_or_insert_with(|| {
            let connection = connection.clone();
            Mutex::new(Box::pin(async move { drop(connection.closed().await) }))
        });
        ended.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("sleep", &self.sleep).finish_non_exhaustive()
    }
}
