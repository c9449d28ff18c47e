//! The transport itself: one UDP socket, on which this node dials and is dialled.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use peerstream_transport::{BoxFuture, ConnectError, Connection, Lane, PeerIdentity, Target, Transport};
use peerstream_types::WallClock;
use quinn::{AsyncUdpSocket, Endpoint, TokioRuntime};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::accept::Acceptor;
use crate::config::{ConfigError, QuicConfig};
use crate::connection::{QuicConnection, canonical};
use crate::credentials::{Credentials, CredentialsError};
use crate::endpoint::{self, Determinism, Settings};
use crate::error;
use crate::identity;
use crate::socket::{self, CappedSocket, DatagramSocket, SeamSocket};
use crate::stats::{AuthFailures, Counters, Stats};
use crate::tls::Tls;

/// How long [`close`](Transport::close) waits for peers to be told: three probe timeouts of a slow
/// path. Peers that hear nothing find out by their idle timeout.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// The close code of a transport that goes away.
const CLOSED_CODE: u32 = 0;
/// Its reason.
const CLOSED_REASON: &[u8] = b"shutting down";

/// Why a transport could not be started. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A setting is harmful.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node's own credentials are unusable.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The socket cannot be opened.
    #[error("cannot listen on UDP {addr}: {error}")]
    Socket {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Called outside a tokio runtime with timers (and I/O, for a real socket).
    #[error("a transport has to be started inside a tokio runtime")]
    NoRuntime,
}

/// The transport contract over QUIC with mutual TLS.
///
/// Runs on the tokio runtime on which it was made, single-threaded or not. Dropping it closes all
/// connections at once; [`close`](Transport::close) also waits until the peers were told.
#[derive(Debug)]
pub struct QuicTransport {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    identity: PeerIdentity,
    shared: Arc<Shared>,
    accepted: Mutex<mpsc::Receiver<Arc<dyn Connection>>>,
    closed: CancellationToken,
}

/// What dials and the accept loop share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) tls: ArcSwap<Tls>,
    pub(crate) counters: Counters,
    pub(crate) clock: Arc<dyn WallClock>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) handshakes_max: usize,
    pub(crate) connections_max: usize,
}

impl QuicTransport {
    /// Opens a UDP socket at `addr` (port 0 picks one) and starts to accept. An IPv6 socket serves
    /// IPv4 as well.
    ///
    /// # Errors
    ///
    /// [`BindError`]: a harmful setting, credentials that no peer would take, an address that
    /// cannot be had, no tokio runtime.
    pub fn bind(
        addr: SocketAddr,
        config: &QuicConfig,
        credentials: &Credentials,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, BindError> {
        config.validate()?;
        Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let socket =
            socket::bind(addr, config.socket_buffer).map_err(|error| BindError::Socket { addr, error })?;
        if config.segmentation_offload && socket.max_transmit_segments() == 1 {
            tracing::warn!(%addr, "no UDP segmentation offload here: sending costs about four times the CPU");
        }
        Self::start(socket, config, credentials, clock, None)
    }

    /// Runs over a socket of the caller, with all chance derived from a seed: QUIC in a simulation.
    /// Timers run on tokio's clock, which a simulation pauses.
    ///
    /// # Errors
    ///
    /// As for [`QuicTransport::bind`].
    pub fn on_socket(
        socket: Arc<dyn DatagramSocket>,
        config: &QuicConfig,
        credentials: &Credentials,
        clock: Arc<dyn WallClock>,
        determinism: Determinism,
    ) -> Result<Self, BindError> {
        config.validate()?;
        Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        Self::start(Arc::new(SeamSocket(socket)), config, credentials, clock, Some(determinism))
    }

    fn start(
        socket: Arc<dyn AsyncUdpSocket>,
        config: &QuicConfig,
        credentials: &Credentials,
        clock: Arc<dyn WallClock>,
        determinism: Option<Determinism>,
    ) -> Result<Self, BindError> {
        let tls = Tls::new(credentials, Arc::clone(&clock))?;
        let settings = Settings::new(config, Arc::clone(&clock), determinism);
        let failed = |error| BindError::Socket { addr: SocketAddr::from(([0, 0, 0, 0], 0)), error };
        let local_addr = socket.local_addr().map_err(failed)?;
        let server = settings.server(tls.accept().0);
        let endpoint = Endpoint::new_with_abstract_socket(
            endpoint::endpoint(config, determinism),
            Some(server.clone()),
            Arc::new(CappedSocket::new(socket, config.mtu_max)),
            Arc::new(TokioRuntime),
        )
        .map_err(|error| BindError::Socket { addr: local_addr, error })?;
        let shared = Arc::new(Shared {
            settings,
            tls: ArcSwap::from_pointee(tls),
            counters: Counters::default(),
            clock,
            handshake_timeout: config.handshake_timeout,
            handshakes_max: config.handshakes_max,
            connections_max: config.connections_max,
        });
        let (closed, identity) = (CancellationToken::new(), credentials.identity().clone());
        let acceptor = Acceptor { endpoint: endpoint.clone(), server, shared: Arc::clone(&shared) };
        let accepted = Mutex::new(acceptor.spawn(closed.clone()));
        tracing::info!(%local_addr, %identity, "transport is up");
        Ok(Self { endpoint, local_addr, identity, shared, accepted, closed })
    }

    /// Who this node is to its peers.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.count().clone();
        stats.open = self.endpoint.open_connections();
        stats
    }

