//! Content that can be made and checked without being kept.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Broken, ensure};
use crate::{RecvStream, RecvStreamExt, SendStream, SendStreamExt};

/// A repeatable sequence of bytes in which any loss, repeat or swap shows.
pub(super) struct Content {
    state: u64,
    left: usize,
}

impl Content {
    pub(super) fn new(seed: u64, len: usize) -> Self {
        // An odd multiple, so that neighbouring seeds differ and none is zero.
        Self { state: (seed * 2 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), left: len }
    }

    /// The next bytes, at most `max`; empty at the end.
    pub(super) fn next(&mut self, max: usize) -> Bytes {
        let len = max.min(self.left);
        self.left -= len;
        let mut bytes = BytesMut::with_capacity(len);
        for _ in 0..len {
            // One step of xorshift64 per byte: slow, but it does not depend on how reads are cut.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            bytes.put_u8(self.state as u8);
        }
        bytes.freeze()
    }

    /// Writes everything in pieces of `piece` bytes, and finishes.
    pub(super) async fn send(mut self, stream: &mut dyn SendStream, piece: usize) -> Result<(), Broken> {
        loop {
            let bytes = self.next(piece);
            if bytes.is_empty() {
                return Ok(stream.finish()?);
            }
            stream.write_all(bytes).await?;
        }
    }

    /// Reads to the end in pieces of at most `max` bytes and compares.
    pub(super) async fn expect(mut self, stream: &mut dyn RecvStream, max: usize) -> Result<(), Broken> {
        while let Some(bytes) = stream.read(max).await? {
            let left = self.left;
            ensure(!bytes.is_empty() && bytes.len() <= max, || {
                format!("a read of at most {max} bytes returned {}", bytes.len())
            })?;
            let wanted = self.next(bytes.len());
            ensure(wanted == bytes, || format!("other bytes than were sent, {left} before the end"))?;
        }
        ensure(self.left == 0, || format!("the stream ended {} bytes early", self.left))
    }
}
