//! The transport contract: authenticated connections between nodes, streams inside them.
//!
//! The engine moves bytes through these traits and never learns what lies below: real QUIC
//! (`peerstream-quic`), QUIC over a simulated network, or the in-memory transport of this crate.
//! An implementation authenticates both ends before it hands over a connection; who may do what is
//! decided per request, by [`access`].
//!
//! # Example
//!
//! ```
//! use peerstream_transport::memory::MemoryNetwork;
//! use peerstream_transport::{Connection, Lane, PeerIdentity, RecvStreamExt, SendStreamExt, Target, Transport};
//! use peerstream_types::{ClusterName, NodeId};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let network = MemoryNetwork::new();
//! let member = |node: &str| -> Result<_, Box<dyn std::error::Error>> {
//!     Ok(PeerIdentity { cluster: ClusterName::new("demo")?, node: NodeId::new(node)? })
//! };
//! let replica = network.node(member("replica")?, "10.0.0.1:7000".parse()?);
//! let source = network.node(member("source")?, "10.0.0.2:7000".parse()?);
//!
//! // The replica says whom it expects at the address: another node there would be refused.
//! let target = Target { addr: source.local_addr(), node: Some(NodeId::new("source")?) };
//! let to_source = replica.connect(&target, Lane::Bulk).await?;
//! let to_replica = source.accept().await.ok_or("closed")?;
//! assert_eq!(to_replica.peer().to_string(), "replica.demo");
//!
//! let mut send = to_replica.open_uni().await?;
//! send.write_all("a chunk".into()).await?;
//! send.finish()?;
//! let mut recv = to_source.accept_uni().await?;
//! assert_eq!(recv.read(1024).await?.as_deref(), Some(&b"a chunk"[..]));
//! assert_eq!(recv.read(1024).await?, None);
//!
//! // A donor dies: its peers see an error, never an end that looks whole.
//! network.crash(source.local_addr());
//! assert!(to_source.accept_uni().await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! | [`access`] | [`AccessRules`]: who may do what, asked on every request |
//! | [`memory`] | an in-memory network with crashes and cuts, for tests and simulation |
//! | [`conformance`] | what every transport must do, as a suite |
//!
//! # Not here
//!
//! The messages inside the streams (`peerstream-wire`), certificates (`peerstream-quic`), links with
//! a rate and a delay (`peerstream-sim`).

pub mod access;
pub mod conformance;
pub mod connection;
pub mod error;
pub mod identity;
pub mod memory;
pub mod stream;
pub mod transport;

use std::future::Future;
use std::pin::Pin;

pub use access::{AccessRules, Denied, SharedAccess, Verb};
pub use connection::{BiStream, Connection};
pub use error::{ConnectError, ConnectionError, REASON_LEN_MAX, StreamError};
pub use identity::PeerIdentity;
pub use stream::{RecvStream, RecvStreamExt, SendStream, SendStreamExt};
pub use transport::{Lane, Target, Transport};

/// A boxed future. Boxed per connection, stream or page, never per packet.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
