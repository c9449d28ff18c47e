//! What a job tells of the replicas: where each of them stands, what one alone had, what nobody could give.

use peerstream_recovery::{
    Action, Agreement, Config, Fault, Findings, Job, Outcome, ReplicaStanding, SourceId, Standing, Voters,
};
use peerstream_select::Level;
use peerstream_types::{ByteCount, DatasetKind, EntryKey, Ordinal, Span};

use crate::support::{Hand, Manifest, asked_of, done, fetches, job, keyed};

fn agreement(kind: DatasetKind, level: Level) -> Agreement {
    Agreement { kind, level, voters: Voters::of(3) }
}

/// A job that has asked all of its peers, and asks nobody to join.
fn begun(agreement: Agreement, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let config = Config { join_from: ByteCount(1 << 40), attempts_per_source: 1, ..Config::default() };
    let mut hand = Hand::of(config, Job { agreement, ..job(peers) });
    let opens = hand.opens();
    (hand, opens)
}

/// All offer and list what they have; what is asked then.
fn listed(hand: &mut Hand, all: &[(SourceId, &Manifest)]) -> Vec<Action> {
    for (source, manifest) in all {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
    }
    let actions = hand.drain();
    for lister in actions.iter().filter_map(asked_of) {
        let (_, manifest) = all.iter().find(|(source, _)| *source == lister).expect("it has offered");
        hand.page(lister, manifest.page());
    }
    hand.drain()
}

/// Stores what is asked, but for these entries, which whoever is asked says are gone; the other actions.
fn store_but(hand: &mut Hand, actions: Vec<Action>, gone: &[u64]) -> Vec<Action> {
    let mut rest = Vec::new();
    let mut queue = std::collections::VecDeque::from(actions);
    while let Some(action) = queue.pop_front() {
        if !matches!(action, Action::Fetch { .. }) {
            rest.push(action);
            continue;
        }
        for (fetch, spans) in fetches(std::slice::from_ref(&action)) {
            for span in spans {
                let Span::Entries { first, count } = span else { panic!("entries of one chunk") };
                for ordinal in first.0..first.0 + u64::from(count) {
                    let one = Span::Entries { first: Ordinal(ordinal), count: 1 };
                    if gone.contains(&ordinal) {
                        let fault = Fault::Gone("it was compacted".into());
                        hand.job.handle_fetch_failed(hand.now, fetch, Some(one), fault).unwrap();
                    } else {
                        hand.job.handle_stored(hand.now, fetch, one).unwrap();
                    }
                    queue.extend(hand.drain());
                }
            }
        }
    }
    rest
}

fn key(path: &str) -> EntryKey {
    EntryKey::from_path(path).unwrap()
}

/// F-10: what one alone of several replicas reports is taken and flagged, with its key.
#[test]
fn what_one_alone_reports_is_flagged() {
    for kind in [DatasetKind::Identical, DatasetKind::Mergeable] {
        let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("b", 1), ("c", 1)]));
        let (mut hand, sources) = begun(agreement(kind, Level::Majority), &["a", "b"]);
        let actions = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
        let sealing = hand.store_all(actions);
        assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
        let Findings { alone, dropped } = hand.job.findings();
        assert_eq!((alone.count, alone.keys.as_slice()), (2, [key("a"), key("c")].as_slice()));
        assert_eq!(dropped.count, 0);
        let status = hand.job.status();
        assert_eq!(status.total, Some(status.done), "a joined shard has a total in the end, too");
    }
}

/// F-10: two with one manifest vouch for each other, whoever has another.
#[test]
fn what_two_with_one_manifest_report_is_not_flagged() {
    let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("b", 1)]));
    let (mut hand, sources) = begun(agreement(DatasetKind::Mergeable, Level::All), &["a", "b", "c"]);
    let all = [(sources[0], &one), (sources[1], &one), (sources[2], &other)];
    let actions = listed(&mut hand, &all);
    let sealing = hand.store_all(actions);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
    assert!(hand.job.findings().is_empty(), "{:?}", hand.job.findings());
}

/// F-10: the keys are bounded, the count is not.
#[test]
fn many_findings_are_counted_and_some_named() {
    let names: Vec<String> = (0..100).map(|n| format!("k{n:03}")).collect();
    let entries: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let (one, other) = (keyed(1, &entries), keyed(2, &entries[..1]));
    let (mut hand, sources) = begun(agreement(DatasetKind::Identical, Level::Majority), &["a", "b"]);
    let actions = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
    hand.store_all(actions);
    let alone = &hand.job.findings().alone;
    assert_eq!((alone.count, alone.keys.len()), (99, 64));
    assert_eq!(alone.keys[0], key("k001"));
}

/// Entries that the store is told to do without; the rest of the actions.
fn left_out(actions: Vec<Action>) -> (Vec<u64>, Vec<Action>) {
    let (mut ordinals, mut rest) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::LeaveOut { ordinal } => ordinals.push(ordinal.0),
            other => rest.push(other),
        }
    }
    (ordinals, rest)
}

