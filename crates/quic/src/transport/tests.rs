//! The endpoint's own thread ends with the transport, however that ends.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use peerstream_types::{ClusterName, NodeId};

use super::*;
use crate::ca::CertificateAuthority;

/// 2026-01-01.
const NOW: u64 = 1_767_225_600_000;

#[derive(Debug)]
struct Frozen;

impl WallClock for Frozen {
    fn unix_ms(&self) -> u64 {
        NOW
    }
}

fn pair() -> (QuicTransport, QuicTransport) {
    let ca = CertificateAuthority::init(&ClusterName::new("demo.internal").unwrap(), 30, NOW).unwrap();
    let bind = |id: &str| {
        let node = ca.issue(&NodeId::new(id).unwrap(), 30, NOW).unwrap();
        let own =
            Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose()).unwrap();
        let config = QuicConfig { own_thread: true, ..QuicConfig::default() };
        QuicTransport::bind(([127, 0, 0, 1], 0).into(), &config, &own, Arc::new(Frozen)).unwrap()
    };
    (bind("a"), bind("b"))
}

async fn link(a: &QuicTransport, b: &QuicTransport) -> (Arc<dyn Connection>, Arc<dyn Connection>) {
    let near = a.connect(&Target { addr: b.local_addr(), node: None }, Lane::Bulk).await.unwrap();
    (near, b.accept().await.unwrap())
}

fn thread_of(transport: &QuicTransport) -> CancellationToken {
    transport.thread_ended.clone().unwrap()
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the thread stays")
}

#[tokio::test]
async fn a_close_ends_the_thread() {
    let (a, b) = pair();
    let (near, far) = link(&a, &b).await;
    let thread = thread_of(&a);
    in_time(a.close()).await;
    assert!(thread.is_cancelled());
    assert_eq!(near.close_reason(), Some(peerstream_transport::ConnectionError::ClosedLocally));
    in_time(far.closed()).await;
    let target = Target { addr: b.local_addr(), node: None };
    assert!(matches!(a.connect(&target, Lane::Bulk).await, Err(ConnectError::Closed)));
}

/// With connections and streams still held, and inside a runtime, where blocking would panic.
#[tokio::test]
async fn a_drop_tells_the_peer_and_ends_the_thread() {
    let (a, b) = pair();
    let (near, far) = link(&a, &b).await;
    let _stream = near.open_uni().await.unwrap();
    let thread = thread_of(&a);
    drop(a);
    assert_eq!(
        in_time(far.closed()).await,
        peerstream_transport::ConnectionError::ClosedByPeer { code: 0, reason: "shutting down".into() }
    );
    in_time(thread.cancelled()).await;
    assert!(near.close_reason().is_some());
}

#[test]
fn a_drop_outside_a_runtime_ends_the_thread() {
    let (a, _b) = pair();
    let thread = thread_of(&a);
    drop(a);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(thread.cancelled()));
}

/// Nothing is left of a transport that could not start.
#[test]
fn a_thread_that_is_not_needed_ends() {
    let thread = EndpointThread::start().unwrap();
    let ended = thread.ended.clone();
    drop(thread);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(ended.cancelled()));
}
