//! A session's control stream: reads and writes at once, so that two full windows never wait for
//! each other.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use peerstream_transport::{RecvStream, SendStream, StreamError};
use peerstream_wire::{FrameDecoder, Message, frame};

use super::{IoError, StreamReader};

/// Most bytes taken from the transport at once.
const READ_MAX: usize = 64 * 1024;
/// Bytes waiting to be written beyond which the session is not asked for more messages.
const OUTBOX_MAX: usize = 1024 * 1024;

/// What the other end did.
#[derive(Debug)]
pub(crate) enum ControlInput {
    /// Sent a message.
    Message(Message),
    /// Sent bytes that are no message; nothing more can be read.
    Garbage(String),
    /// Ended the stream, or it broke.
    Closed(String),
    /// Nothing, but there is room for more messages again.
    Room,
}

/// What one look at both directions brought.
enum Polled {
    Read(Option<Bytes>),
    Room,
}

/// A control stream. `drive` is cancel safe: no byte is lost in either direction.
pub(crate) struct ControlStream {
    send: Box<dyn SendStream>,
    recv: Box<dyn RecvStream>,
    decoder: FrameDecoder<Message>,
    outbox: VecDeque<Bytes>,
    queued: usize,
    broken: Option<IoError>,
}

impl ControlStream {
    pub(crate) fn new(mut send: Box<dyn SendStream>, reader: StreamReader) -> Self {
        // Control goes before anything else on its connection.
        send.set_priority(i32::MAX);
        let (recv, ahead) = reader.into_parts();
        let mut decoder = FrameDecoder::new();
        decoder.push(&ahead);
        Self { send, recv, decoder, outbox: VecDeque::new(), queued: 0, broken: None }
    }

    /// Whether another message may be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.queued < OUTBOX_MAX
    }

    /// Queues bytes that are no frame: the kind of the stream.
    pub(crate) fn queue_raw(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.outbox.push_back(bytes);
    }

    /// Queues a message.
    pub(crate) fn queue(&mut self, message: &Message) -> Result<(), IoError> {
        let mut out = BytesMut::new();
        frame::encode(message, &mut out)?;
        self.queue_raw(out.freeze());
        Ok(())
    }

    /// Writes what is queued and waits for what the other end does next.
    pub(crate) async fn drive(&mut self) -> ControlInput {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(message)) => return ControlInput::Message(message),
                Ok(None) => {}
                Err(error) => return ControlInput::Garbage(error.to_string()),
            }
            let was_full = !self.has_room();
            let read = poll_fn(|cx| {
                self.poll_outbox(cx);
                if was_full && self.has_room() && self.broken.is_none() {
                    return Poll::Ready(Ok(Polled::Room));
                }
                let read = self.recv.poll_read(cx, READ_MAX).map_ok(Polled::Read).map_err(IoError::from);
                // A peer that takes nothing more may have said why before.
                match (&self.broken, read) {
                    (Some(error), Poll::Pending) => Poll::Ready(Err(error.clone())),
                    (_, read) => read,
                }
            });
            match read.await {
                Ok(Polled::Read(Some(bytes))) => self.decoder.push(&bytes),
                Ok(Polled::Read(None)) => {
                    return ControlInput::Closed("the peer ended the control stream".to_owned());
                }
                Ok(Polled::Room) => return ControlInput::Room,
                Err(error) => return ControlInput::Closed(error.to_string()),
            }
        }
    }

    /// Writes everything that is queued, then ends the stream.
    pub(crate) async fn finish(mut self) -> Result<(), IoError> {
        poll_fn(|cx| {
            self.poll_outbox(cx);
            match &self.broken {
                Some(error) => Poll::Ready(Err(error.clone())),
                None if self.outbox.is_empty() => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        })
        .await?;
        self.send.finish()?;
        // Wait until the peer has it all, so that dropping the connection cannot take it back.
        poll_fn(|cx| self.send.poll_stopped(cx)).await?;
        Ok(())
    }

    fn poll_outbox(&mut self, cx: &mut std::task::Context<'_>) {
        while let Some(front) = self.outbox.front_mut() {
            let before = front.len();
            let poll = if front.is_empty() { Poll::Ready(Ok(())) } else { self.send.poll_write(cx, front) };
            self.queued -= before - front.len();
            match poll {
                Poll::Ready(Ok(())) if front.is_empty() => {
                    self.outbox.pop_front();
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return self.break_off(error),
                Poll::Pending => return,
            }
        }
    }

    fn break_off(&mut self, error: StreamError) {
        self.broken = Some(error.into());
        self.outbox.clear();
        self.queued = 0;
    }
}
