//! Streams over links: what the contract says, and how long it takes.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_transport::conformance::{FACTS, Pair};
use peerstream_transport::{
    ConnectError, Connection, ConnectionError, Lane, RecvStream, RecvStreamExt, SendStreamExt, Target,
    Transport,
};
use peerstream_types::{ByteCount, ByteRate, ClusterName, NodeId};
use tokio::time::Instant;

use super::*;
use crate::network::UNLIMITED;

const MIB: usize = 1024 * 1024;

fn addr(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 7400).into()
}

fn identity(number: u8) -> PeerIdentity {
    let cluster = ClusterName::new("links").unwrap();
    PeerIdentity { cluster, node: NodeId::new(format!("node-{number}")).unwrap() }
}

/// 10 ms, and a MiB per second.
fn slow() -> LinkSpec {
    LinkSpec {
        latency: Duration::from_millis(10),
        rate: ByteRate::mib_per_sec(1),
        queue: ByteCount::kib(64),
        ..LinkSpec::default()
    }
}

struct Linked {
    near: Arc<dyn Connection>,
    far: Arc<dyn Connection>,
    _nodes: [Arc<LinkedTransport>; 2],
}

async fn linked(network: &LinkedNetwork, from: u8, to: u8) -> Linked {
    let nodes = [from, to].map(|number| Arc::new(network.node(identity(number), addr(number))));
    let target = Target { addr: addr(to), node: None };
    let near = nodes[0].connect(&target, Lane::Bulk).await.unwrap();
    let far = nodes[1].accept().await.unwrap();
    Linked { near, far, _nodes: nodes }
}

/// Sends bytes one way and waits until all are read; how long that took.
async fn carry(from: &Arc<dyn Connection>, to: &Arc<dyn Connection>, len: usize) -> Duration {
    let began = Instant::now();
    let mut send = from.open_uni().await.unwrap();
    let writer = tokio::spawn(async move {
        send.write_all(Bytes::from(vec![7; len])).await.unwrap();
        send.finish().unwrap();
        send.stopped().await.unwrap();
    });
    let mut recv = to.accept_uni().await.unwrap();
    assert_eq!(drain(&mut *recv).await, len);
    writer.await.unwrap();
    began.elapsed()
}

async fn drain(recv: &mut dyn RecvStream) -> usize {
    let mut read = 0;
    while let Some(bytes) = recv.read(MIB).await.unwrap() {
        read += bytes.len();
    }
    read
}

