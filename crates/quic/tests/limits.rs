//! Limits hold, and none of them makes a connection hang.

#![cfg(feature = "ca")]
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{NOW, TestClock, bind, bind_with, ca, credentials, dial, in_time, link, node_id};
use peerstream_quic::{ConfigError, FailureReason, LaneConfig, QuicConfig, QuicTransport};
use peerstream_transport::{
    ConnectError, Connection, ConnectionError, Lane, RecvStreamExt, SendStreamExt, Target, Transport,
};
use peerstream_types::ByteCount;

/// Every stream that a peer may open is full and unread, and the last one still gets through.
#[tokio::test]
async fn streams_that_nobody_reads_do_not_block_the_one_that_is_read() {
    let ca = ca("demo.internal");
    let config = QuicConfig {
        bulk: LaneConfig::sized(ByteCount::kib(64), ByteCount::mib(1), 1, 8),
        control: LaneConfig::sized(ByteCount::kib(64), ByteCount::mib(1), 1, 8),
        ..QuicConfig::default()
    };
    let (a, b) = (credentials(&ca, "a"), credentials(&ca, "b"));
    let (a, b) = (bind_with(&a, &config, TestClock::at(NOW)), bind_with(&b, &config, TestClock::at(NOW)));
    let (near, far) = link(&a, &b).await;
    let full = Bytes::from(vec![7; 64 * 1024]);
    let mut unread = Vec::new();
    for _ in 0..7 {
        let mut send = in_time(near.open_uni()).await.unwrap();
        in_time(send.write_all(full.clone())).await.unwrap();
        unread.push((send, in_time(far.accept_uni()).await.unwrap()));
    }
    let mut send = in_time(near.open_uni()).await.unwrap();
    let large = 4 * 1024 * 1024;
    tokio::spawn(async move {
        send.write_all(Bytes::from(vec![9; large])).await.unwrap();
        send.finish().unwrap();
    });
    let mut recv = in_time(far.accept_uni()).await.unwrap();
    let mut read = 0;
    while let Some(bytes) = in_time(recv.read(64 * 1024)).await.unwrap() {
        read += bytes.len();
    }
    assert_eq!(read, large);
}

/// Accepted connections that nobody takes are bounded; beyond it dials are refused, and taken
/// again as soon as there is room.
#[tokio::test]
async fn dials_beyond_the_limit_are_refused_until_there_is_room() {
    let ca = ca("demo.internal");
    // On one thread, so that the server is done with a handshake when the dialler is.
    let config = QuicConfig { handshakes_max: 1, own_thread: false, ..QuicConfig::default() };
    let server = bind_with(&credentials(&ca, "s"), &config, TestClock::at(NOW));
    let client = bind_with(&credentials(&ca, "c"), &config, TestClock::at(NOW));
    let _first = dial(&client, &server, None).await.unwrap();
    let _second = dial(&client, &server, None).await.unwrap();
    let error = dial(&client, &server, None).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unreachable { why, .. } if why.contains("busy")), "{error}");
    assert_eq!(server.stats().refused_busy, 1);
    for _ in 0..2 {
        in_time(server.accept()).await.unwrap();
    }
    link(&client, &server).await;
    assert_eq!(server.stats().accepted, 3);
}

#[tokio::test]
async fn a_full_node_refuses_more_connections() {
    let ca = ca("demo.internal");
    let config = QuicConfig { connections_max: 1, ..QuicConfig::default() };
    let server = bind_with(&credentials(&ca, "s"), &config, TestClock::at(NOW));
    let client = bind(&credentials(&ca, "c"));
    let _open = link(&client, &server).await;
    let error = dial(&client, &server, None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert_eq!(server.stats().open, 1);
}

/// When many handshakes are under way, whoever comes must prove its address, and still gets in.
#[tokio::test]
async fn a_crowd_must_prove_its_addresses() {
    let ca = ca("demo.internal");
    // On one thread, so that the server is done with a handshake when the dialler is.
    let config = QuicConfig { handshakes_max: 2, own_thread: false, ..QuicConfig::default() };
    let server = bind_with(&credentials(&ca, "s"), &config, TestClock::at(NOW));
    let client = bind_with(&credentials(&ca, "c"), &config, TestClock::at(NOW));
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(dial(&client, &server, None).await.unwrap());
    }
    assert_eq!((server.stats().retried, server.stats().refused_busy), (1, 0));
}

/// A17: a dead address costs the handshake timeout, not forever. Virtual time.
#[tokio::test(start_paused = true)]
async fn a_dial_to_nobody_times_out() {
    let ca = ca("demo.internal");
    let nobody = std::net::UdpSocket::bind(common::loopback()).unwrap();
    let a = bind(&credentials(&ca, "a"));
    let target = Target { addr: nobody.local_addr().unwrap(), node: Some(node_id("b")) };
    let error = a.connect(&target, Lane::Control).await.unwrap_err();
    assert_eq!(error, ConnectError::TimedOut { target, after_ms: 10_000 });
}

