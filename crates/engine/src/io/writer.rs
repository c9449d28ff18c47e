//! Writing a stream: its kind, frames.

use bytes::{BufMut, BytesMut};
use peerstream_transport::{SendStream, SendStreamExt};
use peerstream_wire::{Framed, StreamKind, frame};

use super::IoError;

/// Begins a stream with its kind and first frame, in one write.
pub(crate) async fn open_kind<T: Framed>(
    send: &mut dyn SendStream,
    kind: StreamKind,
    first: &T,
) -> Result<(), IoError> {
    let mut out = BytesMut::new();
    out.put_u8(kind.byte());
    frame::encode(first, &mut out)?;
    Ok(send.write_all(out.freeze()).await?)
}

/// Writes one frame.
pub(crate) async fn write_frame<T: Framed>(send: &mut dyn SendStream, value: &T) -> Result<(), IoError> {
    let mut out = BytesMut::new();
    frame::encode(value, &mut out)?;
    Ok(send.write_all(out.freeze()).await?)
}
