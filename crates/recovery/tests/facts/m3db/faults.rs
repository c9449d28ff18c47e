//! Faults of M3DB that a job does not share.

use std::collections::BTreeMap;

use peerstream_recovery::{
    Action, Agreement, Config, Fault, Job, Outcome, ReplicaStanding, SourceId, Voters, WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{ChunkIndex, ChunkRange, DatasetKind, EntryKey, Ordinal, Span};

use super::{agreement, answered, asked, begun, listed};
use crate::support::{Hand, Listed, Manifest, closes, done, job, keyed, only_fetch, peer, refusal};

/// A job that merges three unequal copies of one entry at majority, and what it asks first.
fn three_copies(attempts: u32) -> (Hand, Vec<Action>) {
    let config = Config { attempts_per_source: attempts, ..Config::default() };
    let level = agreement(DatasetKind::Mergeable, Level::Majority);
    let (mut hand, sources) = begun(config, level, &["a", "b", "c"]);
    let actions = unequal(&mut hand, &sources);
    (hand, actions)
}

/// Each of these lists its own copy of one entry; what is asked then.
fn unequal(hand: &mut Hand, sources: &[SourceId]) -> Vec<Action> {
    let copies: Vec<Manifest> = (1..=3).map(|content| keyed(content, &[("a", content)])).collect();
    let listing: Vec<_> = sources.iter().copied().zip(&copies).collect();
    let actions = listed(hand, &listing);
    assert_eq!(asked(&actions).len(), sources.len(), "all copies are fetched");
    actions
}

fn seals(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Seal { .. }))
}

/// G-01, M-12, F-09: a leg of a fan-out that fails again and again is left out once the others satisfy the
/// level, whatever the attempts are; with too few legs the level is not met, and everything is asked again:
/// once, with nothing left of the attempts before.
#[test]
fn a_fan_out_is_judged_by_all_of_its_legs() {
    for attempts in 1..=3 {
        for failing in [0, 1, 2, 3] {
            let (mut hand, actions) = three_copies(attempts);
            let mut tries = BTreeMap::<u64, u32>::new();
            let rest = answered(&mut hand, actions, |_, copy| {
                *tries.entry(copy).or_default() += 1;
                copy >= failing
            });
            let at = format!("{attempts} attempts, {failing} failing");
            for (copy, tries) in &tries {
                assert_eq!(*tries, if *copy < failing { attempts } else { 1 }, "{at}: copy {copy}");
            }
            assert_eq!(seals(&rest), failing <= 1, "{at}: {rest:?}");
            let stats = hand.job.stats();
            let (left_out, rounds) = if failing <= 1 { (failing, 0) } else { (0, 1) };
            assert_eq!((stats.left_out, stats.rounds), (left_out, rounds), "{at}");
            if failing > 1 {
                let waiting = hand.job.status().waiting.unwrap().reason;
                assert!(matches!(waiting, WaitReason::Level { .. }), "{at}: {waiting:?}");
                hand.wait();
                let sources = hand.opens();
                assert_eq!(sources.len(), 3, "{at}: all are asked again");
                let mut tries = BTreeMap::<u64, u32>::new();
                let actions = unequal(&mut hand, &sources);
                let rest = answered(&mut hand, actions, |_, copy| {
                    *tries.entry(copy).or_default() += 1;
                    tries[&copy] == attempts
                });
                assert!(tries.values().all(|tries| *tries == attempts), "{at}, again: {tries:?}");
                assert!(seals(&rest), "{at}, again: {rest:?}");
            }
        }
    }
}

/// G-01: a leg that comes at its second try counts.
#[test]
fn a_leg_that_comes_late_counts() {
    let (mut hand, actions) = three_copies(2);
    let mut tries = BTreeMap::<u64, u32>::new();
    let rest = answered(&mut hand, actions, |_, copy| {
        let tries = tries.entry(copy).or_default();
        *tries += 1;
        match copy {
            0 => true,
            1 => *tries == 2,
            _ => false,
        }
    });
    assert!(seals(&rest), "{rest:?}");
    assert_eq!((hand.job.stats().left_out, hand.job.stats().rounds), (1, 0));
}

/// G-03: what has expired in the middle of a request shifts nothing: it is left, by its own name, and every
/// other answer is that of its entry, in whatever order they come.
#[test]
fn what_has_expired_shifts_no_other_answer() {
    let manifest = Manifest::new(&[100; 5]);
    let mut hand = Hand::new(&["a", "b"]);
    let (_, actions) = hand.listed(&manifest);
    let (fetch, _) = only_fetch(&actions);
    for ordinal in [4, 0, 3] {
        assert_eq!(hand.stored(fetch, Span::entry(Ordinal(ordinal))), []);
    }
    let expired = || Fault::Gone("it has expired".into());
    let span = Some(Span::entry(Ordinal(2)));
    hand.job.handle_fetch_failed(hand.now, fetch, span, expired()).unwrap();
    assert_eq!(hand.drain(), []);
    hand.stored(fetch, Span::entry(Ordinal(1)));
    assert_eq!((hand.job.stats().surplus, hand.job.stats().stored_chunks), (0, 4));

    let whole = ChunkRange { first: ChunkIndex(0), count: 1 };
    let held = [0, 1, 3, 4].map(|ordinal| (Ordinal(ordinal), vec![whole])).into();
    let (_, actions) = hand.listed_as(&manifest, Listed { held, ..manifest.page() });
    let (fetch, spans) = only_fetch(&actions);
    assert_eq!(spans, [Span::entry(Ordinal(2))], "and the next peer is asked for just that");
    hand.job.handle_fetch_failed(hand.now, fetch, None, expired()).unwrap();
    let Outcome::Incomplete { gaps, entries, .. } = done(&hand.drain()) else { panic!("it has a gap") };
    assert_eq!((gaps[0].key.clone(), entries), (EntryKey::from_path("f000002").unwrap(), 1));
}

