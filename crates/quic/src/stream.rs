//! The two halves of a QUIC stream.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use peerstream_transport::{RecvStream, SendStream, StreamError};
use quinn::{StoppedError, VarInt};

use crate::error;
use crate::send_window::SendWindow;

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

/// How far the sending half has come on this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Finished,
    Reset,
}

/// The sending half.
pub(crate) struct QuicSendStream {
    inner: quinn::SendStream,
    window: Arc<SendWindow>,
    state: Sending,
    /// Kept between polls: its registration lives inside it.
    stopped: Option<Stopped>,
}

impl QuicSendStream {
    pub(crate) fn new(inner: quinn::SendStream, window: Arc<SendWindow>) -> Self {
        Self { inner, window, state: Sending::Open, stopped: None }
    }
}

impl SendStream for QuicSendStream {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if self.state != Sending::Open {
            return Poll::Ready(Err(StreamError::Closed));
        }
        if chunk.is_empty() {
            return Poll::Ready(Ok(()));
        }
        // Cancel safe: the registration lives in the connection, so the future may be dropped.
        let written = pin!(self.inner.write_chunks(std::slice::from_mut(chunk))).poll(cx);
        match &written {
            Poll::Ready(Ok(written)) => self.window.took(written.bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.window.full(),
        }
        written.map(|written| written.map(drop).map_err(error::write))
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        if self.state != Sending::Open {
            return Err(StreamError::Closed);
        }
        self.inner.finish().map_err(|_| StreamError::Closed)?;
        self.state = Sending::Finished;
        Ok(())
    }

    fn reset(&mut self, code: u32) {
        // Fails only where there is nothing left to reset.
        let _ = self.inner.reset(code.into());
        self.state = Sending::Reset;
    }

    fn set_priority(&mut self, priority: i32) {
        // Fails only on a stream that has ended, where priority means nothing.
        let _ = self.inner.set_priority(priority);
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        if self.state == Sending::Reset {
            return Poll::Ready(Err(StreamError::Closed));
        }
        let inner = &self.inner;
        let stopped = self.stopped.get_or_insert_with(|| Box::pin(inner.stopped()));
        let outcome = ready!(stopped.as_mut().poll(cx));
        self.stopped = None;
        Poll::Ready(error::stopped(outcome))
    }
}

impl Drop for QuicSendStream {
    /// QUIC below us would *finish* the stream, and half a file would look like a whole one.
    fn drop(&mut self) {
        if self.state == Sending::Open {
            self.reset(0);
        }
    }
}

impl fmt::Debug for QuicSendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuicSendStream({}, {:?})", self.inner.id(), self.state)
    }
}

/// The receiving half. Dropped before its end, it stops the peer with code 0.
#[derive(Debug)]
pub(crate) struct QuicRecvStream {
    inner: quinn::RecvStream,
    /// Kept, because QUIC below us tells of a reset once, and reads as a whole stream afterwards.
    failed: Option<StreamError>,
}

impl QuicRecvStream {
    pub(crate) fn new(inner: quinn::RecvStream) -> Self {
        Self { inner, failed: None }
    }
}

impl RecvStream for QuicRecvStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        // Cancel safe, as above. At least one byte, or an end could not be told from nothing.
        let chunk = ready!(pin!(self.inner.read_chunk(max.max(1), true)).poll(cx));
        Poll::Ready(match chunk {
            Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
            Err(error) => Err(self.failed.insert(error::read(error)).clone()),
        })
    }

    fn stop(&mut self, code: u32) {
        // Fails only where the stream has ended already.
        let _ = self.inner.stop(code.into());
        self.failed.get_or_insert(StreamError::Closed);
    }
}
