//! What went wrong, who is at fault, and what to do next.

use crate::Target;

/// Why a dial failed. Nothing was sent and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered in time. Try again later, or another address.
    #[error("{target}: no answer within {after_ms} ms; is the node up and UDP open?")]
    TimedOut {
        /// Who was dialled.
        target: Target,
        /// How long was waited.
        after_ms: u64,
    },
    /// The network refused. Try again later, or another address.
    #[error("{target}: unreachable: {why}")]
    Unreachable {
        /// Who was dialled.
        target: Target,
        /// What the network said.
        why: String,
    },
    /// The peer's certificate is not signed by a trusted CA, has expired, or is not valid yet. An
    /// operator has to look at the certificates; do not retry soon.
    #[error("{target}: its certificate is not trusted: {why}")]
    Untrusted {
        /// Who was dialled.
        target: Target,
        /// What is wrong with it.
        why: String,
    },
    /// A trusted certificate, but of another node than the one dialled. Discovery is out of date or
    /// an address was reused.
    #[error("{target}: another node answered{}", presented.as_ref().map(|name| format!(": {name}")).unwrap_or_default())]
    WrongNode {
        /// Who was dialled.
        target: Target,
        /// Whom the certificate names, where the transport can tell.
        presented: Option<String>,
    },
    /// A trusted certificate of another cluster.
    #[error("{target}: belongs to cluster {presented}, not to ours")]
    WrongCluster {
        /// Who was dialled.
        target: Target,
        /// The cluster that the certificate names.
        presented: String,
    },
    /// The peer refused this node's certificate. This node's operator has to look at it.
    #[error("{target}: refused our certificate: {why}")]
    Rejected {
        /// Who was dialled.
        target: Target,
        /// What the peer said.
        why: String,
    },
    /// No protocol version in common. One of the two has to be upgraded.
    #[error("{target}: speaks no protocol that we speak ({ours})")]
    NoCommonProtocol {
        /// Who was dialled.
        target: Target,
        /// What this node offers.
        ours: String,
    },
    /// This node's transport is closed.
    #[error("our transport is closed")]
    Closed,
    /// This node's transport is misconfigured.
    #[error("cannot dial: {0}")]
    Local(String),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer closed it, with its code and reason.
    #[error("closed by the peer: {reason} (code {code})")]
    ClosedByPeer {
        /// The peer's code.
        code: u32,
        /// The peer's reason, shortened and escaped.
        reason: String,
    },
    /// This node closed it.
    #[error("closed by us")]
    ClosedLocally,
    /// The peer refused this node's certificate, which TLS 1.3 tells only after the handshake.
    #[error("the peer refused our certificate: {0}")]
    Rejected(String),
    /// Nothing was heard for the idle timeout: the peer is probably down or cut off.
    #[error("nothing heard from the peer, it is probably down")]
    TimedOut,
    /// The peer forgot the connection: it was restarted.
    #[error("the peer was restarted")]
    Reset,
    /// The transport's own protocol was broken, by the peer or by the network.
    #[error("transport error: {0}")]
    Transport(String),
}

/// Longest reason of a peer that is kept, in characters: a line for the operator, not a payload.
pub const REASON_LEN_MAX: usize = 200;

impl ConnectionError {
    /// The peer closed the connection. Its reason is hostile until checked: it is shortened to
    /// [`REASON_LEN_MAX`] characters, and control characters are escaped.
    pub fn closed_by_peer(code: u32, reason: &[u8]) -> Self {
        // A character has at most four bytes: what lies beyond is cut before it is looked at.
        let text = String::from_utf8_lossy(&reason[..reason.len().min(4 * REASON_LEN_MAX)]);
        let mut reason = String::new();
        for c in text.chars().take(REASON_LEN_MAX) {
            if c.is_control() { reason.extend(c.escape_default()) } else { reason.push(c) }
        }
        Self::ClosedByPeer { code, reason }
    }
}

/// Why a stream ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The sender gave the stream up.
    #[error("stream reset by the peer (code {0})")]
    Reset(u32),
    /// The receiver does not want more.
    #[error("stream stopped by the peer (code {0})")]
    Stopped(u32),
    /// This end already finished, reset or stopped it.
    #[error("stream already closed by us")]
    Closed,
    /// The connection ended.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_reason_is_escaped_and_shortened() {
        let error = ConnectionError::closed_by_peer(7, b"it's\x1b[2J over\n\xff");
        assert_eq!(error.to_string(), "closed by the peer: it's\\u{1b}[2J over\\n\u{fffd} (code 7)");
        let long = "\u{1F980}".repeat(REASON_LEN_MAX + 1);
        let ConnectionError::ClosedByPeer { reason, .. } =
            ConnectionError::closed_by_peer(7, long.as_bytes())
        else {
            panic!("another error");
        };
        assert_eq!(reason.chars().count(), REASON_LEN_MAX);
    }
}
