//! Levels that change while a job runs, and what each of them takes for enough where replicas are split.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{
    Action, Agreement, CloseReason, Config, Fault, Job, Outcome, Phase, PositionOrder, Refusal, SourceId,
    Voters, WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{ByteCount, DatasetKind, FetchId, Ordinal, Position, Span};

use crate::support::{Hand, Manifest, asked_of, closes, done, fetches, job, keyed};

const SECOND: Duration = Duration::from_secs(1);

fn agreement(kind: DatasetKind, level: Level) -> Agreement {
    Agreement { kind, level, voters: Voters::of(3) }
}

/// A job that compares three replicas, and asks nobody to join.
fn begun(agreement: Agreement, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let config = Config { join_from: ByteCount(1 << 40), ..Config::default() };
    let mut hand = Hand::of(config, Job { agreement, ..job(peers) });
    let opens = hand.opens();
    (hand, opens)
}

fn identical(level: Level) -> (Hand, Vec<SourceId>) {
    begun(agreement(DatasetKind::Identical, level), &["a", "b", "c"])
}

fn offer(hand: &mut Hand, source: SourceId, manifest: &Manifest) -> Vec<Action> {
    hand.job.handle_offer(hand.now, source, manifest.header.clone()).unwrap();
    hand.drain()
}

fn lose(hand: &mut Hand, source: SourceId) -> Vec<Action> {
    hand.job.handle_source_lost(hand.now, source, "down").unwrap();
    hand.drain()
}

fn set(hand: &mut Hand, level: Level) -> Vec<Action> {
    hand.job.handle_level(hand.now, level);
    hand.drain()
}

/// These offer what they have, in this order, and list what is asked for; what is asked then.
fn listed(hand: &mut Hand, all: &[(SourceId, &Manifest)]) -> Vec<Action> {
    let mut actions = Vec::new();
    for (source, manifest) in all {
        actions.extend(offer(hand, *source, manifest));
    }
    list(hand, &actions, all)
}

fn list(hand: &mut Hand, actions: &[Action], all: &[(SourceId, &Manifest)]) -> Vec<Action> {
    let mut asked = Vec::new();
    for lister in actions.iter().filter_map(asked_of) {
        let (_, manifest) = all.iter().find(|(source, _)| *source == lister).expect("it has offered");
        hand.page(lister, manifest.page());
        asked.extend(hand.drain());
    }
    asked
}

/// Who is dialled, in the order of their names.
fn dialled(actions: &[Action]) -> Vec<(String, SourceId)> {
    let mut all: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Open { source, peer, .. } => Some((peer.to_string(), *source)),
            _ => None,
        })
        .collect();
    all.sort();
    all
}

fn names(actions: &[Action]) -> Vec<String> {
    dialled(actions).into_iter().map(|(name, _)| name).collect()
}

fn begins(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Begin { .. }))
}

fn seals(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Seal { .. }))
}

/// The end of a job after its last actions, some of which may let sources go.
fn publish(hand: &mut Hand, actions: Vec<Action>) -> Outcome {
    let sealing: Vec<Action> = actions
        .into_iter()
        .filter(|action| !matches!(action, Action::Release { .. } | Action::Close { .. }))
        .collect();
    hand.published(&sealing)
}

