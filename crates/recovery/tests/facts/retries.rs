//! What does not come is asked again within its budget, and then elsewhere.

use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{Action, CloseReason, Config, Fault, Outcome, SourceId};
use peerstream_types::{ChunkIndex, ChunkRange, FetchId, Ordinal, Span};

use crate::support::*;

fn attempt_of(actions: &[Action]) -> u32 {
    let attempt = |action: &Action| match action {
        Action::Fetch { attempt, .. } => Some(*attempt),
        _ => None,
    };
    actions.iter().find_map(attempt).expect("a fetch")
}

/// F-11: a small entry gets its attempts at one peer, then goes to the next. Whatever the reason.
#[test]
fn an_item_is_asked_twice_of_one_peer_and_then_of_another() {
    type Miss = fn(&mut Hand, FetchId);
    let misses: [(&str, Miss); 4] = [
        ("bad", |hand, fetch| hand.job.handle_bad(hand.now, fetch, Ordinal(0), ChunkIndex(0), "x").unwrap()),
        ("short", |hand, fetch| hand.job.handle_fetch_ended(hand.now, fetch).unwrap()),
        ("failed", |hand, fetch| {
            hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Failed("io".into())).unwrap();
        }),
        ("wrong", |hand, fetch| {
            let span = Some(Span::entry(Ordinal(0)));
            hand.job.handle_fetch_failed(hand.now, fetch, span, Fault::Wrong("record".into())).unwrap();
        }),
    ];
    for (name, miss) in misses {
        let manifest = Manifest::new(&[100]);
        let mut hand = Hand::new(&["a", "b"]);
        let (_, asked) = hand.listed(&manifest);
        let (first, _) = only_fetch(&asked);
        assert_eq!(attempt_of(&asked), 1);
        miss(&mut hand, first);
        let asked = hand.drain();
        let (second, spans) = only_fetch(&asked);
        assert_eq!((spans, attempt_of(&asked)), (vec![Span::entry(Ordinal(0))], 2), "{name}");
        miss(&mut hand, second);
        let (_, asked) = hand.listed(&manifest);
        assert_eq!(hand.job.status().source, Some(peer("b")), "{name}");
        let rest = hand.store_all(asked);
        assert_eq!(hand.published(&rest), Outcome::Published { generation: 7 }, "{name}");
        let retries = hand.job.stats().retries;
        assert_eq!(retries.bad + retries.short + retries.failed, 1, "{name}");
        assert_eq!(hand.job.stats().set_aside, 1, "{name}");
    }
}

/// F-11: the number of attempts is a setting.
#[test]
fn the_attempts_are_a_setting() {
    for attempts in 1..5 {
        let config = Config { attempts_per_source: attempts, ..Config::default() };
        let mut hand = Hand::with(config, &["a"]);
        let (_, mut asked) = hand.listed(&Manifest::new(&[5000]));
        let mut count = 0;
        while asked.iter().any(|action| matches!(action, Action::Outline { .. })) {
            count += 1;
            hand.job
                .handle_outline(
                    hand.now,
                    source_of(&asked),
                    Ordinal(0),
                    GROUP,
                    Err(Fault::Wrong("forged".into())),
                )
                .unwrap();
            asked = hand.drain();
        }
        assert_eq!(count, attempts);
        assert!(matches!(done(&asked), Outcome::Incomplete { entries: 1, .. }));
    }
}

fn source_of(actions: &[Action]) -> SourceId {
    let source = |action: &Action| match action {
        Action::Outline { source, .. } | Action::List { source, .. } => Some(*source),
        _ => None,
    };
    actions.iter().find_map(source).expect("a request")
}

