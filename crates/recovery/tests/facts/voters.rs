//! Whose word counts: that of every other replica as the placement is now, whether it can answer or not.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_recovery::{
    Action, Agreement, Candidate, CloseReason, Config, Job, Outcome, Phase, Refusal, SourceId, Voters,
    WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{DatasetKind, ManifestHeader, NodeId};

use crate::support::{Hand, Manifest, closes, job, peer, refusal};

fn asking(level: Level, voters: Voters, peers: &[&str]) -> Job {
    Job { agreement: Agreement { kind: DatasetKind::Identical, level, voters }, ..job(peers) }
}

/// A job that has asked all of its peers.
fn begun(level: Level, voters: Voters, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let mut hand = Hand::of(Config::default(), asking(level, voters, peers));
    let opens = hand.opens();
    assert_eq!(opens.len(), peers.len(), "all are asked at once");
    (hand, opens)
}

fn header() -> ManifestHeader {
    Manifest::new(&[100]).header
}

/// Lets a source offer what all have; whether that was enough.
fn offer(hand: &mut Hand, source: SourceId) -> bool {
    hand.job.handle_offer(hand.now, source, header()).unwrap();
    begins(&hand.drain())
}

fn begins(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Begin { .. }))
}

/// The placement says otherwise.
fn replace(hand: &mut Hand, peers: &[&str], voters: Voters) -> Vec<Action> {
    let candidates = Candidate::in_order(peers.iter().map(|name| peer(name)));
    hand.job.handle_candidates(hand.now, &candidates, voters);
    hand.drain()
}

/// F-15, F-21: replicas that cannot be asked count for the level that asks for all. It waits for them, says
/// so, and asks them once they can be asked.
#[test]
fn all_waits_for_replicas_that_cannot_be_asked() {
    for voters in [Voters { absent: 2, ..Voters::of(3) }, Voters { unknown: 2, ..Voters::of(3) }] {
        let (mut hand, sources) = begun(Level::All, voters, &["a"]);
        assert!(!offer(&mut hand, sources[0]), "one of three");
        let waiting = hand.job.status().waiting.unwrap().reason;
        assert_eq!(
            waiting,
            WaitReason::Level { level: Level::All, required: 3, got: 1, absent: 2, until: None }
        );
        let said = waiting.to_string();
        assert!(said.contains("1 of 3 replicas, 2 cannot be asked"), "{said}");
        let standing = hand.job.status().standing;
        assert_eq!((standing.required, standing.is_met()), (3, false));
        let opens: Vec<SourceId> = replace(&mut hand, &["a", "b", "c"], Voters::of(3))
            .iter()
            .filter_map(|action| match action {
                Action::Open { source, .. } => Some(*source),
                _ => None,
            })
            .collect();
        assert!(!offer(&mut hand, opens[0]));
        assert!(offer(&mut hand, opens[1]));
    }
}

/// F-20: a level that is lowered does without them at once.
#[test]
fn a_lower_level_does_without_replicas_that_cannot_be_asked() {
    for level in [Level::UnstrictAll, Level::UnstrictMajority, Level::One, Level::None] {
        let (mut hand, sources) = begun(Level::All, Voters { absent: 2, ..Voters::of(3) }, &["a"]);
        assert!(!offer(&mut hand, sources[0]));
        hand.job.handle_level(hand.now, level);
        assert!(begins(&hand.drain()), "{level}");
    }
}

/// F-13, F-21: what is met by those who can answer is not held up by those who cannot.
#[test]
fn replicas_that_cannot_be_asked_hold_up_no_level_that_is_met_without_them() {
    for (level, enough) in [
        (Level::None, 1),
        (Level::One, 1),
        (Level::UnstrictMajority, 2),
        (Level::Majority, 2),
        (Level::UnstrictAll, 2),
    ] {
        let voters = Voters { absent: 1, unknown: 1, ..Voters::of(3) };
        let mut hand = Hand::of(Config::default(), asking(level, voters, &["a", "b"]));
        let sources = hand.opens();
        let took = sources.into_iter().take_while(|source| !offer(&mut hand, *source)).count() + 1;
        assert_eq!(took, enough, "{level}");
    }
}

