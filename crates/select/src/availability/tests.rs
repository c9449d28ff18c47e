//! The availability and placement tables of the reference (1.13).

use super::ReplicaState::{Available, Initializing, Leaving, Unknown};
use super::*;

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// Replicas at `own`, `b`, `c`, ... in these states.
fn replicas(states: &[ReplicaState]) -> Vec<Replica> {
    let names = ["own", "b", "c", "d", "e", "f", "g", "h"];
    states.iter().zip(names).map(|(&state, name)| Replica { node: node(name), state }).collect()
}

fn seen(states: &[ReplicaState], level: Level) -> Result<Availability, UnknownState> {
    Availability::of(&replicas(states), &node("own"), 3, level, OwnVote::default())
}

fn sources(names: &[&str]) -> Vec<NodeId> {
    names.iter().map(|name| node(name)).collect()
}

/// MA-01, MI-09: availability table: only self -> none, at any level (F-21).
#[test]
fn the_only_replica_has_no_source() {
    for level in Level::ALL {
        for own in [Available, Initializing] {
            assert_eq!(seen(&[own], level), Ok(Availability::NoSource(NoSource::OnlySelf)));
        }
    }
}

/// MA-02: availability table: others initializing or unknown -> error that names the node (F-21).
#[test]
fn an_unknown_state_is_an_error() {
    for level in Level::ALL {
        let seen = seen(&[Available, Initializing, Unknown], level);
        assert_eq!(seen, Err(UnknownState(node("c"))));
    }
}

/// MA-03: availability table: available and leaving at majority -> all (F-21).
#[test]
fn available_and_leaving_replicas_make_a_majority() {
    let expected = Availability::Fulfillable { sources: sources(&["b", "c"]) };
    assert_eq!(seen(&[Initializing, Available, Leaving], Level::Majority), Ok(expected));
}

/// MA-04: availability table: a shard that is not in the topology is skipped.
#[test]
fn a_shard_that_is_not_placed_has_no_source() {
    for level in Level::ALL {
        assert_eq!(seen(&[], level), Ok(Availability::NoSource(NoSource::NotPlaced)));
    }
}

/// MA-05, G-08, fault 1.7.8 of the original: it compares peers without self with a total that includes self,
/// so that level all is never met by a node that has nothing (its table pins "level all with self
/// initializing -> none"). Here all means all others, and still every one of them.
#[test]
fn level_all_can_be_met_by_a_node_that_has_nothing() {
    let all = seen(&[Initializing, Available, Available], Level::All);
    assert_eq!(all, Ok(Availability::Fulfillable { sources: sources(&["b", "c"]) }));
    let one_lacks = seen(&[Initializing, Available, Initializing], Level::All);
    let short = Availability::Short {
        sources: sources(&["b"]),
        required: 2,
        possible: 1,
        initializing: sources(&["c"]),
    };
    assert_eq!(one_lacks, Ok(short));
}

/// F-21: every mix of seven states, at every level: fulfilled exactly as the table of levels says.
#[test]
fn every_mix_of_states_is_judged_by_the_table_of_levels() {
    for factor in 1..=7u32 {
        for eligible in 0..factor {
            let others = factor - 1;
            let states: Vec<ReplicaState> = std::iter::once(Initializing)
                .chain((0..others).map(|peer| if peer < eligible { Available } else { Initializing }))
                .collect();
            for level in Level::ALL {
                let seen =
                    Availability::of(&replicas(&states), &node("own"), factor, level, OwnVote::default());
                let expected = eligible > 0
                    && match level {
                        Level::None | Level::One | Level::UnstrictMajority | Level::UnstrictAll => true,
                        Level::Majority => eligible >= (factor + 1).div_ceil(2),
                        Level::All => eligible == others,
                    };
                let fulfillable = matches!(seen, Ok(Availability::Fulfillable { .. }));
                assert_eq!(fulfillable, expected, "{level} RF {factor} with {eligible}");
            }
        }
    }
}

/// F-18: a replica that is said to be available votes for what it lacks with the option only.
#[test]
fn the_own_vote_is_an_option() {
    let of = |vote| {
        Availability::of(
            &replicas(&[Available, Available, Initializing]),
            &node("own"),
            3,
            Level::Majority,
            vote,
        )
    };
    assert!(matches!(of(OwnVote::WhereHeld), Ok(Availability::Short { required: 2, possible: 1, .. })));
    assert!(matches!(of(OwnVote::WhereAvailable), Ok(Availability::Fulfillable { .. })));
}

/// MA-02, F-23: all replicas initializing at once is recognised and says who waits for whom.
#[test]
fn all_replicas_initializing_at_once_is_recognised() {
    for level in Level::ALL {
        let all = NoSource::AllInitializing(sources(&["b", "c", "own"]));
        assert_eq!(seen(&[Initializing; 3], level), Ok(Availability::NoSource(all)));
        let others = NoSource::OthersInitializing(sources(&["b", "c"]));
        let seen = seen(&[Available, Initializing, Initializing], level);
        assert_eq!(seen, Ok(Availability::NoSource(others)));
    }
}

/// A placement that names a node twice gives it one vote.
#[test]
fn a_replica_that_is_named_twice_counts_once() {
    let mut twice = replicas(&[Initializing, Available]);
    twice.push(twice[1].clone());
    let seen = Availability::of(&twice, &node("own"), 3, Level::Majority, OwnVote::default()).unwrap();
    assert!(matches!(seen, Availability::Short { possible: 1, .. }), "{seen:?}");
}

/// MP-01, MP-02, MP-03, MP-04, MP-05, MP-06, MP-07, MP-08, MP-09, G-13, F-22: the nine placement cases of the
/// reference. Where the original says "uninitialised" for a shard that others have, this says that it grows,
/// and leaves the decision to the host.
#[test]
fn nine_placements_say_whether_there_ever_was_data() {
    let cases: [(&[ReplicaState], Birth); 8] = [
        (&[Initializing], Birth::Never),
        (&[Leaving], Birth::Initialized),
        (&[Available], Birth::Initialized),
        (&[Initializing, Initializing, Initializing], Birth::Never),
        (&[Initializing, Available, Available], Birth::Growing),
        (&[Available, Available, Available], Birth::Initialized),
        (&[Initializing, Leaving, Available, Available], Birth::Initialized),
        (&[Initializing, Initializing, Leaving, Available], Birth::Growing),
    ];
    for (states, expected) in cases {
        assert_eq!(Birth::of(&replicas(states)), Ok(expected), "{states:?}");
    }
    assert_eq!(Birth::of(&replicas(&[Unknown])), Err(UnknownState(node("own"))));
}
