//! Streams as the protocol sees them: a kind, frames, raw bytes.

mod control;
mod reader;
mod writer;

use peerstream_transport::StreamError;
use peerstream_wire::WireError;

pub(crate) use control::{ControlInput, ControlStream};
pub(crate) use reader::StreamReader;
pub(crate) use writer::{open_kind, write_frame};

/// A stream could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IoError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0} ended early")]
    Ended(&'static str),
    #[error("the stream is on a connection of the other lane")]
    WrongLane,
}
