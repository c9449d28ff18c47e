//! The two halves of a stream.
//!
//! The traits are poll-based, so that a driver pays no allocation per read or write; the `Ext`
//! traits give the `async` form.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::StreamError;

/// The sending half.
///
/// Dropping it without [`finish`](SendStream::finish) resets the stream with code 0: the peer sees
/// an error, never a truncated stream that looks whole.
pub trait SendStream: Send + Sync {
    /// Takes bytes from the front of `chunk`, as many as fit, and advances it. Ready with `Ok` once
    /// at least one byte was taken (or `chunk` was empty); call again until `chunk` is empty. No
    /// copy is made where the transport can keep the `Bytes`.
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>>;

    /// Says that no more bytes follow. What was written is still delivered.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the stream or its connection has already ended.
    fn finish(&mut self) -> Result<(), StreamError>;

    /// Gives the stream up: the peer reads [`StreamError::Reset`] with `code`.
    fn reset(&mut self, code: u32);

    /// Streams with a higher priority are written first within one connection. Default 0.
    fn set_priority(&mut self, priority: i32);

    /// Ready once the peer has received everything up to [`finish`](SendStream::finish), or has
    /// stopped reading (its code).
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>>;
}

/// The receiving half.
///
/// Dropping it tells the peer to stop with code 0.
pub trait RecvStream: Send + Sync {
    /// The next bytes in order, at least one and at most `max`; `None` after the peer finished.
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>>;

    /// Tells the peer to stop sending; what is under way is thrown away.
    fn stop(&mut self, code: u32);
}

/// The `async` form of [`SendStream`].
pub trait SendStreamExt: SendStream {
    /// Writes all of `chunk`. Not cancel safe: a part may have been written.
    fn write_all(&mut self, mut chunk: Bytes) -> impl Future<Output = Result<(), StreamError>> + Send {
        poll_fn(move |cx| {
            while !chunk.is_empty() {
                std::task::ready!(self.poll_write(cx, &mut chunk))?;
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Waits until the peer has everything, or stopped reading. Cancel safe.
    fn stopped(&mut self) -> impl Future<Output = Result<Option<u32>, StreamError>> + Send {
        poll_fn(|cx| self.poll_stopped(cx))
    }
}

impl<S: SendStream + ?Sized> SendStreamExt for S {}

/// The `async` form of [`RecvStream`].
pub trait RecvStreamExt: RecvStream {
    /// The next bytes, at most `max`; `None` at the end. Cancel safe: nothing is lost.
    fn read(&mut self, max: usize) -> impl Future<Output = Result<Option<Bytes>, StreamError>> + Send {
        poll_fn(move |cx| self.poll_read(cx, max))
    }
}

impl<S: RecvStream + ?Sized> RecvStreamExt for S {}