/// F-14, F-21: without anybody who has the data, those who are being brought up are not waited for. Those who
/// have it and are not known by name are, as long as they can be enough.
#[test]
fn without_a_source_only_those_who_have_the_data_are_waited_for() {
    let (absent, unknown) = (Voters { absent: 2, ..Voters::of(3) }, Voters { unknown: 2, ..Voters::of(3) });
    for peers in [&["a"][..], &[]] {
        let ended = |level: Level, voters: Voters| {
            let (mut hand, sources) = begun(level, voters, peers);
            for source in sources {
                hand.job.handle_refusal(hand.now, source, refusal("not mine", true)).unwrap();
            }
            hand.job.outcome().cloned()
        };
        assert!(matches!(ended(Level::Majority, absent), Some(Outcome::NoSource { .. })), "{peers:?}");
        assert_eq!(ended(Level::Majority, unknown), None, "{peers:?}");
        assert!(matches!(ended(Level::None, unknown), Some(Outcome::NoSource { .. })), "{peers:?}");
        let few = ended(Level::Majority, Voters { unknown: 1, ..unknown });
        assert!(matches!(few, Some(Outcome::LevelMissed { required: 2, left: 1, .. })), "{few:?}");
    }
}

/// F-17, F-75: more replicas make a larger majority, also for a job that waits already.
#[test]
fn more_replicas_ask_for_more_votes() {
    let (mut hand, sources) = begun(Level::Majority, Voters::of(3), &["g1", "g2"]);
    for source in sources {
        hand.job.handle_source_lost(hand.now, source, "down").unwrap();
    }
    let actions = replace(&mut hand, &["d1", "d2", "g3", "g4"], Voters::of(5));
    let opens: Vec<SourceId> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Open { source, .. } => Some(*source),
            _ => None,
        })
        .collect();
    assert_eq!(opens.len(), 4);
    assert!(!offer(&mut hand, opens[0]));
    assert!(!offer(&mut hand, opens[1]), "two of five");
    assert!(offer(&mut hand, opens[2]));
}

/// F-17, F-75: fewer replicas make a smaller one: those who have offered may be enough by then.
#[test]
fn fewer_replicas_ask_for_fewer_votes() {
    let (mut hand, sources) = begun(Level::Majority, Voters::of(5), &["a", "b", "c", "d"]);
    assert!(!offer(&mut hand, sources[0]));
    assert!(!offer(&mut hand, sources[1]), "two of five");
    assert!(begins(&replace(&mut hand, &["a", "b"], Voters::of(3))));
    assert_eq!(hand.job.outcome(), None);
}

/// F-18, F-75: this node's own replica may become a voter while others are waited for.
#[test]
fn the_own_vote_is_that_of_now() {
    let (mut hand, sources) = begun(Level::Majority, Voters::of(3), &["a", "b"]);
    assert!(!offer(&mut hand, sources[0]));
    assert!(begins(&replace(&mut hand, &["a", "b"], Voters { own_vote: true, ..Voters::of(3) })));
}

/// F-75: whoever left the placement has no vote any more, though it has offered: the one that is left is
/// waited for.
#[test]
fn who_left_the_placement_has_no_vote() {
    for level in [Level::All, Level::UnstrictAll] {
        let (mut hand, sources) = begun(level, Voters::of(3), &["a", "b", "c"]);
        assert!(!offer(&mut hand, sources[0]), "{level}");
        let actions = replace(&mut hand, &["b"], Voters::of(2));
        assert!(!begins(&actions), "{level}: {actions:?}");
        assert_eq!(closes(&actions), [CloseReason::NotNeeded, CloseReason::NotNeeded]);
        let standing = hand.job.status().standing;
        assert_eq!((standing.heard, standing.is_met()), (0, false));
        assert!(offer(&mut hand, sources[1]), "{level}");
    }
}

/// F-20, F-75: a level that is raised while content comes is held against the replicas of that moment: who was
/// heard and is one no more does not stand for one that was never heard.
#[test]
fn a_raised_level_counts_the_replicas_of_now() {
    for (peers, is_heard) in [(["a", "b"], true), (["b", "d"], false)] {
        let (mut hand, sources) = begun(Level::Majority, Voters::of(3), &["a", "b"]);
        assert!(!offer(&mut hand, sources[0]));
        assert!(offer(&mut hand, sources[1]));
        replace(&mut hand, &peers, Voters::of(3));
        hand.job.handle_level(hand.now, Level::All);
        let actions = hand.drain();
        assert_eq!(hand.job.status().phase == Phase::Streaming, is_heard, "{peers:?}: {actions:?}");
    }
}

