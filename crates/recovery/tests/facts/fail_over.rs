//! One source after the other, keeping what is verified.

use std::time::Duration;

use peerstream_recovery::{Action, CloseReason, Fault, Outcome, Refusal};
use peerstream_types::{ChunkIndex, ChunkRange, Ordinal, PageToken, Span};

use crate::support::*;

fn held(mut page: Listed, ordinal: u64, first: u64, count: u32) -> Listed {
    page.held.push((Ordinal(ordinal), vec![ChunkRange { first: ChunkIndex(first), count }]));
    page
}

/// A lost source is replaced; the next one is listed from the start, and asked only for what is
/// missing.
#[test]
fn a_lost_source_is_replaced_and_nothing_is_fetched_twice() {
    let manifest = Manifest::new(&[100, 4 * CHUNK, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, asked) = hand.listed(&manifest);
    let (small, _) = only_fetch(&asked);
    hand.stored(small, Span::entry(Ordinal(0)));
    hand.job.handle_outline(hand.now, a, Ordinal(1), GROUP, Ok(())).unwrap();
    let (large, _) = only_fetch(&hand.drain());
    hand.stored(large, Span::chunk(Ordinal(1), ChunkIndex(2)));
    hand.job.handle_source_lost(hand.now, a, "connection reset").unwrap();
    let actions = hand.drain();
    assert_eq!(closes(&actions), [CloseReason::Lost("connection reset".into())]);
    assert!(!actions.iter().any(|action| matches!(action, Action::Cancel { .. })), "it is gone");

    let page = held(held(manifest.page(), 0, 0, 1), 1, 2, 1);
    let (b, asked) = hand.listed_as(&manifest, page);
    assert_eq!(only_fetch(&asked).1, [Span::entry(Ordinal(2))]);
    hand.job.handle_outline(hand.now, b, Ordinal(1), GROUP, Ok(())).unwrap();
    let chunks = |first, count| {
        let range = ChunkRange { first: ChunkIndex(first), count };
        Span::Chunks { ordinal: Ordinal(1), range }
    };
    let more = hand.drain();
    assert_eq!(only_fetch(&more).1, [chunks(0, 2), chunks(3, 1)]);
    let rest = hand.store_all([asked, more].concat());
    let sealing: Vec<Action> =
        rest.into_iter().filter(|action| !matches!(action, Action::Outline { .. })).collect();
    hand.published(&sealing);
    let stats = hand.job.stats();
    assert_eq!((stats.stored_bytes, stats.held_bytes), (200 + 4 * CHUNK, 0), "held was stored by this job");
}

/// MI-07: what an earlier job left is held, counted apart, and not fetched.
#[test]
fn what_is_staged_from_before_is_not_fetched() {
    let manifest = Manifest::new(&[100, 2 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let page = held(held(manifest.page(), 0, 0, 1), 1, 0, 2);
    let (_, actions) = hand.listed_as(&manifest, page);
    hand.published(&actions);
    let stats = hand.job.stats();
    assert_eq!((stats.stored_bytes, stats.held_bytes, stats.fetches), (0, 100 + 2 * CHUNK, 0));
}

/// A source with another manifest (a local snapshot, say) takes the same path: begin with its header,
/// keep what is held under it.
#[test]
fn another_manifest_is_begun_anew() {
    let mut hand = Hand::new(&["a", "b"]);
    let (a, _) = hand.listed(&Manifest::marked(1, &[100, 100]));
    hand.job.handle_source_lost(hand.now, a, "gone").unwrap();
    let other = Manifest::marked(2, &[100, 100, 100]);
    let (_, asked) = hand.listed_as(&other, held(other.page(), 1, 0, 1));
    assert_eq!(only_fetch(&asked).1, [Span::entry(Ordinal(0)), Span::entry(Ordinal(2))]);
    let rest = hand.store_all(asked);
    assert_eq!(rest, [Action::Seal { header: other.header.clone() }]);
    hand.published(&rest);
}

/// G-09: a chunk that no candidate can give: all else is there, nothing is sealed, the gap is named.
#[test]
fn a_chunk_that_nobody_has_is_named_and_all_else_is_kept() {
    let manifest = Manifest::new(&[100, 3 * CHUNK, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let mut page = manifest.page();
    for name in ["a", "b"] {
        let (source, mut asked) = hand.listed_as(&manifest, page);
        assert_eq!(hand.job.status().source, Some(peer(name)));
        if name == "a" {
            let rest = hand.store_all(fetches_only(&asked));
            assert_eq!(rest, []);
        }
        hand.job.handle_outline(hand.now, source, Ordinal(1), GROUP, Ok(())).unwrap();
        asked = hand.drain();
        let (fetch, spans) = only_fetch(&asked);
        if name == "a" {
            hand.stored(fetch, Span::chunk(Ordinal(1), ChunkIndex(0)));
            hand.stored(fetch, Span::chunk(Ordinal(1), ChunkIndex(2)));
        } else {
            assert_eq!(spans, [Span::chunk(Ordinal(1), ChunkIndex(1))], "only the gap");
        }
        hand.job.handle_bad(hand.now, fetch, Ordinal(1), ChunkIndex(1), "first").unwrap();
        let (again, _) = only_fetch(&hand.drain());
        hand.job.handle_bad(hand.now, again, Ordinal(1), ChunkIndex(1), "second").unwrap();
        page = held(held(held(manifest.page(), 0, 0, 1), 2, 0, 1), 1, 0, 1);
        page = held(page, 1, 2, 1);
    }
    let actions = hand.drain();
    assert!(!actions.iter().any(|action| matches!(action, Action::Seal { .. } | Action::Publish)));
    let Outcome::Incomplete { gaps, entries, peers } = done(&actions) else { panic!("{actions:?}") };
    assert_eq!((entries, gaps.len()), (1, 1));
    assert_eq!(gaps[0].to_string(), "entry #1 (f000001) chunk 1 from b: second");
    assert_eq!(peers.iter().map(|peer| peer.bad_chunks).collect::<Vec<_>>(), [2, 2]);
}

fn fetches_only(actions: &[Action]) -> Vec<Action> {
    actions.iter().filter(|action| matches!(action, Action::Fetch { .. })).cloned().collect()
}

/// A gap that the next source fills is no gap.
#[test]
fn a_gap_is_filled_by_the_next_source() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&asked);
    hand.stored(fetch, Span::entry(Ordinal(0)));
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Gone("x".into())).unwrap();
    let (_, asked) = hand.listed_as(&manifest, held(manifest.page(), 0, 0, 1));
    assert_eq!(hand.job.status().entries_missing, 1);
    let rest = hand.store_all(asked);
    assert_eq!(hand.published(&rest), Outcome::Published { generation: 7 });
}

/// What is known to be missing survives a later source that dies half-way.
#[test]
fn a_gap_is_remembered_when_the_next_source_dies() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&asked);
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Gone("x".into())).unwrap();
    let (b, asked) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&asked);
    hand.stored(fetch, Span::entry(Ordinal(0)));
    let permanent = refusal("going away", true);
    hand.job.handle_refusal(hand.now, b, permanent).unwrap();
    let Outcome::Incomplete { gaps, entries, .. } = done(&hand.drain()) else { panic!("not incomplete") };
    assert_eq!((entries, gaps.len(), gaps[0].ordinal), (1, 1, Ordinal(1)));
}

