//! Connections to other nodes: dialled, accepted, greeted, kept and found again.

mod accept;
mod dial;
mod greeting;
mod incoming;
mod room;
mod table;

use std::sync::Arc;
use std::time::Duration;

use peerstream_transport::{ConnectError, Connection, ConnectionError, Lane};
use peerstream_types::{Incarnation, NodeId};
use peerstream_wire::Code;

pub(crate) use accept::accept_loop;
pub(crate) use dial::{connect, reach};
pub(crate) use room::Room;
pub use table::PeerStatus;
pub(crate) use table::PeerTable;

use crate::io::IoError;
use crate::regards::Incident;

/// A greeted connection to a peer.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) connection: Arc<dyn Connection>,
    pub(crate) lane: Lane,
    pub(crate) incarnation: Incarnation,
}

impl Link {
    pub(crate) fn node(&self) -> &NodeId {
        &self.connection.peer().node
    }

    fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReachError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}: no address is known for it")]
    NoAddress(NodeId),
    #[error("greeting failed: {0}")]
    Greeting(#[from] IoError),
    #[error("the peer turned us away ({code}): {reason}")]
    Unwelcome { code: Code, reason: String },
    #[error("no answer to our greeting in time")]
    GreetingTimedOut,
    #[error("the connection was lost: {0}")]
    Lost(#[from] ConnectionError),
}

/// How an attempt to reach a peer failed.
#[derive(Debug, Clone)]
pub(crate) struct Unreached {
    pub(crate) why: ReachError,
    /// The dial, which others may have waited for too.
    pub(crate) incident: Incident,
}

impl From<ReachError> for Unreached {
    fn from(why: ReachError) -> Self {
        Self { why, incident: Incident::default() }
    }
}

/// How long a peer that has no room asks to be left alone: until some of those that are in are done.
const NO_ROOM_FOR: Duration = Duration::from_secs(5);

impl ReachError {
    /// When a peer that had no room for this node can be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let code = match self {
            Self::Lost(ConnectionError::ClosedByPeer { code, .. }) => *code,
            Self::Unwelcome { code, .. } => u32::from(code.number()),
            Self::Lost(_)
            | Self::Connect(_)
            | Self::NoAddress(_)
            | Self::Greeting(_)
            | Self::GreetingTimedOut => return None,
        };
        (code == u32::from(Code::Busy.number())).then_some(NO_ROOM_FOR)
    }

    /// Whether this node failed, and says nothing of the peer.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Closed | ConnectError::Local(_)) | Self::NoAddress(_))
    }

    /// Whether asking again is useless until someone changes a certificate, a version or a config.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Connect(error) => matches!(
                error,
                ConnectError::Untrusted { .. }
                    | ConnectError::WrongNode { .. }
                    | ConnectError::WrongCluster { .. }
                    | ConnectError::Rejected { .. }
                    | ConnectError::NoCommonProtocol { .. }
                    | ConnectError::Closed
                    | ConnectError::Local(_)
            ),
            Self::Unwelcome { code, .. } => !code.is_transient(),
            Self::Lost(error) => matches!(error, ConnectionError::Rejected(_)),
            Self::NoAddress(_) => true,
            Self::Greeting(_) | Self::GreetingTimedOut => false,
        }
    }
}