/// Who was heard at level none is gone, and who refused is waited for: until then there is nothing to do.
#[test]
fn who_refused_is_waited_for_in_peace() {
    let agreement = Agreement { kind: DatasetKind::Mergeable, level: Level::None, voters: Voters::of(4) };
    let mut hand = Hand::of(Config::default(), Job { agreement, ..job(&["a", "b", "c"]) });
    let sources = hand.opens();
    let refused = Refusal { retry_after: Some(Duration::from_secs(300)), ..refusal("busy", false) };
    hand.job.handle_refusal(hand.now, sources[2], refused).unwrap();
    assert!(!offer(&mut hand, sources[0]));
    replace(&mut hand, &["c"], Voters::of(2));
    let mut waits = 0;
    while hand.job.status().phase == Phase::Opening && waits < 100 {
        hand.wait();
        hand.drain();
        waits += 1;
    }
    assert!(waits < 3, "it was looked at {waits} times for nothing");
}

/// F-20, F-75: whatever changes while replicas are waited for, nothing begins before as many of those whom the
/// placement names at that moment have offered as the level of that moment asks for.
#[test]
fn nothing_begins_before_enough_of_those_of_now_have_offered() {
    const PEERS: [&str; 4] = ["a", "b", "c", "d"];
    let mut begun = 0;
    for seed in 0..2_000u64 {
        let mut state = seed;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let compared = [Level::UnstrictMajority, Level::Majority, Level::UnstrictAll, Level::All];
        let mut level = compared[below(4) as usize];
        let (mut voters, mut listed) = (Voters::of(5), PEERS.to_vec());
        let mut hand = Hand::of(Config::default(), asking(level, voters, &listed));
        // Who is in use, and has offered.
        let mut sources = BTreeMap::new();
        for _ in 0..12 {
            for action in hand.drain() {
                match action {
                    Action::Open { source, peer, .. } => drop(sources.insert(source, (peer, false))),
                    Action::Close { source, .. } => drop(sources.remove(&source)),
                    _ => {}
                }
            }
            let picked = sources.keys().nth(below(4) as usize).copied();
            match (below(6), picked) {
                (0, _) => {
                    level = compared[below(4) as usize];
                    hand.job.handle_level(hand.now, level);
                }
                (1, _) => {
                    listed = PEERS.into_iter().filter(|_| below(3) > 0).collect();
                    let (absent, unknown) = (below(2) as u32, below(2) as u32);
                    let replicas = listed.len() as u32 + absent + unknown + 1;
                    voters = Voters { absent, unknown, own_vote: below(4) == 0, ..Voters::of(replicas) };
                    let candidates = Candidate::in_order(listed.iter().map(|name| peer(name)));
                    hand.job.handle_candidates(hand.now, &candidates, voters);
                }
                (2, Some(source)) => {
                    sources.remove(&source);
                    hand.job.handle_source_lost(hand.now, source, "down").unwrap();
                }
                (_, Some(source)) if !sources[&source].1 => {
                    sources.get_mut(&source).unwrap().1 = true;
                    hand.job.handle_offer(hand.now, source, header()).unwrap();
                }
                _ => {
                    if hand.job.poll_timeout().is_some() {
                        hand.wait();
                    }
                }
            }
            if hand.job.status().phase != Phase::Opening {
                break;
            }
        }
        if hand.job.status().phase == Phase::Streaming {
            begun += 1;
            let named = |name: &NodeId| listed.iter().any(|listed| *listed == name.as_str());
            let votes = sources.values().filter(|(name, offered)| *offered && named(name)).count() as u32;
            let own = u32::from(voters.own_vote);
            let others = listed.len() as u32 + voters.absent + voters.unknown;
            let required = level.required(voters.replicas, others + own);
            assert!(votes > 0 && votes + own >= required, "seed {seed}: {votes} of {required} at {level}");
        }
    }
    assert!(begun > 500, "{begun}");
}