/// One bad chunk costs a chunk: the others of the entry and of the shard go on.
#[test]
fn a_bad_chunk_costs_a_chunk() {
    let manifest = Manifest::new(&[4 * CHUNK, 100]);
    let mut hand = Hand::new(&["a"]);
    let (source, asked) = hand.listed(&manifest);
    let (small, _) = only_fetch(&asked);
    assert_eq!(hand.stored(small, Span::entry(Ordinal(1))), []);
    hand.job.handle_outline(hand.now, source, Ordinal(0), GROUP, Ok(())).unwrap();
    let (fetch, spans) = only_fetch(&hand.drain());
    let range = ChunkRange { first: ChunkIndex(0), count: 4 };
    assert_eq!(spans, [Span::Chunks { ordinal: Ordinal(0), range }]);
    hand.job.handle_bad(hand.now, fetch, Ordinal(0), ChunkIndex(2), "digest mismatch").unwrap();
    let (again, spans) = only_fetch(&hand.drain());
    assert_eq!(spans, [Span::chunk(Ordinal(0), ChunkIndex(2))]);
    for chunk in [0, 1, 3] {
        assert_eq!(hand.stored(fetch, Span::chunk(Ordinal(0), ChunkIndex(chunk))), []);
    }
    let rest = hand.stored(again, spans[0]);
    hand.published(&rest);
    let stats = hand.job.stats();
    assert_eq!((stats.bad_chunks, stats.bad_bytes, stats.stored_bytes), (1, CHUNK, 4 * CHUNK + 100));
}

/// G-02, F-36: what belongs to an entry is there again at every retry, here and at the next peer.
#[test]
fn metadata_is_kept_through_every_retry() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    for _ in 0..2 {
        let (source, mut asked) = hand.listed(&manifest);
        for _ in 0..2 {
            let (fetch, spans) = only_fetch(&asked);
            for ordinal in spans.iter().map(|span| span.first_ordinal()) {
                let entry = hand.job.entry(source, ordinal).expect("an asked entry is known");
                assert!(Arc::ptr_eq(entry, &manifest.entries[ordinal.0 as usize]));
                assert_eq!(entry.metadata, format!("level={}", ordinal.0).into_bytes());
            }
            if spans[0] == (Span::Entries { first: Ordinal(0), count: 2 }) {
                assert_eq!(hand.stored(fetch, Span::entry(Ordinal(0))), []);
            }
            hand.job.handle_bad(hand.now, fetch, Ordinal(1), ChunkIndex(0), "x").unwrap();
            asked = hand.drain();
        }
        assert_eq!(hand.job.entry(source, Ordinal(1)), None, "the source is closed");
        if let Some(Action::Done(outcome)) = asked.last() {
            let Outcome::Incomplete { gaps, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(gaps[0].key, manifest.entries[1].key);
            return;
        }
    }
    panic!("both peers gave bad data");
}

/// G-05, F-35: a short answer is noticed when it ends, and only what is missing is asked again.
#[test]
fn a_short_answer_is_noticed() {
    let manifest = Manifest::new(&[100, 100, 100]);
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, spans) = only_fetch(&asked);
    assert_eq!(spans, [Span::Entries { first: Ordinal(0), count: 3 }]);
    assert_eq!(hand.stored(fetch, Span::entry(Ordinal(1))), []);
    hand.job.handle_fetch_ended(hand.now, fetch).unwrap();
    let (again, spans) = only_fetch(&hand.drain());
    assert_eq!(spans, [Span::entry(Ordinal(0)), Span::entry(Ordinal(2))]);
    assert_eq!(hand.job.stats().retries.short, 2);
    assert_eq!(hand.stored(again, spans[0]), []);
    let rest = hand.stored(again, spans[1]);
    hand.published(&rest);
}