/// F-19: at level none, a store that merges does without what nobody gives: the rest is published, and what
/// was dropped is listed.
#[test]
fn level_none_drops_what_nobody_gives_and_lists_it() {
    let shapes = [
        (vec![keyed(1, &[("a", 1), ("b", 1), ("c", 1)])], vec![1]),
        (vec![keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("c", 1)])], vec![1]),
        (vec![keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("b", 2)])], vec![1, 2]),
    ];
    for (manifests, gone) in shapes {
        let names = &["a", "b"][..manifests.len()];
        let voters = Voters::of(names.len() as u32);
        let agreement = Agreement { voters, ..agreement(DatasetKind::Mergeable, Level::All) };
        let (mut hand, sources) = begun(agreement, names);
        let all: Vec<_> = sources.iter().copied().zip(&manifests).collect();
        let actions = listed(&mut hand, &all);
        hand.job.handle_level(hand.now, Level::None);
        let (dropped, sealing) = left_out(store_but(&mut hand, actions, &gone));
        assert_eq!(dropped, gone);
        assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
        let dropped = &hand.job.findings().dropped;
        assert_eq!((dropped.count, dropped.keys.as_slice()), (gone.len() as u64, [key("b")].as_slice()));
        let status = hand.job.status();
        assert_eq!(status.total, Some(status.done), "what was dropped is no part of the whole");
    }
}

/// F-19: a replica that was not needed is asked before anything is dropped; what it does not have either is
/// listed then, also where a generation is published whole or not at all.
#[test]
fn level_none_asks_the_others_before_it_drops() {
    for kind in [DatasetKind::Identical, DatasetKind::Mergeable] {
        let one = keyed(1, &[("a", 1), ("b", 1), ("c", 1)]);
        let other = keyed(2, &[("a", 1), ("c", 1)]);
        let (mut hand, sources) = begun(agreement(kind, Level::None), &["a", "b"]);
        hand.job.handle_offer(hand.now, sources[0], one.header.clone()).unwrap();
        if kind == DatasetKind::Mergeable {
            // Others are heard for a while before it begins with one.
            hand.wait();
        }
        assert!(hand.drain().iter().any(|action| asked_of(action) == Some(sources[0])));
        hand.page(sources[0], one.page());
        let actions = hand.drain();
        hand.job.handle_offer(hand.now, sources[1], other.header.clone()).unwrap();
        hand.drain();
        let rest = store_but(&mut hand, actions, &[1, 2]);
        let again = rest.iter().find_map(|action| match action {
            Action::Open { source, .. } => Some(*source),
            _ => None,
        });
        let actions = listed(&mut hand, &[(again.expect("the other is asked"), &other)]);
        let sealing = hand.store_all(actions);
        assert!(matches!(hand.published(&sealing), Outcome::Published { .. }), "{kind}");
        let dropped = &hand.job.findings().dropped;
        assert_eq!((dropped.count, dropped.keys.as_slice()), (1, [key("b")].as_slice()));
    }
}

/// F-19: where a generation is whole or not published, the end says what is missing.
#[test]
fn level_none_publishes_no_generation_with_holes() {
    let one = keyed(1, &[("a", 1), ("b", 1)]);
    let (mut hand, sources) = begun(agreement(DatasetKind::Identical, Level::None), &["a"]);
    let actions = listed(&mut hand, &[(sources[0], &one)]);
    let rest = store_but(&mut hand, actions, &[1]);
    let Outcome::Incomplete { gaps, entries, .. } = done(&rest) else { panic!("{rest:?}") };
    assert_eq!((entries, gaps.len(), &gaps[0].key), (1, 1, &key("b")));
}

/// Who was heard, who agrees and whether that is enough is said to the end.
#[test]
fn the_standing_says_who_agrees_to_the_end() {
    let one = keyed(1, &[("a", 1)]);
    let (mut hand, sources) = begun(agreement(DatasetKind::Identical, Level::Majority), &["a", "b", "c"]);
    let standing = |hand: &Hand| hand.job.status().standing;
    let met = |standing: &Standing| (standing.heard, standing.agreed, standing.is_met());
    assert_eq!(met(&standing(&hand)), (0, 0, false));
    hand.job.handle_source_lost(hand.now, sources[2], "no route").unwrap();
    hand.job.handle_offer(hand.now, sources[0], one.header.clone()).unwrap();
    hand.drain();
    let waiting = standing(&hand);
    assert_eq!(met(&waiting), (1, 1, false));
    assert_eq!(waiting.most_offered(), one.header.digest);
    let ReplicaStanding::Failed { why, .. } = &waiting.replicas[2].state else { panic!("{waiting:?}") };
    assert!(why.contains("no route"), "{why}");
    hand.job.handle_offer(hand.now, sources[1], one.header.clone()).unwrap();
    hand.drain();
    assert_eq!(met(&standing(&hand)), (2, 2, true));
    hand.page(sources[0], one.page());
    let actions = hand.drain();
    let sealing = hand.store_all(actions);
    assert_eq!(met(&standing(&hand)), (2, 2, true), "while it is sealed");
    hand.published(&sealing);
    assert_eq!(met(&standing(&hand)), (2, 2, true), "and once it is published");
}

/// F-18: the own vote counts towards what is met, as it does for the decision.
#[test]
fn the_own_vote_is_part_of_what_is_met() {
    for own_vote in [false, true] {
        let voters = Voters { own_vote, ..Voters::of(3) };
        let agreement = Agreement { voters, ..agreement(DatasetKind::Identical, Level::Majority) };
        let (mut hand, sources) = begun(agreement, &["a", "b"]);
        hand.job.handle_offer(hand.now, sources[0], keyed(1, &[("a", 1)]).header).unwrap();
        let standing = hand.job.status().standing;
        assert_eq!((standing.own_vote, standing.is_met()), (own_vote, own_vote));
    }
}
