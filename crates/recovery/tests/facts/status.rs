//! The job tells the truth at any moment.

use peerstream_recovery::{Config, Phase, WaitReason};
use peerstream_types::{ChunkIndex, ChunkRange, EntryCounts, Ordinal, Span};

use crate::support::*;

/// Every phase says what it waits for, and since when.
#[test]
fn every_phase_says_what_it_waits_for() {
    let manifest = Manifest::new(&[2 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let seen = |hand: &Hand| {
        let status = hand.job.status();
        let waiting = status.waiting.expect("it waits");
        assert_eq!(waiting.since, hand.now);
        (status.phase, waiting.reason)
    };
    let a = hand.opened().0;
    assert_eq!(seen(&hand), (Phase::Opening, WaitReason::Offer));
    hand.job.handle_source_lost(hand.now, a, "refused").unwrap();
    hand.drain();
    let until = hand.job.poll_timeout().unwrap();
    assert_eq!(seen(&hand), (Phase::Choosing, WaitReason::BackOff { peer: peer("a"), until }));
    hand.wait();
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    assert_eq!(seen(&hand), (Phase::Streaming, WaitReason::Page));
    hand.page(a, manifest.page());
    assert_eq!(seen(&hand), (Phase::Streaming, WaitReason::Stage));
    hand.drain();
    assert_eq!(seen(&hand), (Phase::Streaming, WaitReason::Outline));
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    assert_eq!(seen(&hand), (Phase::Streaming, WaitReason::Data));
    let (fetch, spans) = only_fetch(&hand.drain());
    hand.stored(fetch, spans[0]);
    assert_eq!(seen(&hand), (Phase::Sealing, WaitReason::Seal));
    hand.job.handle_sealed(hand.now, Ok(())).unwrap();
    assert_eq!(seen(&hand), (Phase::Publishing, WaitReason::Publish));
    hand.job.handle_published(hand.now, Ok(1)).unwrap();
    let status = hand.job.status();
    assert_eq!((status.phase, status.waiting), (Phase::Done, None));
    assert_eq!(Some(status.done), status.total);
}

/// What is shown as done never falls when a source with the same manifest takes over.
#[test]
fn progress_does_not_fall_at_a_fail_over() {
    let manifest = Manifest::new(&[3 * CHUNK, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, _) = hand.listed(&manifest);
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let fetch = fetches(&hand.drain())[0].0;
    hand.stored(fetch, Span::chunk(Ordinal(0), ChunkIndex(0)));
    let done = EntryCounts { entries: 0, bytes: CHUNK };
    assert_eq!(hand.job.status().done, done);
    hand.job.handle_source_lost(hand.now, a, "x").unwrap();
    assert_eq!((hand.job.status().done, hand.job.status().total), (done, Some(manifest.header.counts)));
    let b = hand.opened().0;
    hand.job.handle_offer(hand.now, b, manifest.header.clone()).unwrap();
    assert_eq!(hand.job.status().done, done, "nothing is listed yet");
    let mut page = manifest.page();
    page.held.push((Ordinal(0), vec![ChunkRange::one(ChunkIndex(0))]));
    hand.page(b, page);
    assert_eq!(hand.job.status().done, done, "and not counted twice");
}

/// A job with equal seed and inputs does equal things; another seed jitters otherwise.
#[test]
fn a_run_repeats_with_its_seed() {
    let run = |seed| {
        let mut hand = Hand::with(Config { seed, ..Config::default() }, &["a"]);
        let a = hand.opened().0;
        hand.job.handle_source_lost(hand.now, a, "x").unwrap();
        hand.job.poll_timeout()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
