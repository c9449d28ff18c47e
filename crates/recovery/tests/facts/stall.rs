//! Timeouts: nothing waits for ever, and what moves is let move.

use std::time::Duration;

use peerstream_recovery::{Action, Admitted, CloseReason, Config, Outcome};
use peerstream_types::{ChunkIndex, Ordinal, Span, Timestamp};

use crate::support::*;

const MINUTE: Duration = Duration::from_secs(60);
const ALMOST: Duration = Duration::from_millis(59_999);
const REST: Duration = Duration::from_millis(1);

/// F-50: sixty seconds without anything of an outline or data, ten minutes without a page.
#[test]
fn a_stalled_source_is_replaced() {
    let manifest = Manifest::new(&[4 * CHUNK]);
    for step in 0..3 {
        let mut hand = Hand::new(&["a", "b"]);
        let a = hand.opened().0;
        hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
        if step > 0 {
            hand.page(a, manifest.page());
        }
        hand.drain();
        if step > 1 {
            hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
        }
        hand.drain();
        // One that owes nothing but a page may be hashing.
        let limit = if step == 0 { 10 * MINUTE } else { MINUTE };
        assert_eq!(hand.job.poll_timeout(), Some(hand.now + limit));
        hand.pass(limit - REST);
        assert_eq!(hand.drain(), []);
        hand.pass(REST);
        let actions = hand.drain();
        assert_eq!(closes(&actions), [CloseReason::Stalled], "step {step}");
        let cancels = actions.iter().filter(|action| matches!(action, Action::Cancel { .. })).count();
        assert_eq!(cancels, usize::from(step == 2), "what was asked is cancelled");
        assert!(matches!(actions.last(), Some(Action::Open { .. })));
        assert_eq!(hand.job.stats().sources_stalled, 1);
    }
}

/// F-50: a store that hashes for an hour what was staged before is not the source's stall; once the
/// page is taken in, the source owes again.
#[test]
fn the_stores_own_work_is_no_stall() {
    let manifest = Manifest::new(&[4 * CHUNK]);
    let mut hand = Hand::new(&["a", "b"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    hand.drain();
    hand.page(a, manifest.page());
    assert_eq!(hand.job.poll_timeout(), None, "the store is at work");
    hand.pass(60 * MINUTE);
    hand.drain();
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + MINUTE));
}

/// F-50: a disk that takes an hour for what has come is not the source's stall; once it is stored, the
/// source owes again.
#[test]
fn a_slow_store_is_no_stall() {
    let manifest = Manifest::new(&[20 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let (a, _) = hand.listed(&manifest);
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let (fetch, _) = only_fetch(&hand.drain());
    hand.job.handle_content_arrived(hand.now, fetch).unwrap();
    assert_eq!(hand.job.poll_timeout(), None);
    hand.pass(60 * MINUTE);
    assert_eq!(hand.drain(), []);
    hand.job.handle_stored(hand.now, fetch, Span::chunk(Ordinal(0), ChunkIndex(0))).unwrap();
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + MINUTE));
}

/// F-50: a source that brings one chunk every 59.999 s is slow, not stalled.
#[test]
fn a_slow_source_that_moves_is_not_stalled() {
    let manifest = Manifest::new(&[20 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let (a, _) = hand.listed(&manifest);
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let (fetch, _) = only_fetch(&hand.drain());
    for chunk in 0..20 {
        hand.pass(ALMOST);
        assert_eq!(hand.drain(), []);
        hand.job.handle_stored(hand.now, fetch, Span::chunk(Ordinal(0), ChunkIndex(chunk))).unwrap();
    }
    let sealing = hand.drain();
    hand.published(&sealing);
}

/// F-50: bad data is no progress, so a liar that drips is replaced too.
#[test]
fn bad_data_is_no_progress() {
    let mut hand = Hand::new(&["a", "b"]);
    let (_, asked) = hand.listed(&Manifest::new(&[100, 100]));
    let (fetch, _) = only_fetch(&asked);
    hand.pass(Duration::from_secs(40));
    hand.job.handle_bad(hand.now, fetch, Ordinal(0), ChunkIndex(0), "x").unwrap();
    hand.drain();
    hand.pass(Duration::from_secs(20));
    assert_eq!(closes(&hand.drain()), [CloseReason::Stalled]);
}

/// F-50: a peer that does not offer in time is replaced, and named if nobody else does better.
#[test]
fn a_peer_that_never_offers_is_given_up() {
    let mut hand = Hand::new(&["a"]);
    for open in 0..3 {
        assert_eq!(hand.opened().1, peer("a"));
        assert_eq!(hand.job.poll_timeout(), Some(hand.now + Duration::from_secs(50)));
        hand.wait();
        if open < 2 {
            hand.wait();
        }
    }
    let Outcome::NoSource { peers } = done(&hand.drain()) else { panic!("not given up") };
    assert_eq!(peers[0].to_string(), "a (3 attempts): made no offer in time");
    assert_eq!(hand.job.poll_timeout(), None);
}

#[test]
fn an_overall_limit_ends_the_job() {
    let config = Config { overall_limit: Some(Duration::from_secs(90)), ..Config::default() };
    let mut hand = Hand::with(config, &["a"]);
    let (_, asked) = hand.listed(&Manifest::new(&[100, 100]));
    let (fetch, _) = only_fetch(&asked);
    hand.pass(Duration::from_secs(45));
    hand.stored(fetch, Span::entry(Ordinal(0)));
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + Duration::from_secs(45)));
    hand.wait();
    let reason = "not done within 90s".into();
    assert_eq!(done(&hand.drain()), Outcome::Aborted { reason });
}

/// The store may take its time: nothing is asked of a peer while it seals and publishes.
#[test]
fn sealing_has_no_timeout() {
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed(&Manifest::new(&[100]));
    let sealing = hand.store_all(asked);
    assert_eq!(hand.job.poll_timeout(), None);
    hand.pass(Duration::from_secs(3600));
    hand.published(&sealing);
}

/// A clock that is read on several threads may hand in an older moment: it shortens no timeout.
#[test]
fn time_never_runs_backwards() {
    let mut hand = Hand::new(&["a"]);
    hand.pass(Duration::from_secs(10));
    let a = hand.opened().0;
    hand.job.handle_offer(Timestamp::ZERO, a, Manifest::new(&[]).header).unwrap();
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + 10 * MINUTE));
}

/// The time of a source begins when it is asked for content, however long it has been at a page.
#[test]
fn a_source_at_a_page_has_its_time_for_content() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a"]);
    let source = hand.opened().0;
    hand.job.handle_offer(hand.now, source, manifest.header.clone()).unwrap();
    hand.drain();
    hand.page(source, manifest.part(0, 1));
    while hand.job.poll_action().is_some() {}
    hand.pass(Duration::from_secs(120));
    hand.job.handle_admitted(hand.now, Admitted::default()).unwrap();
    assert_eq!(fetches(&hand.drain()).len(), 1, "the store took its time over the first page");
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + Duration::from_secs(60)));
}
