//! How much is asked for at a time, and in which form.

use peerstream_recovery::{Action, Config, OutlinePart};
use peerstream_types::{ByteCount, ChunkIndex, ChunkRange, Ordinal, Span};

use crate::support::*;

fn small_window(window: u64, fetch: u64) -> Config {
    Config { window: ByteCount(window), fetch_bytes: ByteCount(fetch), ..Config::default() }
}

/// Small entries travel many to a fetch; large ones as ranges of chunks.
#[test]
fn small_entries_are_asked_in_runs() {
    let manifest = Manifest::new(&[10, 1024, 0, 20, 30, 1025, 40]);
    let mut hand = Hand::new(&["a"]);
    let (a, asked) = hand.listed(&manifest);
    let run = |first, count| Span::Entries { first: Ordinal(first), count };
    assert_eq!(only_fetch(&asked).1, [run(0, 2), run(3, 2), run(6, 1)]);
    assert!(asked.contains(&Action::Outline {
        source: a,
        ordinal: Ordinal(5),
        there: Ordinal(5),
        part: GROUP
    }));
}

/// The window is filled with whole fetches, and filled again when a whole one has room.
#[test]
fn the_window_is_refilled_in_whole_fetches() {
    let manifest = Manifest::new(&[100 * CHUNK]);
    let mut hand = Hand::with(small_window(8 * CHUNK, 4 * CHUNK), &["a"]);
    let (a, _) = hand.listed(&manifest);
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let asked = fetches(&hand.drain());
    let chunks = |first, count| {
        let range = ChunkRange { first: ChunkIndex(first), count };
        Span::Chunks { ordinal: Ordinal(0), range }
    };
    assert_eq!(asked.iter().map(|(_, spans)| spans[0]).collect::<Vec<_>>(), [chunks(0, 4), chunks(4, 4)]);
    assert_eq!(hand.job.status().outstanding, ByteCount(8 * CHUNK));
    for chunk in [5, 0, 7] {
        let fetch = asked[chunk as usize / 4].0;
        assert_eq!(hand.stored(fetch, chunks(chunk, 1)), [], "no tiny fetches");
    }
    let more = hand.stored(asked[0].0, chunks(2, 1));
    assert_eq!(only_fetch(&more).1, [chunks(8, 4)]);
}

/// D12: small entries are asked for in smaller fetches than large ones, so that more are under way.
#[test]
fn small_entries_have_fetches_of_their_own_size() {
    let config = Config { entry_fetch_bytes: ByteCount(2 * CHUNK), ..small_window(6 * CHUNK, 4 * CHUNK) };
    let manifest = Manifest::new(&[CHUNK; 10]);
    let mut hand = Hand::with(config, &["a"]);
    let (_, asked) = hand.listed(&manifest);
    let run = |first| vec![Span::Entries { first: Ordinal(first), count: 2 }];
    let spans: Vec<_> = fetches(&asked).into_iter().map(|(_, spans)| spans).collect();
    assert_eq!(spans, [run(0), run(2), run(4)]);
}

/// A chunk that is larger than the window is asked for alone.
#[test]
fn a_chunk_larger_than_the_window_is_asked_alone() {
    let manifest = Manifest::new(&[CHUNK, CHUNK]);
    let mut hand = Hand::with(small_window(100, 10), &["a"]);
    let (_, asked) = hand.listed(&manifest);
    let (fetch, spans) = only_fetch(&asked);
    assert_eq!(spans, [Span::entry(Ordinal(0))]);
    let next = hand.stored(fetch, spans[0]);
    assert_eq!(only_fetch(&next).1, [Span::entry(Ordinal(1))]);
}

#[test]
fn a_fetch_has_no_more_spans_than_allowed() {
    let config = Config { fetch_spans: 2, ..Config::default() };
    let lens: Vec<u64> = (0..10).map(|i| (i % 2) * 10).collect();
    let mut hand = Hand::with(config, &["a"]);
    let (_, asked) = hand.listed(&Manifest::new(&lens));
    let all = fetches(&asked);
    assert_eq!(all.iter().map(|(_, spans)| spans.len()).collect::<Vec<_>>(), [2, 2, 1]);
}

/// Outlines are fetched ahead of the data, but not all at once.
#[test]
fn outlines_are_asked_a_few_ahead() {
    let manifest = Manifest::new(&[4 * CHUNK; 50]);
    let mut hand = Hand::with(small_window(8 * CHUNK, 4 * CHUNK), &["a"]);
    let (a, asked) = hand.listed(&manifest);
    let outlines =
        |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Outline { .. })).count();
    assert_eq!(outlines(&asked), 4, "two windows");
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    assert_eq!(outlines(&hand.drain()), 1, "one is in flight, so another is looked ahead at");

    let config = Config { outline_values: 9, ..small_window(1 << 20, 4 * CHUNK) };
    let mut hand = Hand::with(config, &["a"]);
    let (a, asked) = hand.listed(&manifest);
    assert_eq!(outlines(&asked), 2, "the driver's memory is limited");
    hand.job.handle_outline(hand.now, a, Ordinal(1), GROUP, Ok(())).unwrap();
    let (fetch, spans) = only_fetch(&hand.drain());
    assert_eq!(spans[0].first_ordinal(), Ordinal(1), "data does not wait for the outline before it");
    assert_eq!(outlines(&hand.stored(fetch, spans[0])), 1, "a finished entry makes room");
}

/// An entry may claim any length: it costs no memory, and is asked for a window at a time.
#[test]
fn a_gigantic_entry_is_asked_a_window_at_a_time() {
    let manifest = Manifest::new(&[u64::MAX, u64::MAX]);
    let mut hand = Hand::with(small_window(8 * CHUNK, 4 * CHUNK), &["a"]);
    let (a, asked) = hand.listed(&manifest);
    assert_eq!(
        asked,
        [Action::Outline { source: a, ordinal: Ordinal(0), there: Ordinal(0), part: OutlinePart::Top }]
    );
    hand.job.handle_outline(hand.now, a, Ordinal(0), OutlinePart::Top, Ok(())).unwrap();
    assert_eq!(
        hand.drain(),
        [Action::Outline { source: a, ordinal: Ordinal(0), there: Ordinal(0), part: GROUP }]
    );
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    assert_eq!(fetches(&hand.drain()).len(), 2);
    assert_eq!(hand.job.status().outstanding, ByteCount(8 * CHUNK));
}