/// G-04: the own vote is no success of anybody: what no peer gave is never taken for done, at any level, and
/// it is said.
#[test]
fn the_own_vote_hides_no_failure() {
    for level in Level::ALL.into_iter().filter(|level| *level != Level::None) {
        let manifest = Manifest::new(&[100, 100]);
        let voters = Voters { own_vote: true, ..Voters::of(3) };
        let agreement = Agreement { voters, ..agreement(DatasetKind::Identical, level) };
        let mut hand = Hand::of(Config::default(), Job { agreement, ..job(&["a", "b"]) });
        let mut rest = Vec::new();
        // At level one, the peers are asked one after the other.
        for _ in 0..2 {
            let sources = hand.opens();
            let listing: Vec<_> = sources.iter().map(|source| (*source, &manifest)).collect();
            let actions = listed(&mut hand, &listing);
            rest.extend(answered(&mut hand, actions, |_, entry| entry == 1));
        }
        assert!(!seals(&rest), "{level}: {rest:?}");
        let is_said = match hand.job.outcome() {
            Some(Outcome::Incomplete { gaps, entries: 1, .. }) => {
                gaps[0].key == EntryKey::from_path("f000000").unwrap()
            }
            Some(_) => false,
            None => hand.job.status().entries_missing == 1,
        };
        assert!(is_said, "{level}: {:?}", hand.job.outcome());
    }
}

/// G-04: nor does it where copies are merged: if not one of them comes, this node's own vote does not meet a
/// level that one vote meets.
#[test]
fn the_own_vote_makes_no_copy() {
    let voters = Voters { own_vote: true, ..Voters::of(3) };
    let own = Agreement { voters, ..agreement(DatasetKind::Mergeable, Level::UnstrictAll) };
    let (mut hand, sources) = begun(Config::default(), own, &["a", "b"]);
    let actions = unequal(&mut hand, &sources);
    let rest = answered(&mut hand, actions, |_, _| false);
    assert!(!seals(&rest), "{rest:?}");
    assert_eq!(hand.job.stats().left_out, 0);
    hand.wait();
    let sources = hand.opens();
    let actions = unequal(&mut hand, &sources);
    let rest = answered(&mut hand, actions, |_, copy| copy == 0);
    assert!(seals(&rest), "one copy is enough: {rest:?}");
}

/// G-06: the unstrict levels are not `one`: as long as more may answer, the word of one is not enough.
#[test]
fn an_unstrict_level_waits_for_those_who_may_answer() {
    let manifest = Manifest::new(&[100]);
    for (level, heard) in [(Level::UnstrictMajority, 2), (Level::UnstrictAll, 3)] {
        let (mut hand, sources) =
            begun(Config::default(), agreement(DatasetKind::Identical, level), &["a", "b", "c"]);
        for (place, source) in sources.iter().enumerate() {
            hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
            let begins = hand.drain().iter().any(|action| matches!(action, Action::Begin { .. }));
            assert_eq!(begins, place + 1 == heard, "{level}: after {}", place + 1);
            if begins {
                break;
            }
        }
        let standing = hand.job.status().standing;
        let asked = standing.replicas.iter();
        let asked = asked.filter(|replica| matches!(replica.state, ReplicaStanding::Asked { .. }));
        assert_eq!(asked.count(), 3 - heard, "{level}");
    }
}

/// G-20: what one peer refuses for good, or has wrong, ends nothing for the others.
#[test]
fn the_fault_of_one_peer_ends_nothing_for_the_others() {
    let manifest = Manifest::new(&[100; 2]);
    type Fail = fn(&mut Hand, SourceId);
    let fails: [Fail; 3] = [
        |hand, source| {
            let refusal = refusal("it is not yours", true);
            hand.job.handle_refusal(hand.now, source, refusal).unwrap();
        },
        |hand, source| {
            hand.job.handle_offer(hand.now, source, Manifest::new(&[100; 2]).header).unwrap();
            hand.drain();
            hand.job.handle_page_failed(hand.now, source, Fault::Wrong("its keys fall".into())).unwrap();
        },
        |hand, source| {
            hand.job.handle_offer(hand.now, source, Manifest::new(&[100; 2]).header).unwrap();
            hand.drain();
            hand.job.handle_page_failed(hand.now, source, Fault::Gone("it was released".into())).unwrap();
        },
    ];
    for fail in fails {
        let mut hand = Hand::new(&["bad", "good"]);
        let (source, _) = hand.opened();
        fail(&mut hand, source);
        let (_, actions) = hand.listed(&manifest);
        assert_eq!(hand.job.status().source, Some(peer("good")));
        let sealing = hand.store_all(actions);
        assert_eq!(closes(&sealing), []);
        assert_eq!(hand.published(&sealing), Outcome::Published { generation: 7 });
    }
}