/// F-20: a level that is raised while content comes counts: too few were heard, so they are heard anew. What
/// was stored is found again, and nothing is published before the level is met.
#[test]
fn a_level_raised_while_content_comes_is_waited_for() {
    let manifest = Manifest::new(&[100, 100]);
    for (from, to) in
        [(Level::One, Level::All), (Level::UnstrictMajority, Level::All), (Level::One, Level::Majority)]
    {
        let (mut hand, sources) = identical(from);
        for dead in sources.iter().skip(1) {
            lose(&mut hand, *dead);
        }
        let asked = listed(&mut hand, &[(sources[0], &manifest)]);
        assert_eq!(fetches(&asked).len(), 1, "{from}");
        let actions = set(&mut hand, to);
        assert!(matches!(actions[0], Action::Cancel { .. }), "{from} to {to}: {actions:?}");
        assert_eq!(closes(&actions), [CloseReason::NotNeeded], "nobody is to blame");
        let again = dialled(&actions);
        assert_eq!(names(&actions), ["a", "b", "c"], "at once");
        assert!(!begins(&offer(&mut hand, again[0].1, &manifest)));
        assert!(!hand.job.status().standing.is_met());
        lose(&mut hand, again[1].1);
        let (_, c) = again[2];
        let mut all = vec![(again[0].1, &manifest), (c, &manifest)];
        let mut actions = offer(&mut hand, c, &manifest);
        if to == Level::All {
            assert!(!begins(&actions), "b is down");
            hand.wait();
            let b = dialled(&hand.drain())[0].1;
            all.push((b, &manifest));
            actions = offer(&mut hand, b, &manifest);
        }
        let asked = list(&mut hand, &actions, &all);
        let sealing = hand.store_all(asked);
        assert!(matches!(hand.published(&sealing), Outcome::Published { .. }), "{from} to {to}");
        assert!(hand.job.status().standing.is_met());
    }
}

/// F-20: a level that is raised, and met by those who were heard already, interrupts nothing.
#[test]
fn a_raised_level_that_is_met_interrupts_nothing() {
    let manifest = Manifest::new(&[100]);
    let (mut hand, sources) = identical(Level::UnstrictMajority);
    let asked = listed(&mut hand, &[(sources[0], &manifest), (sources[1], &manifest)]);
    assert_eq!(set(&mut hand, Level::Majority), []);
    let sealing = hand.store_all(asked);
    let [.., Action::Seal { .. }] = sealing.as_slice() else { panic!("{sealing:?}") };
    assert_eq!(set(&mut hand, Level::One), []);
    assert_eq!(set(&mut hand, Level::Majority), []);
    assert!(matches!(publish(&mut hand, sealing), Outcome::Published { .. }));
}

/// F-20: a level counts until the store is told to publish: what was sealed with too few is not.
#[test]
fn a_level_raised_while_it_is_sealed_is_waited_for() {
    let manifest = Manifest::new(&[100]);
    for is_lowered_again in [false, true] {
        let (mut hand, sources) = identical(Level::UnstrictAll);
        lose(&mut hand, sources[1]);
        lose(&mut hand, sources[2]);
        let asked = listed(&mut hand, &[(sources[0], &manifest)]);
        assert!(seals(&hand.store_all(asked)));
        assert_eq!(set(&mut hand, Level::Majority), [], "the store is at work");
        assert_eq!(hand.job.status().phase, Phase::Sealing);
        if is_lowered_again {
            set(&mut hand, Level::One);
        }
        hand.job.handle_sealed(hand.now, Ok(())).unwrap();
        let actions = hand.drain();
        assert_eq!(actions.contains(&Action::Publish), is_lowered_again, "{actions:?}");
        if is_lowered_again {
            continue;
        }
        assert_eq!(closes(&actions), [CloseReason::NotNeeded]);
        let again = dialled(&actions);
        let all = [(again[0].1, &manifest), (again[1].1, &manifest)];
        let asked = listed(&mut hand, &all);
        let sealing = hand.store_all(asked);
        assert!(matches!(publish(&mut hand, sealing), Outcome::Published { .. }));
    }
}

/// F-20: what was taken at the word of one of two is not enough for a majority: it is judged anew, though as
/// many were heard as that asks for.
#[test]
fn what_a_lower_level_took_is_judged_anew() {
    let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("b", 2)]));
    let (mut hand, sources) = identical(Level::UnstrictMajority);
    lose(&mut hand, sources[2]);
    let asked = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
    assert_eq!(hand.job.stats().disputed, 0);
    let actions = set(&mut hand, Level::Majority);
    assert_eq!(names(&actions), ["a", "b", "c"], "{asked:?}");
    let again = dialled(&actions);
    let asked = listed(&mut hand, &[(again[0].1, &one), (again[1].1, &other), (again[2].1, &other)]);
    let sealing = hand.store_all(asked);
    assert!(matches!(publish(&mut hand, sealing), Outcome::Published { .. }));
}

