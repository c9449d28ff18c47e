//! The exact messages of whole sessions, as they arrive.

use peerstream_session::{By, State};
use peerstream_types::ByteCount;
use peerstream_wire::message::{InitV1, Preview};

use crate::make::{ENTRY, init, offer, request};
use crate::pair::{Pair, Store};

pub(crate) fn pull() -> Pair {
    let follower = Store { holds: vec![offer(1, 2)], ..Store::default() };
    Pair::new(Store { wants: vec![request(1)], ..Store::default() }, follower)
}

pub(crate) fn push() -> Pair {
    Pair::new(Store { pushes: vec![offer(1, 1)], ..Store::default() }, Store::default())
}

pub(crate) fn both_ways() -> Pair {
    let initiator = Store { wants: vec![request(1)], pushes: vec![offer(2, 3)], ..Store::default() };
    Pair::new(initiator, Store { holds: vec![offer(1, 2)], ..Store::default() })
}

pub(crate) fn empty() -> Pair {
    Pair::new(Store::default(), Store::default())
}

pub(crate) fn preview() -> Pair {
    let initiator = Store { wants: vec![request(1)], pushes: vec![offer(2, 3)], ..Store::default() };
    let follower = Store { holds: vec![offer(1, 2)], ..Store::default() };
    Pair::with(InitV1 { preview: Preview::On, ..init() }, initiator, follower)
}

pub(crate) fn nothing_held(refuses: bool) -> Pair {
    let initiator = Store { wants: vec![request(1), request(2)], ..Store::default() };
    Pair::new(initiator, Store { refuses, ..Store::default() })
}

/// Rows C06, C07, C11 and C14: the sequence of a file that the initiator pulls, in our messages.
#[test]
fn a_pulled_shard_takes_exactly_these_messages() {
    let mut pair = pull();
    assert_eq!(
        pair.run().trace,
        [
            "follower <- Init",
            "initiator <- InitAck",
            "follower <- Prepare",
            "initiator <- PrepareAck",
            "follower <- InventoryRequest",
            "follower <- Fetch",
            "follower <- Fetch",
            "follower <- Received",
            "follower <- Received",
            "follower <- Release",
            "follower <- Complete",
            "initiator <- Complete",
        ]
    );
    assert_eq!(pair.states(), [State::Completed; 2]);
    assert_eq!((pair.outcome(0).by, pair.outcome(1).by), (By::Remote, By::Remote));
}

/// Bulk load is the same the other way round: the follower pulls what was offered (row C06).
#[test]
fn a_pushed_shard_is_pulled_by_the_follower() {
    let mut pair = push();
    assert_eq!(
        pair.run().trace,
        [
            "follower <- Init",
            "initiator <- InitAck",
            "follower <- Prepare",
            "initiator <- PrepareAck",
            "initiator <- InventoryRequest",
            "initiator <- Fetch",
            "initiator <- Received",
            "initiator <- Release",
            "initiator <- Complete",
            "follower <- Complete",
        ]
    );
    assert_eq!(pair.states(), [State::Completed; 2]);
}

/// Row C03: one session carries both directions, and counts each.
#[test]
fn one_session_moves_shards_both_ways() {
    let mut pair = both_ways();
    pair.run();
    assert_eq!(pair.states(), [State::Completed; 2]);
    let [a, b] = [pair.ends[0].session.stats(), pair.ends[1].session.stats()];
    let bytes = |entries| ByteCount(entries * ENTRY);
    assert_eq!((a.offered, a.offered_by_peer), (bytes(3), bytes(2)));
    assert_eq!((a.planned, a.stored, a.sent, a.wasted), (bytes(2), bytes(2), bytes(3), bytes(0)));
    assert_eq!((b.planned, b.stored, b.sent, b.wasted), (bytes(3), bytes(3), bytes(2), bytes(0)));
    let summary = pair.ends[0].session.peer_summary().expect("it came with Complete");
    assert_eq!((summary.bytes_sent, summary.bytes_stored), (2 * ENTRY, 3 * ENTRY));
}

/// Row C08: nothing wanted, nothing offered: the session ends by itself, no driver has to answer.
#[test]
fn an_empty_session_completes_at_once() {
    let mut pair = empty();
    assert_eq!(
        pair.run().trace,
        [
            "follower <- Init",
            "initiator <- InitAck",
            "follower <- Prepare",
            "initiator <- PrepareAck",
            "initiator <- Complete",
            "follower <- Complete",
        ]
    );
    assert_eq!(pair.states(), [State::Completed; 2]);
}

/// Row C08: a request that matches nothing, refused or not, is no failure.
#[test]
fn a_request_that_matches_nothing_completes() {
    for refuses in [false, true] {
        let mut pair = nothing_held(refuses);
        pair.run();
        assert_eq!(pair.trace.len(), 6, "{:?}", pair.trace);
        assert_eq!(pair.states(), [State::Completed; 2]);
    }
}

/// Section 1.6: a preview exchanges offers and completes; nothing is asked for.
#[test]
fn a_preview_completes_right_after_the_offers() {
    let mut pair = preview();
    assert_eq!(
        pair.run().trace,
        [
            "follower <- Init",
            "initiator <- InitAck",
            "follower <- Prepare",
            "initiator <- PrepareAck",
            "initiator <- Complete",
            "follower <- Complete",
        ]
    );
    assert_eq!(pair.states(), [State::Completed; 2]);
    assert_eq!(pair.ends[0].session.stats().offered_by_peer, ByteCount(2 * ENTRY));
}
