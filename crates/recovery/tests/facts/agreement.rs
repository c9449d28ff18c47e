//! Levels: who has to be heard and to agree before anything is believed, and what follows when they do
//! not.

use std::time::Duration;

use peerstream_recovery::{
    Action, Admitted, Agreement, CloseReason, Config, Fault, Job, Outcome, Phase, ReplicaStanding, SourceId,
    Voters, WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{
    ByteCount, ChunkIndex, DatasetKind, Digest, EntryCounts, ManifestHeader, Ordinal, Span,
};

use crate::support::{Hand, Manifest, asked_of, closes, done, fetches, job, keyed, refusal};

const SECOND: Duration = Duration::from_secs(1);

fn agreement(kind: DatasetKind, level: Level, replicas: u32) -> Agreement {
    Agreement { kind, level, voters: Voters::of(replicas) }
}

fn identical(level: Level) -> Agreement {
    agreement(DatasetKind::Identical, level, 3)
}

fn mergeable(level: Level) -> Agreement {
    agreement(DatasetKind::Mergeable, level, 3)
}

/// A job that has asked all of its peers.
fn begun(agreement: Agreement, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let config = Config { join_from: ByteCount(1 << 40), ..Config::default() };
    let mut hand = Hand::of(config, Job { agreement, ..job(peers) });
    let opens = hand.opens();
    assert_eq!(opens.len(), peers.len(), "all are asked at once");
    (hand, opens)
}

fn offer(hand: &mut Hand, source: SourceId, manifest: &Manifest) -> Vec<Action> {
    hand.job.handle_offer(hand.now, source, manifest.header.clone()).unwrap();
    hand.drain()
}

/// Gives every manifest that is asked for, whole; what is asked then.
fn list_all(hand: &mut Hand, actions: &[Action], of: &[(SourceId, &Manifest)]) -> Vec<Action> {
    let lists: Vec<SourceId> = actions.iter().filter_map(asked_of).collect();
    let mut rest = Vec::new();
    for source in lists {
        let manifest = of.iter().find(|(lister, _)| *lister == source).expect("a manifest").1;
        hand.page(source, manifest.page());
        rest.extend(hand.drain());
    }
    rest
}

fn begin(actions: &[Action]) -> (&ManifestHeader, usize) {
    let begin = actions.iter().find_map(|action| match action {
        Action::Begin { header, joined } => Some((header, joined.len())),
        _ => None,
    });
    begin.expect("a begin")
}

/// Where each entry is fetched from, under the names that it has here and there.
fn fetched(actions: &[Action]) -> Vec<(SourceId, u64, u64)> {
    let mut all = Vec::new();
    for action in actions {
        let Action::Fetch { source, spans, there, .. } = action else { continue };
        for (span, there) in spans.iter().zip(there) {
            let Span::Entries { first, count } = *span else { panic!("entries of one chunk") };
            all.extend((0..u64::from(count)).map(|n| (*source, first.0 + n, there.0 + n)));
        }
    }
    all
}

/// F-13, F-15, F-16, M-02: a majority with the same manifest is enough: it is listed once, nothing is
/// compared, and the third is not waited for.
#[test]
fn a_majority_with_one_manifest_begins_at_once() {
    let manifest = Manifest::new(&[100, 100]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
    assert_eq!(offer(&mut hand, sources[0], &manifest), []);
    let waiting = hand.job.status().waiting.unwrap().reason;
    assert_eq!(waiting, WaitReason::Offer);
    let actions = offer(&mut hand, sources[1], &manifest);
    assert_eq!(begin(&actions), (&manifest.header, 0));
    let lists: Vec<_> = actions.iter().filter_map(asked_of).collect();
    assert_eq!(lists, [sources[0]], "one listing for both");
    let standing = hand.job.status().standing;
    assert_eq!((standing.required, standing.heard, standing.agreed), (2, 2, 2));
    assert!(matches!(standing.replicas[2].state, ReplicaStanding::Asked { .. }));
}

/// F-13: dead peers do not delay a level that is met without them.
#[test]
fn a_dead_peer_delays_nothing() {
    let manifest = Manifest::new(&[100]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "dead"]);
    hand.job.handle_source_lost(hand.now, sources[2], "no route").unwrap();
    offer(&mut hand, sources[0], &manifest);
    let actions = offer(&mut hand, sources[1], &manifest);
    begin(&actions);
}

/// F-15: what each level does with one of three that answers, and two that fail.
#[test]
fn one_of_three_is_enough_for_all_but_majority_and_all() {
    for level in Level::ALL {
        if level == Level::One {
            continue;
        }
        let manifest = Manifest::new(&[100]);
        let (mut hand, sources) = begun(identical(level), &["a", "b", "c"]);
        let mut actions = offer(&mut hand, sources[0], &manifest);
        hand.job.handle_source_lost(hand.now, sources[1], "down").unwrap();
        hand.job.handle_source_lost(hand.now, sources[2], "down").unwrap();
        actions.extend(hand.drain());
        let begins = actions.iter().any(|action| matches!(action, Action::Begin { .. }));
        assert_eq!(begins, !matches!(level, Level::Majority | Level::All), "{level}");
        if !begins {
            let WaitReason::Level { required, got, until, .. } = hand.job.status().waiting.unwrap().reason
            else {
                panic!("it does not say what it waits for")
            };
            assert_eq!((required, got), (if level == Level::All { 3 } else { 2 }, 1));
            assert_eq!(until, hand.job.poll_timeout());
        }
    }
}

/// F-11, F-12: while the level is not met, whoever failed is asked again for as long as it takes.
#[test]
fn a_level_that_is_not_met_is_tried_again_without_end() {
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
    for source in &sources {
        hand.job.handle_source_lost(hand.now, *source, "down").unwrap();
    }
    hand.drain();
    for _ in 0..50 {
        hand.wait();
        for source in hand.opens() {
            hand.job.handle_source_lost(hand.now, source, "down").unwrap();
        }
    }
    assert!(hand.job.stats().sources_opened > 50);
    assert_eq!(hand.job.outcome(), None, "and it can be called off");
    hand.job.abort(hand.now, "enough");
    assert!(matches!(done(&hand.drain()), Outcome::Aborted { .. }));
}

/// F-14, F-21: those who will never serve leave too few: it ends, and says so.
#[test]
fn a_level_that_cannot_be_met_ends_the_job() {
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
    hand.job.handle_refusal(hand.now, sources[0], refusal("not mine", true)).unwrap();
    hand.drain();
    hand.job.handle_refusal(hand.now, sources[1], refusal("not mine", true)).unwrap();
    let Outcome::LevelMissed { level, required, left, peers } = done(&hand.drain()) else { panic!() };
    assert_eq!((level, required, left, peers.len()), (Level::Majority, 2, 1, 3));
}

/// F-19: best effort does not insist.
#[test]
fn level_none_gives_up_when_nobody_answers() {
    let (mut hand, sources) = begun(identical(Level::None), &["a", "b"]);
    for source in sources {
        hand.job.handle_source_lost(hand.now, source, "down").unwrap();
    }
    assert!(matches!(done(&hand.drain()), Outcome::NoSource { .. }));
}

/// F-18: the own vote counts only if it is asked for.
#[test]
fn the_own_vote_makes_one_answer_a_majority_of_three() {
    for own_vote in [false, true] {
        let manifest = Manifest::new(&[100]);
        let voters = Voters { own_vote, ..Voters::of(3) };
        let (mut hand, sources) = begun(Agreement { voters, ..identical(Level::Majority) }, &["a", "b"]);
        let actions = offer(&mut hand, sources[0], &manifest);
        assert_eq!(actions.iter().any(|action| matches!(action, Action::Begin { .. })), own_vote);
    }
}

/// F-20: a level that is lowered takes effect in the decision that is under way.
#[test]
fn a_lowered_level_lets_a_waiting_job_begin() {
    for to in [Level::UnstrictMajority, Level::One, Level::None] {
        let manifest = Manifest::new(&[100]);
        let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
        offer(&mut hand, sources[0], &manifest);
        for source in &sources[1..] {
            hand.job.handle_source_lost(hand.now, *source, "down").unwrap();
        }
        assert!(!hand.drain().iter().any(|action| matches!(action, Action::Begin { .. })));
        hand.job.handle_level(hand.now, to);
        let mut actions = hand.drain();
        // Those who failed are asked once more at once.
        for action in actions.clone() {
            if let Action::Open { source, .. } = action {
                hand.job.handle_source_lost(hand.now, source, "down").unwrap();
                actions.extend(hand.drain());
            }
        }
        assert_eq!(begin(&actions).0, &manifest.header, "{to}");
    }
}

/// F-20: and one that is raised is asked of what is not decided.
#[test]
fn a_raised_level_makes_a_choosing_job_compare() {
    let mut hand =
        Hand::of(Config::default(), Job { agreement: identical(Level::One), ..job(&["a", "b", "c"]) });
    assert_eq!(hand.opens().len(), 1, "the word of one is enough");
    hand.job.handle_level(hand.now, Level::Majority);
    assert_eq!(hand.opens().len(), 2, "now the others are asked too");
    assert_eq!(hand.job.status().phase, Phase::Opening);
}

/// F-06, F-10: manifests that differ are joined entry by entry. What one alone has is taken from it, and
/// every source is asked under the name that it has for the entry.
#[test]
fn unequal_manifests_are_joined() {
    let a_has = keyed(1, &[("a", 1), ("b", 1), ("d", 1)]);
    let b_has = keyed(2, &[("b", 1), ("c", 1), ("d", 1)]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b"]);
    offer(&mut hand, sources[0], &a_has);
    let actions = offer(&mut hand, sources[1], &b_has);
    let (header, joined) = begin(&actions);
    assert_eq!((header.is_sealed(), joined), (false, 2));
    let actions = list_all(&mut hand, &actions, &[(sources[0], &a_has), (sources[1], &b_has)]);
    let mut fetched = fetched(&actions);
    fetched.sort_by_key(|(_, here, _)| *here);
    let (a, b) = (sources[0], sources[1]);
    assert_eq!(fetched.len(), 4, "each entry once: {actions:?}");
    assert!(fetched.contains(&(a, 0, 0)) && fetched.contains(&(b, 2, 1)), "{fetched:?}");
    for (source, here, there) in fetched {
        let names = if source == a { [0, 1, 9, 2] } else { [9, 0, 1, 2] };
        assert_eq!(names[here as usize], there, "{source} names it so");
    }
    let sealing = hand.store_all(actions);
    let [Action::Seal { header }] = sealing.as_slice() else { panic!("{sealing:?}") };
    assert_eq!(header.digest, None, "it is computed from what was admitted");
    assert_eq!(header.counts, EntryCounts { entries: 4, bytes: 400 });
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
}

/// F-05: data is asked for before the listings end.
#[test]
fn data_starts_before_the_listings_end() {
    let a_has = keyed(1, &[("a", 1), ("b", 1), ("d", 1)]);
    let b_has = keyed(2, &[("a", 1), ("b", 1), ("c", 1)]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b"]);
    offer(&mut hand, sources[0], &a_has);
    offer(&mut hand, sources[1], &b_has);
    hand.page(sources[0], a_has.part(0, 2));
    hand.drain();
    hand.page(sources[1], b_has.part(0, 1));
    assert_eq!(fetches(&hand.drain()).len(), 1, "both have passed the first entry");
}

/// Entry by entry, what a majority has is right, whoever serves it.
#[test]
fn an_outvoted_copy_is_not_taken() {
    let right = keyed(1, &[("a", 1), ("b", 1)]);
    let more = keyed(2, &[("a", 1), ("b", 1), ("c", 1)]);
    let wrong = keyed(3, &[("a", 1), ("b", 9), ("c", 1)]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
    let all = [(sources[0], &right), (sources[1], &more), (sources[2], &wrong)];
    let mut actions = Vec::new();
    for (source, manifest) in all {
        actions = offer(&mut hand, source, manifest);
    }
    let actions = list_all(&mut hand, &actions, &all);
    assert!(!fetched(&actions).contains(&(sources[2], 1, 1)), "{actions:?}");
    let sealing = hand.store_all(actions);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
    assert_eq!(hand.job.stats().disputed, 0);
}

/// A copy that nobody confirms and somebody contradicts is not believed: everything else is staged, and
/// the replicas are asked again, until they agree or the level is lowered.
#[test]
fn a_dispute_waits_for_agreement_or_a_lower_level() {
    let one = keyed(1, &[("a", 1), ("b", 1)]);
    let other = keyed(2, &[("a", 1), ("b", 2)]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "c"]);
    hand.job.handle_source_lost(hand.now, sources[2], "down").unwrap();
    offer(&mut hand, sources[0], &one);
    let actions = offer(&mut hand, sources[1], &other);
    let all = [(sources[0], &one), (sources[1], &other)];
    let actions = list_all(&mut hand, &actions, &all);
    assert_eq!(fetched(&actions).iter().map(|(_, here, _)| *here).collect::<Vec<_>>(), [0]);
    let rest = hand.store_all(actions);
    assert_eq!(closes(&rest).len(), 2, "{rest:?}");
    let stats = hand.job.stats();
    assert_eq!((stats.disputed, stats.rounds), (1, 1));
    let status = hand.job.status();
    assert_eq!(status.entries_missing, 1);
    let [gap] = &status.standing.missing[..] else { panic!("{:?}", status.standing) };
    assert_eq!(gap.why, "the replicas disagree: a against b", "it is said what is waited for");
    assert!(matches!(status.waiting.unwrap().reason, WaitReason::Level { .. }));
    hand.job.handle_level(hand.now, Level::UnstrictMajority);
    let sources = hand.opens();
    let (a, b) = (sources[0], sources[1]);
    hand.job.handle_source_lost(hand.now, sources[2], "down").unwrap();
    offer(&mut hand, a, &one);
    let actions = offer(&mut hand, b, &other);
    let actions = list_all(&mut hand, &actions, &[(a, &one), (b, &other)]);
    assert_eq!(fetched(&actions).len(), 2, "the level takes the word of one");
}

/// F-08, F-09: of a mergeable dataset, unequal copies are all fetched, under one key, and merged.
#[test]
fn unequal_copies_of_a_mergeable_entry_are_all_fetched() {
    let one = keyed(1, &[("a", 1), ("b", 1)]);
    let other = keyed(2, &[("a", 1), ("b", 2)]);
    let (mut hand, sources) = begun(mergeable(Level::Majority), &["a", "b"]);
    offer(&mut hand, sources[0], &one);
    let actions = offer(&mut hand, sources[1], &other);
    let actions = list_all(&mut hand, &actions, &[(sources[0], &one), (sources[1], &other)]);
    let mut copies = fetched(&actions);
    copies.retain(|(_, here, _)| *here > 0);
    copies.sort_by_key(|(_, here, _)| *here);
    assert_eq!(copies, [(sources[0], 1, 1), (sources[1], 2, 1)]);
    let sealing = hand.store_all(actions);
    assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
}

/// F-09: the level is met without the copy that does not come: it is left out, and nothing is asked for
/// ever (gap 1 of the original: a leg that failed once was judged alone, and retried for ever).
#[test]
fn a_copy_that_the_level_can_do_without_is_left_out() {
    let all = [keyed(1, &[("a", 1)]), keyed(2, &[("a", 2)]), keyed(3, &[("a", 3)])];
    let (mut hand, sources) = begun(mergeable(Level::Majority), &["a", "b", "c"]);
    let mut actions = Vec::new();
    for (source, manifest) in sources.iter().zip(&all) {
        actions = offer(&mut hand, *source, manifest);
    }
    let listed: Vec<_> = sources.iter().copied().zip(&all).collect();
    let mut queue = list_all(&mut hand, &actions, &listed);
    let mut rest = Vec::new();
    while let Some(action) = queue.pop() {
        match action {
            Action::Fetch { source, fetch, spans, .. } if source == sources[2] => {
                for span in spans {
                    hand.job
                        .handle_fetch_failed(hand.now, fetch, Some(span), Fault::Failed("disk".into()))
                        .unwrap();
                }
                queue.extend(hand.drain());
            }
            Action::Fetch { fetch, spans, .. } => {
                for span in spans {
                    queue.extend(hand.stored(fetch, span));
                }
            }
            other => rest.push(other),
        }
    }
    assert!(rest.contains(&Action::LeaveOut { ordinal: Ordinal(2) }), "{rest:?}");
    assert!(rest.iter().any(|action| matches!(action, Action::Seal { .. })));
    assert_eq!(hand.job.stats().left_out, 1);
}

/// F-09: without enough copies it does not end: everybody is asked again.
#[test]
fn too_few_copies_begin_another_round() {
    let all = [keyed(1, &[("a", 1)]), keyed(2, &[("a", 2)])];
    let (mut hand, sources) = begun(mergeable(Level::Majority), &["a", "b"]);
    offer(&mut hand, sources[0], &all[0]);
    let actions = offer(&mut hand, sources[1], &all[1]);
    let listed: Vec<_> = sources.iter().copied().zip(&all).collect();
    let actions = list_all(&mut hand, &actions, &listed);
    let Some(Action::Fetch { fetch, .. }) =
        actions.iter().find(|action| matches!(action, Action::Fetch { source, .. } if *source == sources[1]))
    else {
        panic!("{actions:?}")
    };
    let gone = Fault::Gone("compacted".into());
    hand.job.handle_fetch_failed(hand.now, *fetch, None, gone).unwrap();
    let first = actions
        .iter()
        .filter(|action| matches!(action, Action::Fetch { source, .. } if *source == sources[0]));
    let rest = hand.store_all(first.cloned().collect());
    assert_eq!(hand.job.stats().rounds, 1, "{rest:?}");
    assert!(!rest.iter().any(|action| matches!(action, Action::Seal { .. })));
    hand.wait();
    assert_eq!(hand.opens().len(), 2);
}

/// What belongs to another point of the change log that cannot be compared is not put together.
#[test]
fn snapshots_that_do_not_go_together_are_not_mixed() {
    let one = keyed(1, &[("a", 1)]);
    let mut other = keyed(2, &[("a", 1), ("b", 1)]);
    other.header.state = b"another".to_vec();
    let (mut hand, sources) = begun(identical(Level::UnstrictAll), &["a", "b"]);
    offer(&mut hand, sources[0], &one);
    let actions = offer(&mut hand, sources[1], &other);
    assert!(matches!(closes(&actions).as_slice(), [CloseReason::Incompatible(_)]), "{actions:?}");
    assert_eq!(begin(&actions), (&one.header, 0), "the other goes on alone");
}

/// A manifest that the store cannot put together with the others costs its sources only.
#[test]
fn a_manifest_that_the_store_does_not_begin_with_is_left_out() {
    let (one, other) = (keyed(1, &[("a", 1)]), keyed(2, &[("a", 2)]));
    let (mut hand, sources) = begun(mergeable(Level::UnstrictMajority), &["a", "b"]);
    offer(&mut hand, sources[0], &one);
    assert_eq!(begin(&offer(&mut hand, sources[1], &other)).1, 2);
    hand.job.handle_begin_refused(hand.now, &[1], "it is too old");
    let actions = hand.drain();
    let reasons = closes(&actions);
    assert!(reasons.contains(&CloseReason::Incompatible("it is too old".into())), "{reasons:?}");
    let again: Vec<SourceId> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Open { source, peer, .. } if peer.as_str() == "a" => Some(*source),
            _ => None,
        })
        .collect();
    assert_eq!(begin(&offer(&mut hand, again[0], &one)), (&one.header, 0), "the other goes on alone");
}

/// Enough have offered and do not agree: the rest is waited for, but not for long.
#[test]
fn a_silent_replica_holds_up_a_comparison_for_five_seconds() {
    let (one, other) = (keyed(1, &[("a", 1)]), keyed(2, &[("b", 1)]));
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b", "silent"]);
    offer(&mut hand, sources[0], &one);
    assert_eq!(offer(&mut hand, sources[1], &other), []);
    assert_eq!(hand.job.poll_timeout(), Some(hand.now + 5 * SECOND));
    hand.wait();
    assert_eq!(begin(&hand.drain()).1, 2);
}

/// Promise 1: what a source listed counts only if it was checked to its end. One that is lost before takes its
/// word back, and those who are left are judged by the level anew.
#[test]
fn a_listing_that_ends_early_does_not_count() {
    for (level, goes_on) in [(Level::Majority, false), (Level::UnstrictMajority, true)] {
        let (one, other) = (keyed(1, &[("a", 1), ("c", 1)]), keyed(2, &[("a", 1), ("d", 1)]));
        let (mut hand, sources) = begun(identical(level), &["a", "b"]);
        offer(&mut hand, sources[0], &one);
        offer(&mut hand, sources[1], &other);
        hand.page(sources[0], one.page());
        hand.page(sources[1], other.part(0, 1));
        hand.drain();
        hand.job.handle_source_lost(hand.now, sources[1], "reset").unwrap();
        let again = hand.opens();
        assert_eq!(again.len(), 1, "the one that is left is asked again, the other after a while");
        let actions = offer(&mut hand, again[0], &one);
        let begins = actions.iter().any(|action| matches!(action, Action::Begin { .. }));
        assert_eq!(begins, goes_on, "{level}: {actions:?}");
    }
}

/// F-09, promise 1: whoever lied about its manifest has no vote: the other is not believed alone.
#[test]
fn a_liar_has_no_vote() {
    let manifest = Manifest::new(&[100]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["liar", "b", "c"]);
    offer(&mut hand, sources[0], &manifest);
    let begun = offer(&mut hand, sources[1], &manifest);
    let lister = begun.iter().find_map(asked_of).unwrap();
    hand.job.handle_page_failed(hand.now, lister, Fault::Wrong("the digest does not fit".into())).unwrap();
    let left = hand.opens();
    assert_eq!(left.len(), 1, "the other is asked again, and the third is still asked");
    assert_eq!(offer(&mut hand, left[0], &manifest), [], "one of three is no majority");
    begin(&offer(&mut hand, sources[2], &manifest));
}

/// Faults stay small: an entry that the store cannot keep costs those who list it, not the others.
#[test]
fn an_entry_that_cannot_be_kept_costs_those_who_list_it() {
    let good = keyed(1, &[("a", 1), ("b", 1), ("d", 1)]);
    let bad = keyed(2, &[("a", 1), ("c", 1), ("d", 1)]);
    let (mut hand, sources) = begun(identical(Level::UnstrictMajority), &["a", "b"]);
    hand.refuses = Some("c".into());
    offer(&mut hand, sources[0], &good);
    let actions = offer(&mut hand, sources[1], &bad);
    let actions = list_all(&mut hand, &actions, &[(sources[0], &good), (sources[1], &bad)]);
    assert!(matches!(closes(&actions).as_slice(), [CloseReason::CannotKeep(_)]), "{actions:?}");
    let sealing = hand.store_all(actions);
    let seal = sealing.iter().find(|action| matches!(action, Action::Seal { .. }));
    let Some(Action::Seal { header }) = seal else { panic!("{sealing:?}") };
    assert_eq!(header.counts.entries, 3, "a, b and d");
}

/// A source with nothing left to do takes over only what it has.
#[test]
fn work_is_taken_over_by_those_who_have_it() {
    let less = keyed(1, &[("b", 1)]);
    let more = keyed(2, &[("a", 1), ("b", 1), ("c", 1)]);
    let config = Config {
        fetch_bytes: ByteCount(100),
        entry_fetch_bytes: ByteCount(100),
        join_from: ByteCount(1 << 40),
        ..Config::default()
    };
    let mut hand = Hand::of(config, Job { agreement: identical(Level::Majority), ..job(&["a", "b"]) });
    let sources = hand.opens();
    offer(&mut hand, sources[0], &less);
    let actions = offer(&mut hand, sources[1], &more);
    let actions = list_all(&mut hand, &actions, &[(sources[0], &less), (sources[1], &more)]);
    assert_eq!(fetched(&actions), [(sources[0], 1, 0), (sources[1], 0, 0), (sources[1], 2, 2)]);
    let (fetch, spans) = fetches(&actions)[0].clone();
    assert_eq!(hand.stored(fetch, spans[0]), [], "it has neither a nor c");
}

/// What is asked, while the store takes all entries but those of one content.
fn drain_refusing(hand: &mut Hand, content: u8) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some(action) = hand.job.poll_action() {
        let Action::Admit { entries } = action else {
            actions.push(action);
            continue;
        };
        if entries.iter().any(|entry| entry.digest == Some(Digest::Blake3([content; 32]))) {
            hand.job.handle_admit_refused(hand.now, "no such entry here").unwrap();
        } else {
            hand.job.handle_admitted(hand.now, Admitted::default()).unwrap();
        }
    }
    actions
}

