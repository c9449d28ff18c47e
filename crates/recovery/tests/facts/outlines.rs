//! Entries of several groups: the top, then each group shortly before its chunks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstream_recovery::{Action, Config, Fault, Outcome, OutlinePart};
use peerstream_types::{ByteCount, ChunkIndex, ChunkRange, ChunkSize, GroupIndex, Ordinal, Span};

use crate::support::*;

const TOP: OutlinePart = OutlinePart::Top;

fn group(n: u64) -> OutlinePart {
    OutlinePart::Group(GroupIndex(n))
}

fn outlines(actions: &[Action]) -> Vec<(u64, OutlinePart)> {
    let outline = |action: &Action| match action {
        Action::Outline { ordinal, part, .. } => Some((ordinal.0, *part)),
        _ => None,
    };
    actions.iter().filter_map(outline).collect()
}

fn chunks(first: u64, count: u32) -> Span {
    Span::Chunks { ordinal: Ordinal(0), range: ChunkRange { first: ChunkIndex(first), count } }
}

#[test]
fn the_top_comes_before_the_groups_and_a_group_before_its_chunks() {
    let manifest = Manifest::new(&[2500 * CHUNK]);
    let config =
        Config { window: ByteCount(600 * CHUNK), fetch_bytes: ByteCount(300 * CHUNK), ..Config::default() };
    let mut hand = Hand::with(config, &["a"]);
    let (a, asked) = hand.listed(&manifest);
    assert_eq!(asked, [Action::Outline { source: a, ordinal: Ordinal(0), there: Ordinal(0), part: TOP }]);
    hand.job.handle_outline(hand.now, a, Ordinal(0), TOP, Ok(())).unwrap();
    let asked = hand.drain();
    assert_eq!(outlines(&asked), [(0, group(0)), (0, group(1))], "two windows ahead");
    assert_eq!(fetches(&asked), []);
    hand.job.handle_outline(hand.now, a, Ordinal(0), group(1), Ok(())).unwrap();
    let (fetch, spans) = only_fetch(&hand.drain()[..1]);
    assert_eq!(spans, [chunks(1024, 300)], "data does not wait for the outline before it");
    hand.job.handle_outline(hand.now, a, Ordinal(0), group(0), Ok(())).unwrap();
    hand.drain();
    let next = hand.stored(fetch, spans[0]);
    assert_eq!(only_fetch(&next).1, [chunks(0, 300)], "in order from here on");
    assert!(hand.job.needs_outline(Ordinal(0), group(1)));
}

#[test]
fn an_outline_is_kept_until_its_group_is_done() {
    let manifest = Manifest::new(&[1025 * CHUNK]);
    let mut hand = Hand::new(&["a"]);
    let (a, _) = hand.listed(&manifest);
    for part in [TOP, group(0), group(1)] {
        hand.job.handle_outline(hand.now, a, Ordinal(0), part, Ok(())).unwrap();
    }
    let asked = hand.drain();
    let last = Span::chunk(Ordinal(0), ChunkIndex(1024));
    let fetch = fetches(&asked).last().unwrap().0;
    hand.stored(fetch, last);
    assert!(!hand.job.needs_outline(Ordinal(0), group(1)), "its only chunk is stored");
    assert!(hand.job.needs_outline(Ordinal(0), group(0)) && hand.job.needs_outline(Ordinal(0), TOP));
    let sealing = hand.store_all(asked);
    assert!(!hand.job.needs_outline(Ordinal(0), group(0)) && !hand.job.needs_outline(Ordinal(0), TOP));
    hand.published(&sealing);
}

/// Without faults every chunk is asked for once, whatever the number of groups.
#[test]
fn every_chunk_is_asked_once() {
    for count in [1, 2, 1023, 1024, 1025, 2048, 5000] {
        let manifest = Manifest::new(&[10, count * CHUNK - 1, 3 * CHUNK]);
        let mut hand = Hand::with(Config { outline_values: 1500, ..Config::default() }, &["a"]);
        let (_, asked) = hand.listed(&manifest);
        let mut queue = VecDeque::from(asked);
        let (mut seen, mut parts) = (BTreeSet::new(), BTreeSet::new());
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Outline { source, ordinal, part, .. } => {
                    assert!(parts.insert((ordinal, part)), "{ordinal} {part} again");
                    hand.job.handle_outline(hand.now, source, ordinal, part, Ok(())).unwrap();
                    queue.extend(hand.drain());
                }
                Action::Fetch { fetch, spans, .. } => {
                    for span in spans {
                        if let Span::Chunks { ordinal, range } = span {
                            assert!(
                                range.iter().all(|chunk| seen.insert((ordinal, chunk))),
                                "{count}: {span:?}"
                            );
                        }
                        queue.extend(hand.stored(fetch, span));
                    }
                }
                Action::Seal { .. } => {
                    assert_eq!(hand.published(&[action]), Outcome::Published { generation: 7 });
                }
                other => panic!("{other:?}"),
            }
        }
        let of_large = if count == 1 { 0 } else { count };
        assert_eq!(seen.len() as u64, of_large + 3, "{count}");
        let groups = count.div_ceil(1024);
        let tops = u64::from(groups > 1);
        assert_eq!(parts.len() as u64, tops + if count > 1 { groups } else { 0 } + 1, "{count}");
    }
}

