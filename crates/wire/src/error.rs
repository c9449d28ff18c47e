//! Why bytes are not a message.

/// Bytes that a peer sent are not what the protocol allows, or a value of ours cannot be sent. The
/// stream that carried them cannot be used any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame is longer than its kind may be. The sender is at fault.
    #[error("{what} frame of {len} bytes, at most {max} are allowed")]
    FrameTooLong {
        /// What kind of frame.
        what: &'static str,
        /// Its declared length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes do not decode: a newer message than this node knows, or garbage.
    #[error("{what} does not decode: {why}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What the decoder said.
        why: String,
    },
    /// The message decodes but breaks a rule of the protocol. The sender is at fault.
    #[error("{what} breaks the protocol: {why}")]
    Invalid {
        /// Which message.
        what: &'static str,
        /// Which rule.
        why: &'static str,
    },
    /// The first byte of a stream names no kind that this node knows.
    #[error("unknown stream kind {0}")]
    UnknownStreamKind(u8),
    /// The stream ended inside a frame.
    #[error("{what} ends inside a frame")]
    Truncated {
        /// What was expected.
        what: &'static str,
    },
}
