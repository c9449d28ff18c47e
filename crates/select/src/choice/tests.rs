//! Cases M-06 to M-12 of the reference, and its faults 1.7.1, 1.7.2 and 1.7.4.

use peerstream_types::{Codec, Digest, EntryKey, EntryKind, NodeId, Ordinal};

use super::*;
use crate::Roster;

fn slots(count: usize) -> Vec<Slot> {
    let nodes = (0..count).map(|index| NodeId::new(format!("n{index}")).unwrap());
    Roster::new(nodes).unwrap().slots().iter().collect()
}

fn copy(digest: u8) -> Arc<Entry> {
    Arc::new(Entry {
        ordinal: Ordinal(u64::from(digest)),
        key: EntryKey::new(*b"series/2h").unwrap(),
        len: 8,
        digest: Some(Digest::Blake3([digest; 32])),
        kind: EntryKind::Block,
        codec: Codec::Plain,
        metadata: b"host=a".to_vec(),
    })
}

/// Copies with these digests, at the replicas in turn.
fn pursuit(digests: &[u8]) -> Pursuit {
    let reports: Vec<(Slot, Arc<Entry>)> =
        slots(digests.len()).into_iter().zip(digests.iter().map(|digest| copy(*digest))).collect();
    let verdict = Verdict::of_reports(reports.iter().map(|(slot, entry)| (*slot, &**entry)));
    Pursuit::new(&verdict, reports)
}

fn view(level: Level) -> View<'static> {
    View::new(level, 3, slots(8).into_iter().collect())
}

fn once(level: Level) -> View<'static> {
    View { attempts_per_peer: NonZeroU32::MIN, ..view(level) }
}

/// Asks for as long as there is somebody to ask; says who was asked.
fn ask(pursuit: &mut Pursuit, view: &View<'_>) -> (Vec<usize>, Next) {
    ask_and(pursuit, view, |_, _| {})
}

/// Has every fetch fail, until something else is to be done.
fn fail_all(pursuit: &mut Pursuit, view: &View<'_>) -> (Vec<usize>, Next) {
    ask_and(pursuit, view, |pursuit, slot| pursuit.handle_failed(slot, Failure::Attempt))
}

fn ask_and(pursuit: &mut Pursuit, view: &View<'_>, then: fn(&mut Pursuit, Slot)) -> (Vec<usize>, Next) {
    let mut asked = vec![];
    loop {
        let next = pursuit.poll(view);
        let Next::Fetch(slot) = next else { return (asked, next) };
        asked.push(slot.index());
        then(pursuit, slot);
    }
}

const FINISHED: Next = Next::Finished { abandoned: Slots::NONE, cancel: Slots::NONE };

/// M-06: equal digests: one is asked, the first by id, and its attempt is counted.
#[test]
fn of_equal_copies_one_is_fetched_from_the_lowest_id() {
    let mut pursuit = pursuit(&[1, 1, 1]);
    let (a, b) = (slots(3)[0], slots(3)[1]);
    assert_eq!(ask(&mut pursuit, &view(Level::Majority)), (vec![0], Next::UnderWay));
    assert_eq!((pursuit.attempts(a), pursuit.attempts(b)), (1, 0));
    pursuit.handle_done(a);
    assert_eq!(pursuit.poll(&view(Level::Majority)), FINISHED, "one success is enough for equal copies");
    assert_eq!(pursuit.done(), Slots::one(a));
}

/// M-07, F-08: one of three differs: all three are fetched at once.
#[test]
fn of_unequal_copies_all_are_fetched() {
    for level in Level::ALL {
        assert_eq!(ask(&mut pursuit(&[1, 2, 1]), &view(level)), (vec![0, 1, 2], Next::UnderWay));
    }
}

/// M-08, F-10: one reporter: it is asked, at every level.
#[test]
fn a_single_reporter_is_asked_whatever_the_level() {
    for level in Level::ALL {
        let mut pursuit = pursuit(&[1]);
        assert_eq!(ask(&mut pursuit, &view(level)), (vec![0], Next::UnderWay));
        pursuit.handle_done(slots(1)[0]);
        assert_eq!(pursuit.poll(&view(level)), FINISHED);
    }
}