/// Of unequal copies the store cannot keep one: what is right is judged anew among the others, and an
/// entry that they have is not forgotten.
#[test]
fn without_a_copy_that_cannot_be_kept_the_others_are_judged_anew() {
    let (one, other) = (keyed(1, &[("a", 1)]), keyed(2, &[("a", 2)]));
    for kind in [DatasetKind::Identical, DatasetKind::Mergeable] {
        let (mut hand, sources) = begun(agreement(kind, Level::UnstrictMajority, 3), &["a", "b"]);
        offer(&mut hand, sources[0], &one);
        offer(&mut hand, sources[1], &other);
        hand.page(sources[0], one.page());
        hand.page(sources[1], other.page());
        let actions = drain_refusing(&mut hand, 1);
        let [CloseReason::CannotKeep(_), CloseReason::NotNeeded] = closes(&actions).as_slice() else {
            panic!("{kind:?}: {actions:?}")
        };
        let again = actions.iter().find_map(|action| match action {
            Action::Open { source, peer, .. } => Some((*source, peer.as_str().to_owned())),
            _ => None,
        });
        let (source, peer) = again.expect("the other is asked again");
        assert_eq!(peer, "b");
        let actions = offer(&mut hand, source, &other);
        assert_eq!(begin(&actions), (&other.header, 0));
        let actions = list_all(&mut hand, &actions, &[(source, &other)]);
        let sealing = hand.store_all(actions);
        assert!(matches!(hand.published(&sealing), Outcome::Published { .. }));
    }
}

