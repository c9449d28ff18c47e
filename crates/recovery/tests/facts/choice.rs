//! Whom a job asks: attempts, load over all shards, then the id (row F-07); and who is avoided.

use std::time::Duration;

use peerstream_recovery::{
    Action, Agreement, Candidate, CloseReason, Config, Fault, Job, Outcome, Regard, Voters,
};
use peerstream_select::{Level, Loads};
use peerstream_types::{ByteCount, DatasetKind, NodeId, Span, Timestamp};

use crate::support::*;

/// Peers of one rank, each with what other jobs wait for from it.
fn equals(loads: &[(&str, u64)]) -> Job {
    let candidate = |(name, outstanding): &(&str, u64)| {
        let regard = Regard { outstanding: ByteCount(*outstanding), avoided_until: None };
        Candidate { peer: peer(name), rank: 0, regard }
    };
    Job { candidates: loads.iter().map(candidate).collect(), ..job(&[]) }
}

/// Peers in order, one of which is avoided until a moment.
fn avoiding(names: &[&str], avoided: &str, until: Timestamp) -> Job {
    let mut job = job(names);
    for candidate in job.candidates.iter_mut().filter(|candidate| candidate.peer == peer(avoided)) {
        candidate.regard.avoided_until = Some(until);
    }
    job
}

fn compared(level: Level, job: Job) -> Job {
    Job { agreement: Agreement { kind: DatasetKind::Identical, level, voters: Voters::of(3) }, ..job }
}

fn offer(hand: &mut Hand, source: peerstream_recovery::SourceId, manifest: &Manifest) -> Vec<Action> {
    hand.job.handle_offer(hand.now, source, manifest.header.clone()).unwrap();
    hand.drain()
}

/// Who is asked for content, in order.
fn asked(actions: &[Action]) -> Vec<peerstream_recovery::SourceId> {
    let fetch = |action: &Action| match action {
        Action::Fetch { source, .. } => Some(*source),
        _ => None,
    };
    actions.iter().filter_map(fetch).collect()
}

/// M-06, F-07: of equals the one with the lowest id is asked, in whatever order they are listed, and its
/// first attempt is counted as such; nobody else is asked for what it gives.
#[test]
fn of_equals_the_lowest_id_is_asked() {
    let mut hand = Hand::of(Config::default(), equals(&[("c", 0), ("a", 0), ("b", 0)]));
    let opened = hand.job.poll_action().unwrap();
    assert!(
        matches!(&opened, Action::Open { peer, attempt: 1, .. } if *peer == self::peer("a")),
        "{opened:?}"
    );
    let Action::Open { source, .. } = opened else { unreachable!() };
    let manifest = Manifest::new(&[100]);
    offer(&mut hand, source, &manifest);
    hand.page(source, manifest.page());
    let actions = hand.drain();
    assert!(matches!(&actions[..], [Action::Fetch { source: of, attempt: 1, .. }] if *of == source));
    let sealing = hand.store_all(actions);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
    assert_eq!(hand.job.stats().sources_opened, 1);
}

/// G-19, M-01, M-09, F-07: two peers and three shards: what is outstanding is counted over all of them, so that
/// they are asked in turn.
#[test]
fn load_is_counted_over_all_shards() {
    let (mut loads, mut picks) = (Loads::default(), Vec::new());
    for _ in 0..3 {
        let known = ["a", "b"].map(|name| (name, loads.outstanding(&peer(name))));
        let picked = Hand::of(Config::default(), equals(&known)).opened().1;
        loads.begin(&picked, 8);
        picks.push(picked.to_string());
    }
    assert_eq!(picks, ["a", "b", "a"]);
}

/// M-09, F-07: the first was attempted, the third is busier: the second. Then the third, busy or not.
#[test]
fn attempts_go_before_load_and_load_before_id() {
    let mut hand = Hand::of(Config::default(), equals(&[("a", 5), ("b", 9), ("c", 0)]));
    for expected in ["c", "a", "b"] {
        let (source, asked) = hand.opened();
        assert_eq!(asked, peer(expected));
        hand.now = hand.now + Duration::from_secs(60);
        hand.job.handle_source_lost(hand.now, source, "reset").unwrap();
    }
}

