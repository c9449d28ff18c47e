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
use peerstream_quic::{Credentials, Determinism, QuicConfig, QuicTransport};
use peerstream_transport::conformance::{FACTS, Pair};
use peerstream_transport::{ConnectError, RecvStreamExt, SendStreamExt};
use tokio::time::Instant;

fn node(fabric: &Arc<Fabric>, own: &Credentials, number: u8, clock: &Arc<TestClock>) -> QuicTransport {
    let socket = fabric.socket(([10, 0, 0, number], 7400).into());
    let (config, determinism) = (QuicConfig::default(), Determinism { seed: u64::from(number) });
    QuicTransport::on_socket(socket, &config, own, Arc::<TestClock>::clone(clock), determinism).unwrap()
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
