//! Several sources serve at once: who joins, how work is shared, and what a bad one costs.

use std::time::Duration;

use peerstream_recovery::{Action, CloseReason, Config, Fault, Outcome, SourceId};
use peerstream_types::{ByteCount, ChunkIndex, FetchId, Ordinal, PageToken, Span};

use crate::support::*;

/// Two fetches of a chunk at a time from everyone, and small shards are worth a session.
fn eager() -> Config {
    Config {
        window: ByteCount(2 * CHUNK),
        fetch_bytes: ByteCount(CHUNK),
        join_from: ByteCount(1),
        twice_per_mille: 500,
        ..Config::default()
    }
}

fn opens(actions: &[Action]) -> Vec<SourceId> {
    let open = |action: &Action| match action {
        Action::Open { source, .. } => Some(*source),
        _ => None,
    };
    actions.iter().filter_map(open).collect()
}

/// Whom what was asked of: source, fetch, and entries with chunks.
type Asked = (SourceId, FetchId, Vec<(u64, u64)>);

fn asked(actions: &[Action]) -> Vec<Asked> {
    let fetch = |action: &Action| match action {
        Action::Fetch { source, fetch, spans, .. } => {
            let items = spans.iter().flat_map(|span| match *span {
                Span::Entries { first, count } => {
                    (first.0..first.0 + u64::from(count)).map(|entry| (entry, 0)).collect::<Vec<_>>()
                }
                Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal.0, chunk.0)).collect(),
            });
            Some((*source, *fetch, items.collect()))
        }
        _ => None,
    };
    actions.iter().filter_map(fetch).collect()
}