/// M-09, F-07: the first was attempted, the third is busier: the second.
#[test]
fn attempts_go_before_load_and_load_before_id() {
    let busy = |slot: Slot| [0, 5, 9][slot.index()];
    let view = View { outstanding: &busy, ..view(Level::Majority) };
    let mut pursuit = pursuit(&[1, 1, 1]);
    let (asked, _) = fail_all(&mut pursuit, &view);
    assert_eq!(asked, [0, 1, 2, 0, 1, 2]);
    let inverse = |slot: Slot| [9, 5, 0][slot.index()];
    let view = View { outstanding: &inverse, ..view };
    assert_eq!(fail_all(&mut pursuit, &view).0, [2, 1, 0, 2, 1, 0]);
}

/// M-01, F-07: two peers, three entries, of two shards: load is counted over all of them, so the picks go
/// round.
#[test]
fn load_is_counted_over_all_shards() {
    let nodes = ["n0", "n1"].map(|name| NodeId::new(name).unwrap());
    let (first, second) = (Roster::new(nodes.clone()).unwrap(), Roster::new(nodes).unwrap());
    let mut loads = Loads::default();
    let mut picks: Vec<usize> = vec![];
    for roster in [&first, &second, &first] {
        let outstanding = |slot: Slot| loads.outstanding(roster.node(slot).unwrap());
        let view = View { outstanding: &outstanding, ..view(Level::Majority) };
        let (asked, _) = ask(&mut pursuit(&[1, 1]), &view);
        picks.extend(&asked);
        let slot = roster.slots().iter().nth(asked[0]).unwrap();
        loads.begin(roster.node(slot).unwrap(), 8);
    }
    assert_eq!(picks, [0, 1, 0]);
}

/// M-10, F-19: all attempted, no retries, level none: nothing is selected and nothing enqueued again.
#[test]
fn level_none_gives_up_what_everyone_failed_to_give() {
    let mut pursuit = pursuit(&[1, 1, 1]);
    assert_eq!(fail_all(&mut pursuit, &once(Level::None)), (vec![0, 1, 2], Next::Dropped));
    assert_eq!(pursuit.poll(&view(Level::Majority)), Next::Dropped, "it stays so");
    assert_eq!(pursuit.rounds(), 0);
}

/// M-11, F-11: two attempts per peer; A had both and B one, so B it is, though it has more to do.
#[test]
fn attempts_are_used_up_peer_by_peer() {
    let busy = |slot: Slot| if slot.index() == 1 { 1000 } else { 0 };
    let (calm, busy) = (view(Level::Majority), View { outstanding: &busy, ..view(Level::Majority) });
    let mut pursuit = pursuit(&[1, 1]);
    for (expected, view) in [(0, &calm), (1, &calm), (0, &calm), (1, &busy)] {
        let Next::Fetch(slot) = pursuit.poll(view) else { panic!("there is somebody left") };
        assert_eq!(slot.index(), expected);
        pursuit.handle_failed(slot, Failure::Attempt);
    }
    assert_eq!(pursuit.poll(&busy), Next::StartOver { rounds: 1 });
}

/// M-12, F-09: one success, two exhausted, majority: exactly one start over, with attempts cleared.
#[test]
fn unequal_copies_that_miss_the_level_start_over_once() {
    let mut pursuit = pursuit(&[1, 2, 3]);
    let majority = view(Level::Majority);
    let (a, b, c) = (slots(3)[0], slots(3)[1], slots(3)[2]);
    ask(&mut pursuit, &majority);
    pursuit.handle_done(a);
    for slot in [b, c] {
        pursuit.handle_failed(slot, Failure::Attempt);
        assert_eq!(pursuit.poll(&majority), Next::Fetch(slot), "a leg retries on its own peer");
        pursuit.handle_failed(slot, Failure::Attempt);
    }
    assert_eq!(pursuit.poll(&majority), Next::StartOver { rounds: 1 });
    assert_eq!((pursuit.attempts(b), pursuit.attempts(c)), (0, 0));
    assert_eq!(ask(&mut pursuit, &majority), (vec![1, 2], Next::UnderWay), "what came is not fetched again");
    pursuit.handle_done(b);
    pursuit.handle_failed(c, Failure::Attempt);
    assert!(
        matches!(pursuit.poll(&majority), Next::Finished { abandoned, .. } if abandoned == Slots::one(c))
    );
}

