//! The contract's own suite, over real QUIC on loopback and on both kinds of runtime.

#![cfg(feature = "ca")]

mod common;

use std::sync::Arc;

use common::{bind, ca, credentials, in_time};
use peerstream_transport::conformance::{FACTS, Pair};

fn pair() -> Pair {
    let ca = ca("demo.internal");
    let (near, far) = (credentials(&ca, "near"), credentials(&ca, "far"));
    Pair {
        dialler: Arc::new(bind(&near)),
        dialler_identity: near.identity().clone(),
        acceptor: Arc::new(bind(&far)),
        acceptor_identity: far.identity().clone(),
    }
}

async fn check_all() {
    for fact in FACTS {
        if let Err(broken) = in_time(fact.check(pair())).await {
            panic!("{}: {broken}", fact.name());
        }
    }
}

#[tokio::test]
async fn the_contract_holds_on_one_thread() {
    check_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_several_threads() {
    check_all().await;
}
