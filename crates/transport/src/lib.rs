//! The transport contract: authenticated connections between nodes, streams inside them.
//!
//! The engine moves bytes through these traits and never learns what lies below: real QUIC
//! (`peerstream-quic`), QUIC over a simulated network, or the in-memory transport of this crate.
//! An implementation authenticates both ends before it hands over a connection; who may do what is
//! decided per request, by [`access`].
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`transport`] | [`Transport`]: dial and accept |
//! | [`connection`] | [`Connection`]: open and accept streams, close |
//! | [`stream`] | [`SendStream`], [`RecvStream`] and their `async` wrappers |
//! | [`identity`] | [`PeerIdentity`]: who the other end proved to be |
//! | [`error`] | what went wrong, who is at fault, what to do |
//!
//! # Not here
//!
//! The messages inside the streams (`peerstream-wire`), certificates (`peerstream-quic`).

pub mod access;
pub mod connection;
pub mod error;
pub mod identity;
pub mod stream;
pub mod transport;

use std::future::Future;
use std::pin::Pin;

pub use connection::{BiStream, Connection};
pub use error::{ConnectError, ConnectionError, StreamError};
pub use identity::PeerIdentity;
pub use stream::{RecvStream, RecvStreamExt, SendStream, SendStreamExt};
pub use transport::{Lane, Target, Transport};

/// A boxed future. Boxed per connection, stream or page, never per packet.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
