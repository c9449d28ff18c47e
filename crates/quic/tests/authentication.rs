//! Row F-59: who is turned away, and that both sides say precisely why.

#![cfg(feature = "ca")]
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::{
    DAY, NOW, TestClock, bind, bind_with, ca, credentials, dial, in_time, issued, link, loopback, node_id,
};
use peerstream_quic::{
    ALPN, AuthFailure, AuthFailures, BindError, CredentialFiles, Credentials, CredentialsError,
    FailureReason, QuicConfig, QuicTransport,
};
use peerstream_transport::{
    ConnectError, ConnectionError, Lane, RecvStreamExt, StreamError, Target, Transport,
};
use raw::{Pems, Raw, alert_of, odd_certificate, raw_server};

/// What the dialled node noticed, which its counters must agree with.
async fn noticed(at: &QuicTransport, failures: &mut AuthFailures) -> AuthFailure {
    let failure = in_time(failures.next()).await.unwrap();
    assert_eq!(at.stats().auth_failures.get(&failure.reason), Some(&1));
    assert_eq!(at.stats().accepted, 0);
    failure
}

/// F-59: a dialler with a certificate of a CA that the dialled node does not trust.
#[tokio::test]
async fn a_dialler_of_another_ca_is_turned_away() {
    let (ours, theirs) = (ca("demo.internal"), ca("demo.internal"));
    let server = bind(&credentials(&ours, "a"));
    let both = format!("{}{}", ours.certificate_pem(), theirs.certificate_pem());
    let stranger = bind(&issued(&theirs, "b", &both));
    let mut failures = server.auth_failures();

    // With TLS 1.3 the dialler learns of it only afterwards.
    let connection = dial(&stranger, &server, Some("a")).await.unwrap();
    let ConnectionError::Rejected(why) = in_time(connection.closed()).await else {
        panic!("another end: {:?}", connection.close_reason());
    };
    assert!(why.contains("does not trust"), "{why}");
    let failure = noticed(&server, &mut failures).await;
    assert_eq!(failure.reason, FailureReason::UntrustedCa);
    assert_eq!(failure.remote, stranger.local_addr());
}

/// F-59: a dialled node with a certificate of a CA that the dialler does not trust.
#[tokio::test]
async fn a_node_of_another_ca_is_not_trusted() {
    let (ours, theirs) = (ca("demo.internal"), ca("demo.internal"));
    let (client, server) = (bind(&credentials(&ours, "a")), bind(&credentials(&theirs, "b")));
    let mut failures = server.auth_failures();
    let error = dial(&client, &server, Some("b")).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Untrusted { why, .. } if why.contains("CA")), "{error}");
    assert_eq!(noticed(&server, &mut failures).await.reason, FailureReason::RefusedUs);
    assert_eq!(client.stats().dials_failed, 1);
}

/// F-59: one CA that serves two clusters does not join them.
#[tokio::test]
async fn another_cluster_is_refused_on_both_sides() {
    let (ours, theirs) = (ca("demo.internal"), ca("other.internal"));
    let both = format!("{}{}", ours.certificate_pem(), theirs.certificate_pem());
    let (a, b) = (bind(&issued(&ours, "a", &both)), bind(&issued(&theirs, "b", &both)));
    let error = dial(&a, &b, None).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::WrongCluster { presented, .. } if presented == "other.internal"),
        "{error}"
    );
    // The dialled node's side, with a dialler that does not look.
    let mut failures = a.auth_failures();
    let raw = Raw::new(&both, Some(&Pems::issued(&theirs, "b")), ALPN);
    let connection = raw.connect(&a).await.unwrap();
    assert_eq!(alert_of(&in_time(connection.closed()).await), Some(49));
    let failure = noticed(&a, &mut failures).await;
    assert_eq!(failure.reason, FailureReason::WrongCluster);
    assert!(failure.detail.contains("other.internal"), "{}", failure.detail);
}

/// F-59: discovery was out of date, and another member answers.
#[tokio::test]
async fn another_node_than_the_one_dialled_is_refused() {
    let ca = ca("demo.internal");
    let (a, b) = (bind(&credentials(&ca, "a")), bind(&credentials(&ca, "b")));
    let mut failures = b.auth_failures();
    let error = dial(&a, &b, Some("c")).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::WrongNode { presented: Some(node), .. } if node == "b"),
        "{error}"
    );
    assert_eq!(noticed(&b, &mut failures).await.reason, FailureReason::RefusedUs);
    // Whoever does not name a node gets it.
    assert_eq!(link(&a, &b).await.0.peer().node, node_id("b"));
}

