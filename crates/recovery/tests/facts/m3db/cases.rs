//! What M3DB's tests say of a transfer, said of a job.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerstream_recovery::{Action, BackOff, Config, Fault, Outcome};
use peerstream_select::Level;
use peerstream_types::{ByteCount, ChunkIndex, ChunkRange, DatasetKind, EntryCounts, FetchId, Ordinal, Span};

use super::{agreement, answered, asked, begun, listed, one_by_one};
use crate::support::{Hand, Manifest, fetches, keyed, only_fetch, peer};

/// M-01: two peers have the same, and all goes well: each entry is asked of one of them, in fetches of the
/// size that is set, as evenly as they answer; what is sealed is what they listed. Nobody else is asked.
#[test]
fn two_peers_share_what_is_asked() {
    let manifest = Manifest::new(&[100; 6]);
    let (mut hand, sources) =
        begun(one_by_one(), agreement(DatasetKind::Identical, Level::Majority), &["a", "b"]);
    let actions = listed(&mut hand, &[(sources[0], &manifest), (sources[1], &manifest)]);
    let of = |actions: &[Action], source| asked(actions).iter().filter(|(of, ..)| *of == source).count();
    assert_eq!(sources.iter().map(|source| of(&actions, *source)).collect::<Vec<_>>(), [2, 2]);
    let mut seen = BTreeMap::new();
    let sealing = answered(&mut hand, actions, |source, entry| {
        assert_eq!(seen.insert(entry, source), None, "entry {entry} is asked twice");
        true
    });
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for source in sources {
        assert_eq!(seen.values().filter(|by| **by == source).count(), 3);
    }
    assert_eq!(hand.job.stats().fetches, 6, "an entry each");
    let seals = |action: &Action| matches!(action, Action::Seal { header } if *header == manifest.header);
    assert!(sealing.iter().any(seals), "{sealing:?}");
    assert!(!sealing.iter().any(|action| matches!(action, Action::Open { .. })), "{sealing:?}");
}

/// MI-05, G-11, M-02, M-21: one of two peers cannot be reached, and who failed is left alone for half a
/// minute. An unstrict majority is met without it: the job is done without a moment of waiting, and nothing
/// is asked of the one that is down.
#[test]
fn a_peer_that_cannot_be_reached_costs_no_time() {
    let half_a_minute = Duration::from_secs(30);
    let back_off = BackOff { first: half_a_minute, cap: 10 * half_a_minute };
    for comes_first in [true, false] {
        let manifest = Manifest::new(&[100; 3]);
        let config = Config { back_off, ..Config::default() };
        let level = agreement(DatasetKind::Identical, Level::UnstrictMajority);
        let (mut hand, sources) = begun(config, level, &["a", "down"]);
        let began = hand.now;
        let mut actions = Vec::new();
        if comes_first {
            hand.job.handle_offer(hand.now, sources[0], manifest.header.clone()).unwrap();
            hand.job.handle_source_lost(hand.now, sources[1], "no route").unwrap();
            assert!(hand.drain().contains(&Action::List { source: sources[0], token: Default::default() }));
            hand.page(sources[0], manifest.page());
            actions.extend(hand.drain());
        } else {
            hand.job.handle_source_lost(hand.now, sources[1], "no route").unwrap();
            actions.extend(listed(&mut hand, &[(sources[0], &manifest)]));
        }
        assert!(asked(&actions).iter().all(|(source, ..)| *source == sources[0]), "{actions:?}");
        let sealing = hand.store_all(actions);
        let sealing: Vec<_> =
            sealing.into_iter().filter(|action| matches!(action, Action::Seal { .. })).collect();
        assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
        assert_eq!(hand.now, began);
    }
}