async fn holds(spec: LinkSpec) {
    for fact in FACTS {
        let network = LinkedNetwork::new(spec);
        let nodes = [1, 2].map(|number| Arc::new(network.node(identity(number), addr(number))));
        let [dialler, acceptor] = nodes;
        let pair = Pair { dialler, dialler_identity: identity(1), acceptor, acceptor_identity: identity(2) };
        let limit = Duration::from_secs(600);
        let checked = tokio::time::timeout(limit, fact.check(pair)).await;
        checked.unwrap_or_else(|_| panic!("{fact:?} hangs")).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn streams_keep_the_contract_without_delay() {
    holds(LinkSpec::instant()).await;
}

#[tokio::test(start_paused = true)]
async fn streams_keep_the_contract_over_slow_links() {
    holds(LinkSpec { rate: ByteRate::mib_per_sec(64), ..slow() }).await;
}

#[tokio::test(start_paused = true)]
async fn an_instant_network_takes_no_time() {
    let Linked { near, far, _nodes } = linked(&LinkedNetwork::new(LinkSpec::instant()), 1, 2).await;
    assert_eq!(carry(&near, &far, 8 * MIB).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_time_of_rate_and_latency() {
    let network = LinkedNetwork::new(slow());
    let began = Instant::now();
    let Linked { near, far, _nodes } = linked(&network, 1, 2).await;
    assert_eq!(began.elapsed(), Duration::from_millis(20), "a dial takes a round trip");
    let took = carry(&near, &far, 4 * MIB).await;
    assert!((4_000..4_100).contains(&took.as_millis()), "{took:?}");
    assert_eq!(near.rtt(), Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_the_writer() {
    let Linked { near, far: _far, _nodes } = linked(&LinkedNetwork::new(slow()), 1, 2).await;
    let mut send = near.open_uni().await.unwrap();
    let began = Instant::now();
    send.write_all(Bytes::from(vec![7; 64 * 1024])).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO, "the queue takes it");
    send.write_all(Bytes::from(vec![7; 64 * 1024])).await.unwrap();
    let took = began.elapsed();
    assert!((40..70).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_link_share_its_rate() {
    let Linked { near, far, _nodes } = linked(&LinkedNetwork::new(slow()), 1, 2).await;
    let began = Instant::now();
    tokio::join!(carry(&near, &far, MIB), carry(&near, &far, MIB), carry(&far, &near, MIB));
    let took = began.elapsed();
    assert!((2_000..2_100).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_node_share_its_cap() {
    let network = LinkedNetwork::new(LinkSpec::instant());
    let one = linked(&network, 1, 2).await;
    let other = linked(&network, 3, 4).await;
    network.with_paths(|paths| paths.cap(addr(1), ByteRate::mib_per_sec(1), UNLIMITED));
    let began = Instant::now();
    tokio::join!(carry(&one.near, &one.far, MIB), carry(&one.near, &one.far, MIB));
    let took = began.elapsed();
    assert!((1_900..2_100).contains(&took.as_millis()), "{took:?}");
    assert_eq!(carry(&one.far, &one.near, MIB).await, Duration::ZERO, "nothing caps the way down");
    assert_eq!(carry(&other.near, &other.far, MIB).await, Duration::ZERO, "another node");
    network.with_paths(|paths| paths.cap(addr(4), UNLIMITED, ByteRate::mib_per_sec(1)));
    let took = carry(&other.near, &other.far, MIB).await;
    assert!((990..1_100).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_link_changes_under_an_open_stream() {
    let network = LinkedNetwork::new(LinkSpec::instant());
    let Linked { near, far, _nodes } = linked(&network, 1, 2).await;
    let mut send = near.open_uni().await.unwrap();
    send.write_all(Bytes::from_static(b"now")).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    assert_eq!(recv.read(9).await.unwrap().as_deref(), Some(&b"now"[..]));
    network.with_paths(|paths| paths.shape((addr(1), addr(2)), slow()));
    let began = Instant::now();
    send.write_all(Bytes::from_static(b"later")).await.unwrap();
    assert_eq!(recv.read(9).await.unwrap().as_deref(), Some(&b"later"[..]));
    assert!(began.elapsed() >= Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_reader_learns_at_once_that_the_connection_is_lost() {
    let network = LinkedNetwork::new(LinkSpec { latency: Duration::from_secs(60), ..slow() });
    let Linked { near, far, _nodes } = linked(&network, 1, 2).await;
    let mut send = near.open_uni().await.unwrap();
    send.write_all(Bytes::from_static(b"under way")).await.unwrap();
    let mut recv = far.accept_uni().await.unwrap();
    let began = Instant::now();
    let cut = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.cut(addr(1), addr(2), Effect::Cut);
    };
    let (read, ()) = tokio::join!(recv.read(9), cut);
    assert!(read.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_stalls_until_it_is_healed() {
    let network = LinkedNetwork::new(LinkSpec::instant());
    let Linked { near, far, _nodes } = linked(&network, 1, 2).await;
    network.cut_one_way((addr(1), addr(2)));
    assert_eq!(carry(&far, &near, MIB).await, Duration::ZERO, "the other direction works");
    let heal = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        network.heal(addr(1), addr(2));
    };
    let (took, ()) = tokio::join!(carry(&near, &far, MIB), heal);
    assert_eq!(took, Duration::from_secs(5));
    tokio::time::sleep(2 * LOST_AFTER).await;
    assert_eq!(near.close_reason(), None, "it was healed in time");
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_ends_connections_in_the_end() {
    let network = LinkedNetwork::new(LinkSpec::instant());
    let Linked { near, far, _nodes: nodes } = linked(&network, 1, 2).await;
    network.cut_one_way((addr(1), addr(2)));
    let began = Instant::now();
    let target = Target { addr: addr(1), node: None };
    let dialled = nodes[1].connect(&target, Lane::Bulk).await;
    assert!(matches!(dialled, Err(ConnectError::Unreachable { .. })), "a dial needs both directions");
    assert_eq!(near.closed().await, ConnectionError::TimedOut);
    assert_eq!(far.closed().await, ConnectionError::TimedOut);
    assert_eq!(began.elapsed(), LOST_AFTER);
    network.heal(addr(1), addr(2));
    assert!(nodes[1].connect(&target, Lane::Bulk).await.is_ok());
}