    /// Peers that are turned away from now on. They are counted in [`Stats`] and logged as well.
    pub fn auth_failures(&self) -> AuthFailures {
        self.shared.counters.failures()
    }

    /// Swaps certificate, key and roots. New handshakes, dialled and accepted, use the new ones;
    /// open connections go on.
    ///
    /// To change the CA without an interruption, reload every node three times: with the roots of
    /// both CAs, then with certificates of the new one, then without the old root.
    ///
    /// # Errors
    ///
    /// Credentials of another node, and credentials that no peer would take, are refused; the old
    /// ones stay in use.
    pub fn reload(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        if *credentials.identity() != self.identity {
            return Err(CredentialsError::OtherNode {
                new: credentials.identity().to_string(),
                ours: self.identity.to_string(),
            });
        }
        self.shared.tls.store(Arc::new(Tls::new(credentials, Arc::clone(&self.shared.clock))?));
        tracing::info!(identity = %self.identity, "certificates and roots were reloaded");
        Ok(())
    }
}

/// One dial, counted by the caller.
async fn dial(
    endpoint: Endpoint,
    shared: &Shared,
    target: &Target,
    lane: Lane,
    name: &str,
) -> Result<Arc<dyn Connection>, ConnectError> {
    let (tls, fault) = shared.tls.load().dial(target.node.clone());
    let config = shared.settings.client(lane, tls);
    let connecting = endpoint
        .connect_with(config, target.addr, name)
        .map_err(|error| error::dial_start(target, &error))?;
    let after_ms = u64::try_from(shared.handshake_timeout.as_millis()).unwrap_or(u64::MAX);
    let timed_out = || ConnectError::TimedOut { target: target.clone(), after_ms };
    let connection = tokio::time::timeout(shared.handshake_timeout, connecting)
        .await
        .map_err(|_| timed_out())?
        .map_err(|error| error::dial(target, error, &fault, after_ms))?;
    let connection = QuicConnection::new(connection)
        .map_err(|error| ConnectError::Untrusted { target: target.clone(), why: error.to_string() })?;
    Ok(Arc::new(connection))
}

impl Transport for QuicTransport {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (endpoint, shared, target) = (self.endpoint.clone(), Arc::clone(&self.shared), target.clone());
        // The name goes to the peer in the clear and is not what binds the identity; the verifier is.
        let name = match &target.node {
            Some(node) => identity::dns_name(&PeerIdentity {
                cluster: self.identity.cluster.clone(),
                node: node.clone(),
            }),
            None => self.identity.cluster.to_string(),
        };
        Box::pin(async move {
            let outcome = dial(endpoint, &shared, &target, lane, &name).await;
            let mut stats = shared.counters.count();
            match &outcome {
                Ok(_) => stats.dialled += 1,
                Err(_) => stats.dials_failed += 1,
            }
            outcome
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        Box::pin(async {
            let next = async { self.accepted.lock().await.recv().await };
            tokio::select! {
                biased;
                () = self.closed.cancelled() => None,
                connection = next => connection,
            }
        })
    }

    fn local_addr(&self) -> SocketAddr {
        canonical(self.local_addr)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shut();
        Box::pin(async {
            if tokio::time::timeout(CLOSE_WAIT, self.endpoint.wait_idle()).await.is_err() {
                tracing::debug!("some peers were not told that the transport closes");
            }
        })
    }
}

impl QuicTransport {
    fn shut(&self) {
        self.closed.cancel();
        self.endpoint.close(CLOSED_CODE.into(), CLOSED_REASON);
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.shut();
    }
}
