//! The truth tables, for every replication factor up to seven.

use super::*;

/// Written out, so that the formula is checked and not repeated.
const MAJORITY_OF: [u32; 8] = [1, 1, 2, 2, 3, 3, 4, 4];

/// Every ballot of up to seven replicas and two more that are moving.
fn ballots() -> impl Iterator<Item = Ballot> {
    (1..=7).flat_map(|replicas| {
        (0..=replicas + 2).flat_map(move |others| {
            (0..=others).flat_map(move |eligible| {
                (0..=eligible).flat_map(move |asked| {
                    (0..=asked).flat_map(move |succeeded| {
                        (0..=asked - succeeded).flat_map(move |failed| {
                            [false, true].map(|own_vote| Ballot {
                                replicas,
                                others,
                                own_vote,
                                eligible,
                                asked,
                                succeeded,
                                failed,
                            })
                        })
                    })
                })
            })
        })
    })
}

/// ML-05, F-15: six names, and what each prints is what is read.
#[test]
fn six_names_read_back() {
    let names: Vec<String> = Level::ALL.iter().map(Level::to_string).collect();
    assert_eq!(names, ["none", "one", "unstrict_majority", "majority", "unstrict_all", "all"]);
    for level in Level::ALL {
        assert_eq!(level.to_string().parse(), Ok(level));
    }
}

/// ML-05, G-21, F-15: an unknown name is refused, and the error lists what there is.
#[test]
fn an_unknown_name_is_refused_with_the_names_there_are() {
    for text in ["", "quorum", "MAJORITY", "unstrict-majority", "all ", "0"] {
        let error = text.parse::<Level>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{text:?}")), "{error}");
        assert!(Level::ALL.iter().all(|level| error.contains(level.name())), "{error}");
    }
    assert!("x".repeat(10_000).parse::<Level>().unwrap_err().to_string().len() < 200);
}

/// F-16: majority, and for repair the weaker one.
#[test]
fn the_default_is_majority() {
    assert_eq!(Level::default(), Level::Majority);
    assert_eq!(Level::REPAIR_DEFAULT, Level::UnstrictMajority);
}

/// F-17: ceil((RF + 1) / 2).
#[test]
fn a_majority_is_more_than_half() {
    for (replicas, expected) in (0..).zip(MAJORITY_OF) {
        assert_eq!(majority(replicas), expected, "RF {replicas}");
        assert_eq!(majority(replicas), (replicas + 1).div_ceil(2));
    }
    assert_eq!(majority(u32::MAX), 1 << 31);
}

/// ML-01, ML-02, ML-03, F-15: the table of the reference (1.3), for every RF up to 7 and every count.
#[test]
fn levels_follow_their_truth_tables() {
    for replicas in 1..=7u32 {
        let majority = MAJORITY_OF[replicas as usize];
        for voters in 0..=replicas + 2 {
            for got in 0..=voters {
                let achieved = [true, got > 0, got > 0, got >= majority, got > 0, got == voters];
                let desired = [0, 1, majority, majority, voters, voters];
                let stops = [got > 0, got > 0, got >= majority, got >= majority, false, false];
                for (index, level) in Level::ALL.into_iter().enumerate() {
                    let at = format!("{level}, RF {replicas}, {got} of {voters}");
                    assert_eq!(level.is_achieved(replicas, voters, got), achieved[index], "{at}");
                    assert_eq!(level.desired(replicas, voters), desired[index], "{at}");
                    assert_eq!(level.may_stop(replicas, got, false), stops[index], "{at}");
                    assert!(level.may_stop(replicas, got, true), "{at}");
                }
            }
        }
    }
}

/// F-21: without an eligible peer nothing is attempted, not even at level none, not even with the
/// own vote.
#[test]
fn no_eligible_peer_means_not_attempted_at_any_level() {
    for ballot in ballots().filter(|ballot| ballot.eligible == 0) {
        for level in Level::ALL {
            assert_eq!(ballot.judge(level), Standing::NotAttempted, "{ballot:?}");
        }
    }
}

/// ML-01, F-15: every ballot, at every level, against the table of the reference spelt out.
#[test]
fn every_ballot_is_judged_as_the_table_says() {
    let mut judged = 0;
    for ballot in ballots().filter(|ballot| ballot.eligible > 0) {
        let Ballot { replicas, others, own_vote, asked, succeeded, failed, .. } = ballot;
        let majority = MAJORITY_OF[replicas as usize];
        let (votes, voters) = (succeeded + u32::from(own_vote), others + u32::from(own_vote));
        let all_done = succeeded + failed == asked;
        for level in Level::ALL {
            let (enough, stops) = match level {
                Level::None => (true, succeeded > 0),
                Level::One => (votes >= 1, succeeded > 0),
                Level::UnstrictMajority => (votes >= 1, votes >= majority),
                Level::Majority => (votes >= majority, votes >= majority),
                Level::UnstrictAll => (votes >= 1, false),
                Level::All => (votes >= voters, false),
            };
            let standing = ballot.judge(level);
            let at = format!("{level}: {ballot:?} is {standing:?}");
            match standing {
                Standing::NotAttempted => panic!("{at}"),
                Standing::Open { wanted } => {
                    assert!(!all_done && wanted > 0 && (!stops || succeeded == 0), "{at}");
                }
                Standing::Met => assert!(enough && succeeded > 0 && (stops || all_done), "{at}"),
                Standing::Dropped => assert!(level == Level::None && all_done && succeeded == 0, "{at}"),
                Standing::Missed { required, got } => {
                    assert!(all_done && got == votes && level != Level::None, "{at}");
                    assert!(succeeded == 0 || got < required, "{at}");
                }
            }
            judged += 1;
        }
    }
    assert!(judged > 50_000, "{judged}");
}

