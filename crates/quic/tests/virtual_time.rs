//! Real QUIC and TLS over a network in memory, in virtual time, repeatable from a seed.

#![cfg(feature = "ca")]
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;
#[path = "common/fabric.rs"]
mod fabric;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{DAY, NOW, TestClock, ca, credentials, dial, in_time, link};
use fabric::{Fabric, Hop};
use peerstream_quic::{Credentials, Determinism, LaneConfig, QuicConfig, QuicTransport};
use peerstream_transport::conformance::{FACTS, Pair};
use peerstream_transport::{ConnectError, RecvStreamExt, SendStreamExt};
use peerstream_types::ByteCount;
use tokio::time::Instant;

fn node(fabric: &Arc<Fabric>, own: &Credentials, number: u8, clock: &Arc<TestClock>) -> QuicTransport {
    node_with(fabric, own, number, clock, &QuicConfig::default())
}

fn node_with(
    fabric: &Arc<Fabric>,
    own: &Credentials,
    number: u8,
    clock: &Arc<TestClock>,
    config: &QuicConfig,
) -> QuicTransport {
    let socket = fabric.socket(([10, 0, 0, number], 7400).into());
    let determinism = Determinism { seed: u64::from(number) };
    QuicTransport::on_socket(socket, config, own, Arc::<TestClock>::clone(clock), determinism).unwrap()
}

/// How long `streams` streams of `len` bytes each take between two nodes with this configuration,
/// from their first write.
async fn time_of(config: &QuicConfig, streams: usize, len: usize) -> Duration {
    let (ca, clock, fabric) = (ca("demo.internal"), TestClock::at(NOW), Fabric::new(1, 0));
    let a = node_with(&fabric, &credentials(&ca, "a"), 1, &clock, config);
    let b = node_with(&fabric, &credentials(&ca, "b"), 2, &clock, config);
    let (near, far) = link(&a, &b).await;
    let start = Instant::now();
    let mut receivers = Vec::new();
    for _ in 0..streams {
        let mut send = in_time(near.open_uni()).await.unwrap();
        tokio::spawn(async move {
            send.write_all(Bytes::from(vec![5; len])).await.unwrap();
            send.finish().unwrap();
        });
        let mut recv = in_time(far.accept_uni()).await.unwrap();
        receivers.push(tokio::spawn(async move {
            let mut read = 0;
            while let Some(bytes) = in_time(recv.read(64 * 1024)).await.unwrap() {
                read += bytes.len();
            }
            assert_eq!(read, len);
        }));
    }
    for receiver in receivers {
        receiver.await.unwrap();
    }
    start.elapsed()
}

/// The first congestion window follows the packet size: with the usual one, less than two large
/// packets, each would wait for a delayed acknowledgement of the one before (25 ms), and with one
/// below a single packet nothing would ever leave.
#[tokio::test(start_paused = true)]
async fn large_packets_leave_together_from_the_start() {
    let config = QuicConfig { mtu_max: 8_972, mtu_initial: 8_972, ..QuicConfig::default() };
    let took = time_of(&config, 1, 70_000).await;
    assert!(took <= Duration::from_millis(6), "{took:?}: more than the way there");
}

/// A path of 10 ms there and back: a fixed window of 256 KiB makes 25 MiB/s of it.
#[tokio::test(start_paused = true)]
async fn the_send_window_grows_with_the_path() {
    let small = LaneConfig::sized(ByteCount::mib(1), ByteCount::kib(256), 4, 24);
    let growing = LaneConfig { send_window_max: ByteCount::mib(16), ..small.clone() };
    let time = async |bulk| time_of(&QuicConfig { bulk, ..QuicConfig::default() }, 8, 4 << 20).await;
    let (fixed, grown) = (time(small).await, time(growing).await);
    assert!(fixed > Duration::from_secs(1), "{fixed:?}");
    assert!(grown < fixed / 3, "{grown:?} after {fixed:?}");
}

/// A dial and a transfer with losses; what crossed the network, and how long it took.
fn run(seed: u64) -> (Vec<Hop>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async move {
        let start = Instant::now();
        let (ca, clock, fabric) = (ca("demo.internal"), TestClock::at(NOW), Fabric::new(seed, 2));
        let a = node(&fabric, &credentials(&ca, "a"), 1, &clock);
        let b = node(&fabric, &credentials(&ca, "b"), 2, &clock);
        let (near, far) = link(&a, &b).await;
        let mut send = in_time(near.open_uni()).await.unwrap();
        let sender = tokio::spawn(async move {
            send.write_all(Bytes::from(vec![5; 256 * 1024])).await.unwrap();
            send.finish().unwrap();
            send.stopped().await.unwrap();
        });
        let mut recv = in_time(far.accept_uni()).await.unwrap();
        let mut read = 0;
        while let Some(bytes) = in_time(recv.read(64 * 1024)).await.unwrap() {
            read += bytes.len();
        }
        assert_eq!(read, 256 * 1024);
        sender.await.unwrap();
        (fabric.trace(), start.elapsed())
    })
}

/// The same seed gives the same packets at the same times; another seed other losses.
#[test]
fn a_run_repeats_from_its_seed() {
    let (trace, took) = run(7);
    assert_eq!((trace.clone(), took), run(7));
    assert_ne!(trace, run(8).0);
    assert!(took > Duration::from_millis(20), "{took:?}: virtual time did not pass");
}

/// Certificates expire by the wall clock of the transport, virtual or not.
#[tokio::test(start_paused = true)]
async fn certificates_expire_by_the_clock_that_was_given() {
    let (ca, clock, fabric) = (ca("demo.internal"), TestClock::at(NOW), Fabric::new(1, 0));
    let a = node(&fabric, &credentials(&ca, "a"), 1, &clock);
    let b = node(&fabric, &credentials(&ca, "b"), 2, &clock);
    link(&a, &b).await;
    clock.set(NOW + 31 * DAY);
    let error = dial(&a, &b, None).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Untrusted { why, .. } if why.contains("expired")), "{error}");
}

/// The contract's own suite, over the socket seam.
#[tokio::test(start_paused = true)]
async fn the_contract_holds_over_the_socket_seam() {
    for fact in FACTS {
        let (ca, clock, fabric) = (ca("demo.internal"), TestClock::at(NOW), Fabric::new(3, 0));
        let (near, far) = (credentials(&ca, "near"), credentials(&ca, "far"));
        let pair = Pair {
            dialler: Arc::new(node(&fabric, &near, 1, &clock)),
            dialler_identity: near.identity().clone(),
            acceptor: Arc::new(node(&fabric, &far, 2, &clock)),
            acceptor_identity: far.identity().clone(),
        };
        if let Err(broken) = in_time(fact.check(pair)).await {
            panic!("{}: {broken}", fact.name());
        }
    }
}