/// F-20: a level that goes up and down as it likes ends nothing, and holds nothing up in the end.
#[test]
fn a_level_that_goes_up_and_down_comes_to_an_end() {
    let manifest = Manifest::new(&[100, 100]);
    let (mut hand, mut sources) = identical(Level::One);
    for _ in 0..20 {
        let source = *sources.last().unwrap();
        let asked = listed(&mut hand, &[(source, &manifest)]);
        assert_eq!(fetches(&asked).len(), 1);
        let raised = set(&mut hand, Level::All);
        assert_eq!(names(&raised), ["a", "b", "c"]);
        let opened: Vec<SourceId> = dialled(&raised).into_iter().map(|(_, source)| source).collect();
        lose(&mut hand, opened[0]);
        lose(&mut hand, opened[1]);
        set(&mut hand, Level::One);
        sources = vec![opened[2]];
    }
    let asked = listed(&mut hand, &[(sources[0], &manifest)]);
    let sealing = hand.store_all(asked);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
}

/// F-20, F-09: what the replicas disagree about is judged by the level that is set when the rest is done.
#[test]
fn a_dispute_is_over_when_the_level_is_lowered_meanwhile() {
    for to in [Level::One, Level::None, Level::UnstrictMajority] {
        let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("b", 2)]));
        let (mut hand, sources) = identical(Level::Majority);
        lose(&mut hand, sources[2]);
        let asked = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
        assert_eq!((fetches(&asked).len(), hand.job.stats().disputed), (1, 1));
        assert!(set(&mut hand, to).iter().all(|action| matches!(action, Action::Open { .. })), "it goes on");
        let actions = hand.store_all(asked);
        assert_eq!(hand.job.outcome(), None, "{to}: {actions:?}");
        assert_eq!(hand.job.stats().rounds, 0, "nothing is waited for");
        let has = |name: &str| if name == "b" { &other } else { &one };
        let again = dialled(&actions);
        let again: Vec<_> = again.iter().map(|(name, source)| (*source, has(name))).collect();
        let asked = listed(&mut hand, &again);
        let sealing = hand.store_all(asked);
        assert!(matches!(publish(&mut hand, sealing), Outcome::Published { .. }), "{to}");
        assert!(hand.job.findings().is_empty());
    }
}

/// F-09, F-20: the same of copies that are merged, where too few came for the level before.
#[test]
fn a_fan_out_that_was_not_enough_is_judged_by_the_lower_level() {
    let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 2), ("c", 1)]));
    let config = Config { attempts_per_source: 1, entry_fetch_bytes: ByteCount(100), ..Config::default() };
    let agreement = agreement(DatasetKind::Mergeable, Level::Majority);
    let mut hand = Hand::of(config, Job { agreement, ..job(&["a", "b"]) });
    let sources = hand.opens();
    let asked = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
    // Two copies of `a`, in the order of their replicas, then `b` and `c`.
    let fetches: Vec<_> = fetches(&asked).into_iter().map(|(fetch, spans)| (spans[0], fetch)).collect();
    let fetch_of = |ordinal: u64| {
        let of = |(span, _): &&(Span, FetchId)| span.first_ordinal() == Ordinal(ordinal);
        *fetches.iter().find(of).expect("it is asked for")
    };
    let (span, fetch) = fetch_of(0);
    hand.stored(fetch, span);
    let gone = Fault::Gone("compacted".into());
    hand.job.handle_fetch_failed(hand.now, fetch_of(1).1, None, gone).unwrap();
    hand.drain();
    assert_eq!(hand.job.status().entries_missing, 1, "one of two copies is too few");
    set(&mut hand, Level::UnstrictMajority);
    let mut actions = Vec::new();
    for (span, fetch) in [fetch_of(2), fetch_of(3)] {
        actions = hand.stored(fetch, span);
    }
    assert_eq!(hand.job.stats().rounds, 0, "nothing is waited for: {actions:?}");
    assert_eq!(names(&actions), ["a", "b"]);
}

