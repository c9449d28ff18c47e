//! Nodes of a test cluster: a CA, a clock that the test sets, transports on loopback.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]
// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peerstream_quic::{CertificateAuthority, Credentials, QuicConfig, QuicTransport};
use peerstream_transport::{ConnectError, Connection, Lane, Target, Transport};
use peerstream_types::{ClusterName, NodeId, WallClock};

/// 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600_000;
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;

/// A wall clock that stands where the test put it.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn at(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(unix_ms)))
    }

    pub(crate) fn set(&self, unix_ms: u64) {
        self.0.store(unix_ms, Ordering::Relaxed);
    }
}

impl WallClock for TestClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn node_id(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn ca(cluster: &str) -> CertificateAuthority {
    CertificateAuthority::init(&ClusterName::new(cluster).unwrap(), 3650, NOW).unwrap()
}

/// Credentials that `ca` issued, trusting the given roots.
pub(crate) fn issued(ca: &CertificateAuthority, id: &str, roots: &str) -> Credentials {
    let node = ca.issue(&node_id(id), 30, NOW).unwrap();
    Credentials::from_pem(roots, &node.chain_pem, node.key_pem.expose()).unwrap()
}

pub(crate) fn credentials(ca: &CertificateAuthority, id: &str) -> Credentials {
    issued(ca, id, ca.certificate_pem())
}

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn bind_with(
    credentials: &Credentials,
    config: &QuicConfig,
    clock: Arc<TestClock>,
) -> QuicTransport {
    QuicTransport::bind(loopback(), config, credentials, clock).unwrap()
}

pub(crate) fn bind(credentials: &Credentials) -> QuicTransport {
    bind_with(credentials, &QuicConfig::default(), TestClock::at(NOW))
}

pub(crate) fn target(of: &QuicTransport, node: Option<&str>) -> Target {
    Target { addr: of.local_addr(), node: node.map(node_id) }
}

pub(crate) async fn dial(
    from: &QuicTransport,
    to: &QuicTransport,
    node: Option<&str>,
) -> Result<Arc<dyn Connection>, ConnectError> {
    in_time(from.connect(&target(to, node), Lane::Bulk)).await
}

/// Both ends of a new connection.
pub(crate) async fn link(
    from: &QuicTransport,
    to: &QuicTransport,
) -> (Arc<dyn Connection>, Arc<dyn Connection>) {
    let near = dial(from, to, None).await.unwrap();
    let far = in_time(to.accept()).await.unwrap();
    (near, far)
}

/// A limit on how long a test may hang, far beyond what anything here takes.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}
