//! Facts about the merge join, and a property against a join that holds everything.

use std::collections::BTreeMap;

use peerstream_types::{Codec, Digest, EntryKind, NodeId, Ordinal, PageToken};
use proptest::prelude::*;

use super::*;

/// A key and what is said of it: `None` for mutable.
type Line = (u16, Option<u8>);

fn entry(line: Line) -> Arc<Entry> {
    let key = EntryKey::new(line.0.to_be_bytes()).unwrap();
    let digest = line.1.map(|byte| Digest::Blake3([byte; 32]));
    let (kind, codec, metadata) = (EntryKind::Block, Codec::Plain, vec![]);
    Arc::new(Entry { ordinal: Ordinal(0), key, len: 1, digest, kind, codec, metadata })
}

fn line(entry: &Entry) -> Line {
    let key = u16::from_be_bytes(entry.key.as_bytes().try_into().unwrap());
    (key, entry.digest.map(|digest| digest.as_bytes()[0]))
}

fn token(number: usize) -> PageToken {
    match number {
        0 => PageToken::START,
        number => PageToken::new(number.to_string()).unwrap(),
    }
}

fn page(from: usize, lines: &[Line], next: Option<usize>) -> Page {
    Page {
        token: token(from),
        entries: lines.iter().map(|&line| entry(line)).collect(),
        next: next.map(token),
    }
}

fn join_of(replicas: usize) -> (Join, Vec<Slot>) {
    let nodes = (0..replicas).map(|index| NodeId::new(format!("n{index:02}")).unwrap());
    let roster = Roster::new(nodes).unwrap();
    let slots = roster.slots().iter().collect();
    (Join::new(roster, JoinConfig::default()), slots)
}

fn asked(join: &mut Join) -> Vec<(usize, PageToken)> {
    std::iter::from_fn(|| join.poll_request()).map(|ask| (ask.slot.index(), ask.token)).collect()
}

/// What was handed on: by whom which report.
type Out = Vec<(usize, Line)>;

fn next(join: &mut Join) -> Option<Out> {
    match join.poll() {
        Step::Entry(joined) => {
            let reports = joined.reports().map(|(slot, entry)| (slot.index(), line(entry)));
            Some(reports.collect())
        }
        Step::Pending(_) | Step::Done => None,
    }
}

fn drain(join: &mut Join) -> Vec<Out> {
    std::iter::from_fn(|| next(join)).collect()
}

fn is_done(join: &mut Join) -> bool {
    matches!(join.poll(), Step::Done)
}

/// G-22, F-06: handed on once, when all reported; what few reported, as soon as the others have passed it.
#[test]
fn an_entry_is_handed_on_when_every_replica_has_reached_or_passed_it() {
    let (mut join, slots) = join_of(3);
    assert_eq!(asked(&mut join).len(), 3);
    join.handle_page(slots[0], page(0, &[(1, Some(1)), (3, Some(1))], None)).unwrap();
    join.handle_page(slots[1], page(0, &[(1, Some(1)), (2, Some(9))], None)).unwrap();
    assert_eq!(next(&mut join), None, "the third may report less than 1 still");
    join.handle_page(slots[2], page(0, &[(1, Some(1)), (3, Some(1))], None)).unwrap();
    let one: Out = [0, 1, 2].map(|slot| (slot, (1, Some(1)))).into();
    let two: Out = vec![(1, (2, Some(9)))];
    let three: Out = vec![(0, (3, Some(1))), (2, (3, Some(1)))];
    assert_eq!(drain(&mut join), [one, two, three]);
    assert!(is_done(&mut join));
    assert_eq!(join.stats().reports, 6);
}

/// F-05: data starts before metadata is complete.
#[test]
fn entries_are_handed_on_before_the_listings_end() {
    let (mut join, slots) = join_of(2);
    asked(&mut join);
    for slot in &slots {
        join.handle_page(*slot, page(0, &[(1, Some(1)), (2, Some(1))], Some(1))).unwrap();
    }
    assert_eq!(drain(&mut join).len(), 2);
    assert!(matches!(join.poll(), Step::Pending(waiting) if waiting.len() == 2));
}

