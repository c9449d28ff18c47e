//! Facts of the in-memory transport beyond the conformance suite: faults, limits, authentication.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use peerstream_types::{ClusterName, NodeId};

use super::*;
use crate::conformance::{FACTS, Pair};
use crate::{
    ConnectError, Connection, ConnectionError, Lane, PeerIdentity, RecvStreamExt, SendStream, SendStreamExt,
    StreamError, Target, Transport,
};

fn identity(node: &str, cluster: &str) -> PeerIdentity {
    PeerIdentity { cluster: ClusterName::new(cluster).unwrap(), node: NodeId::new(node).unwrap() }
}

fn addr(host: u8) -> std::net::SocketAddr {
    ([10, 0, 0, host], 7000).into()
}

fn node(network: &MemoryNetwork, host: u8) -> MemoryTransport {
    network.node(identity(&format!("node-{host}"), "demo"), addr(host))
}

fn any_at(host: u8) -> Target {
    Target { addr: addr(host), node: None }
}

async fn dial(from: &MemoryTransport, host: u8) -> Result<Arc<dyn Connection>, ConnectError> {
    from.connect(&any_at(host), Lane::Bulk).await
}

/// Both ends of a new connection from `a` to `b`.
async fn link(a: &MemoryTransport, b: &MemoryTransport) -> (Arc<dyn Connection>, Arc<dyn Connection>) {
    let target = Target { addr: b.local_addr(), node: None };
    (a.connect(&target, Lane::Bulk).await.unwrap(), b.accept().await.unwrap())
}

/// One poll by nobody: whether the stream takes a byte right now.
fn takes_a_byte(send: &mut dyn SendStream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    send.poll_write(&mut cx, &mut Bytes::from_static(b"x")).is_ready()
}

