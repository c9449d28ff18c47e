//! The transport itself: one UDP socket, on which this node dials and is dialled.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use peerstream_transport::{BoxFuture, ConnectError, Connection, Lane, PeerIdentity, Target, Transport};
use peerstream_types::WallClock;
use quinn::{AsyncUdpSocket, Endpoint};
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
use crate::socket::{DatagramSocket, JoinedSocket, KernelSocket, SeamSocket, SocketErrors};
use crate::stats::{AuthFailures, Counters, Stats};
use crate::thread::{EndpointThread, HandleRuntime};
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
    /// The endpoint's own thread cannot be started.
    #[error("cannot start the thread of the transport: {0}")]
    Thread(io::Error),
    /// Called outside a tokio runtime with timers (and I/O, for a real socket).
    #[error("a transport has to be started inside a tokio runtime")]
    NoRuntime,
}

/// The transport contract over QUIC with mutual TLS.
///
/// Dropping it closes all connections at once; [`close`](Transport::close) also waits until the peers
/// were told. Its futures want a tokio runtime with timers, of any kind.
#[derive(Debug)]
pub struct QuicTransport {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    identity: PeerIdentity,
    shared: Arc<Shared>,
    accepted: Mutex<mpsc::Receiver<Arc<dyn Connection>>>,
    closed: CancellationToken,
    /// Cancelled when the endpoint's own thread has ended, if it has one.
    thread_ended: Option<CancellationToken>,
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
    errors: Arc<SocketErrors>,
}

/// What an endpoint is made of.
struct Parts<'a> {
    config: &'a QuicConfig,
    credentials: &'a Credentials,
    clock: Arc<dyn WallClock>,
    determinism: Option<Determinism>,
    errors: Arc<SocketErrors>,
}

impl QuicTransport {
    /// Opens a UDP socket at `addr` (port 0 picks one) and starts to accept. An IPv6 socket serves
    /// IPv4 as well. With [`QuicConfig::own_thread`] the endpoint gets a thread with a
    /// single-threaded runtime, which ends with the transport; otherwise it runs on the caller's
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`]: a harmful setting, credentials that no peer would take, an address that
    /// cannot be had, no tokio runtime or thread.
    pub fn bind(
        addr: SocketAddr,
        config: &QuicConfig,
        credentials: &Credentials,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, BindError> {
        config.validate()?;
        let thread = config.own_thread.then(EndpointThread::start).transpose().map_err(BindError::Thread)?;
        let handle = match &thread {
            Some(thread) => thread.handle.clone(),
            None => Handle::try_current().map_err(|_| BindError::NoRuntime)?,
        };
        let errors = Arc::<SocketErrors>::default();
        let parts = Parts { config, credentials, clock, determinism: None, errors: Arc::clone(&errors) };
        let inside = handle.enter();
        let socket =
            KernelSocket::bind(addr, config, errors).map_err(|error| BindError::Socket { addr, error })?;
        drop(inside);
        if !config.join_batches {
            return Self::start(socket, parts, &handle, thread);
        }
        let (socket, flusher) = JoinedSocket::new(socket);
        handle.spawn(flusher);
        Self::start(Arc::new(socket), parts, &handle, thread)
    }

    /// Runs over a socket of the caller and on the caller's runtime, with all chance derived from a
    /// seed: QUIC in a simulation. Timers run on tokio's clock, which a simulation pauses.
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
        let handle = Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let (determinism, errors) = (Some(determinism), Arc::default());
        let parts = Parts { config, credentials, clock, determinism, errors };
        Self::start(Arc::new(SeamSocket::new(socket, config.mtu_max)), parts, &handle, None)
    }

    fn start(
        socket: Arc<dyn AsyncUdpSocket>,
        parts: Parts<'_>,
        handle: &Handle,
        thread: Option<EndpointThread>,
    ) -> Result<Self, BindError> {
        let Parts { config, credentials, clock, determinism, errors } = parts;
        let tls = Tls::new(credentials, Arc::clone(&clock))?;
        let settings = Settings::new(config, Arc::clone(&clock), determinism);
        let failed = |error| BindError::Socket { addr: SocketAddr::from(([0, 0, 0, 0], 0)), error };
        let local_addr = socket.local_addr().map_err(failed)?;
        let server = settings.server(tls.accept().0);
        let endpoint = Endpoint::new_with_abstract_socket(
            endpoint::endpoint(config, credentials, determinism),
            Some(server.clone()),
            socket,
            Arc::new(HandleRuntime(handle.clone())),
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
            errors,
        });
        let (closed, identity) = (CancellationToken::new(), credentials.identity().clone());
        let acceptor = Acceptor { endpoint: endpoint.clone(), server, shared: Arc::clone(&shared) };
        let accepted = Mutex::new(acceptor.spawn(handle, closed.clone()));
        let thread_ended = thread.map(|thread| {
            let ended = thread.ended.clone();
            handle.spawn(end_when_closed(thread, endpoint.clone(), closed.clone()));
            ended
        });
        tracing::info!(%local_addr, %identity, "transport is up");
        Ok(Self { endpoint, local_addr, identity, shared, accepted, closed, thread_ended })
    }

    /// Who this node is to its peers.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.count().clone();
        stats.open = self.endpoint.open_connections();
        stats.send_errors = self.shared.errors.send.load(Ordering::Relaxed);
        stats.receive_errors = self.shared.errors.receive.load(Ordering::Relaxed);
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

/// Waits until the peers were told, for as long as that is worth it.
async fn wait_idle(endpoint: &Endpoint) {
    if tokio::time::timeout(CLOSE_WAIT, endpoint.wait_idle()).await.is_err() {
        tracing::debug!("some peers were not told that the transport closes");
    }
}

/// Keeps the endpoint's own thread until the transport has closed and its peers were told.
async fn end_when_closed(thread: EndpointThread, endpoint: Endpoint, closed: CancellationToken) {
    closed.cancelled().await;
    wait_idle(&endpoint).await;
    drop(thread);
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
    let connection = QuicConnection::new(connection, shared.settings.dialled(lane))
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
            match &self.thread_ended {
                Some(ended) => ended.cancelled().await,
                None => wait_idle(&self.endpoint).await,
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

#[cfg(all(test, feature = "ca"))]
mod tests;
