//! Jobs that cannot be done say so, at once and by name.

use peerstream_recovery::{Candidate, CloseReason, Config, Job, Misuse, Outcome, Recovery};
use peerstream_types::{ByteCount, NodeId, Timestamp};

use crate::support::*;

#[test]
fn no_candidates_is_no_source_at_once() {
    let mut hand = Hand::new(&[]);
    assert_eq!(done(&hand.drain()), Outcome::NoSource { peers: vec![] });
}

/// F-23: peers that all bootstrap themselves are no silent loop; each is named with what it said.
#[test]
fn peers_that_all_bootstrap_are_reported() {
    let mut hand = Hand::new(&["a", "b"]);
    for open in 0..6 {
        let (source, _) = hand.opened();
        hand.job.handle_refusal(hand.now, source, refusal("shard is initializing", false)).unwrap();
        if (1..5).contains(&open) {
            hand.wait();
        }
    }
    let Outcome::NoSource { peers } = done(&hand.drain()) else { panic!("not reported") };
    assert_eq!(peers.len(), 2);
    for report in peers {
        assert_eq!(report.ended, Some(CloseReason::Refused(refusal("shard is initializing", false))));
    }
}

#[test]
fn a_permanent_refusal_is_not_asked_again() {
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_refusal(hand.now, a, refusal("no such shard", true)).unwrap();
    let outcome = done(&hand.drain());
    assert_eq!(
        outcome.to_string(),
        "no candidate could serve the shard; a (1 attempts): refused: no such shard"
    );
}

#[test]
fn texts_of_peers_are_kept_short() {
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_refusal(hand.now, a, refusal(&"é".repeat(100_000), true)).unwrap();
    assert!(done(&hand.drain()).to_string().len() < 1000);
}

/// MB-04: settings that cannot be meant are a misuse, which is named.
#[test]
fn senseless_settings_are_a_misuse() {
    let config = Config { window: ByteCount(0), ..Config::default() };
    let refused = Recovery::new(Timestamp::ZERO, config, job(&["a"])).unwrap_err();
    assert_eq!(refused, Misuse::ZeroSetting("window"));
    let many = Candidate::in_order((0..257).map(|i| NodeId::new(format!("n{i}")).unwrap()));
    let crowd = Job { candidates: many, ..job(&[]) };
    let refused = Recovery::new(Timestamp::ZERO, Config::default(), crowd).unwrap_err();
    assert_eq!(refused, Misuse::TooManyCandidates(257));
}