/// M-04, G-08: of three series every replica has another copy: all nine are fetched, each from who has it.
#[test]
fn several_entries_that_all_differ_are_fetched_from_all() {
    let all = [1, 2, 3].map(|content| keyed(content, &[("a", content), ("b", content), ("c", content)]));
    let (mut hand, sources) =
        begun(Config::default(), agreement(DatasetKind::Mergeable, Level::All), &["a", "b", "c"]);
    let listing: Vec<_> = sources.iter().copied().zip(&all).collect();
    let actions = listed(&mut hand, &listing);
    let mut seen = BTreeMap::new();
    let sealing = answered(&mut hand, actions, |source, entry| {
        assert_eq!(seen.insert(entry, source), None, "copy {entry} is asked twice");
        true
    });
    assert_eq!(seen.len(), 9);
    for source in sources {
        assert_eq!(seen.values().filter(|by| **by == source).count(), 3);
    }
    assert!(sealing.iter().any(|action| matches!(action, Action::Seal { .. })), "{sealing:?}");
}

/// M-13: a request that fails as a whole is asked again for all that it named, and then of the next peer.
#[test]
fn a_request_that_fails_is_asked_again_for_all_that_it_named() {
    let manifest = Manifest::new(&[100; 3]);
    let mut hand = Hand::new(&["a", "b"]);
    let (_, mut actions) = hand.listed(&manifest);
    let whole = [Span::Entries { first: Ordinal(0), count: 3 }];
    for _ in 0..2 {
        let (fetch, spans) = only_fetch(&actions);
        assert_eq!(spans, whole);
        hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Failed("reset".into())).unwrap();
        actions = hand.drain();
    }
    let (_, actions) = hand.listed(&manifest);
    assert_eq!(hand.job.status().source, Some(peer("b")));
    assert_eq!(only_fetch(&actions).1, whole);
    let sealing = hand.store_all(actions);
    assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
    assert_eq!(hand.job.stats().retries.failed, 3, "each entry once more at the first");
}

/// M-14, M-15: an entry that its source cannot give, or that does not fit its digest, is asked again, alone:
/// what came with it is kept.
#[test]
fn an_entry_that_fails_alone_is_asked_again_alone() {
    type Miss = fn(&mut Hand, FetchId);
    let misses: [Miss; 2] = [
        |hand, fetch| {
            let span = Some(Span::entry(Ordinal(1)));
            hand.job.handle_fetch_failed(hand.now, fetch, span, Fault::Failed("rot".into())).unwrap();
        },
        |hand, fetch| {
            hand.job.handle_bad(hand.now, fetch, Ordinal(1), ChunkIndex(0), "another digest").unwrap();
        },
    ];
    for miss in misses {
        let mut hand = Hand::new(&["a"]);
        let (_, actions) = hand.listed(&Manifest::new(&[100; 3]));
        let (fetch, _) = only_fetch(&actions);
        hand.stored(fetch, Span::entry(Ordinal(0)));
        miss(&mut hand, fetch);
        let again = hand.drain();
        assert_eq!(only_fetch(&again).1, [Span::entry(Ordinal(1))]);
        assert_eq!(hand.stored(fetch, Span::entry(Ordinal(2))), []);
        let sealing = hand.store_all(again);
        assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
        assert_eq!((hand.job.stats().stored_chunks, hand.job.stats().surplus), (3, 0));
    }
}

