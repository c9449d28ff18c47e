//! Connections to other nodes: dialled, accepted, greeted, kept and found again.

mod accept;
mod dial;
mod greeting;
mod incoming;
mod table;

use std::sync::Arc;

use peerstream_transport::{ConnectError, Connection, Lane};
use peerstream_types::{Incarnation, NodeId};

pub(crate) use accept::accept_loop;
pub(crate) use dial::{connect, reach};
pub use table::PeerStatus;
pub(crate) use table::PeerTable;

use crate::io::IoError;

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
    Unwelcome { code: peerstream_wire::Code, reason: String },
    #[error("no answer to our greeting in time")]
    GreetingTimedOut,
    #[error("the connection was lost: {0}")]
    Lost(#[from] peerstream_transport::ConnectionError),
}

impl ReachError {
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
            Self::Lost(error) => matches!(error, peerstream_transport::ConnectionError::Rejected(_)),
            Self::NoAddress(_) => true,
            Self::Greeting(_) | Self::GreetingTimedOut => false,
        }
    }
}
