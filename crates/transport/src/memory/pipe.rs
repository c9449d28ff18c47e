//! One direction of a stream.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::delivery::Delivery;
use super::waiters::Wakes;
use crate::{ConnectionError, StreamError};

/// What the sending half has said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Open,
    Finished,
    Reset(u32),
    /// The connection ended before the reader had everything.
    Lost,
}

/// One direction of a stream: what both halves see of it.
#[derive(Debug)]
pub(super) struct Pipe {
    sender: Sender,
    stopped: Option<u32>,
    delivery: Delivery,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// What a half sees of its connection: why it ended, if it did.
type Closed<'a> = Option<&'a ConnectionError>;

impl Pipe {
    pub(super) fn new(window: usize) -> Self {
        let delivery = Delivery::new(window);
        Self { sender: Sender::Open, stopped: None, delivery, writer: None, reader: None }
    }

    /// Whether neither half can make anything happen any more.
    pub(super) fn is_over(&self) -> bool {
        match self.sender {
            Sender::Open => false,
            Sender::Finished => self.delivery.is_empty(),
            Sender::Reset(_) | Sender::Lost => true,
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        closed: Closed<'_>,
        chunk: &mut Bytes,
        wakes: &mut Wakes,
    ) -> Poll<Result<(), StreamError>> {
        self.check_writable(closed)?;
        if !chunk.is_empty() && self.delivery.take_from(chunk) == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        wakes.take(&mut self.reader);
        Poll::Ready(Ok(()))
    }

    pub(super) fn finish(&mut self, closed: Closed<'_>, wakes: &mut Wakes) -> Result<(), StreamError> {
        self.check_writable(closed)?;
        self.sender = Sender::Finished;
        wakes.take(&mut self.reader);
        Ok(())
    }

    /// Gives the stream up, unless it already ended.
    pub(super) fn reset(&mut self, code: u32, wakes: &mut Wakes) {
        if !self.is_over() {
            self.sender = Sender::Reset(code);
            self.delivery.clear();
            wakes.take(&mut self.reader);
        }
    }

    /// The sending half is gone: what it did not finish is reset.
    pub(super) fn sender_dropped(&mut self, wakes: &mut Wakes) {
        self.writer = None;
        if self.sender == Sender::Open {
            self.reset(0, wakes);
        }
    }

    pub(super) fn poll_stopped(
        &mut self,
        cx: &mut Context<'_>,
        closed: Closed<'_>,
    ) -> Poll<Result<Option<u32>, StreamError>> {
        if let Some(code) = self.stopped {
            return Poll::Ready(Ok(Some(code)));
        }
        match (self.sender, closed) {
            (Sender::Finished, _) if self.delivery.is_empty() => Poll::Ready(Ok(None)),
            (_, Some(error)) => Poll::Ready(Err(error.clone().into())),
            (Sender::Reset(_), None) => Poll::Ready(Err(StreamError::Closed)),
            (Sender::Open | Sender::Finished | Sender::Lost, None) => {
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        closed: Closed<'_>,
        max: usize,
        wakes: &mut Wakes,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.stopped.is_some() {
            return Poll::Ready(Err(StreamError::Closed));
        }
        if let Sender::Reset(code) = self.sender {
            return Poll::Ready(Err(StreamError::Reset(code)));
        }
        // A read of nothing would be no progress, and nobody means it.
        if let Some(bytes) = self.delivery.give(max.max(1)) {
            wakes.take(&mut self.writer);
            return Poll::Ready(Ok(Some(bytes)));
        }
        if self.sender == Sender::Finished {
            return Poll::Ready(Ok(None));
        }
        if let Some(error) = closed {
            return Poll::Ready(Err(error.clone().into()));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The reader wants no more. Of no meaning once it has everything.
    pub(super) fn stop(&mut self, code: u32, wakes: &mut Wakes) {
        self.reader = None;
        if self.stopped.is_none() && !self.is_over() {
            self.stopped = Some(code);
            self.delivery.clear();
            wakes.take(&mut self.writer);
        }
    }

    /// The connection ended: what was not read is gone, and both halves learn of it.
    pub(super) fn lose(&mut self, wakes: &mut Wakes) {
        if !self.is_over() {
            self.sender = Sender::Lost;
            self.delivery.clear();
        }
        wakes.take(&mut self.reader);
        wakes.take(&mut self.writer);
    }

    fn check_writable(&self, closed: Closed<'_>) -> Result<(), StreamError> {
        match (self.sender, self.stopped, closed) {
            (Sender::Finished | Sender::Reset(_), _, _) => Err(StreamError::Closed),
            (_, Some(code), _) => Err(StreamError::Stopped(code)),
            (_, _, Some(error)) => Err(error.clone().into()),
            (Sender::Open | Sender::Lost, None, None) => Ok(()),
        }
    }
}