/// F-35: an answer counts for the fetch that asked for it, and once; everything else is surplus.
#[test]
fn surplus_answers_are_counted_and_change_nothing() {
    let manifest = Manifest::new(&[100, 100, 9 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&asked);
    assert!(hand.job.expects(fetch, Ordinal(0), ChunkIndex(0)));
    assert_eq!(hand.stored(fetch, Span::entry(Ordinal(0))), []);
    assert!(!hand.job.expects(fetch, Ordinal(0), ChunkIndex(0)), "it came");
    let before = hand.job.status();
    assert_eq!(hand.stored(fetch, Span::entry(Ordinal(0))), [], "twice");
    assert_eq!(hand.stored(fetch, Span::entry(Ordinal(5))), [], "unknown");
    let range = ChunkRange { first: ChunkIndex(0), count: u32::MAX };
    assert_eq!(hand.stored(fetch, Span::Chunks { ordinal: Ordinal(2), range }), [], "never asked");
    hand.job.handle_bad(hand.now, fetch, Ordinal(2), ChunkIndex(1), "x").unwrap();
    assert_eq!(hand.job.status(), before);
    let stats = hand.job.stats();
    assert_eq!((stats.surplus, stats.stored_bytes), (3 + u64::from(u32::MAX), 100));
    assert_eq!((stats.bad_chunks, stats.late_inputs), (0, 0));
}

/// What the source no longer has is not asked of it again (row F-14), the rest of it is.
#[test]
fn a_vanished_entry_goes_to_the_next_peer_at_once() {
    let manifest = Manifest::new(&[100, 3 * CHUNK, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (source, asked) = hand.listed(&manifest);
    let (small, _) = only_fetch(&asked);
    hand.job.handle_outline(hand.now, source, Ordinal(1), GROUP, Ok(())).unwrap();
    let (large, _) = only_fetch(&hand.drain());
    let gone = || Fault::Gone("compacted".into());
    hand.job.handle_fetch_failed(hand.now, small, Some(Span::entry(Ordinal(2))), gone()).unwrap();
    assert_eq!(hand.stored(small, Span::entry(Ordinal(0))), []);
    assert_eq!(hand.stored(large, Span::chunk(Ordinal(1), ChunkIndex(0))), []);
    hand.job.handle_fetch_failed(hand.now, large, None, gone()).unwrap();
    let actions = hand.drain();
    assert_eq!(closes(&actions), [CloseReason::WorkedThrough]);
    assert_eq!(hand.job.status().entries_missing, 2);
    assert_eq!(hand.job.stats().retries, Default::default());
    let is_next = |action: &Action| matches!(action, Action::Open { peer: of, .. } if *of == peer("b"));
    assert!(actions.iter().any(is_next), "without a pause: {actions:?}");
}

/// A busy source is left alone for a while; it costs no attempt of any item.
#[test]
fn a_busy_source_is_asked_later() {
    let manifest = Manifest::new(&[100]);
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed(&manifest);
    let (mut fetch, _) = only_fetch(&asked);
    for _ in 0..3 {
        let retry_after = Some(Duration::from_secs(40));
        hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Busy { retry_after }).unwrap();
        assert_eq!(hand.drain(), [], "nothing is asked of a busy source");
        assert_eq!(hand.job.poll_timeout(), Some(hand.now + Duration::from_secs(40)));
        hand.wait();
        let asked = hand.drain();
        assert_eq!(attempt_of(&asked), 1);
        fetch = only_fetch(&asked).0;
    }
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Busy { retry_after: None }).unwrap();
    assert_eq!(closes(&hand.drain()), [CloseReason::Busy], "not for ever");
}

/// All that a busy source was asked for comes back at once: that is one refusal, not many.
#[test]
fn a_burst_of_busy_answers_counts_once() {
    let config = Config { fetch_spans: 1, ..Config::default() };
    let mut hand = Hand::with(config, &["a"]);
    let lens: Vec<u64> = (0..16).map(|i| (i % 2) * 10).collect();
    let (_, asked) = hand.listed(&Manifest::new(&lens));
    let all = fetches(&asked);
    assert_eq!(all.len(), 8);
    for (fetch, _) in all {
        hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Busy { retry_after: None }).unwrap();
    }
    assert_eq!(hand.drain(), []);
    hand.wait();
    assert_eq!(fetches(&hand.drain()).len(), 8);
}

#[test]
fn a_failed_page_is_asked_again_and_then_elsewhere() {
    let mut hand = Hand::new(&["a", "b"]);
    let (source, _) = hand.opened();
    hand.job.handle_offer(hand.now, source, Manifest::new(&[]).header).unwrap();
    hand.drain();
    hand.job.handle_page_failed(hand.now, source, Fault::Failed("io".into())).unwrap();
    assert!(matches!(hand.drain()[..], [Action::List { .. }]));
    hand.job.handle_page_failed(hand.now, source, Fault::Failed("io".into())).unwrap();
    let actions = hand.drain();
    assert_eq!(closes(&actions), [CloseReason::ListFailed("io".into())]);
    assert!(matches!(actions.last(), Some(Action::Open { .. })));
}