/// F-31: a forged top costs the entry at this source, before anything is asked under it; the next
/// source gives it.
#[test]
fn a_forged_top_sends_the_entry_to_the_next_source() {
    let manifest = Manifest::new(&[1025 * CHUNK, 100]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, asked) = hand.listed(&manifest);
    assert_eq!(hand.store_all(only(asked, |action| matches!(action, Action::Fetch { .. }))), []);
    let forged = || Err(Fault::Wrong("its outline does not fit its digest".into()));
    hand.job.handle_outline(hand.now, a, Ordinal(0), TOP, forged()).unwrap();
    assert_eq!(
        hand.drain(),
        [Action::Outline { source: a, ordinal: Ordinal(0), there: Ordinal(0), part: TOP }]
    );
    hand.job.handle_outline(hand.now, a, Ordinal(0), TOP, forged()).unwrap();
    let mut page = manifest.page();
    page.held = vec![(Ordinal(1), vec![ChunkRange::one(ChunkIndex(0))])];
    let (_, asked) = hand.listed_as(&manifest, page);
    assert_eq!(hand.job.status().source, Some(peer("b")));
    let sealing = hand.store_all(asked);
    assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
}

/// A forged group costs the group: all others of the entry come from the same source, and only it is
/// asked of the next one. What is missing at the end is named, with the peer.
#[test]
fn a_forged_group_costs_the_group() {
    let manifest = Manifest::new(&[2048 * CHUNK + 1]);
    let mut hand = Hand::new(&["a", "b"]);
    let mut page = manifest.page();
    for name in ["a", "b"] {
        let (source, _) = hand.listed_as(&manifest, page);
        assert_eq!(hand.job.status().source, Some(peer(name)));
        hand.job.handle_outline(hand.now, source, Ordinal(0), TOP, Ok(())).unwrap();
        let asked = hand.drain();
        assert_eq!(outlines(&asked).contains(&(0, group(0))), name == "a", "only what is missing");
        for _ in 0..2 {
            let forged = Err(Fault::Wrong("its outline does not fit the top".into()));
            hand.job.handle_outline(hand.now, source, Ordinal(0), group(1), forged).unwrap();
        }
        assert!(!hand.job.needs_outline(Ordinal(0), group(1)));
        let rest = only(asked, |action| matches!(action, Action::Outline { part, .. } if *part != group(1)));
        let rest = [hand.drain(), hand.store_all(rest)].concat();
        assert!(!rest.iter().any(|action| matches!(action, Action::Seal { .. })), "{rest:?}");
        let range = |first, count| ChunkRange { first: ChunkIndex(first), count };
        page = manifest.page();
        page.held = vec![(Ordinal(0), vec![range(0, 1024), range(2048, 1)])];
        if name == "b" {
            let Outcome::Incomplete { gaps, entries, .. } = done(&rest) else { panic!("{rest:?}") };
            assert_eq!((entries, gaps.len()), (1, 1));
            let said = gaps[0].to_string();
            assert_eq!(said, "entry #0 (f000000) chunk 1024 from b: its outline does not fit the top");
        }
    }
    assert_eq!(hand.job.stats().stored_chunks, 1025);
}

fn only(actions: Vec<Action>, which: impl Fn(&Action) -> bool) -> Vec<Action> {
    actions.into_iter().filter(which).collect()
}

/// An entry that vanished is left with all of its groups; what still comes for it is late.
#[test]
fn a_vanished_entry_is_left_with_its_groups() {
    let manifest = Manifest::new(&[3000 * CHUNK]);
    let mut hand = Hand::new(&["a", "b"]);
    let (a, _) = hand.listed(&manifest);
    for part in [TOP, group(0)] {
        hand.job.handle_outline(hand.now, a, Ordinal(0), part, Ok(())).unwrap();
    }
    let (fetch, _) = only_fetch(&hand.drain());
    hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Gone("compacted".into())).unwrap();
    hand.job.handle_outline(hand.now, a, Ordinal(0), group(1), Ok(())).unwrap();
    assert_eq!(hand.job.stats().late_inputs, 1);
    assert_eq!(hand.opened().1, peer("b"));
}

/// An entry of a tebibyte, 4,194,304 chunks in 4,096 groups: all of it is asked for, and what is kept
/// at a time is a top, two groups and a window.
#[test]
fn a_tebibyte_is_asked_in_bounded_memory() {
    let len = 1 << 40;
    let size = ChunkSize::DEFAULT;
    let mut manifest = Manifest::new(&[len]);
    manifest.header.chunk_size = size;
    // All but the last chunks of every group are staged, or the test takes a minute.
    let (groups, fresh) = (size.groups_in(len), 24);
    let held = |group| {
        let all = size.chunks_of(GroupIndex(group), len);
        ChunkRange { count: all.count - fresh, ..all }
    };
    let held = vec![(Ordinal(0), (0..groups).map(held).collect())];
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed_as(&manifest, Listed { held, ..manifest.page() });
    let mut queue = VecDeque::from(asked);
    let mut kept: BTreeMap<OutlinePart, u64> = BTreeMap::new();
    let (mut most, mut parts, mut stored) = (0, 0, 0);
    while let Some(action) = queue.pop_front() {
        match action {
            Action::Outline { source, ordinal, part, .. } => {
                kept.retain(|part, _| hand.job.needs_outline(ordinal, *part));
                kept.insert(part, if part == TOP { groups } else { 1024 });
                most = most.max(kept.values().sum());
                parts += 1;
                hand.job.handle_outline(hand.now, source, ordinal, part, Ok(())).unwrap();
                queue.extend(hand.drain());
            }
            Action::Fetch { fetch, spans, .. } => {
                for span in spans {
                    if let Span::Chunks { range, .. } = span {
                        stored += u64::from(range.count);
                    }
                    queue.extend(hand.stored(fetch, span));
                }
            }
            Action::Seal { .. } => drop(hand.published(&[action])),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((parts, stored), (1 + groups, groups * u64::from(fresh)));
    assert!(hand.job.outcome().is_some());
    // Two windows ahead are eleven groups of what is fresh here, and one window is in flight.
    assert!(most <= groups + 20 * 1024, "{most} values were kept");
}
