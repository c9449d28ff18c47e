//! Reading a stream: its kind, frames, exact runs of bytes.

use bytes::{Bytes, BytesMut};
use peerstream_transport::{RecvStream, RecvStreamExt};
use peerstream_wire::{Framed, StreamKind, frame};

use super::IoError;

/// Most bytes taken from the transport at once: about what a reader can use before it is asked again.
const READ_MAX: usize = 256 * 1024;
/// Length prefix of a frame.
const PREFIX: usize = 4;

/// Reads a stream in parts. What was read ahead is kept for the next part.
pub(crate) struct StreamReader {
    recv: Box<dyn RecvStream>,
    ahead: Bytes,
}

impl StreamReader {
    pub(crate) fn new(recv: Box<dyn RecvStream>) -> Self {
        Self { recv, ahead: Bytes::new() }
    }

    /// The kind of the stream, its first byte; `None` if the stream ended without one.
    pub(crate) async fn kind(&mut self) -> Result<Option<StreamKind>, IoError> {
        if !self.fill().await? {
            return Ok(None);
        }
        let byte = self.ahead.split_to(1)[0];
        Ok(Some(StreamKind::try_from(byte)?))
    }

    /// The next frame, or `None` at the end of the stream.
    pub(crate) async fn frame<T: Framed>(&mut self) -> Result<Option<T>, IoError> {
        let Some(prefix) = self.exact_or_end(PREFIX, T::WHAT).await? else { return Ok(None) };
        let len =
            u32::from_le_bytes(prefix[..].try_into().expect("exactly four bytes were asked for")) as usize;
        frame::check_declared::<T>(len)?;
        let body = self.exact(len, T::WHAT).await?;
        Ok(Some(frame::decode(&body)?))
    }

    /// Exactly `len` bytes.
    pub(crate) async fn exact(&mut self, len: usize, what: &'static str) -> Result<Bytes, IoError> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        self.exact_or_end(len, what).await?.ok_or(IoError::Ended(what))
    }

    /// Exactly `len` bytes, or `None` if the stream ends before the first of them.
    pub(crate) async fn exact_or_end(
        &mut self,
        len: usize,
        what: &'static str,
    ) -> Result<Option<Bytes>, IoError> {
        if !self.fill().await? {
            return Ok(None);
        }
        if self.ahead.len() >= len {
            return Ok(Some(self.ahead.split_to(len)));
        }
        let mut whole = BytesMut::with_capacity(len);
        while whole.len() < len {
            if !self.fill().await? {
                return Err(IoError::Ended(what));
            }
            let take = self.ahead.len().min(len - whole.len());
            whole.extend_from_slice(&self.ahead.split_to(take));
        }
        Ok(Some(whole.freeze()))
    }

    /// The next bytes, as they come; `None` at the end of the stream. Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, IoError> {
        Ok(self.fill().await?.then(|| std::mem::take(&mut self.ahead)))
    }

    /// Tells the sender that no more is wanted.
    pub(crate) fn stop(&mut self, code: u32) {
        self.recv.stop(code);
    }

    /// The stream below, with what was read ahead of it.
    pub(crate) fn into_parts(self) -> (Box<dyn RecvStream>, Bytes) {
        (self.recv, self.ahead)
    }

    /// Makes sure that bytes are at hand; `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, IoError> {
        while self.ahead.is_empty() {
            match self.recv.read(READ_MAX).await? {
                Some(bytes) => self.ahead = bytes,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}
