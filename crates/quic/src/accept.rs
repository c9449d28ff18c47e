//! The accept loop: authenticates peers side by side and hands over only those that passed.

use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_transport::Connection;
use quinn::{Endpoint, Incoming};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::connection::{QuicConnection, canonical};
use crate::error;
use crate::fault::FaultSlot;
use crate::stats::{AuthFailure, FailureReason};
use crate::transport::Shared;

type Accepted = mpsc::Sender<Arc<dyn Connection>>;

/// The accept loop of one endpoint.
pub(crate) struct Acceptor {
    pub(crate) endpoint: Endpoint,
    /// What every accepted connection gets, but for its TLS.
    pub(crate) server: quinn::ServerConfig,
    pub(crate) shared: Arc<Shared>,
}

impl Acceptor {
    /// Starts the loop on the endpoint's runtime; it ends when `closed` is cancelled.
    pub(crate) fn spawn(
        self,
        handle: &Handle,
        closed: CancellationToken,
    ) -> mpsc::Receiver<Arc<dyn Connection>> {
        // A connection keeps its handshake's permit until it was put here, and one place is enough
        // to hand over: what waits is bounded by the permits.
        let (accepted, receiver) = mpsc::channel(1);
        handle.spawn(async move {
            closed.run_until_cancelled(self.run(accepted)).await;
        });
        receiver
    }

    async fn run(self, accepted: Accepted) {
        let permits = Arc::new(Semaphore::new(self.shared.handshakes_max));
        while let Some(incoming) = self.endpoint.accept().await {
            let Some((incoming, permit)) = self.admit(incoming, &permits) else {
                continue;
            };
            let remote = canonical(incoming.remote_address());
            let (tls, fault) = self.shared.tls.load().accept();
            let mut server = self.server.clone();
            server.crypto = tls;
            match incoming.accept_with(Arc::new(server)) {
                Ok(connecting) => {
                    let handshake = Handshake { remote, fault, shared: Arc::clone(&self.shared), permit };
                    tokio::spawn(handshake.run(connecting, accepted.clone()));
                }
                Err(error) => turn_away(&self.shared, remote, error::accepted(error, &fault)),
            }
        }
    }

    /// Takes a dial on, unless a limit is reached.
    fn admit(
        &self,
        incoming: Incoming,
        permits: &Arc<Semaphore>,
    ) -> Option<(Incoming, OwnedSemaphorePermit)> {
        let mut stats = self.shared.counters.count();
        let permit = Arc::clone(permits).try_acquire_owned().ok();
        let full = self.endpoint.open_connections() >= self.shared.connections_max;
        let Some(permit) = permit.filter(|_| !full) else {
            stats.refused_busy += 1;
            incoming.refuse();
            return None;
        };
        let crowded = permits.available_permits() < self.shared.handshakes_max / 2;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            stats.retried += 1;
            // Fails only where a retry is not allowed, which was just ruled out.
            let _ = incoming.retry();
            return None;
        }
        Some((incoming, permit))
    }
}

/// One handshake under way.
struct Handshake {
    remote: SocketAddr,
    fault: FaultSlot,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
}

impl Handshake {
    async fn run(self, connecting: quinn::Connecting, accepted: Accepted) {
        let Self { remote, fault, shared, permit } = self;
        let connection = match tokio::time::timeout(shared.handshake_timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            // Our own close is no failure of the peer.
            Ok(Err(quinn::ConnectionError::LocallyClosed)) => return,
            Ok(Err(error)) => return turn_away(&shared, remote, error::accepted(error, &fault)),
            Err(_) => {
                let detail = format!("not done after {:?}", shared.handshake_timeout);
                return turn_away(&shared, remote, (FailureReason::TimedOut, detail));
            }
        };
        match QuicConnection::new(connection, shared.settings.accepted()) {
            Ok(connection) => {
                tracing::debug!(?connection, "accepted");
                shared.counters.count().accepted += 1;
                // Nobody accepts any more: the connection is dropped, and so closed.
                let _ = accepted.send(Arc::new(connection)).await;
            }
            Err(error) => turn_away(&shared, remote, (FailureReason::BadIdentity, error.to_string())),
        }
        drop(permit);
    }
}

fn turn_away(shared: &Shared, remote: SocketAddr, (reason, detail): (FailureReason, String)) {
    shared.counters.failed(AuthFailure { remote, reason, detail });
}