/// Fault 1.7.1 of the original, first half: a leg's second try loses the counts of the others, so a
/// failing leg is retried for ever though they satisfied the level.
#[test]
fn a_failing_leg_is_abandoned_once_the_others_meet_the_level() {
    let mut pursuit = pursuit(&[1, 2, 3]);
    let majority = view(Level::Majority);
    let (a, b, c) = (slots(3)[0], slots(3)[1], slots(3)[2]);
    ask(&mut pursuit, &majority);
    pursuit.handle_failed(c, Failure::Attempt);
    assert_eq!(pursuit.poll(&majority), Next::Fetch(c), "the level is not met yet");
    pursuit.handle_done(a);
    pursuit.handle_done(b);
    let finished = Next::Finished { abandoned: Slots::one(c), cancel: Slots::one(c) };
    assert_eq!(pursuit.poll(&majority), finished);
    pursuit.handle_failed(c, Failure::Attempt);
    assert_eq!(pursuit.poll(&majority), finished, "and nothing is asked again");
}

/// Fault 1.7.1, first half: a success on the second try counts.
#[test]
fn a_success_on_a_second_try_counts() {
    let mut pursuit = pursuit(&[1, 2]);
    let all = view(Level::All);
    ask(&mut pursuit, &all);
    for slot in slots(2) {
        pursuit.handle_failed(slot, Failure::Attempt);
        assert_eq!(pursuit.poll(&all), Next::Fetch(slot));
        pursuit.handle_done(slot);
    }
    assert_eq!(pursuit.poll(&all), FINISHED);
}

/// Fault 1.7.1, second half: with one attempt per peer the level is not enforced there.
#[test]
fn the_level_is_enforced_with_one_attempt_per_peer() {
    let (a, b, c) = (slots(3)[0], slots(3)[1], slots(3)[2]);
    for (level, met) in [(Level::Majority, false), (Level::All, false), (Level::UnstrictMajority, true)] {
        let mut pursuit = pursuit(&[1, 2, 3]);
        ask(&mut pursuit, &once(level));
        pursuit.handle_done(a);
        pursuit.handle_failed(b, Failure::Attempt);
        pursuit.handle_failed(c, Failure::Attempt);
        let next = pursuit.poll(&once(level));
        assert_eq!(matches!(next, Next::Finished { .. }), met, "{level}: {next:?}");
        assert_eq!(next == Next::StartOver { rounds: 1 }, !met, "{level}: {next:?}");
    }
}

/// F-09: a copy that has not failed yet is waited for, also when the level is met without it: it may
/// be the newest.
#[test]
fn a_healthy_leg_is_waited_for() {
    let mut pursuit = pursuit(&[1, 2]);
    ask(&mut pursuit, &view(Level::One));
    pursuit.handle_done(slots(2)[0]);
    assert_eq!(pursuit.poll(&view(Level::One)), Next::UnderWay);
    pursuit.handle_failed(slots(2)[1], Failure::Attempt);
    let next = pursuit.poll(&view(Level::One));
    assert_eq!(next, Next::Finished { abandoned: Slots::one(slots(2)[1]), cancel: Slots::NONE });
}

/// F-10: unequal copies at fewer replicas than the level asks for are judged among themselves.
#[test]
fn few_reporters_are_judged_among_themselves() {
    let mut pursuit = pursuit(&[1, 2]);
    let five = View { replicas: 5, ..view(Level::Majority) };
    ask(&mut pursuit, &five);
    slots(2).into_iter().for_each(|slot| pursuit.handle_done(slot));
    assert_eq!(pursuit.poll(&five), FINISHED);
}

/// F-36, fault 1.7.2 of the original: what was reported, tags included, is there in every round.
#[test]
fn tags_survive_every_retry() {
    let mut pursuit = pursuit(&[1, 2, 2]);
    for rounds in 1..5 {
        assert!(slots(3).iter().all(|slot| pursuit.report(*slot).unwrap().metadata == b"host=a"));
        assert_eq!(pursuit.report(slots(3)[1]).unwrap().ordinal, Ordinal(2), "each peer its own");
        assert_eq!(fail_all(&mut pursuit, &view(Level::Majority)).1, Next::StartOver { rounds });
    }
}

/// F-13: who cannot be reached is neither chosen nor waited for.
#[test]
fn a_dead_peer_delays_nothing() {
    let alive = Slots::one(slots(3)[1]);
    let without = View { reachable: alive, ..view(Level::One) };
    assert_eq!(ask(&mut pursuit(&[1, 1, 1]), &without), (vec![1], Next::UnderWay));
    let mut unequal = pursuit(&[1, 2, 3]);
    assert_eq!(ask(&mut unequal, &without), (vec![1], Next::UnderWay));
    unequal.handle_done(slots(3)[1]);
    assert!(matches!(unequal.poll(&without), Next::Finished { abandoned, .. } if abandoned.len() == 2));
    let nobody = View { reachable: Slots::NONE, ..view(Level::One) };
    assert_eq!(pursuit(&[1, 1]).poll(&nobody), Next::StartOver { rounds: 1 });
}

