//! The contract's own suite, over real QUIC on loopback and on both kinds of runtime.

#![cfg(feature = "ca")]

mod common;

use std::sync::Arc;

use common::{NOW, TestClock, bind_with, ca, credentials, in_time};
use peerstream_quic::QuicConfig;
use peerstream_transport::conformance::{FACTS, Pair};

fn pair(config: &QuicConfig) -> Pair {
    let bind = |own| Arc::new(bind_with(own, config, TestClock::at(NOW)));
    let ca = ca("demo.internal");
    let (near, far) = (credentials(&ca, "near"), credentials(&ca, "far"));
    Pair {
        dialler: bind(&near),
        dialler_identity: near.identity().clone(),
        acceptor: bind(&far),
        acceptor_identity: far.identity().clone(),
    }
}

async fn check_all(own_thread: bool) {
    let config = QuicConfig { own_thread, ..QuicConfig::default() };
    for fact in FACTS {
        if let Err(broken) = in_time(fact.check(pair(&config))).await {
            panic!("{}: {broken}", fact.name());
        }
    }
}

#[tokio::test]
async fn the_contract_holds_on_one_thread() {
    check_all(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_several_threads() {
    check_all(false).await;
}

#[tokio::test]
async fn the_contract_holds_on_a_thread_of_its_own_beside_one() {
    check_all(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_a_thread_of_its_own_beside_several() {
    check_all(true).await;
}
