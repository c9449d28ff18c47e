//! The transport of peerstream over QUIC: every connection encrypted, both ends authenticated.
//!
//! Implements the contract of `peerstream-transport` on quinn and rustls; no other crate names
//! them. There is no plaintext mode: a [`QuicTransport`] cannot be made without certificates.
//!
//! # Identity
//!
//! A node's certificate carries two names that must agree: the URI `spiffe://<cluster>/node/<id>`
//! says who it is, the DNS name `<id>.<cluster>` is for everybody else's tools. A peer is taken if
//! one of our roots vouches for it, its cluster is ours, its certificate is valid by our
//! [`WallClock`](peerstream_types::WallClock), and, where the dialler named a node, if it is that
//! node. Both ends say precisely what is wrong when it is not: the dialler as
//! [`ConnectError`](peerstream_transport::ConnectError), the dialled node in its log, its [`Stats`]
//! and its [`AuthFailures`].
//!
//! TLS 1.3 only, ALPN [`ALPN`]; no 0-RTT, no resumption, no migration to another address.
//!
//! A node that was killed and is back at its address under the same private key ends the connections
//! that its peers still hold, as soon as they send: they see
//! [`ConnectionError::Reset`](peerstream_transport::ConnectionError::Reset) rather than a timeout.
//!
//! # Speed
//!
//! What is sent to one peer leaves in batches of up to 64 KiB (`join_batches`), from a thread that
//! does nothing else (`own_thread`); windows are small enough for the processor's cache, and the send
//! window follows the path; AES-128 comes first. `examples/ceiling.rs` measures what all this gives
//! with no files and no engine.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use peerstream_quic::{CertificateAuthority, Credentials, QuicConfig, QuicTransport};
//! use peerstream_transport::{Lane, RecvStreamExt, SendStreamExt, Target, Transport};
//! use peerstream_types::{ClusterName, NodeId, WallClock};
//!
//! #[derive(Debug)]
//! struct SystemClock;
//! impl WallClock for SystemClock {
//!     fn unix_ms(&self) -> u64 {
//!         std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_millis() as u64)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = SystemClock.unix_ms();
//! let ca = CertificateAuthority::init(&ClusterName::new("demo.internal")?, 365, now)?;
//! let start = |id: &str| -> Result<QuicTransport, Box<dyn std::error::Error>> {
//!     let node = ca.issue(&NodeId::new(id)?, 30, now)?;
//!     let own = Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose())?;
//!     let config = QuicConfig::default();
//!     Ok(QuicTransport::bind("127.0.0.1:0".parse()?, &config, &own, Arc::new(SystemClock))?)
//! };
//! let (a, b) = (start("a")?, start("b")?);
//!
//! let target = Target { addr: b.local_addr(), node: Some(NodeId::new("b")?) };
//! let to_b = a.connect(&target, Lane::Control).await?;
//! let mut send = to_b.open_uni().await?;
//! send.write_all("hello".into()).await?;
//! send.finish()?;
//!
//! let from_a = b.accept().await.ok_or("closed")?;
//! assert_eq!(from_a.peer().to_string(), "a.demo.internal");
//! let mut recv = from_a.accept_uni().await?;
//! assert_eq!(recv.read(1024).await?.as_deref(), Some(b"hello".as_slice()));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`transport`] | [`QuicTransport`]: dial, accept, reload, stats |
//! | [`config`] | [`QuicConfig`]: windows, timeouts, limits, and why some are refused |
//! | [`credentials`] | [`Credentials`]: certificate, key and roots from PEM |
//! | [`stats`] | [`Stats`], [`AuthFailure`]: what was done, who was turned away and why |
//! | [`socket`] | [`DatagramSocket`]: the seam below QUIC, for simulated networks |
//! | [`ca`] | [`CertificateAuthority`]: a development CA (feature `ca`, on by default) |
//!
//! # Not here
//!
//! Who may do what (decided per request, above), choosing and reusing connections (the engine),
//! revocation lists, watching certificate files for changes (the node calls
//! [`reload`](QuicTransport::reload)).

mod accept;
#[cfg(feature = "ca")]
pub mod ca;
pub mod config;
mod connection;
pub mod credentials;
mod endpoint;
mod error;
mod fault;
mod identity;
mod reset;
mod send_window;
pub mod socket;
pub mod stats;
mod stream;
mod thread;
mod tls;
pub mod transport;
mod verify;

#[cfg(feature = "ca")]
pub use ca::CertificateAuthority;
pub use config::{ConfigError, LaneConfig, QuicConfig};
pub use credentials::{CredentialFiles, Credentials, CredentialsError};
pub use endpoint::Determinism;
pub use socket::{DatagramSocket, Received};
pub use stats::{AuthFailure, AuthFailures, FailureReason, Stats};
pub use tls::ALPN;
pub use transport::{BindError, QuicTransport};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