/// D6, D14: who is penalised comes last, and penalties for all of them do not lose the entry.
#[test]
fn penalised_peers_are_the_last_resort() {
    let (a, b) = (slots(3)[0], slots(3)[1]);
    let some = View { avoided: [a, b].into_iter().collect(), ..view(Level::Majority) };
    assert_eq!(fail_all(&mut pursuit(&[1, 1, 1]), &some).0, [2, 2, 0, 1, 0, 1]);
    let all = View { avoided: slots(3).into_iter().collect(), ..view(Level::Majority) };
    assert_eq!(ask(&mut pursuit(&[1, 1, 1]), &all), (vec![0], Next::UnderWay));
}

/// F-20: the level is that of the moment: lowered while a pursuit is under way, it ends it.
#[test]
fn a_lowered_level_ends_what_is_under_way() {
    let mut unequal = pursuit(&[1, 2, 3]);
    ask(&mut unequal, &view(Level::All));
    unequal.handle_done(slots(3)[0]);
    for slot in [slots(3)[1], slots(3)[2]] {
        unequal.handle_failed(slot, Failure::ForGood);
    }
    let mut lowered = unequal.clone();
    assert_eq!(unequal.poll(&view(Level::All)), Next::StartOver { rounds: 1 });
    assert!(matches!(lowered.poll(&view(Level::UnstrictAll)), Next::Finished { .. }));
    let mut equal = pursuit(&[1, 1]);
    assert_eq!(fail_all(&mut equal, &view(Level::Majority)).1, Next::StartOver { rounds: 1 });
    assert_eq!(fail_all(&mut equal, &view(Level::None)).1, Next::Dropped, "none breaks the loop");
}

/// F-18, fault 1.7.4 of the original: the own vote never lets an entry that no peer gave pass as done.
#[test]
fn the_own_vote_does_not_make_a_lost_entry_done() {
    for level in Level::ALL {
        for digests in [&[1, 1][..], &[1, 2]] {
            let view = View { own_vote: true, ..view(level) };
            let (_, next) = fail_all(&mut pursuit(digests), &view);
            let expected = if level == Level::None { Next::Dropped } else { Next::StartOver { rounds: 1 } };
            assert_eq!(next, expected, "{level}");
        }
    }
}

/// F-18: the option counts the own vote among those who gave a copy.
#[test]
fn the_own_vote_is_counted_among_unequal_copies_if_asked_for() {
    for (own_vote, met) in [(false, false), (true, true)] {
        let mut pursuit = pursuit(&[1, 2, 3]);
        let view = View { own_vote, ..once(Level::Majority) };
        ask(&mut pursuit, &view);
        pursuit.handle_done(slots(3)[0]);
        pursuit.handle_failed(slots(3)[1], Failure::Attempt);
        pursuit.handle_failed(slots(3)[2], Failure::Attempt);
        assert_eq!(matches!(pursuit.poll(&view), Next::Finished { .. }), met);
    }
}

/// F-14: a failure of this node ends it; a peer's final refusal leaves it to the others.
#[test]
fn only_an_own_failure_aborts() {
    let mut pursuit = pursuit(&[1, 1]);
    let view = view(Level::Majority);
    let Next::Fetch(first) = pursuit.poll(&view) else { panic!("somebody is asked") };
    pursuit.handle_failed(first, Failure::ForGood);
    let Next::Fetch(second) = pursuit.poll(&view) else { panic!("the other one is asked") };
    assert_ne!(first, second);
    pursuit.handle_failed(second, Failure::Own);
    assert_eq!(pursuit.poll(&view), Next::Aborted);
}

/// Answers that nobody waits for change nothing.
#[test]
fn late_answers_are_ignored() {
    let mut pursuit = pursuit(&[1, 1]);
    pursuit.handle_done(slots(2)[1]);
    pursuit.handle_failed(slots(2)[0], Failure::Own);
    assert_eq!(ask(&mut pursuit, &view(Level::Majority)), (vec![0], Next::UnderWay));
}