/// F-04, F-06: the latest report of a replica counts, on one page and across the border of two.
#[test]
fn the_latest_report_of_a_replica_counts() {
    let (mut join, slots) = join_of(1);
    asked(&mut join);
    join.handle_page(slots[0], page(0, &[(1, None), (1, Some(4)), (2, None)], Some(1))).unwrap();
    assert_eq!(next(&mut join).unwrap(), [(0, (1, Some(4)))]);
    assert_eq!(next(&mut join), None, "2 may have been sealed meanwhile");
    asked(&mut join);
    join.handle_page(slots[0], page(1, &[(2, Some(5)), (3, None)], None)).unwrap();
    let rest: Vec<_> = drain(&mut join).into_iter().flatten().collect();
    assert_eq!(rest, [(0, (2, Some(5))), (0, (3, None))]);
    assert_eq!(join.stats().repeats, 2);
}

/// F-06: what comes for an entry that was handed on is let go, and counted.
#[test]
fn a_repeat_of_what_was_handed_on_is_dropped() {
    let (mut join, slots) = join_of(1);
    asked(&mut join);
    join.handle_page(slots[0], page(0, &[(1, Some(1))], Some(1))).unwrap();
    assert!(next(&mut join).is_some(), "a sealed report is final");
    asked(&mut join);
    join.handle_page(slots[0], page(1, &[(1, Some(2)), (2, Some(2))], None)).unwrap();
    assert_eq!(drain(&mut join), [vec![(0, (2, Some(2)))]]);
    assert_eq!((join.stats().repeats, is_done(&mut join)), (1, true));
}

fn fault_of(pages: Vec<Page>) -> PageError {
    let (mut join, slots) = join_of(2);
    for page in pages {
        asked(&mut join);
        let lines = page.entries.len();
        if let Err(error) = join.handle_page(slots[0], page) {
            return error;
        }
        assert!(join.held() >= lines);
    }
    panic!("no page was refused");
}

/// F-03: a key that goes back, on a page or after it, is refused and blamed on the replica.
#[test]
fn a_key_that_goes_back_is_blamed_on_its_replica() {
    for pages in [
        vec![page(0, &[(2, None), (1, None)], None)],
        vec![page(0, &[(2, None)], Some(1)), page(1, &[(1, None)], None)],
    ] {
        let error = fault_of(pages);
        assert_eq!(error.replica.as_str(), "n00");
        assert!(matches!(error.fault, PageFault::KeyWentBack { .. }), "{error}");
    }
}

/// G-07, fault 1.7.7 of the original: an error at the end of the metadata discards everything. Here a refused
/// page costs that page: what was listed before it counts, and another one may come in its place.
#[test]
fn a_refused_page_discards_nothing_else() {
    let (mut join, slots) = join_of(2);
    asked(&mut join);
    join.handle_page(slots[0], page(0, &[(1, Some(1)), (2, Some(1))], Some(1))).unwrap();
    asked(&mut join);
    join.handle_page(slots[0], page(1, &[(1, Some(1))], None)).unwrap_err();
    join.handle_page(slots[1], page(0, &[(1, Some(1)), (3, Some(1))], None)).unwrap();
    let lens = |join: &mut Join| drain(join).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lens(&mut join), [2, 1]);
    assert!(asked(&mut join).is_empty(), "it was asked already");
    join.handle_page(slots[0], page(1, &[(3, Some(1))], None)).unwrap();
    assert_eq!(lens(&mut join), [2]);
    assert!(is_done(&mut join));
}

#[test]
fn pages_that_cannot_be_right_are_refused() {
    let out_of_order = fault_of(vec![page(0, &[], Some(1)), page(0, &[], Some(1))]);
    assert_eq!(out_of_order.fault, PageFault::OutOfOrder { asked: token(1), got: token(0) });
    let too_long = fault_of(vec![page(0, &vec![(1, None); PAGE_ENTRIES_MAX + 1], None)]);
    assert_eq!(too_long.fault, PageFault::TooLong(PAGE_ENTRIES_MAX + 1));
    assert_eq!(fault_of(vec![page(0, &[], Some(0))]).fault, PageFault::SameToken(token(0)));
    let endless =
        |lines: &'static [Line]| (0..100).map(move |from| page(from, lines, Some(from + 1))).collect();
    assert_eq!(fault_of(endless(&[])).fault, PageFault::NoProgress);
    let (mut join, slots) = join_of(1);
    let unasked = join.handle_page(slots[0], page(0, &[], None)).unwrap_err();
    assert_eq!(unasked.fault, PageFault::Unasked);
}