/// F-11, F-20: who was given up at a lower level is asked again by one that wants its word.
#[test]
fn who_was_spent_at_a_lower_level_is_asked_again() {
    let (mut hand, sources) = begun(agreement(DatasetKind::Identical, Level::One), &["a", "b"]);
    let (mut opened, mut lost) = (vec![("a".to_owned(), sources[0])], [0, 0]);
    loop {
        let Some((name, source)) = opened.pop() else {
            hand.wait();
            opened = dialled(&hand.drain());
            continue;
        };
        let which = usize::from(name == "b");
        if lost[1 - which] == 3 {
            break;
        }
        lost[which] += 1;
        opened = dialled(&lose(&mut hand, source));
    }
    let actions = set(&mut hand, Level::Majority);
    assert_eq!(hand.job.outcome(), None, "{actions:?}");
    assert_eq!(names(&actions).len(), 1, "a majority wants the other, too");
}

/// F-20: but not who said that it will never serve.
#[test]
fn who_will_never_serve_is_not_asked_at_any_level() {
    let (mut hand, sources) = identical(Level::One);
    let never = crate::support::refusal("not mine", true);
    hand.job.handle_refusal(hand.now, sources[0], never).unwrap();
    assert_eq!(names(&hand.drain()), ["b"]);
    assert_eq!(names(&set(&mut hand, Level::Majority)), ["c"]);
}

/// A place is the set of what it has seen, as in a clock of vectors: many are neither before nor after.
#[derive(Debug)]
struct Seen;

impl PositionOrder for Seen {
    fn compare(&self, a: &Position, b: &Position) -> Option<Ordering> {
        let has_all =
            |one: &Position, other: &Position| other.token.iter().all(|seen| one.token.contains(seen));
        match (has_all(a, b), has_all(b, a)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

/// Two snapshots that each go with a third one need not go with each other: the later of them is left out,
/// and the job neither stops nor spins.
#[test]
fn snapshots_that_go_with_a_third_only_are_not_mixed() {
    let at = |seen: &[u8], mut manifest: Manifest| {
        manifest.header.position = Some(Position { log: "log".into(), epoch: 1, token: seen.to_vec() });
        manifest
    };
    let of = [
        at(b"bc", keyed(1, &[("a", 1)])),
        at(b"b", keyed(2, &[("a", 1), ("b", 1)])),
        at(b"c", keyed(3, &[("a", 1), ("c", 1)])),
    ];
    let agreement = agreement(DatasetKind::Identical, Level::Majority);
    let job = Job { agreement, positions: Arc::new(Seen), ..job(&["a", "b", "c"]) };
    let mut hand = Hand::of(Config { join_from: ByteCount(1 << 40), ..Config::default() }, job);
    let (sources, mut actions) = (hand.opens(), Vec::new());
    for (source, manifest) in sources.iter().zip(&of) {
        actions.extend(offer(&mut hand, *source, manifest));
    }
    assert!(
        matches!(closes(&actions).as_slice(), [CloseReason::Incompatible(_)]),
        "{actions:?}, {:?}",
        hand.job.status()
    );
    let header = actions.iter().find_map(|action| match action {
        Action::Begin { header, joined } => Some((header, joined.len())),
        _ => None,
    });
    let (header, joined) = header.expect("the two that go together begin");
    assert_eq!((joined, header.position.as_ref()), (2, of[1].header.position.as_ref()));
}

/// A job of four others, as there are during a move of one of three replicas.
fn moving(of: &[&Manifest]) -> (Hand, Vec<SourceId>, Vec<Action>) {
    let agreement = agreement(DatasetKind::Identical, Level::Majority);
    let (mut hand, sources) = begun(agreement, &["a", "b", "c", "d"]);
    let mut actions = Vec::new();
    for (source, manifest) in sources.iter().zip(of) {
        actions.extend(offer(&mut hand, *source, manifest));
    }
    (hand, sources, actions)
}

/// F-16, F-17: two of four are a majority of three replicas, and so are the other two: neither is right by its
/// name. It is said, and waited for.
#[test]
fn a_split_in_halves_is_decided_by_nobody() {
    let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 2), ("b", 1)]));
    let of = [&one, &one, &other, &other];
    let (mut hand, sources, actions) = moving(&of[..2]);
    assert!(!begins(&actions), "the other two may have something else");
    let mut actions = offer(&mut hand, sources[2], &other);
    actions.extend(offer(&mut hand, sources[3], &other));
    assert!(begins(&actions));
    let listed: Vec<_> = sources.iter().copied().zip(of).collect();
    let asked = list(&mut hand, &actions, &listed);
    let actions = hand.store_all(asked);
    assert!(!seals(&actions), "{actions:?}");
    assert_eq!((hand.job.stats().disputed, hand.job.stats().rounds), (1, 1));
    assert!(matches!(hand.job.status().waiting.unwrap().reason, WaitReason::Level { .. }));
}