async fn conforms(limits: MemoryLimits) {
    for fact in FACTS {
        let network = MemoryNetwork::with_limits(limits);
        let (dialler, acceptor) = (Arc::new(node(&network, 1)), Arc::new(node(&network, 2)));
        let (dialler_identity, acceptor_identity) = (dialler.identity().clone(), acceptor.identity().clone());
        let pair = Pair { dialler, dialler_identity, acceptor, acceptor_identity };
        // The clock stands still while anything moves: the limit strikes when everything waits.
        let verdict = tokio::time::timeout(Duration::from_secs(1), fact.check(pair)).await;
        let verdict = verdict.unwrap_or_else(|_| panic!("{} hangs", fact.name()));
        verdict.unwrap_or_else(|broken| panic!("{}: {broken}", fact.name()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    conforms(MemoryLimits::default()).await;
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept_within_tight_limits() {
    // Two streams is the least: one fact keeps a full stream open beside another.
    conforms(MemoryLimits { stream_window: 1000, open_streams_max: 2 }).await;
}

#[tokio::test]
async fn a_full_stream_waits_for_its_reader() {
    let network = MemoryNetwork::with_limits(MemoryLimits { stream_window: 3, ..MemoryLimits::default() });
    let (a, b) = (node(&network, 1), node(&network, 2));
    let (near, far) = link(&a, &b).await;
    let mut send = near.open_uni().await.unwrap();
    let taken = std::iter::repeat_with(|| takes_a_byte(&mut *send)).take_while(|taken| *taken).count();
    assert_eq!(taken, 3);
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read(2).await.unwrap().unwrap().len(), 1);
    assert!(takes_a_byte(&mut *send));
    assert!(!takes_a_byte(&mut *send));
}

#[tokio::test(start_paused = true)]
async fn opening_waits_at_the_limit_until_a_stream_is_over() {
    let network = MemoryNetwork::with_limits(MemoryLimits { open_streams_max: 1, ..MemoryLimits::default() });
    let (a, b) = (node(&network, 1), node(&network, 2));
    let (near, far) = link(&a, &b).await;
    let mut first = near.open_uni().await.unwrap();
    assert!(near.open_bi().await.is_ok(), "the two kinds are counted apart");
    let second = tokio::spawn({
        let near = Arc::clone(&near);
        async move { near.open_uni().await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    first.finish().unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read(1).await.unwrap(), None);
    assert!(second.await.unwrap());
}

#[tokio::test]
async fn a_node_is_found_only_where_it_is() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    let nobody = dial(&a, 9).await.unwrap_err();
    assert_eq!(nobody.to_string(), "any member at 10.0.0.9:7000: unreachable: nobody is there");
    let target = Target { node: Some(NodeId::new("node-3").unwrap()), ..any_at(2) };
    let wrong = a.connect(&target, Lane::Bulk).await.unwrap_err();
    assert_eq!(wrong, ConnectError::WrongNode { target, presented: Some("node-2.demo".into()) });
    b.close().await;
    assert!(matches!(dial(&a, 2).await, Err(ConnectError::Unreachable { .. })));
}

/// The acceptor never sees a dialler of another cluster, but counts it.
#[tokio::test]
async fn another_cluster_is_refused_and_counted() {
    let network = MemoryNetwork::new();
    let b = node(&network, 2);
    let stranger = network.node(identity("node-1", "other"), addr(1));
    let refused = dial(&stranger, 2).await.unwrap_err();
    assert_eq!(refused, ConnectError::WrongCluster { target: any_at(2), presented: "demo".into() });
    assert_eq!(b.refused(), 1);
    b.close().await;
    assert!(b.accept().await.is_none(), "nothing of it was kept for accept");
}

#[tokio::test]
async fn a_node_that_accepts_nothing_collects_no_end_of_dials() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    let mut held = Vec::new();
    for _ in 0..node::BACKLOG_MAX {
        held.push(dial(&a, 2).await.unwrap());
    }
    assert!(matches!(dial(&a, 2).await, Err(ConnectError::Unreachable { .. })));
    b.accept().await.unwrap();
    assert!(dial(&a, 2).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_everything_that_touches_the_node() {
    let network = MemoryNetwork::new();
    let (a, b, c) = (node(&network, 1), node(&network, 2), node(&network, 3));
    let (near, far) = link(&a, &b).await;
    let (other, _other_far) = link(&a, &c).await;
    let waiting = dial(&a, 2).await.unwrap();
    let mut send = far.open_uni().await.unwrap();
    send.write_all(Bytes::from_static(b"half")).await.unwrap();
    let mut recv = near.accept_uni().await.unwrap();
    network.crash(addr(2));

    assert_eq!(near.closed().await, ConnectionError::TimedOut);
    assert_eq!(waiting.closed().await, ConnectionError::TimedOut);
    assert_eq!(recv.read(9).await, Err(StreamError::Connection(ConnectionError::TimedOut)));
    assert!(matches!(dial(&a, 2).await, Err(ConnectError::Unreachable { .. })));
    assert_eq!(other.close_reason(), None);
    // What is left of the dead node can do nothing.
    assert_eq!(far.close_reason(), Some(ConnectionError::ClosedLocally));
    assert!(b.accept().await.is_none());
    assert_eq!(dial(&b, 1).await.unwrap_err(), ConnectError::Closed);
}

#[tokio::test]
async fn a_crashed_node_can_be_started_again() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    network.crash(addr(2));
    let again = node(&network, 2);
    let (near, _far) = link(&a, &again).await;
    // The old process goes away late, and takes nothing of the new one with it.
    drop(b);
    assert_eq!(near.close_reason(), None);
    assert!(dial(&a, 2).await.is_ok());
}

#[test]
#[should_panic(expected = "10.0.0.1:7000 is in use by a live node")]
fn two_live_nodes_at_one_address_are_a_mistake() {
    let network = MemoryNetwork::new();
    let _first = node(&network, 1);
    node(&network, 1);
}

#[tokio::test]
async fn a_cut_parts_two_nodes_and_nobody_else() {
    let network = MemoryNetwork::new();
    let (a, b, c) = (node(&network, 1), node(&network, 2), node(&network, 3));
    let (near, far) = link(&a, &b).await;
    let (to_c, _c) = link(&a, &c).await;
    // The order of the two does not matter.
    network.cut(addr(2), addr(1));
    assert_eq!(near.closed().await, ConnectionError::TimedOut);
    assert_eq!(far.closed().await, ConnectionError::TimedOut);
    assert!(matches!(dial(&a, 2).await, Err(ConnectError::Unreachable { .. })));
    assert!(matches!(dial(&b, 1).await, Err(ConnectError::Unreachable { .. })));
    assert_eq!(to_c.close_reason(), None);
    assert!(dial(&b, 3).await.is_ok());
    network.heal(addr(1), addr(2));
    assert!(dial(&a, 2).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_nobody_holds_is_closed() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    let (near, far) = link(&a, &b).await;
    let send = near.open_uni().await.unwrap();
    drop(near);
    assert_eq!(far.close_reason(), None, "a stream keeps its connection");
    drop(send);
    assert!(matches!(far.closed().await, ConnectionError::ClosedByPeer { code: 0, .. }));
}

#[tokio::test]
async fn a_peer_learns_of_a_stream_with_its_first_byte() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    let (near, far) = link(&a, &b).await;
    let _silent = near.open_uni().await.unwrap();
    let mut spoken = near.open_uni().await.unwrap();
    spoken.write_all(Bytes::from_static(b"hello")).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read(9).await.unwrap().as_deref(), Some(&b"hello"[..]));
}

/// A waker that uses the connection it was woken by, as an executor that polls on the spot does.
struct Reenters(Arc<dyn Connection>);

impl Wake for Reenters {
    fn wake(self: Arc<Self>) {
        assert!(self.0.close_reason().is_some());
    }
}

#[tokio::test]
async fn no_lock_is_held_while_a_waker_runs() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(&network, 1), node(&network, 2));
    let (near, far) = link(&a, &b).await;
    let waker = Waker::from(Arc::new(Reenters(Arc::clone(&far))));
    let mut closed = far.closed();
    assert!(matches!(closed.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
    near.close(1, "over");
    assert!(matches!(closed.await, ConnectionError::ClosedByPeer { code: 1, .. }));
}