/// F-07: loads change while a job waits, and count as they are when it chooses.
#[test]
fn the_load_of_the_moment_counts() {
    let mut hand = Hand::of(Config::default(), equals(&[("a", 0), ("b", 0), ("c", 0)]));
    let (source, _) = hand.opened();
    hand.job.handle_regards(hand.now, |of: &NodeId| Regard {
        outstanding: ByteCount(if *of == peer("b") { 9 } else { 0 }),
        avoided_until: None,
    });
    assert_eq!(hand.drain(), [], "nothing follows from it alone");
    hand.job.handle_source_lost(hand.now, source, "reset").unwrap();
    assert_eq!(hand.opened().1, peer("c"));
}

/// F-07: of several sources that serve, little work goes to the one that has less to do with other shards.
#[test]
fn little_work_goes_to_the_less_loaded_source() {
    for (busy, expected) in [("a", 1), ("b", 0)] {
        let loads = ["a", "b"].map(|name| (name, if name == busy { 1 << 20 } else { 0 }));
        let mut hand = Hand::of(Config::default(), compared(Level::UnstrictAll, equals(&loads)));
        let manifest = Manifest::new(&[100, 100]);
        let sources = { hand.opens() };
        let mut lists = Vec::new();
        for source in &sources {
            lists.extend(offer(&mut hand, *source, &manifest));
        }
        let lister = lists.iter().find_map(asked_of).unwrap();
        hand.page(lister, manifest.page());
        let of = |name: &str| sources[usize::from(name == "b") ^ usize::from(busy == "a")];
        assert_eq!(asked(&hand.drain())[0], of(["a", "b"][expected]));
        assert_eq!(lister, of(["a", "b"][expected]), "it lists, too");
    }
}

/// M-07, F-08: one of three has another copy: all copies there are come.
/// M-08, F-10: an entry that one alone reports is asked of it.
#[test]
fn every_copy_is_fetched_and_a_single_reporter_is_asked() {
    for level in [Level::UnstrictMajority, Level::Majority, Level::UnstrictAll, Level::All] {
        let agreement = Agreement { kind: DatasetKind::Mergeable, level, voters: Voters::of(3) };
        let config = Config { compare_wait: Duration::ZERO, ..Config::default() };
        let mut hand = Hand::of(config, Job { agreement, ..job(&["a", "b", "c"]) });
        let of = [keyed(1, &[("k", 1)]), keyed(2, &[("k", 2), ("lone", 7)]), keyed(1, &[("k", 1)])];
        let (sources, mut actions) = (hand.opens(), Vec::new());
        for (source, manifest) in sources.iter().zip(&of) {
            actions.extend(offer(&mut hand, *source, manifest));
        }
        if actions.is_empty() {
            hand.wait();
            actions = hand.drain();
        }
        let mut asked = Vec::new();
        for lister in actions.iter().filter_map(asked_of).collect::<Vec<_>>() {
            let place = sources.iter().position(|source| *source == lister).unwrap();
            hand.page(lister, of[place].page());
            asked.extend(self::asked(&hand.drain()));
        }
        asked.sort();
        asked.dedup();
        assert_eq!(
            asked,
            sources[..2],
            "{level}: the copy of two from one of them, and the two of the other"
        );
    }
}

