//! Stopping.

use peerstream_recovery::{Action, CloseReason, Misuse, Outcome, Phase, Recovery, Step};
use peerstream_types::{ChunkIndex, FetchId, Ordinal, Span};

use crate::support::*;

fn aborted() -> Outcome {
    Outcome::Aborted { reason: "node drains".into() }
}

/// A25: what is asked is cancelled, the source is released and closed, nobody else is dialled.
#[test]
fn on_abort_no_further_peer_is_dialled() {
    let mut hand = Hand::new(&["a", "b", "c"]);
    let (a, asked) = hand.listed(&Manifest::new(&[100]));
    let (fetch, _) = only_fetch(&asked);
    hand.job.abort(hand.now, "node drains");
    let reason = CloseReason::JobEnded("aborted: node drains".into());
    let close = Action::Close { source: a, reason };
    let release = Action::Release { source: a };
    assert_eq!(hand.drain(), [Action::Cancel { source: a, fetch }, release, close, Action::Done(aborted())]);
    assert_eq!((hand.job.poll_timeout(), hand.job.status().phase), (None, Phase::Done));
}

/// A25: a dial that was decided but not handed out does not happen.
#[test]
fn on_abort_a_dial_that_was_not_handed_out_is_dropped() {
    let mut hand = Hand::new(&["a", "b"]);
    hand.job.abort(hand.now, "node drains");
    assert_eq!(hand.drain(), [Action::Done(aborted())]);

    let mut hand = Hand::new(&["a", "b"]);
    let a = hand.opened().0;
    hand.job.handle_source_lost(hand.now, a, "reset").unwrap();
    hand.job.abort(hand.now, "node drains");
    let actions = hand.drain();
    assert!(matches!(actions[..], [Action::Close { source, .. }, Action::Done(_)] if source == a));
}

/// A25: fetches that were not handed out are not cancelled either.
#[test]
fn on_abort_a_fetch_that_was_not_handed_out_is_dropped() {
    let manifest = Manifest::new(&[100]);
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    hand.drain();
    hand.page(a, manifest.page());
    hand.job.abort(hand.now, "node drains");
    assert!(matches!(hand.drain()[..], [Action::Release { .. }, Action::Close { .. }, Action::Done(_)]));
}

/// The first outcome stands; what comes after the end is ignored and counted.
#[test]
fn inputs_after_the_end_are_ignored() {
    let mut hand = Hand::new(&["a"]);
    let (a, asked) = hand.listed(&Manifest::new(&[100]));
    let (fetch, spans) = only_fetch(&asked);
    hand.job.abort(hand.now, "node drains");
    hand.drain();
    let Hand { job, now, .. } = &mut hand;
    job.abort(*now, "again");
    job.handle_store_failed(*now, "disk");
    job.handle_timeout(*now);
    job.handle_fetch_ended(*now, fetch).unwrap();
    assert_eq!(job.stats().late_inputs, 0);
    job.handle_stored(*now, fetch, spans[0]).unwrap();
    job.handle_bad(*now, fetch, Ordinal(0), ChunkIndex(0), "x").unwrap();
    job.handle_source_lost(*now, a, "reset").unwrap();
    job.handle_sealed(*now, Ok(())).unwrap();
    job.handle_published(*now, Ok(1)).unwrap();
    assert_eq!(job.stats().late_inputs, 5);
    assert_eq!((job.poll_action(), job.poll_timeout()), (None, None));
    assert_eq!(job.outcome(), Some(&aborted()));
}

/// A publish that was handed out cannot be taken back: its result is the truth.
#[test]
fn an_abort_during_publish_is_too_late() {
    for handed_out in [true, false] {
        let mut hand = Hand::new(&["a"]);
        let (_, asked) = hand.listed(&Manifest::new(&[100]));
        hand.store_all(asked);
        hand.job.handle_sealed(hand.now, Ok(())).unwrap();
        if handed_out {
            hand.drain();
        }
        hand.job.abort(hand.now, "node drains");
        if handed_out {
            hand.job.handle_published(hand.now, Ok(3)).unwrap();
            assert_eq!(done(&hand.drain()), Outcome::Published { generation: 3 });
        } else {
            let actions = hand.drain();
            assert!(!actions.contains(&Action::Publish), "{actions:?}");
            assert_eq!(done(&actions), aborted());
        }
    }
}

#[test]
fn a_failing_store_ends_the_job() {
    let why = || "disk full".to_string();
    type Fail = fn(&mut Recovery, peerstream_types::Timestamp, String);
    let seal: Fail = |job, now, why| job.handle_sealed(now, Err(why)).unwrap();
    let publish: Fail = |job, now, why| {
        job.handle_sealed(now, Ok(())).unwrap();
        job.handle_published(now, Err(why)).unwrap();
    };
    let stage: Fail = |job, now, why| job.handle_store_failed(now, &why);
    for (step, fail) in [(Step::Seal, seal), (Step::Publish, publish), (Step::Stage, stage)] {
        let mut hand = Hand::new(&["a", "b"]);
        let (_, asked) = hand.listed(&Manifest::new(&[100]));
        hand.store_all(asked);
        fail(&mut hand.job, hand.now, why());
        let actions = hand.drain();
        assert_eq!(done(&actions), Outcome::Failed { step, why: why() });
        assert_eq!(closes(&actions).len(), 1, "{step}");
        assert!(!actions.iter().any(|action| matches!(action, Action::Open { .. })), "{step}");
    }
}

#[test]
fn what_no_driver_may_say_is_a_misuse_and_changes_nothing() {
    let manifest = Manifest::new(&[100]);
    let mut other = Hand::new(&["a", "b"]);
    let lost = other.opened().0;
    other.job.handle_source_lost(other.now, lost, "x").unwrap();
    let stranger = other.opened().0;

    let mut hand = Hand::new(&["a"]);
    let (a, asked) = hand.listed(&manifest);
    let before = hand.job.status();
    let Hand { job, now, .. } = &mut hand;
    let now = *now;
    let header = manifest.header.clone();
    assert_eq!(job.handle_offer(now, a, header.clone()), Err(Misuse::Unasked("another offer")));
    assert_eq!(job.handle_offer(now, stranger, header), Err(Misuse::UnknownSource(stranger)));
    assert_eq!(job.handle_refusal(now, stranger, refusal("x", false)), Err(Misuse::UnknownSource(stranger)));
    assert_eq!(
        job.handle_outline(now, stranger, Ordinal(0), GROUP, Ok(())),
        Err(Misuse::UnknownSource(stranger))
    );
    let unknown = FetchId(99);
    assert_eq!(job.handle_stored(now, unknown, Span::entry(Ordinal(0))), Err(Misuse::UnknownFetch(unknown)));
    assert_eq!(job.handle_fetch_ended(now, unknown), Err(Misuse::UnknownFetch(unknown)));
    assert_eq!(job.handle_sealed(now, Ok(())), Err(Misuse::Unasked("a seal")));
    assert_eq!(job.handle_published(now, Ok(1)), Err(Misuse::Unasked("a publish")));
    assert_eq!(hand.job.status(), before);
    let rest = hand.store_all(asked);
    hand.published(&rest);
}