/// A gap that was filled is none, also if the source that filled it dies before its listing ends.
#[test]
fn a_filled_gap_is_not_reported() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&asked);
    hand.stored(fetch, Span::entry(Ordinal(1)));
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Gone("x".into())).unwrap();
    let (b, asked) = hand.listed_as(&manifest, manifest.part(0, 1));
    let (fetch, _) = only_fetch(&asked);
    hand.stored(fetch, Span::entry(Ordinal(0)));
    hand.job.handle_refusal(hand.now, b, refusal("going away", true)).unwrap();
    assert!(matches!(done(&hand.drain()), Outcome::NoSource { .. }));
}

/// An entry of another manifest at the same place fills no gap.
#[test]
fn another_manifest_fills_no_gap() {
    let mut hand = Hand::new(&["a", "b"]);
    let first = Manifest::marked(1, &[100]);
    let (_, asked) = hand.listed(&first);
    let (fetch, _) = only_fetch(&asked);
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Gone("x".into())).unwrap();
    let other = Manifest::marked(2, &[100, 100]);
    let (b, asked) = hand.listed_as(&other, other.part(0, 1));
    let (fetch, _) = only_fetch(&asked);
    hand.stored(fetch, Span::entry(Ordinal(0)));
    hand.job.handle_refusal(hand.now, b, refusal("going away", true)).unwrap();
    assert!(matches!(done(&hand.drain()), Outcome::Incomplete { entries: 1, .. }));
}

/// F-13: a peer that is down, or waits for its back-off, delays no other.
#[test]
fn a_dead_peer_never_delays_another() {
    let manifest = Manifest::new(&[100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, _) = hand.opened();
    let retry_after = Some(Duration::from_secs(30));
    let busy = Refusal { reason: "busy".into(), retry_after, permanent: false };
    hand.job.handle_refusal(hand.now, a, busy).unwrap();
    let begun = hand.now;
    let (_, asked) = hand.listed(&manifest);
    let rest = hand.store_all(asked);
    hand.published(&rest);
    assert_eq!(hand.now, begun, "not one moment was waited");
}

/// A peer that failed is tried again when all others were, after its back-off (row F-12).
#[test]
fn the_same_peer_is_tried_again_after_a_back_off() {
    let mut hand = Hand::new(&["a", "b"]);
    let mut dialled = Vec::new();
    while hand.job.outcome().is_none() {
        let (source, name) = hand.opened();
        dialled.push(name.to_string());
        hand.job.handle_source_lost(hand.now, source, "connection refused").unwrap();
        if dialled.len() >= 2 && hand.job.outcome().is_none() {
            assert!(hand.job.poll_timeout().unwrap() > hand.now);
            hand.wait();
        }
    }
    let Outcome::NoSource { peers } = done(&hand.drain()) else { panic!("not given up") };
    assert!(peers.iter().all(|peer| peer.opens == 3 && peer.ended.is_some()));
    assert_eq!(dialled[..2], ["a", "b"]);
    assert_eq!(dialled.len(), 6);
}

/// Listing starts at the start at every source: a token means nothing to another.
#[test]
fn a_token_is_never_given_to_another_source() {
    let manifest = Manifest::new(&[100, 100, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, asked) = hand.listed_as(&manifest, manifest.part(0, 1));
    assert!(asked.contains(&Action::List { source: a, token: token(1) }));
    hand.job.handle_source_lost(hand.now, a, "gone").unwrap();
    let b = hand.opened().0;
    hand.job.handle_offer(hand.now, b, manifest.header.clone()).unwrap();
    assert_eq!(hand.drain().last(), Some(&Action::List { source: b, token: PageToken::START }));
}