/// Three sources with an entry of many chunks, listed whole, and what is asked when all are there.
fn three(config: Config, chunks: u64) -> (Hand, [SourceId; 3], Vec<Action>) {
    let manifest = Manifest::new(&[chunks * CHUNK]);
    let mut hand = Hand::with(config, &["a", "b", "c"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    let others = opens(&hand.drain());
    assert_eq!(others.len(), 2, "both others are asked to join");
    for source in &others {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
    }
    assert_eq!(hand.drain(), [], "they list nothing");
    hand.page(a, manifest.page());
    assert!(hand.drain().contains(&Action::Outline {
        source: a,
        ordinal: Ordinal(0),
        there: Ordinal(0),
        part: GROUP
    }));
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let actions = hand.drain();
    (hand, [a, others[0], others[1]], actions)
}

fn store(hand: &mut Hand, fetch: &Asked) -> Vec<Action> {
    let mut actions = Vec::new();
    for (ordinal, chunk) in &fetch.2 {
        actions.extend(hand.stored(fetch.1, Span::chunk(Ordinal(*ordinal), ChunkIndex(*chunk))));
    }
    hand.job.handle_fetch_ended(hand.now, fetch.1).unwrap();
    actions.extend(hand.drain());
    actions
}

/// Chunks of one entry come from all sources at once, each chunk from one of them, until it is done.
#[test]
fn chunks_of_one_entry_come_from_all() {
    let (mut hand, all, actions) = three(eager(), 12);
    let first = asked(&actions);
    let of = |source| first.iter().filter(|(of, ..)| *of == source).count();
    assert_eq!(all.map(of), [2, 2, 2], "every window is full: {first:?}");
    let mut queue = std::collections::VecDeque::from(first);
    let mut seen = std::collections::BTreeSet::new();
    let mut last = Vec::new();
    while let Some(fetch) = queue.pop_front() {
        assert!(fetch.2.iter().all(|item| seen.insert(*item)), "{fetch:?} is asked twice");
        hand.now = hand.now + Duration::from_millis(1);
        last = store(&mut hand, &fetch);
        queue.extend(asked(&last));
    }
    assert_eq!(seen.len(), 12);
    hand.published(&last);
    assert_eq!((hand.job.stats().stored_bytes, hand.job.stats().twice_bytes), (12 * CHUNK, 0));
}

/// Who has another manifest does not join, and is asked alone when the others fail.
#[test]
fn another_manifest_does_not_join() {
    let (manifest, other) = (Manifest::new(&[4 * CHUNK]), Manifest::marked(1, &[4 * CHUNK]));
    let mut hand = Hand::with(eager(), &["a", "b"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header).unwrap();
    let b = opens(&hand.drain())[0];
    hand.job.handle_offer(hand.now, b, other.header.clone()).unwrap();
    let actions = hand.drain();
    assert_eq!(closes(&actions), [CloseReason::OtherManifest]);
    assert_eq!(opens(&actions), [], "it is not asked again while the manifest is the same");
    hand.job.handle_source_lost(hand.now, a, "reset").unwrap();
    let again = opens(&hand.drain());
    hand.job.handle_offer(hand.now, again[0], other.header.clone()).unwrap();
    assert!(
        hand.drain().contains(&Action::Begin { header: other.header, joined: vec![] }),
        "b was not to blame"
    );
}

/// Little that is left is not worth a session, and neither is an unsealed manifest that may differ.
#[test]
fn nobody_joins_for_little() {
    for (join_from, sealed) in [(5 * CHUNK, true), (CHUNK, false)] {
        let manifest = Manifest::new(&[4 * CHUNK]);
        let mut hand = Hand::with(Config { join_from: ByteCount(join_from), ..eager() }, &["a", "b"]);
        let a = hand.opened().0;
        let header = if sealed { manifest.header.clone() } else { manifest.unsealed() };
        hand.job.handle_offer(hand.now, a, header).unwrap();
        assert_eq!(opens(&hand.drain()), []);
    }
}

/// What a lost source owed goes to the others, and nothing else is asked again.
#[test]
fn a_lost_source_costs_what_it_owed() {
    let (mut hand, [_, b, _], actions) = three(eager(), 12);
    let first = asked(&actions);
    let owed: Vec<_> =
        first.iter().filter(|(of, ..)| *of == b).flat_map(|(.., items)| items.clone()).collect();
    hand.job.handle_source_lost(hand.now, b, "reset").unwrap();
    assert_eq!(closes(&hand.drain()), [CloseReason::Lost("reset".into())]);
    let more = store(&mut hand, first.iter().find(|(of, ..)| *of != b).unwrap());
    assert_eq!(asked(&more)[0].2, owed[..1], "before anything fresh");
}

/// The one that lists is replaced without a new listing once everything is listed.
#[test]
fn the_lister_is_replaced_when_all_is_listed() {
    let (mut hand, [a, b, _], actions) = three(eager(), 12);
    hand.job.handle_source_lost(hand.now, a, "reset").unwrap();
    let more = hand.drain();
    assert!(
        !more.iter().any(|action| matches!(action, Action::Begin { .. } | Action::List { .. })),
        "{more:?}"
    );
    let rest = store(&mut hand, asked(&actions).iter().find(|(of, ..)| *of == b).unwrap());
    assert_eq!(asked(&rest)[0].0, b);
}

/// Lost before that, another one lists from the start, and nothing counts that was not checked to its end;
/// what was under way is asked again after it.
#[test]
fn a_listing_that_is_cut_off_begins_again_elsewhere() {
    let manifest = Manifest::new(&[2 * CHUNK, 2 * CHUNK, 2 * CHUNK]);
    let mut hand = Hand::with(Config { entries_ahead: 1, ..eager() }, &["a", "b"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    let b = opens(&hand.drain())[0];
    hand.job.handle_offer(hand.now, b, manifest.header.clone()).unwrap();
    hand.page(a, manifest.part(0, 1));
    hand.drain();
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let first = asked(&hand.drain());
    assert_eq!(first.iter().map(|(of, ..)| *of).collect::<Vec<_>>(), [a, b]);
    hand.job.handle_source_lost(hand.now, a, "reset").unwrap();
    let actions = hand.drain();
    let cancel = Action::Cancel { source: b, fetch: first[1].1 };
    let list = Action::List { source: b, token: PageToken::START };
    assert!(actions.contains(&cancel) && actions.contains(&list), "{actions:?}");
    assert!(actions.contains(&Action::Begin { header: manifest.header, joined: vec![] }));
}

/// Promise 1: a lister whose pages turn out not to be what it offered costs what they named: the one that
/// offered the same lists it anew, and nothing of the forged entries is sealed.
#[test]
fn a_forged_listing_costs_its_lister() {
    let manifest = Manifest::new(&[100, 100]);
    let forged = Manifest::marked(7, &[100, 100]);
    let mut hand = Hand::with(eager(), &["liar", "honest"]);
    let liar = hand.opened().0;
    hand.job.handle_offer(hand.now, liar, manifest.header.clone()).unwrap();
    let honest = opens(&hand.drain())[0];
    hand.job.handle_offer(hand.now, honest, manifest.header.clone()).unwrap();
    hand.page(liar, forged.part(0, 1));
    hand.drain();
    hand.job.handle_page_failed(hand.now, liar, Fault::Wrong("the digest does not fit".into())).unwrap();
    let actions = hand.drain();
    assert!(matches!(closes(&actions).as_slice(), [CloseReason::BadManifest(_)]), "{actions:?}");
    hand.page(honest, manifest.page());
    let actions = hand.drain();
    let entry = hand.job.entry(honest, Ordinal(0)).unwrap();
    assert_eq!(entry.digest, manifest.entries[0].digest, "what the honest one lists");
    let sealing = hand.store_all(actions);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
}

/// M-09, M-11, F-07, F-11: a chunk that one source gave wrong is asked of those who were asked less often,
/// though they are busier, and of the first again when all failed as often.
#[test]
fn a_bad_chunk_is_asked_of_who_failed_at_it_least() {
    let (mut hand, [a, liar, c], actions) = three(eager(), 12);
    let first = asked(&actions);
    let of = |source| first.iter().find(|(of, ..)| *of == source).unwrap().clone();
    let (mut fetch, item) = (of(liar), of(liar).2[0]);
    for (busy, next) in [(of(a), a), (of(c), c)] {
        let bad = hand.job.handle_bad(hand.now, fetch.1, Ordinal(item.0), ChunkIndex(item.1), "wrong");
        bad.unwrap();
        let fresh = asked(&hand.drain());
        assert!(fresh.iter().all(|(.., items)| !items.contains(&item)), "the others have no room yet");
        fetch = asked(&store(&mut hand, &busy)).remove(0);
        assert_eq!((fetch.0, &fetch.2), (next, &vec![item]), "before anything fresh");
    }
    hand.job.handle_bad(hand.now, fetch.1, Ordinal(item.0), ChunkIndex(item.1), "wrong").unwrap();
    let again = asked(&hand.drain());
    let again = again.iter().find(|(.., items)| items.contains(&item)).map(|(of, ..)| *of);
    assert_eq!(again, Some(c), "all failed at it once, and it has room");
    assert_eq!((hand.job.stats().passed_on, hand.job.status().entries_missing), (0, 0));
}

/// An entry that a source no longer has goes on at the others.
#[test]
fn an_entry_that_one_source_lost_goes_on_at_others() {
    let (mut hand, [_, b, _], actions) = three(eager(), 12);
    let fetch = asked(&actions).into_iter().find(|(of, ..)| *of == b).unwrap();
    hand.job.handle_fetch_failed(hand.now, fetch.1, None, Fault::Gone("compacted".into())).unwrap();
    let mut queue = std::collections::VecDeque::from(asked(&actions));
    queue.retain(|other| other.0 != b);
    queue.extend(asked(&hand.drain()));
    let mut last = Vec::new();
    while let Some(next) = queue.pop_front() {
        assert_ne!(next.0, b, "it does not have it");
        last = store(&mut hand, &next);
        queue.extend(asked(&last));
    }
    let own = asked(&actions).into_iter().filter(|(of, ..)| *of == b).nth(1).unwrap();
    let end = if last.is_empty() { store(&mut hand, &own) } else { last };
    assert!(hand.job.status().entries_missing == 0, "{end:?}");
}

/// One with nothing left to do takes what another one has not begun.
#[test]
fn unbegun_work_is_taken() {
    let (mut hand, [a, b, c], actions) = three(eager(), 6);
    let all = asked(&actions);
    let of = |source| all.iter().filter(|(of, ..)| *of == source).cloned().collect::<Vec<_>>();
    store(&mut hand, &of(a)[0]);
    let taken = store(&mut hand, &of(a)[1]);
    let stolen = asked(&taken);
    assert_eq!((stolen[0].0, &stolen[0].2), (a, &of(b)[1].2), "{taken:?}");
    assert!(taken.contains(&Action::Cancel { source: b, fetch: of(b)[1].1 }));
    assert_eq!((hand.job.stats().stolen, of(c).len()), (1, 2));
}

/// D6: the last of what a slow source owes is asked twice, within the budget; whoever is first wins, and
/// the other one is stopped.
#[test]
fn the_last_of_a_slow_source_is_asked_twice() {
    let (mut hand, [a, b, c], actions) = three(eager(), 6);
    let all = asked(&actions);
    let of = |source| all.iter().filter(|(of, ..)| *of == source).cloned().collect::<Vec<_>>();
    hand.now = hand.now + Duration::from_millis(10);
    let mut more: std::collections::VecDeque<_> = [of(a), of(c)].concat().into();
    let twice = loop {
        let fetch = more.pop_front().expect("it is asked twice before everything is there");
        if fetch.2 == of(b)[0].2 {
            break fetch;
        }
        more.extend(asked(&store(&mut hand, &fetch)));
    };
    assert_ne!(twice.0, b);
    assert_eq!(hand.job.stats().twice_bytes, CHUNK);
    let end = store(&mut hand, &twice);
    assert!(end.contains(&Action::Cancel { source: b, fetch: of(b)[0].1 }), "{end:?}");
    let is_seal = |action: &Action| matches!(action, Action::Seal { .. });
    hand.published(&end.into_iter().filter(is_seal).collect::<Vec<_>>());
}