/// F-20: the same counts are judged by the level of the moment.
#[test]
fn a_level_that_changes_counts_at_once() {
    let ballot =
        Ballot { replicas: 3, others: 2, eligible: 2, asked: 2, succeeded: 1, failed: 1, own_vote: false };
    assert_eq!(ballot.judge(Level::Majority), Standing::Missed { required: 2, got: 1 });
    assert_eq!(ballot.judge(Level::UnstrictMajority), Standing::Met);
    let waiting = Ballot { failed: 0, ..ballot };
    assert_eq!(waiting.judge(Level::All), Standing::Open { wanted: 1 });
    assert_eq!(waiting.judge(Level::One), Standing::Met);
}

/// F-18: the own vote, as the option that counts it, completes a majority of three.
#[test]
fn the_own_vote_completes_a_majority_where_it_counts() {
    let ballot =
        Ballot { replicas: 3, others: 2, eligible: 2, asked: 2, succeeded: 1, failed: 1, own_vote: false };
    assert_eq!(ballot.judge(Level::Majority), Standing::Missed { required: 2, got: 1 });
    assert_eq!(Ballot { own_vote: true, ..ballot }.judge(Level::Majority), Standing::Met);
}

/// F-19: at level none what failed everywhere is dropped, and not called met.
#[test]
fn level_none_drops_what_failed_everywhere() {
    let ballot = Ballot { replicas: 3, others: 3, eligible: 2, asked: 2, failed: 2, ..Ballot::default() };
    assert_eq!(ballot.judge(Level::None), Standing::Dropped);
    let open = Ballot { failed: 1, ..ballot };
    assert_eq!(open.judge(Level::None), Standing::Open { wanted: 1 });
}

/// G-04, fault 1.7.4 of the original, issue 2458 there: the own vote turns what every peer failed to give
/// into a success that nobody notices. Here no ballot without a peer's success is ever met.
#[test]
fn the_own_vote_never_hides_that_every_peer_failed() {
    for ballot in ballots().filter(|ballot| ballot.eligible > 0 && ballot.succeeded == 0) {
        for level in Level::ALL {
            assert_ne!(ballot.judge(level), Standing::Met, "{level}: {ballot:?}");
        }
    }
}

/// G-06, fault 1.7.6 of the original: its unstrict levels are nothing but `one`. Here they wait for what they
/// want, and take less only when no more can come.
#[test]
fn unstrict_levels_wait_for_what_they_want() {
    let first =
        Ballot { replicas: 3, others: 3, eligible: 3, asked: 3, succeeded: 1, failed: 0, own_vote: false };
    assert_eq!(first.judge(Level::One), Standing::Met);
    assert_eq!(first.judge(Level::UnstrictMajority), Standing::Open { wanted: 1 });
    assert_eq!(first.judge(Level::UnstrictAll), Standing::Open { wanted: 2 });
    let second = Ballot { succeeded: 2, ..first };
    assert_eq!(second.judge(Level::UnstrictMajority), Standing::Met);
    assert_eq!(second.judge(Level::UnstrictAll), Standing::Open { wanted: 1 });
    let no_more = Ballot { failed: 2, ..first };
    for level in [Level::UnstrictMajority, Level::UnstrictAll] {
        assert_eq!(no_more.judge(level), Standing::Met);
    }
}

/// M-02, F-13: one of two peers is down for good, and the level is an unstrict majority: done with the
/// answer of the other, however long somebody would go on trying.
#[test]
fn a_peer_that_is_down_does_not_hold_up_an_unstrict_majority() {
    let ballot = Ballot { replicas: 3, others: 2, eligible: 2, asked: 1, succeeded: 1, ..Ballot::default() };
    assert_eq!(ballot.judge(Level::UnstrictMajority), Standing::Met);
    let trying = Ballot { asked: 2, ..ballot };
    assert_eq!(
        trying.judge(Level::UnstrictMajority),
        Standing::Open { wanted: 1 },
        "the driver has to say so"
    );
}

/// F-13: a peer that is not asked, because it cannot be reached, is not waited for; and whether a
/// level is out of reach is known before the last answer.
#[test]
fn who_is_not_asked_is_not_waited_for() {
    let ballot =
        Ballot { replicas: 3, others: 3, eligible: 3, asked: 2, succeeded: 2, failed: 0, own_vote: false };
    assert_eq!(ballot.judge(Level::Majority), Standing::Met);
    assert_eq!(ballot.judge(Level::UnstrictAll), Standing::Met);
    assert_eq!(ballot.judge(Level::All), Standing::Missed { required: 3, got: 2 });
    let failing = Ballot { asked: 3, succeeded: 0, failed: 2, ..ballot };
    assert!(!failing.is_reachable(Level::Majority) && failing.is_reachable(Level::One));
}
