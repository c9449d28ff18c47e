//! Copies that fit their digest and that the store does not take.

use peerstream_recovery::{
    Action, Agreement, Config, Job, NotTaken, Outcome, Recovery, SourceId, Voters, WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{
    ByteCount, ChunkIndex, DatasetKind, EntryKey, ManifestHeader, Ordinal, Position, Span,
};

use crate::support::{CHUNK, Hand, Manifest, asked_of, done, job, keyed, peer};

fn bad() -> NotTaken {
    NotTaken::Bad("a point is cut off".into())
}

fn too_long() -> NotTaken {
    NotTaken::Unmergeable("the block would be too long".into())
}

fn key(path: &str) -> EntryKey {
    EntryKey::from_path(path).unwrap()
}

/// Of a dataset that merges, which these peers are all other replicas of.
fn begun(level: Level, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let voters = Voters::of(u32::try_from(peers.len()).unwrap());
    let agreement = Agreement { kind: DatasetKind::Mergeable, level, voters };
    let config = Config { join_from: ByteCount(1 << 40), ..Config::default() };
    let mut hand = Hand::of(config, Job { agreement, ..job(peers) });
    let opens = hand.opens();
    (hand, opens)
}

/// All offer and list what they have; what is asked then.
fn listed(hand: &mut Hand, all: &[(SourceId, &Manifest)]) -> Vec<Action> {
    for (source, manifest) in all {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
    }
    let mut actions = hand.drain();
    if !actions.iter().any(|action| asked_of(action).is_some()) {
        // Others are heard for a while.
        hand.wait();
        actions.extend(hand.drain());
    }
    for lister in actions.iter().filter_map(asked_of) {
        let (_, manifest) = all.iter().find(|(source, _)| *source == lister).expect("it has offered");
        hand.page(lister, manifest.page());
    }
    hand.drain()
}

/// Stores what is asked, but for these entries, which the store does not take; the other actions.
fn store_but(hand: &mut Hand, actions: Vec<Action>, refused: &[(u64, NotTaken)]) -> Vec<Action> {
    let mut rest = Vec::new();
    let mut queue = std::collections::VecDeque::from(actions);
    while let Some(action) = queue.pop_front() {
        let Action::Fetch { fetch, spans, .. } = action else {
            rest.push(action);
            continue;
        };
        hand.job.handle_content_arrived(hand.now, fetch).unwrap();
        for span in spans {
            let Span::Entries { first, count } = span else { panic!("entries of one chunk") };
            for ordinal in (first.0..first.0 + u64::from(count)).map(Ordinal) {
                match refused.iter().find(|(of, _)| *of == ordinal.0) {
                    Some((_, reason)) => {
                        hand.job.handle_not_taken(hand.now, fetch, ordinal, reason.clone()).unwrap();
                    }
                    None => hand.job.handle_stored(hand.now, fetch, Span::entry(ordinal)).unwrap(),
                }
                queue.extend(hand.drain());
            }
        }
    }
    rest
}

fn bad_chunks(job: &Recovery, name: &str) -> u64 {
    let status = job.status();
    status.sources.iter().find(|source| source.peer == peer(name)).map_or(0, |source| source.bad_chunks)
}

/// F-14, promise 9: a copy that the store does not take costs that copy, once: everything else is stored, and
/// the end names the entry, who gave it and why.
#[test]
fn a_copy_that_is_not_taken_costs_that_copy() {
    for level in [Level::One, Level::Majority, Level::All] {
        for (reason, why, count) in [(bad(), "cut off", 1), (too_long(), "too long", 0)] {
            let one = keyed(1, &[("a", 1), ("b", 1), ("c", 1)]);
            let (mut hand, sources) = begun(level, &["a"]);
            let actions = listed(&mut hand, &[(sources[0], &one)]);
            let rest = store_but(&mut hand, actions, &[(1, reason)]);
            let Outcome::Incomplete { gaps, entries, peers } = done(&rest) else { panic!("{rest:?}") };
            assert_eq!((entries, gaps.len()), (1, 1), "{level}");
            assert_eq!((&gaps[0].key, &gaps[0].peer), (&key("b"), &peer("a")));
            assert!(gaps[0].why.contains(why), "{}", gaps[0].why);
            assert_eq!((peers[0].bad_chunks, peers[0].stored_bytes), (count, 200), "{level}");
            assert_eq!(hand.job.stats().retries.bad, 0, "it would be the same again");
        }
    }
}

/// F-09: of unequal copies, those that the store takes count for the level; who gave the bad one is blamed.
#[test]
fn the_others_of_unequal_copies_count() {
    let (one, more) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("b", 1), ("c", 1)]));
    let other = keyed(3, &[("a", 1), ("b", 2)]);
    let (mut hand, sources) = begun(Level::Majority, &["a", "b", "c"]);
    let all = [(sources[0], &one), (sources[1], &more), (sources[2], &other)];
    let actions = listed(&mut hand, &all);
    let rest = store_but(&mut hand, actions, &[(2, bad())]);
    assert!(matches!(rest[..], [Action::LeaveOut { ordinal: Ordinal(2) }, Action::Seal { .. }]), "{rest:?}");
    assert_eq!((bad_chunks(&hand.job, "c"), bad_chunks(&hand.job, "a")), (1, 0));
}