/// A source that repeats one key for ever is no better than one that gives empty pages.
#[test]
fn a_listing_that_repeats_itself_for_ever_is_refused() {
    let (mut join, slots) = join_of(1);
    let ends = (0..100).find_map(|from| {
        asked(&mut join);
        let taken = join.handle_page(slots[0], page(from, &[(1, Some(1))], Some(from + 1)));
        drain(&mut join);
        taken.err().map(|error| (from, error.fault))
    });
    assert_eq!(ends, Some((IDLE_PAGES_MAX as usize, PageFault::NoProgress)));
}

/// G-22, F-64: memory is the pages in flight, whatever the length of the inventories and however far one
/// replica is behind.
#[test]
fn memory_is_the_pages_in_flight() {
    let (mut join, slots) = join_of(3);
    let mut from = [0usize; 3];
    let (mut most, mut under_way) = (0, Vec::new());
    for round in 0..60 {
        under_way.extend(asked(&mut join));
        let is_slow = |(slot, _): &(usize, PageToken)| *slot == 2 && round % 10 != 9;
        let (slow, come): (Vec<_>, Vec<_>) = std::mem::take(&mut under_way).into_iter().partition(is_slow);
        under_way = slow;
        for (slot, token) in come {
            assert_eq!(token, self::token(from[slot]));
            let lines: Vec<Line> = (0..PAGE_ENTRIES_MAX)
                .map(|line| (((from[slot] * PAGE_ENTRIES_MAX + line) / 8) as u16, Some(1)))
                .filter({
                    let mut before = None;
                    move |line| before.replace(line.0) != Some(line.0)
                })
                .collect();
            join.handle_page(slots[slot], page(from[slot], &lines, Some(from[slot] + 1))).unwrap();
            from[slot] += 1;
        }
        most = most.max(join.held());
        drain(&mut join);
    }
    assert!(from[0] > 4 && most <= 3 * 3 * PAGE_ENTRIES_MAX, "{from:?}, {most}");
    assert!(from[0] <= from[2] + 3, "a replica that waits for another is not asked on: {from:?}");
}

/// Listings of up to five replicas: lines in key order, some of them repeated, cut into pages.
fn listings() -> impl Strategy<Value = Vec<Vec<Vec<Line>>>> {
    let line = (0u16..60, proptest::option::of(0u8..3));
    let listing = (proptest::collection::vec(line, 0..80), 1usize..9).prop_map(|(mut lines, page_len)| {
        lines.sort_by_key(|line| line.0);
        // Mutable before sealed, as sources list them.
        lines.sort_by_key(|line| (line.0, line.1.is_some()));
        let mut sealed = None;
        lines.retain(|line| line.1.is_none() || sealed.replace(line.0) != Some(line.0));
        lines.chunks(page_len).map(<[Line]>::to_vec).collect::<Vec<_>>()
    });
    proptest::collection::vec(listing, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(400) })]

    /// F-06: in whatever order pages come, the join hands on what one that holds everything would.
    #[test]
    fn the_join_hands_on_what_a_join_in_memory_would(listings in listings(), order in any::<u64>()) {
        let mut expected: BTreeMap<u16, BTreeMap<usize, Line>> = BTreeMap::new();
        for (slot, pages) in listings.iter().enumerate() {
            for line in pages.iter().flatten() {
                expected.entry(line.0).or_default().insert(slot, *line);
            }
        }
        let (mut join, slots) = join_of(listings.len());
        let (mut got, mut under_way, mut order) = (vec![], vec![], order);
        while !is_done(&mut join) {
            under_way.extend(asked(&mut join));
            if !under_way.is_empty() {
                order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (slot, token) = under_way.remove((order >> 33) as usize % under_way.len());
                let from: usize = std::str::from_utf8(token.as_bytes()).unwrap().parse().unwrap_or(0);
                let lines = listings[slot].get(from).map_or(&[][..], Vec::as_slice);
                let next = (from + 1 < listings[slot].len()).then_some(from + 1);
                join.handle_page(slots[slot], page(from, lines, next)).unwrap();
            }
            got.extend(drain(&mut join));
        }
        let expected: Vec<Out> = expected.into_values().map(|by| by.into_iter().collect()).collect();
        prop_assert_eq!(got, expected);
    }
}
