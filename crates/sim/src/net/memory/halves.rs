//! The two halves of a stream.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use peerstream_transport::{RecvStream, SendStream, StreamError};
use tokio::time::Instant;

use super::connection::Ends;
use super::journey::{Arrived, Direction, Journey};
use super::wait::{Wait, Woken};
use super::wires::{PIECE, Room, StreamNumber};

/// The sending half: a writer waits where its link is full or cut.
pub(super) struct LinkedSend {
    inner: Box<dyn SendStream>,
    ends: Ends,
    journey: Arc<Journey>,
    direction: Direction,
    /// What is written ahead of the first byte, by who opened the stream.
    number: Option<StreamNumber>,
    wait: Wait,
}

impl LinkedSend {
    /// Of a stream that this node opened.
    pub(super) fn opening(
        inner: Box<dyn SendStream>,
        ends: Ends,
        journey: Arc<Journey>,
        number: StreamNumber,
    ) -> Self {
        let wait = Wait::default();
        Self { inner, ends, journey, direction: Direction::Out, number: Some(number), wait }
    }

    /// Of a stream that the peer opened.
    pub(super) fn answering(inner: Box<dyn SendStream>, ends: Ends, journey: Arc<Journey>) -> Self {
        Self { inner, ends, journey, direction: Direction::Back, number: None, wait: Wait::default() }
    }

    /// Waits for room; says how many bytes may be written at once.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let Ends { wires, way, connection } = &self.ends;
        loop {
            let woken = match wires.room(Instant::now(), *way) {
                Room::Any => return Poll::Ready(usize::MAX),
                Room::Piece => return Poll::Ready(PIECE),
                Room::NotBefore(at) => ready!(self.wait.poll_until(at, connection, cx)),
                Room::Cut => {
                    wires.wake_when_healed(*way, cx.waker());
                    ready!(self.wait.poll_ended(connection, cx));
                    Woken::Ended
                }
            };
            // The network says why it ended when it is written to.
            if woken == Woken::Ended {
                return Poll::Ready(PIECE);
            }
        }
    }

    /// Writes the number of the stream, unless it has been.
    fn poll_number(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if let Some(number) = self.number {
            let mut bytes = Bytes::copy_from_slice(&number.to_bytes());
            // The window of a stream has room for so few bytes before any other.
            ready!(self.inner.poll_write(cx, &mut bytes))?;
            self.number = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl SendStream for LinkedSend {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if chunk.is_empty() {
            return self.inner.poll_write(cx, chunk);
        }
        let room = ready!(self.poll_room(cx));
        ready!(self.poll_number(cx))?;
        let mut piece = chunk.slice(..chunk.len().min(room));
        let len = piece.len();
        ready!(self.inner.poll_write(cx, &mut piece))?;
        let written = len - piece.len();
        chunk.advance(written);
        // The reader is woken, and polled after this.
        let at = self.ends.wires.pass(Instant::now(), self.ends.way, written);
        self.journey.sent(self.direction, written, at);
        Poll::Ready(Ok(()))
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        self.inner.finish()
    }

    fn reset(&mut self, code: u32) {
        self.inner.reset(code);
    }

    fn set_priority(&mut self, priority: i32) {
        self.inner.set_priority(priority);
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u32>, StreamError>> {
        self.inner.poll_stopped(cx)
    }
}

impl Drop for LinkedSend {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.ends.wires.take(number);
        }
    }
}

/// The receiving half: a reader waits until bytes have arrived.
pub(super) struct LinkedRecv {
    inner: Box<dyn RecvStream>,
    ends: Ends,
    /// Unknown until the peer's first bytes are there.
    journey: Option<Arc<Journey>>,
    direction: Direction,
    stopped: bool,
    wait: Wait,
}

impl LinkedRecv {
    /// Of a stream that this node opened.
    pub(super) fn answered(inner: Box<dyn RecvStream>, ends: Ends, journey: Arc<Journey>) -> Self {
        let (journey, direction) = (Some(journey), Direction::Back);
        Self { inner, ends, journey, direction, stopped: false, wait: Wait::default() }
    }

    /// Of a stream that the peer opened, of which it usually has written something.
    pub(super) fn accepted(inner: Box<dyn RecvStream>, ends: Ends) -> Self {
        let direction = Direction::Out;
        let mut this = Self { inner, ends, journey: None, direction, stopped: false, wait: Wait::default() };
        let _ = this.poll_number(&mut Context::from_waker(std::task::Waker::noop()));
        this
    }

    pub(super) fn journey(&self) -> Option<Arc<Journey>> {
        self.journey.clone()
    }

    /// Reads the number of the stream, unless it has been; `true` if it ended before that.
    fn poll_number(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, StreamError>> {
        if self.journey.is_none() {
            let Some(bytes) = ready!(self.inner.poll_read(cx, StreamNumber::LEN))? else {
                return Poll::Ready(Ok(true));
            };
            let number = bytes.as_ref().try_into().ok().map(StreamNumber::from_bytes);
            self.journey = Some(number.and_then(|number| self.ends.wires.take(number)).unwrap_or_default());
        }
        Poll::Ready(Ok(false))
    }

    /// Waits for bytes to arrive; says how many may be read.
    fn poll_arrived(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let (Ends { wires, way, connection }, Some(journey)) = (&self.ends, &self.journey) else {
            return Poll::Ready(usize::MAX);
        };
        loop {
            let cap = |at, len| wires.arrive(at, (way.1, way.0), len);
            let woken = match journey.arrived(self.direction, Instant::now(), cap) {
                Arrived::Everything => return Poll::Ready(usize::MAX),
                Arrived::Bytes(len) => return Poll::Ready(len),
                Arrived::NotBefore(at) => ready!(self.wait.poll_until(at, connection, cx)),
            };
            // The network says why it ended when it is read from.
            if woken == Woken::Ended {
                return Poll::Ready(usize::MAX);
            }
        }
    }
}

impl RecvStream for LinkedRecv {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.stopped {
            return self.inner.poll_read(cx, max);
        }
        if ready!(self.poll_number(cx))? {
            return Poll::Ready(Ok(None));
        }
        let arrived = ready!(self.poll_arrived(cx));
        let read = ready!(self.inner.poll_read(cx, max.min(arrived)))?;
        if let (Some(journey), Some(bytes)) = (&self.journey, &read) {
            journey.took(self.direction, bytes.len());
        }
        Poll::Ready(Ok(read))
    }

    fn stop(&mut self, code: u32) {
        self.stopped = true;
        self.inner.stop(code);
    }
}
