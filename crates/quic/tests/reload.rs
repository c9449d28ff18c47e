//! Certificates and roots are replaced while connections stay open.

#![cfg(feature = "ca")]
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;

use common::{bind, ca, credentials, dial, in_time, issued, link, node_id};
use peerstream_quic::{CredentialsError, QuicTransport};
use peerstream_transport::{
    ConnectError, Connection, ConnectionError, RecvStreamExt, SendStreamExt, Transport,
};

/// Sends a byte each way.
async fn works(near: &dyn Connection, far: &dyn Connection) {
    let (mut send, mut back) = in_time(near.open_bi()).await.unwrap();
    in_time(send.write_all("?".into())).await.unwrap();
    let (mut answer, mut recv) = in_time(far.accept_bi()).await.unwrap();
    assert_eq!(in_time(recv.read(9)).await.unwrap().as_deref(), Some(b"?".as_slice()));
    in_time(answer.write_all("!".into())).await.unwrap();
    assert_eq!(in_time(back.read(9)).await.unwrap().as_deref(), Some(b"!".as_slice()));
}

/// Whether each can dial the other.
async fn meet(a: &QuicTransport, b: &QuicTransport) {
    for (from, to) in [(a, b), (b, a)] {
        let (near, far) = link(from, to).await;
        works(&*near, &*far).await;
    }
}

/// F-59: a change of CA without an interruption: both roots, then new certificates, then the new
/// root only. What was open before goes on.
#[tokio::test]
async fn the_ca_changes_under_open_connections() {
    let (old, new) = (ca("demo.internal"), ca("demo.internal"));
    let (a, b) = (bind(&credentials(&old, "a")), bind(&credentials(&old, "b")));
    let (near, far) = link(&a, &b).await;

    let both = format!("{}{}", old.certificate_pem(), new.certificate_pem());
    a.reload(&issued(&old, "a", &both)).unwrap();
    meet(&a, &b).await;
    b.reload(&issued(&old, "b", &both)).unwrap();
    a.reload(&issued(&new, "a", &both)).unwrap();
    meet(&a, &b).await;
    b.reload(&issued(&new, "b", &both)).unwrap();
    a.reload(&credentials(&new, "a")).unwrap();
    meet(&a, &b).await;
    b.reload(&credentials(&new, "b")).unwrap();
    meet(&a, &b).await;
    works(&*near, &*far).await;

    // Who still has the old certificate is out.
    let late = bind(&issued(&old, "late", &both));
    let error = in_time(dial(&late, &a, None).await.unwrap().closed()).await;
    assert!(matches!(error, ConnectionError::Rejected(_)), "{error}");
    let error = dial(&a, &late, None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
}

/// A new handshake presents the new certificate: peers that trust only its CA take it.
#[tokio::test]
async fn the_next_handshake_presents_the_new_certificate() {
    let (old, new) = (ca("demo.internal"), ca("demo.internal"));
    let both = format!("{}{}", old.certificate_pem(), new.certificate_pem());
    let (a, picky) = (bind(&issued(&old, "a", &both)), bind(&credentials(&new, "picky")));
    assert!(matches!(dial(&picky, &a, None).await, Err(ConnectError::Untrusted { .. })));
    a.reload(&issued(&new, "a", &both)).unwrap();
    meet(&a, &picky).await;
}

#[tokio::test]
async fn a_reload_that_would_cut_the_node_off_changes_nothing() {
    let (ours, theirs) = (ca("demo.internal"), ca("demo.internal"));
    let (a, b) = (bind(&credentials(&ours, "a")), bind(&credentials(&ours, "b")));
    let error = a.reload(&issued(&ours, "a", theirs.certificate_pem())).unwrap_err();
    assert!(matches!(error, CredentialsError::OwnNotTrusted { .. }), "{error}");
    let error = a.reload(&credentials(&ours, "c")).unwrap_err();
    assert!(matches!(error, CredentialsError::OtherNode { .. }), "{error}");
    assert_eq!(a.identity().node, node_id("a"));
    meet(&a, &b).await;
    a.close().await;
}