/// F-13: three of four outvote the fourth, and two outvote one that is dead.
#[test]
fn more_than_half_of_those_who_may_answer_begin_at_once() {
    let one = keyed(1, &[("a", 1)]);
    assert!(begins(&moving(&[&one, &one, &one]).2));
    let (mut hand, sources, actions) = moving(&[&one, &one]);
    assert!(!begins(&actions));
    assert!(begins(&lose(&mut hand, sources[3])));
}

fn busy() -> Refusal {
    Refusal { reason: "busy".into(), retry_after: Some(SECOND), permanent: false }
}

/// F-12, F-19: best effort comes back to whoever said when, as often as any level; it waits for nobody who
/// is out of reach.
#[test]
fn level_none_comes_back_to_who_was_busy() {
    for refusals in [1, 3] {
        let (mut hand, mut sources) = begun(agreement(DatasetKind::Identical, Level::None), &["a", "dead"]);
        let dead = sources.pop().unwrap();
        hand.job.handle_refusal(hand.now, sources[0], busy()).unwrap();
        lose(&mut hand, dead);
        assert_eq!(hand.job.outcome(), None, "a is asked again");
        for _ in 1..refusals {
            let again = come_back(&mut hand);
            hand.job.handle_refusal(hand.now, again, busy()).unwrap();
        }
        if refusals == 3 {
            assert!(matches!(done(&hand.drain()), Outcome::NoSource { .. }));
            continue;
        }
        let again = come_back(&mut hand);
        assert!(begins(&offer(&mut hand, again, &Manifest::new(&[100]))));
    }
}

/// Lets time pass until `a` is dialled again; whoever else is, is lost again.
fn come_back(hand: &mut Hand) -> SourceId {
    loop {
        hand.wait();
        for (name, source) in dialled(&hand.drain()) {
            if name == "a" {
                return source;
            }
            lose(hand, source);
        }
    }
}

/// F-10, F-19: at level none, what can be merged is taken from all who answer soon; nobody is waited for
/// longer.
#[test]
fn level_none_merges_what_comes_in_time() {
    let (one, other) = (keyed(1, &[("a", 1)]), keyed(2, &[("b", 1)]));
    for is_silent in [false, true] {
        let (mut hand, sources) = begun(agreement(DatasetKind::Mergeable, Level::None), &["a", "b"]);
        assert!(!begins(&offer(&mut hand, sources[0], &one)));
        assert_eq!(hand.job.poll_timeout(), Some(hand.now + 5 * SECOND));
        let mut all = vec![(sources[0], &one)];
        let actions = if is_silent {
            hand.wait();
            hand.drain()
        } else {
            all.push((sources[1], &other));
            offer(&mut hand, sources[1], &other)
        };
        let asked = list(&mut hand, &actions, &all);
        let sealing = hand.store_all(asked);
        assert!(matches!(publish(&mut hand, sealing), Outcome::Published { .. }));
        assert_eq!(hand.job.findings().alone.count, if is_silent { 0 } else { 2 });
    }
}