/// Whoever lists what cannot be kept has no vote for the rest.
#[test]
fn a_source_that_is_dismissed_has_no_vote() {
    let good = keyed(1, &[("a", 1)]);
    let bad = keyed(2, &[("a", 1), ("c", 1)]);
    let (mut hand, sources) = begun(identical(Level::Majority), &["a", "b"]);
    hand.refuses = Some("c".into());
    offer(&mut hand, sources[0], &good);
    let actions = offer(&mut hand, sources[1], &bad);
    let actions = list_all(&mut hand, &actions, &[(sources[0], &good), (sources[1], &bad)]);
    let Outcome::LevelMissed { required, left, .. } = done(&actions) else { panic!("{actions:?}") };
    assert_eq!((required, left), (2, 1));
}

/// What all of those who have it refuse is set aside, also while others are in use that never had it.
#[test]
fn what_its_holders_refuse_does_not_hold_up_the_rest() {
    let all = [keyed(1, &[("b", 1)]), keyed(2, &[("c", 1)]), keyed(3, &[("b", 1), ("c", 1)])];
    let config = Config { attempts_per_source: 1, entry_fetch_bytes: ByteCount(100), ..Config::default() };
    let mut hand = Hand::of(config, Job { agreement: identical(Level::Majority), ..job(&["a", "b", "c"]) });
    let sources = hand.opens();
    let mut actions = Vec::new();
    for (source, manifest) in sources.iter().zip(&all) {
        actions = offer(&mut hand, *source, manifest);
    }
    let listed: Vec<_> = sources.iter().copied().zip(&all).collect();
    let actions = list_all(&mut hand, &actions, &listed);
    let (first, second) = (fetches(&actions)[0].0, fetches(&actions)[1].clone());
    hand.job.handle_bad(hand.now, first, Ordinal(0), ChunkIndex(0), "digest").unwrap();
    let (again, spans) = fetches(&hand.drain())[0].clone();
    hand.job.handle_fetch_failed(hand.now, again, Some(spans[0]), Fault::Gone("compacted".into())).unwrap();
    hand.drain();
    hand.stored(second.0, second.1[0]);
    assert_eq!(hand.job.stats().rounds, 1, "everything else is done, and all are asked again");
}
