//! An authenticated connection to one peer.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::{BoxFuture, ConnectionError, PeerIdentity, RecvStream, SendStream};

/// A stream with both directions.
pub type BiStream = (Box<dyn SendStream>, Box<dyn RecvStream>);

/// An authenticated connection to one peer. Shared: every method takes `&self`, and any number of
/// tasks may open and accept at once.
pub trait Connection: Send + Sync + fmt::Debug {
    /// Who the other end proved to be.
    fn peer(&self) -> &PeerIdentity;

    /// Where the other end is.
    fn remote_addr(&self) -> SocketAddr;

    /// Opens a stream with both directions; waits while the peer's limit on open streams is
    /// reached. The peer learns of it with the first byte. Cancel safe.
    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>>;

    /// Opens a stream towards the peer; otherwise like [`Connection::open_bi`].
    fn open_uni(&self) -> BoxFuture<'_, Result<Box<dyn SendStream>, ConnectionError>>;

    /// The next stream with both directions that the peer opened. Cancel safe.
    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>>;

    /// The next stream that the peer opened towards this node. Cancel safe.
    fn accept_uni(&self) -> BoxFuture<'_, Result<Box<dyn RecvStream>, ConnectionError>>;

    /// Closes the connection at once: open streams end with an error on both sides. `code` and
    /// `reason` reach the peer if the network lets them. A second close changes nothing.
    fn close(&self, code: u32, reason: &str);

    /// Waits until the connection is closed by either end or lost, and says why. Cancel safe.
    fn closed(&self) -> BoxFuture<'_, ConnectionError>;

    /// Why the connection is closed, or `None` while it is open.
    fn close_reason(&self) -> Option<ConnectionError>;

    /// The current estimate of the round-trip time.
    fn rtt(&self) -> Duration;
}
