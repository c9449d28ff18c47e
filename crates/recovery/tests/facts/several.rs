//! Several sources serve at once: who joins, how work is shared, and what a bad one costs.

use std::time::Duration;

use peerstream_recovery::{
    Action, Agreement, Candidate, CloseReason, Config, Fault, Job, Outcome, SourceId, Voters,
};
use peerstream_select::Level;
use peerstream_types::{ByteCount, ChunkIndex, DatasetKind, FetchId, Ordinal, PageToken, Span, Timestamp};

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

/// Three sources that have the same, the first of which is asked to list it.
fn joined(config: Config, manifest: &Manifest) -> (Hand, [SourceId; 3]) {
    let mut hand = Hand::with(config, &["a", "b", "c"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    let others = opens(&hand.drain());
    assert_eq!(others.len(), 2, "both others are asked to join");
    for source in &others {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
    }
    assert_eq!(hand.drain(), [], "they list nothing");
    (hand, [a, others[0], others[1]])
}

/// Three sources with an entry of many chunks, listed whole, and what is asked when all are there.
fn three(config: Config, chunks: u64) -> (Hand, [SourceId; 3], Vec<Action>) {
    let manifest = Manifest::new(&[chunks * CHUNK]);
    let (mut hand, all) = joined(config, &manifest);
    let a = all[0];
    hand.page(a, manifest.page());
    assert!(hand.drain().contains(&Action::Outline {
        source: a,
        ordinal: Ordinal(0),
        there: Ordinal(0),
        part: GROUP
    }));
    hand.job.handle_outline(hand.now, a, Ordinal(0), GROUP, Ok(())).unwrap();
    let actions = hand.drain();
    (hand, all, actions)
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

/// Stores what a source owes first, if it owes anything; gives what is asked then.
fn give_one(hand: &mut Hand, owed: &mut Vec<Asked>, source: SourceId) -> Vec<Action> {
    let Some(first) = owed.iter().position(|(of, ..)| *of == source) else { return Vec::new() };
    let fetch = owed.remove(first);
    let actions = store(hand, &fetch);
    let is_cancelled = |fetch: FetchId| {
        let is_it =
            |action: &Action| matches!(action, Action::Cancel { fetch: other, .. } if *other == fetch);
        actions.iter().any(is_it)
    };
    owed.retain(|(_, fetch, _)| !is_cancelled(*fetch));
    owed.extend(asked(&actions));
    actions
}

/// F-07: while pages are awaited, a source that moves keeps what it has not begun, however far away it is:
/// there will be work for the others. From one that is still it is taken, also by the one that lists.
#[test]
fn unbegun_work_is_left_while_more_is_listed() {
    let config = Config { window: ByteCount(3 * CHUNK), ..eager() };
    let manifest = Manifest::new(&[CHUNK; 20]);
    let (mut hand, [a, b, c]) = joined(config, &manifest);
    hand.page(a, manifest.part(0, 9));
    let actions = hand.drain();
    assert!(actions.iter().any(|action| asked_of(action) == Some(a)), "another page is asked for");
    let mut owed = asked(&actions);
    let last = owed.iter().rfind(|(of, ..)| *of == c).unwrap().clone();
    for source in [a, b].repeat(3) {
        hand.now = hand.now + Duration::from_millis(2);
        assert_eq!(give_one(&mut hand, &mut owed, source), [], "far away is not slow");
    }
    hand.pass(Duration::from_millis(900));
    assert_eq!(give_one(&mut hand, &mut owed, c), [], "it moves");
    let from = hand.now + Duration::from_secs(1);
    while hand.now < from {
        assert_eq!(hand.drain(), [], "it is left alone until {from}");
        hand.wait();
    }
    let actions = hand.drain();
    assert!(actions.contains(&Action::Cancel { source: c, fetch: last.1 }), "{actions:?}");
    assert_eq!(asked(&actions).iter().map(|(of, _, items)| (*of, items)).collect::<Vec<_>>(), [(a, &last.2)]);
    assert_eq!(hand.job.stats().twice_bytes, 0, "the end is not near");
}

/// D6: what counts is how fast a source is now: the longer the rest took, the longer it was waited for.
#[test]
fn a_source_that_slows_at_the_end_of_a_long_pass_is_not_waited_for() {
    let manifest = Manifest::new(&[CHUNK; 900]);
    let (mut hand, [a, b, c]) = joined(eager(), &manifest);
    hand.page(a, manifest.page());
    let mut owed = asked(&hand.drain());
    let mut given = 0;
    while !owed.is_empty() && hand.job.stats().twice_bytes == 0 {
        hand.now = hand.now + Duration::from_millis(100);
        given += 3;
        for source in [a, b, c].into_iter().filter(|source| *source != b || given < 890) {
            give_one(&mut hand, &mut owed, source);
        }
        if given > 890 && owed.iter().all(|(of, ..)| *of == b) {
            break;
        }
    }
    let end = hand.now;
    while hand.job.stats().twice_bytes == 0 {
        hand.wait();
        hand.drain();
    }
    let waited = hand.now - end;
    assert!(waited < Duration::from_secs(3), "after 30 s, {waited:?} more");
}

/// D6: the end of a shard that is put together from unequal manifests is not waited for either.
#[test]
fn the_last_of_joined_manifests_is_asked_twice() {
    let keys: Vec<String> = (0..40).map(|n| format!("e{n:02}")).collect();
    let with = |own: &'static str| {
        let mut entries: Vec<(&str, u8)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
        entries.push((own, 1));
        entries
    };
    let manifests = [keyed(1, &with("x")), keyed(2, &with("y"))];
    let voters = Voters::of(3);
    let agreement = Agreement { kind: DatasetKind::Identical, level: Level::Majority, voters };
    let mut hand = Hand::of(eager(), Job { agreement, ..job(&["a", "b"]) });
    let sources = hand.opens();
    for (source, manifest) in sources.iter().zip(&manifests) {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
    }
    assert!(
        hand.drain().iter().any(|action| matches!(action, Action::Begin { joined, .. } if joined.len() == 2))
    );
    let mut owed = Vec::new();
    for (source, manifest) in sources.iter().zip(&manifests) {
        hand.page(*source, manifest.page());
        owed.extend(asked(&hand.drain()));
    }
    while owed.iter().any(|(of, ..)| *of == sources[0]) {
        hand.now = hand.now + Duration::from_millis(10);
        give_one(&mut hand, &mut owed, sources[0]);
    }
    hand.wait();
    hand.drain();
    assert!(hand.job.stats().twice_bytes > 0, "{owed:?}");
}

/// D6: what may be asked twice is a share of the shard, however often its listing begins anew.
#[test]
fn a_new_listing_has_no_new_budget() {
    let manifest = Manifest::new(&[CHUNK; 12]);
    let config = Config { entries_ahead: 1, twice_per_mille: 100, ..eager() };
    let (mut hand, [a, b, c]) = joined(config, &manifest);
    for (lister, fast) in [(a, a), (b, c)] {
        hand.page(lister, manifest.part(0, 2));
        let mut owed = asked(&hand.drain());
        assert_eq!(owed.len(), 2, "one of each");
        hand.now = hand.now + Duration::from_millis(10);
        give_one(&mut hand, &mut owed, fast);
        hand.pass(Duration::from_secs(1));
        hand.drain();
        assert_eq!(hand.job.stats().twice_bytes, CHUNK);
        hand.job.handle_source_lost(hand.now, a, "reset").unwrap();
        assert!(lister != a || hand.drain().iter().any(|action| asked_of(action) == Some(b)));
    }
}

/// D7: who offers when others serve already finds the rules by which they were chosen: no more than may serve,
/// and nobody who is avoided as long as others have the same. Its word counts.
#[test]
fn a_late_offer_takes_no_place_that_is_not_there() {
    let manifest = Manifest::new(&[CHUNK; 40]);
    for (sources_max, is_avoided, is_one_lost, joins) in
        [(4, false, false, true), (2, false, false, false), (2, false, true, true), (4, true, false, false)]
    {
        let agreement =
            Agreement { kind: DatasetKind::Identical, level: Level::Majority, voters: Voters::of(3) };
        let mut candidates = Candidate::in_order(["a", "b", "c"].map(peer));
        candidates[2].regard.avoided_until = is_avoided.then_some(Timestamp::from_millis(90_000));
        let config = Config { sources_max, ..eager() };
        let mut hand = Hand::of(config, Job { candidates, agreement, ..job(&[]) });
        let sources = hand.opens();
        let offered = |hand: &mut Hand, place: usize| {
            hand.job.handle_offer(hand.now, sources[place], manifest.header.clone()).unwrap();
            hand.drain()
        };
        offered(&mut hand, 0);
        offered(&mut hand, 1);
        hand.page(sources[0], manifest.page());
        hand.drain();
        if is_one_lost {
            hand.job.handle_source_lost(hand.now, sources[1], "reset").unwrap();
            hand.drain();
        }
        let actions = offered(&mut hand, 2);
        assert_eq!(hand.job.status().standing.heard, 3);
        if joins {
            assert!(asked(&actions).iter().any(|(of, ..)| *of == sources[2]), "{actions:?}");
        } else {
            let source = sources[2];
            let gone = [Action::Release { source }, Action::Close { source, reason: CloseReason::NotNeeded }];
            assert_eq!(actions, gone);
        }
    }
}