/// M-10, F-19: all were attempted, no attempt is left, and the level is none: nothing is asked again.
#[test]
fn level_none_asks_nobody_again() {
    let config = Config { attempts_per_source: 1, ..Config::default() };
    let mut hand = Hand::of(config, compared(Level::None, job(&["a", "b"])));
    let manifest = Manifest::new(&[100]);
    let (sources, mut actions) = (hand.opens(), Vec::new());
    for source in &sources {
        actions.extend(offer(&mut hand, *source, &manifest));
    }
    let lister = actions.iter().find_map(asked_of).unwrap();
    hand.page(lister, manifest.page());
    let mut actions = hand.drain();
    let mut failed = 0;
    while let Some((fetch, _)) = fetches(&actions).first().cloned() {
        failed += 1;
        hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Failed("broken".into())).unwrap();
        actions = hand.drain();
    }
    assert_eq!(failed, sources.len(), "each of them once");
    assert!(matches!(done(&actions), Outcome::Incomplete { entries: 1, .. }), "{actions:?}");
    assert_eq!(hand.job.stats().rounds, 0);
}

/// D6, D14: who is avoided is dialled after the others, joins nobody before its time, and does so then.
#[test]
fn who_is_avoided_comes_last_and_only_until_its_time() {
    let until = Timestamp::from_millis(31_000);
    let config = Config { join_from: ByteCount(1), ..Config::default() };
    let mut hand = Hand::of(config, avoiding(&["liar", "b", "c"], "liar", until));
    let manifest = Manifest::new(&[100, 4 * CHUNK]);
    let (b, first) = hand.opened();
    assert_eq!(first, peer("b"));
    let joining = offer(&mut hand, b, &manifest);
    let joins: Vec<String> = joining
        .iter()
        .filter_map(|action| match action {
            Action::Open { peer, .. } => Some(peer.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(joins, ["c"], "the liar is left alone");
    assert!(hand.job.poll_timeout().is_some_and(|at| at <= until));
    while hand.now < until {
        hand.wait();
    }
    assert_eq!(hand.opened().1, peer("liar"));
}

/// D14: with nobody else, who is avoided is asked at once.
#[test]
fn who_is_avoided_is_asked_where_nobody_else_is_left() {
    let until = Timestamp::from_millis(1_000_000);
    assert_eq!(Hand::of(Config::default(), avoiding(&["liar"], "liar", until)).opened().1, peer("liar"));
    let mut hand = Hand::of(Config::default(), avoiding(&["liar", "b"], "liar", until));
    let (b, _) = hand.opened();
    hand.job.handle_refusal(hand.now, b, refusal("not here", true)).unwrap();
    assert_eq!(hand.opened().1, peer("liar"));
}

/// D14: where replicas are compared, the word of who is avoided is heard, and its content is not taken while
/// another has the same; unless something was missing without it.
#[test]
fn who_is_avoided_is_heard_and_does_not_serve() {
    let until = Timestamp::from_millis(1_000_000);
    let config = Config { attempts_per_source: 1, ..Config::default() };
    let job = compared(Level::All, avoiding(&["a-liar", "b", "c"], "a-liar", until));
    let mut hand = Hand::of(config, job);
    let manifest = Manifest::new(&[100]);
    let (sources, mut actions) = (hand.opens(), Vec::new());
    for source in &sources {
        actions.extend(offer(&mut hand, *source, &manifest));
    }
    assert_eq!(closes(&actions), [CloseReason::NotNeeded], "{actions:?}");
    assert_eq!(actions.iter().find_map(asked_of), Some(sources[0]), "b, which is dialled first");
    assert_eq!(hand.job.status().standing.agreed, 3);
    hand.page(sources[0], manifest.page());
    actions = hand.drain();
    while let Some((fetch, _)) = fetches(&actions).first().cloned() {
        hand.job.handle_fetch_failed(hand.now, fetch, None, Fault::Failed("broken".into())).unwrap();
        actions = hand.drain();
    }
    hand.wait();
    let (again, mut actions) = (hand.opens(), Vec::new());
    for source in &again {
        actions.extend(offer(&mut hand, *source, &manifest));
    }
    assert_eq!(closes(&actions), [], "all of them serve now");
    let lister = actions.iter().find_map(asked_of).unwrap();
    hand.page(lister, manifest.page());
    let (fetch, spans) = fetches(&hand.drain()).remove(0);
    let sealing = hand.stored(fetch, spans[0]);
    assert!(matches!(spans[0], Span::Entries { .. }));
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
}