/// F-59: an expired certificate, by the clock of whoever looks at it.
#[tokio::test]
async fn an_expired_certificate_is_refused_on_both_sides() {
    let ca = ca("demo.internal");
    let late = NOW + 31 * DAY;
    let fresh = ca.issue(&node_id("a"), 90, NOW).unwrap();
    let fresh =
        Credentials::from_pem(ca.certificate_pem(), &fresh.chain_pem, fresh.key_pem.expose()).unwrap();
    let a = bind_with(&fresh, &QuicConfig::default(), TestClock::at(late));
    // Its clock is behind, so that it does not notice.
    let b = bind(&credentials(&ca, "b"));

    let error = dial(&a, &b, Some("b")).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Untrusted { why, .. } if why.contains("expired")), "{error}");

    let mut failures = a.auth_failures();
    let connection = dial(&b, &a, Some("a")).await.unwrap();
    assert!(
        matches!(in_time(connection.closed()).await, ConnectionError::Rejected(why) if why.contains("expired"))
    );
    let failure = noticed(&a, &mut failures).await;
    assert_eq!(failure.reason, FailureReason::Expired);
    assert_eq!(failure.detail, "it expired 24 hours ago");
}

/// F-59: a certificate of the future means that a clock is wrong.
#[tokio::test]
async fn a_certificate_of_the_future_is_refused() {
    let ca = ca("demo.internal");
    let node = ca.issue(&node_id("b"), 30, NOW + DAY).unwrap();
    let future = Credentials::from_pem(ca.certificate_pem(), &node.chain_pem, node.key_pem.expose()).unwrap();
    let a = bind(&credentials(&ca, "a"));
    let b = bind_with(&future, &QuicConfig::default(), TestClock::at(NOW + DAY));
    let mut failures = a.auth_failures();
    let connection = dial(&b, &a, Some("a")).await.unwrap();
    assert!(matches!(in_time(connection.closed()).await, ConnectionError::Rejected(_)));
    assert_eq!(noticed(&a, &mut failures).await.reason, FailureReason::NotYetValid);
}

/// F-59: a dialler without a certificate.
#[tokio::test]
async fn a_dialler_without_a_certificate_is_turned_away() {
    let ca = ca("demo.internal");
    let server = bind(&credentials(&ca, "a"));
    let mut failures = server.auth_failures();
    let connection = Raw::new(ca.certificate_pem(), None, ALPN).connect(&server).await.unwrap();
    assert_eq!(alert_of(&in_time(connection.closed()).await), Some(116));
    assert_eq!(noticed(&server, &mut failures).await.reason, FailureReason::NoCertificate);
}

/// F-59: a trusted certificate without our names, or with names that disagree, is no identity.
#[tokio::test]
async fn a_certificate_without_an_identity_is_turned_away() {
    let ca = ca("demo.internal");
    let server = bind(&credentials(&ca, "a"));
    for names in [&["b.demo.internal"][..], &["spiffe://demo.internal/node/b", "c.demo.internal"]] {
        let mut failures = server.auth_failures();
        let certificate = odd_certificate(&ca, names);
        let connection = Raw::new(ca.certificate_pem(), Some(&certificate), ALPN).connect(&server).await;
        assert_eq!(alert_of(&in_time(connection.unwrap().closed()).await), Some(42));
        assert_eq!(in_time(failures.next()).await.unwrap().reason, FailureReason::BadIdentity);
    }
}

/// F-59: a dialler of another major version, and a node of another major version.
#[tokio::test]
async fn another_protocol_version_is_refused_on_both_sides() {
    let ca = ca("demo.internal");
    let server = bind(&credentials(&ca, "a"));
    let mut failures = server.auth_failures();
    let certificate = Pems::issued(&ca, "b");
    let error = Raw::new(ca.certificate_pem(), Some(&certificate), "peerstream/2").connect(&server).await;
    assert_eq!(alert_of(&error.unwrap_err()), Some(120));
    assert_eq!(noticed(&server, &mut failures).await.reason, FailureReason::NoCommonProtocol);

    let other = raw_server(&ca, "peerstream/2");
    let other_addr = other.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = other.accept().await {
            // Fails, as the dialler's side shows.
            let _ = incoming.await;
        }
    });
    let target = Target { addr: other_addr, node: None };
    let error = in_time(server.connect(&target, Lane::Control)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoCommonProtocol { ours, .. } if ours == ALPN), "{error}");
}