/// M-20: what is left is right before, while and after it is worked on, whatever fails on the way.
#[test]
fn what_is_left_is_counted_at_every_moment() {
    let done = |entries| EntryCounts { entries, bytes: 100 * entries };
    let left = |hand: &Hand| {
        let status = hand.job.status();
        (status.outstanding.0, status.done, status.entries_missing)
    };
    let manifest = Manifest::new(&[100; 3]);
    let mut hand = Hand::new(&["a", "b"]);
    assert_eq!(left(&hand), (0, done(0), 0));
    let (_, actions) = hand.listed(&manifest);
    assert_eq!(left(&hand), (300, done(0), 0));
    let (fetch, _) = only_fetch(&actions);
    hand.stored(fetch, Span::entry(Ordinal(0)));
    assert_eq!(left(&hand), (200, done(1), 0));
    hand.job.handle_bad(hand.now, fetch, Ordinal(1), ChunkIndex(0), "rot").unwrap();
    let (again, _) = only_fetch(&hand.drain());
    assert_eq!(left(&hand), (200, done(1), 0), "it is asked again");
    hand.job.handle_bad(hand.now, again, Ordinal(1), ChunkIndex(0), "rot").unwrap();
    assert_eq!(hand.drain(), []);
    assert_eq!(left(&hand), (100, done(1), 1), "it is left to the next");
    hand.stored(fetch, Span::entry(Ordinal(2)));
    let mut page = manifest.page();
    let whole = ChunkRange { first: ChunkIndex(0), count: 1 };
    page.held = [0, 2].map(|ordinal| (Ordinal(ordinal), vec![whole])).into();
    let (_, actions) = hand.listed_as(&manifest, page);
    assert_eq!(left(&hand).0, 100);
    let sealing = hand.store_all(actions);
    assert_eq!(left(&hand), (0, done(3), 0));
    hand.published(&sealing);
    assert_eq!(left(&hand), (0, done(3), 0));
}

/// MI-10: many at a time, in small fetches and in large ones: eight rounds of 64 fetches of 16 entries, and of
/// 16 fetches of 64. Never more is under way than may be, and every entry comes once.
#[test]
fn many_fetches_at_a_time_lose_nothing() {
    for (at_once, entries) in [(16_u64, 64_u64), (64, 16)] {
        let config = Config {
            window: ByteCount(100 * at_once * entries),
            fetch_bytes: ByteCount(100 * entries),
            entry_fetch_bytes: ByteCount(100 * entries),
            ..Config::default()
        };
        let count = 8 * at_once * entries;
        let manifest = Manifest::new(&vec![100; count as usize]);
        let mut hand = Hand::with(config, &["a"]);
        let (source, mut queue) = hand.listed(&manifest);
        let (mut under_way, mut seen) = (BTreeMap::<FetchId, Vec<u64>>::new(), BTreeSet::new());
        let mut most = 0;
        loop {
            for (of, fetch, entry) in asked(&queue) {
                assert_eq!(of, source);
                assert!(seen.insert(entry), "entry {entry} is asked twice");
                under_way.entry(fetch).or_default().push(entry);
            }
            most = most.max(under_way.len() as u64);
            assert!(under_way.values().all(|asked| asked.len() as u64 <= entries));
            // The newest is answered first.
            let Some((fetch, asked)) = under_way.pop_last() else { break };
            for entry in asked {
                hand.job.handle_stored(hand.now, fetch, Span::entry(Ordinal(entry))).unwrap();
            }
            hand.job.handle_fetch_ended(hand.now, fetch).unwrap();
            queue = hand.drain();
        }
        assert_eq!((seen.len() as u64, most), (count, at_once), "all may be under way, and no more are");
        assert_eq!(hand.published(&queue), Outcome::Published { generation: 7 });
    }
}

/// M-03, M-05: what one peer has of one series at two starts is two entries, whatever the others have of
/// them: of the one that differs every copy comes, of the other one.
#[test]
fn two_blocks_of_a_series_are_two_entries() {
    let all = [keyed(1, &[("cpu/0", 1), ("cpu/1", 7)]), keyed(2, &[("cpu/0", 2), ("cpu/1", 7)])];
    let (mut hand, sources) =
        begun(Config::default(), agreement(DatasetKind::Mergeable, Level::UnstrictAll), &["a", "b"]);
    let actions = listed(&mut hand, &[(sources[0], &all[0]), (sources[1], &all[1])]);
    let count = asked(&actions).len();
    assert_eq!((count, fetches(&actions).len()), (3, 2), "{actions:?}");
    let sealing = hand.store_all(actions).split_off(1);
    assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
}
