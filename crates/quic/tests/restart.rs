//! A peer that was killed and is back at its address is noticed at once.

#![cfg(feature = "ca")]
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{NOW, TestClock, bind, ca, credentials, in_time, link, target};
use peerstream_quic::{Credentials, QuicConfig, QuicTransport};
use peerstream_transport::{
    Connection, ConnectionError, Lane, RecvStreamExt, SendStreamExt, Target, Transport,
};
use tokio::runtime::{Builder, Runtime};

/// A node whose packets all come from one runtime: dropping that kills it without a word.
fn mortal(own: &Credentials, addr: SocketAddr) -> (Runtime, QuicTransport) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = QuicConfig { own_thread: false, ..QuicConfig::default() };
    let inside = runtime.enter();
    let transport = QuicTransport::bind(addr, &config, own, TestClock::at(NOW)).unwrap();
    drop(inside);
    (runtime, transport)
}

/// Kills a node, then frees its address, which its connections hold as well.
async fn kill((runtime, transport): (Runtime, QuicTransport), held: Vec<Arc<dyn Connection>>) {
    tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    drop((transport, held));
}

/// Well below the idle timeout of 30 s.
async fn ends_soon(connection: &dyn Connection) -> ConnectionError {
    tokio::time::timeout(Duration::from_secs(10), connection.closed()).await.expect("the end is not noticed")
}

/// Says something, so that the peer has a packet to answer.
async fn poke(connection: &dyn Connection) {
    let mut send = in_time(connection.open_uni()).await.unwrap();
    in_time(send.write_all("still there?".into())).await.unwrap();
    send.finish().unwrap();
}

/// The same of a connection that may have ended: a packet that was under way may have been answered.
async fn poke_if_open(connection: &dyn Connection) {
    if let Ok(mut send) = in_time(connection.open_uni()).await {
        let _ = in_time(send.write_all("still there?".into())).await;
        let _ = send.finish();
    }
}

/// Both who dialled a node and who was dialled by it learn of its restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restart_under_the_same_key_resets_old_connections() {
    let ca = ca("demo.internal");
    let (own, peer) = (credentials(&ca, "a"), bind(&credentials(&ca, "b")));
    let first = mortal(&own, common::loopback());
    let addr = first.1.local_addr();
    let (dialled, far) = link(&peer, &first.1).await;
    let dialling = first.0.spawn(first.1.connect(&target(&peer, None), Lane::Bulk));
    let accepted = in_time(peer.accept()).await.unwrap();
    let near = in_time(dialling).await.unwrap().unwrap();
    // Until the dialled end has heard from it, the dialler has announced no token.
    poke(&*near).await;
    let mut heard = in_time(accepted.accept_uni()).await.unwrap();
    assert!(in_time(heard.read(64)).await.unwrap().is_some());
    kill(first, vec![far, near]).await;

    let second = mortal(&own, addr);
    assert_eq!(second.1.local_addr(), addr);
    for connection in [dialled, accepted] {
        poke_if_open(&*connection).await;
        assert_eq!(ends_soon(&*connection).await, ConnectionError::Reset);
    }
    // And the new run is there for new connections.
    let (_near, far) = link(&peer, &second.1).await;
    kill(second, vec![far]).await;
}

/// Only the holder of the key can do that.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_key_at_the_same_address_resets_nothing() {
    let ca = ca("demo.internal");
    let (own, peer) = (credentials(&ca, "a"), bind(&credentials(&ca, "b")));
    let first = mortal(&own, common::loopback());
    let addr = first.1.local_addr();
    let (dialled, far) = link(&peer, &first.1).await;
    kill(first, vec![far]).await;

    let second = mortal(&credentials(&ca, "a"), addr);
    let waiting = Arc::clone(&dialled);
    let end = tokio::spawn(async move { waiting.closed().await });
    poke(&*dialled).await;
    // Longer than a reset takes: a new dial to the same address, there and back.
    in_time(peer.connect(&Target { addr, node: None }, Lane::Bulk)).await.unwrap();
    assert!(!end.is_finished());
    kill(second, Vec::new()).await;
}