/// A17: a dialler that falls silent is turned away after the handshake timeout.
#[tokio::test]
async fn a_silent_handshake_times_out() {
    let ca = ca("demo.internal");
    let config = QuicConfig { handshake_timeout: Duration::from_millis(50), ..QuicConfig::default() };
    let server = bind_with(&credentials(&ca, "s"), &config, TestClock::at(NOW));
    let client = bind(&credentials(&ca, "c"));
    let mut failures = server.auth_failures();
    // The first packet reaches the server through a hole that lets nothing back.
    let hole = std::net::UdpSocket::bind(common::loopback()).unwrap();
    let target = Target { addr: hole.local_addr().unwrap(), node: None };
    let dialling = tokio::spawn(client.connect(&target, Lane::Control));
    let (from_client, server_addr) = (hole.try_clone().unwrap(), server.local_addr());
    let first = tokio::task::spawn_blocking(move || {
        let mut packet = [0; 2_000];
        let (len, _) = from_client.recv_from(&mut packet).unwrap();
        packet[..len].to_vec()
    });
    hole.send_to(&in_time(first).await.unwrap(), server_addr).unwrap();
    assert_eq!(in_time(failures.next()).await.unwrap().reason, FailureReason::TimedOut);
    dialling.abort();
}

#[tokio::test]
async fn a_harmful_configuration_does_not_start() {
    let ca = ca("demo.internal");
    let config = QuicConfig { mtu_max: 9_000, ..QuicConfig::default() };
    let own = credentials(&ca, "a");
    let error = QuicTransport::bind(common::loopback(), &config, &own, TestClock::at(NOW)).unwrap_err();
    assert_eq!(error.to_string(), ConfigError::Mtu { mtu: 9_000 }.to_string());
}

/// Sends `len` bytes over one stream and reads them.
async fn transfer(near: &dyn Connection, far: &dyn Connection, len: usize) {
    let mut send = in_time(near.open_uni()).await.unwrap();
    let sender = tokio::spawn(async move {
        send.write_all(Bytes::from(vec![1; len])).await.unwrap();
        send.finish().unwrap();
    });
    let mut recv = in_time(far.accept_uni()).await.unwrap();
    let mut read = 0;
    while let Some(bytes) = in_time(recv.read(64 * 1024)).await.unwrap() {
        read += bytes.len();
    }
    assert_eq!(read, len);
    sender.await.unwrap();
}

/// Batches of large packets stay within one UDP send: beyond 64 KiB the kernel refuses them, and
/// QUIC takes it for loss and falls back to small packets.
#[tokio::test]
async fn jumbo_frames_leave_in_batches_that_the_kernel_takes() {
    let ca = ca("demo.internal");
    for (mtu_initial, join_batches) in [(1_200, true), (8_972, true), (8_972, false)] {
        let config = QuicConfig { mtu_max: 8_972, mtu_initial, join_batches, ..QuicConfig::default() };
        let (a, b) = (credentials(&ca, "a"), credentials(&ca, "b"));
        let (a, b) = (bind_with(&a, &config, TestClock::at(NOW)), bind_with(&b, &config, TestClock::at(NOW)));
        let (near, far) = link(&a, &b).await;
        transfer(&*near, &*far, 8 << 20).await;
        assert_eq!((a.stats().send_errors, b.stats().send_errors), (0, 0));
    }
}

/// Batches leave through the smallest buffers that the kernel gives, joined or not.
#[tokio::test]
async fn small_socket_buffers_slow_down_and_lose_nothing() {
    let ca = ca("demo.internal");
    for (join_batches, own_thread) in [(true, true), (true, false), (false, false)] {
        let small = ByteCount::kib(1);
        let config = QuicConfig { socket_buffer: small, join_batches, own_thread, ..QuicConfig::default() };
        let (a, b) = (credentials(&ca, "a"), credentials(&ca, "b"));
        let (a, b) = (bind_with(&a, &config, TestClock::at(NOW)), bind(&b));
        let (near, far) = link(&a, &b).await;
        transfer(&*near, &*far, 8 << 20).await;
        assert_eq!(a.stats().send_errors, 0);
    }
}

/// A transport that is dropped without a close still tells its peers.
#[tokio::test]
async fn a_dropped_transport_closes_its_connections() {
    let ca = ca("demo.internal");
    let (a, b) = (bind(&credentials(&ca, "a")), bind(&credentials(&ca, "b")));
    let (near, _far) = link(&a, &b).await;
    drop(b);
    let ended = in_time(near.closed()).await;
    assert_eq!(ended, ConnectionError::ClosedByPeer { code: 0, reason: "shutting down".into() });
}