/// A rejected dialler finds out on its first read as well, whatever it waits for.
#[tokio::test]
async fn a_rejected_dialler_reads_the_reason() {
    let (ours, theirs) = (ca("demo.internal"), ca("demo.internal"));
    let server = bind(&credentials(&ours, "a"));
    let both = format!("{}{}", ours.certificate_pem(), theirs.certificate_pem());
    let stranger = bind(&issued(&theirs, "b", &both));
    let connection = dial(&stranger, &server, None).await.unwrap();
    let outcome = match in_time(connection.open_bi()).await {
        Ok((_send, mut recv)) => in_time(recv.read(1)).await.unwrap_err(),
        Err(error) => StreamError::Connection(error),
    };
    assert!(matches!(outcome, StreamError::Connection(ConnectionError::Rejected(_))), "{outcome}");
}

/// F-59: there is no transport without certificates, and a broken file is named.
#[test]
fn credentials_that_are_missing_or_broken_are_named() {
    let ca = ca("demo.internal");
    let (node, other) =
        (ca.issue(&node_id("a"), 30, NOW).unwrap(), ca.issue(&node_id("b"), 30, NOW).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (roots, chain, key) = (
        write("ca.pem", ca.certificate_pem()),
        write("node.pem", &node.chain_pem),
        write("node.key", node.key_pem.expose()),
    );
    let good = CredentialFiles { roots, chain, key };
    assert!(Credentials::from_files(&good).is_ok());

    let refused = |files: CredentialFiles| Credentials::from_files(&files).unwrap_err().to_string();
    let says = |files, file: &str, problem: &str| {
        let error = refused(files);
        assert!(error.contains(file) && error.contains(problem), "{error}");
    };
    says(CredentialFiles { roots: dir.path().join("none.pem"), ..good.clone() }, "none.pem", "No such file");
    says(CredentialFiles { roots: write("e.pem", ""), ..good.clone() }, "e.pem", "holds no certificate");
    says(CredentialFiles { chain: good.key.clone(), ..good.clone() }, "node.key", "holds no certificate");
    says(CredentialFiles { key: good.chain.clone(), ..good.clone() }, "node.pem", "holds no private key");
    says(CredentialFiles { chain: good.roots.clone(), ..good.clone() }, "ca.pem", "spiffe://");
    let wrong_key = CredentialFiles { key: write("b.key", other.key_pem.expose()), ..good.clone() };
    says(wrong_key, "b.key", "not the private key");
    let cut = node.key_pem.expose().replace("-----END", "");
    let cut = CredentialFiles { key: write("cut.key", &cut), ..good };
    says(cut, "cut.key", "no END line");
}

/// F-59: a node whose own certificate nobody would take does not start.
#[tokio::test]
async fn a_node_does_not_start_with_credentials_that_peers_refuse() {
    let (ours, theirs) = (ca("demo.internal"), ca("demo.internal"));
    let start = |credentials: &Credentials, now| {
        let config = QuicConfig::default();
        QuicTransport::bind(loopback(), &config, credentials, TestClock::at(now)).unwrap_err()
    };
    for error in [
        start(&issued(&ours, "a", theirs.certificate_pem()), NOW),
        start(&credentials(&ours, "a"), NOW + 31 * DAY),
    ] {
        assert!(matches!(error, BindError::Credentials(CredentialsError::OwnNotTrusted { .. })), "{error}");
    }
}

#[test]
fn a_transport_outside_a_runtime_is_refused() {
    let own = credentials(&ca("demo.internal"), "a");
    let config = QuicConfig { own_thread: false, ..QuicConfig::default() };
    let bound = QuicTransport::bind(loopback(), &config, &own, TestClock::at(NOW));
    assert!(matches!(bound, Err(BindError::NoRuntime)));
    // With a thread of its own it needs none to start.
    let config = QuicConfig { own_thread: true, ..config };
    assert!(QuicTransport::bind(loopback(), &config, &own, TestClock::at(NOW)).is_ok());
}