/// F-19: at level none it is done without.
#[test]
fn level_none_does_without_what_is_not_taken() {
    let one = keyed(1, &[("a", 1), ("b", 1)]);
    let (mut hand, sources) = begun(Level::None, &["a"]);
    let actions = listed(&mut hand, &[(sources[0], &one)]);
    let rest = store_but(&mut hand, actions, &[(1, too_long())]);
    assert!(matches!(rest[..], [Action::LeaveOut { ordinal: Ordinal(1) }, Action::Seal { .. }]), "{rest:?}");
    assert_eq!(hand.job.findings().dropped.keys, [key("b")]);
}

/// F-19, F-20: what level none does without is not done without by a level that is set before it is published.
#[test]
fn what_level_none_does_without_is_asked_for_at_another_level() {
    let one = keyed(1, &[("a", 1), ("b", 1)]);
    for level in [Level::One, Level::Majority, Level::UnstrictMajority] {
        let (mut hand, sources) = begun(Level::None, &["a"]);
        let actions = listed(&mut hand, &[(sources[0], &one)]);
        let sealing = store_but(&mut hand, actions, &[(1, too_long())]);
        assert!(matches!(sealing[..], [_, Action::Seal { .. }]), "{sealing:?}");
        hand.job.handle_level(hand.now, level);
        hand.job.handle_sealed(hand.now, Ok(())).unwrap();
        let actions = hand.drain();
        assert!(!actions.contains(&Action::Publish), "{level}: {actions:?}");
        assert_eq!(hand.job.findings().dropped.count, 0, "{level}");
    }
}

/// F-11: while a replica that may have a good copy was not heard, the level is tried for again.
#[test]
fn who_was_not_heard_may_have_a_good_copy() {
    let (one, other) = (keyed(1, &[("a", 1), ("b", 1)]), keyed(2, &[("a", 1), ("b", 2)]));
    let (mut hand, sources) = begun(Level::Majority, &["a", "b", "c"]);
    hand.job.handle_source_lost(hand.now, sources[2], "no route").unwrap();
    hand.drain();
    let actions = listed(&mut hand, &[(sources[0], &one), (sources[1], &other)]);
    store_but(&mut hand, actions, &[(1, bad())]);
    assert_eq!(hand.job.outcome(), None);
    let waiting = hand.job.status().waiting.expect("it waits").reason;
    assert!(matches!(waiting, WaitReason::Level { .. } | WaitReason::Offer), "{waiting:?}");
}

/// A copy of several chunks is not taken with the last of them: nothing more of it is asked of anybody.
#[test]
fn a_copy_of_many_chunks_is_left_with_its_last() {
    let manifest = Manifest::new(&[3 * CHUNK, 100]);
    let mut hand = Hand::new(&["a"]);
    let (source, actions) = hand.listed(&manifest);
    let mut queue = std::collections::VecDeque::from(actions);
    let (mut rest, mut stored) = (Vec::new(), 0);
    while let Some(action) = queue.pop_front() {
        match action {
            Action::Outline { ordinal, part, .. } => {
                hand.job.handle_outline(hand.now, source, ordinal, part, Ok(())).unwrap();
            }
            Action::Fetch { fetch, spans, .. } => {
                for span in spans {
                    match span {
                        Span::Chunks { ordinal, range } => {
                            for chunk in range.first.0..range.end() {
                                stored += 1;
                                let span = Span::chunk(ordinal, ChunkIndex(chunk));
                                if stored == 3 {
                                    hand.job.handle_not_taken(hand.now, fetch, ordinal, bad()).unwrap();
                                } else {
                                    hand.job.handle_stored(hand.now, fetch, span).unwrap();
                                }
                            }
                        }
                        small => hand.job.handle_stored(hand.now, fetch, small).unwrap(),
                    }
                }
            }
            other => rest.push(other),
        }
        queue.extend(hand.drain());
    }
    let Outcome::Incomplete { gaps, entries, .. } = done(&rest) else { panic!("{rest:?}") };
    assert_eq!((entries, gaps.len(), gaps[0].ordinal, gaps[0].chunk), (1, 1, Ordinal(0), None));
}

fn at(manifest: Manifest, token: u8) -> Manifest {
    let position = Some(Position { log: "orders".into(), epoch: 1, token: vec![token] });
    Manifest { header: ManifestHeader { position, ..manifest.header }, ..manifest }
}

/// Promise 4: what several manifests were joined to without some of their entries has no position in the
/// change log; that of a single one goes with its digest, and the store keeps its own.
#[test]
fn what_something_was_left_out_of_has_no_position() {
    let manifests = [at(keyed(1, &[("a", 1), ("b", 1)]), 9), at(keyed(2, &[("a", 1), ("c", 1)]), 9)];
    for (count, refused, has_position) in
        [(1, vec![], true), (1, vec![(1, bad())], true), (2, vec![], true), (2, vec![(1, bad())], false)]
    {
        let (mut hand, sources) = begun(Level::None, &["a", "b"][..count]);
        let all: Vec<_> = sources.into_iter().zip(&manifests).collect();
        let actions = listed(&mut hand, &all);
        let rest = store_but(&mut hand, actions, &refused);
        let Some(Action::Seal { header }) = rest.last() else { panic!("{rest:?}") };
        assert_eq!(header.position.is_some(), has_position, "{count} manifests, without {refused:?}");
        assert_eq!(header.digest.is_some(), count == 1);
    }
}
