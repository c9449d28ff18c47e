//! What the contract's own suite leaves open: priorities, and a drop with bytes still to send.

#![cfg(feature = "ca")]

mod common;

use bytes::Bytes;
use common::{NOW, TestClock, bind, bind_with, ca, credentials, in_time, link};
use peerstream_quic::QuicConfig;
use peerstream_transport::{RecvStreamExt, SendStreamExt, StreamError};

/// What is urgent overtakes bulk that was opened and written before it.
#[tokio::test]
async fn a_stream_of_higher_priority_overtakes() {
    const EACH: usize = 512 * 1024; // What a stream of an accepted connection takes unread.
    let ca = ca("demo.internal");
    let config = QuicConfig { own_thread: false, ..QuicConfig::default() };
    let bind = |id| bind_with(&credentials(&ca, id), &config, TestClock::at(NOW));
    let (a, b) = (bind("a"), bind("b"));
    let (near, far) = link(&a, &b).await;
    let mut bulk = in_time(near.open_uni()).await.unwrap();
    let mut urgent = in_time(near.open_uni()).await.unwrap();
    urgent.set_priority(1);
    // Nothing leaves before this task waits: on one thread both are written by then.
    in_time(bulk.write_all(Bytes::from(vec![1; EACH]))).await.unwrap();
    in_time(urgent.write_all(Bytes::from(vec![2; EACH]))).await.unwrap();
    // Streams are accepted in the order in which they were opened.
    let mut bulk = in_time(far.accept_uni()).await.unwrap();
    let mut urgent = in_time(far.accept_uni()).await.unwrap();
    let (mut bulk_read, mut urgent_read) = (0, 0);
    while urgent_read < EACH {
        let (read, from) = tokio::select! {
            biased;
            bytes = in_time(urgent.read(usize::MAX)) => (&mut urgent_read, bytes),
            bytes = in_time(bulk.read(usize::MAX)) => (&mut bulk_read, bytes),
        };
        *read += from.unwrap().map_or(0, |bytes| bytes.len());
    }
    assert!(bulk_read < EACH / 4, "{bulk_read} bytes of bulk came before the urgent ones");
}

/// Dropping a sender half-way is an error at the reader, with bytes still buffered as well.
#[tokio::test]
async fn a_sender_dropped_with_bytes_unsent_resets() {
    let ca = ca("demo.internal");
    let (a, b) = (bind(&credentials(&ca, "a")), bind(&credentials(&ca, "b")));
    let (near, far) = link(&a, &b).await;
    let mut send = in_time(near.open_uni()).await.unwrap();
    in_time(send.write_all(Bytes::from(vec![1; 512 << 10]))).await.unwrap();
    drop(send);
    let mut recv = in_time(far.accept_uni()).await.unwrap();
    let ended = loop {
        match in_time(recv.read(1 << 20)).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("half a stream looks whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(ended, StreamError::Reset(0));
}

/// Nobody waits for the receipt of a stream that this side gave up.
#[tokio::test]
async fn stopped_after_a_reset_of_our_own_is_an_error() {
    let ca = ca("demo.internal");
    let (a, b) = (bind(&credentials(&ca, "a")), bind(&credentials(&ca, "b")));
    let (near, _far) = link(&a, &b).await;
    let mut send = in_time(near.open_uni()).await.unwrap();
    send.reset(3);
    assert_eq!(in_time(send.stopped()).await, Err(StreamError::Closed));
    assert_eq!(send.finish(), Err(StreamError::Closed));
}
