//! A recovery job that compares replicas, searched exhaustively: what each level takes, and when it waits.

use std::ops::Range;

use peerstream_models::recovery::{
    AGREED, ENDS, Mark, NAMED, NO_MISUSE, Peer, Plant, Reach, RecoveryWorld, WHOLE,
};
use peerstream_models::search::{exhaust, violates};
use peerstream_recovery::{Agreement, Voters};
use peerstream_select::Level;
use peerstream_types::DatasetKind;

const ONE: Peer = Peer::with(&[Mark(1, 0)]);
/// Another content under the same key.
const OTHER: Peer = Peer::with(&[Mark(1, 1)]);
/// Entries more, one in front that is of two chunks.
const MORE: Peer = Peer::with(&[Mark(0, 0), Mark(1, 0)]);
/// An entry more in front, so that what is equal has other ordinals.
const FRONT: Peer = Peer::with(&[Mark(1, 0), Mark(2, 0)]);
/// The same entry in front, and another content behind it.
const DIFFERS: Peer = Peer::with(&[Mark(1, 0), Mark(2, 1)]);
/// What is equal, alone.
const BACK: Peer = Peer::with(&[Mark(2, 0)]);

fn world(kind: DatasetKind, level: Level, peers: &[Peer], faults: u8) -> RecoveryWorld {
    let agreement = Agreement { kind, level, voters: Voters::of(3) };
    RecoveryWorld { agreement, attempts_per_source: 1, ..RecoveryWorld::new(peers, faults) }
}

fn identical(level: Level, peers: &[Peer], faults: u8) -> RecoveryWorld {
    world(DatasetKind::Identical, level, peers, faults)
}

fn mergeable(level: Level, peers: &[Peer], faults: u8) -> RecoveryWorld {
    world(DatasetKind::Mergeable, level, peers, faults)
}

/// Searches a world. One that has shrunk to nothing, or exploded, is not what it was.
#[track_caller]
fn search(world: RecoveryWorld, reaches: &[Reach], states: Range<usize>) -> String {
    let Agreement { kind, level, .. } = world.agreement;
    let (peers, faults) = (world.peers.len(), world.faults);
    let size = exhaust(RecoveryWorld { reaches: reaches.to_vec(), ..world });
    let line = format!("{peers} replicas, {kind:?}, {level}, {faults} faults: {size}");
    assert!(states.contains(&size.states), "{line}; {states:?} were expected");
    line
}

/// Two that have the same are listed once and serve at once.
#[test]
fn a_majority_with_one_manifest() {
    println!(
        "{}",
        search(identical(Level::Majority, &[FRONT, FRONT], 1), &[Reach::Waits, Reach::Alone], 350..600)
    );
}

/// One has an entry more: it is taken from that one, and every source is asked under its own names.
#[test]
fn a_majority_of_which_one_has_more() {
    println!(
        "{}",
        search(identical(Level::Majority, &[BACK, FRONT], 1), &[Reach::Waits, Reach::Joined], 360..620)
    );
}

/// The same with outlines, which are asked for under the names of whoever lists.
#[test]
fn a_majority_of_which_one_has_a_large_entry_more() {
    println!(
        "{}",
        search(identical(Level::Majority, &[ONE, MORE], 1), &[Reach::Waits, Reach::Joined], 1_000..1_900)
    );
}

/// They disagree for good: nothing is sealed, and it is said what is waited for, until the level is lowered.
#[test]
fn a_dispute_and_a_lower_level() {
    let world = identical(Level::Majority, &[FRONT, DIFFERS], 2);
    let levels = vec![Level::UnstrictMajority, Level::One];
    let reaches = [Reach::Waits, Reach::Disputed, Reach::AtAnotherLevel];
    println!("{}", search(RecoveryWorld { levels, ..world }, &reaches, 9_500..18_000));
}

/// Best effort, the word of one, and a level that is raised to where they disagree.
#[test]
fn a_level_that_is_raised() {
    for level in [Level::None, Level::One] {
        let world = identical(level, &[ONE, OTHER], 2);
        println!(
            "{}",
            search(RecoveryWorld { levels: vec![Level::All], ..world }, &[Reach::Disputed], 1_800..16_000)
        );
    }
}

/// Without enough there is no dispute: what one says alone is taken.
#[test]
fn an_unstrict_majority_takes_what_there_is() {
    let world = identical(Level::UnstrictMajority, &[ONE, OTHER], 1);
    println!("{}", search(world, &[Reach::Joined, Reach::Alone], 250..430));
}

/// Unequal copies are merged, and one that does not come is done without if there are enough others.
#[test]
fn unequal_copies_that_are_merged() {
    println!(
        "{}",
        search(mergeable(Level::Majority, &[ONE, OTHER], 1), &[Reach::Waits, Reach::Joined], 280..650)
    );
    let world = mergeable(Level::UnstrictMajority, &[ONE, OTHER], 1);
    println!("{}", search(world, &[Reach::LeftOut, Reach::Joined, Reach::Alone], 280..650));
}

/// The large worlds take minutes without optimisation.
#[cfg(not(debug_assertions))]
mod large {
    use super::*;

    /// One of three says something else, and is outvoted.
    #[test]
    fn two_of_three_agree() {
        let world = identical(Level::Majority, &[ONE, OTHER, ONE], 1);
        println!("{}", search(world, &[Reach::Alone, Reach::Joined, Reach::Disputed], 430..750));
    }

    /// No two manifests are equal, and no two replicas disagree on an entry.
    #[test]
    fn three_of_which_each_has_something_else() {
        let world = identical(Level::Majority, &[ONE, BACK, FRONT], 1);
        println!("{}", search(world, &[Reach::Joined], 750..1_300));
    }

    /// All have to say the same.
    #[test]
    fn all_of_three() {
        let world = identical(Level::All, &[ONE, ONE, ONE], 1);
        let levels = vec![Level::UnstrictMajority];
        println!(
            "{}",
            search(RecoveryWorld { levels, ..world }, &[Reach::Waits, Reach::AtAnotherLevel], 240..420)
        );
    }

    /// Three copies under one key, one of which may be left out.
    #[test]
    fn two_of_three_copies_are_enough() {
        const THIRD: Peer = Peer::with(&[Mark(1, 2)]);
        let world = mergeable(Level::Majority, &[ONE, OTHER, THIRD], 1);
        println!("{}", search(world, &[Reach::LeftOut, Reach::Joined], 1_100..1_950));
    }

    /// The same with two faults, of which one may leave too few.
    #[test]
    fn three_with_something_else_and_any_two_faults() {
        let world = identical(Level::Majority, &[ONE, BACK, FRONT], 2);
        println!("{}", search(world, &[Reach::Joined, Reach::Waits, Reach::Missed], 17_000..31_000));
    }

    /// Entry by entry, two who have the same, and one who is outvoted: listings end at any place.
    #[test]
    fn listings_in_pages() {
        let world = identical(Level::Majority, &[FRONT.paged(), DIFFERS.paged(), FRONT.paged()], 1);
        println!("{}", search(world, &[Reach::Alone, Reach::Joined, Reach::Disputed], 2_100..3_700));
    }

    /// Replicas that hash while they are asked: nobody knows before the end who has the same.
    #[test]
    fn listings_without_a_seal() {
        const HASHES: Peer = Peer { sealed: false, ..FRONT }.paged();
        let world = identical(Level::Majority, &[HASHES, HASHES], 1);
        println!("{}", search(world, &[Reach::Joined, Reach::Waits], 500..100_000));
    }

    /// Two replicas and the word of the node itself.
    #[test]
    fn the_own_vote() {
        let world = identical(Level::Majority, &[FRONT, DIFFERS], 2);
        let voters = Voters { own_vote: true, ..world.agreement.voters };
        let agreement = Agreement { voters, ..world.agreement };
        println!("{}", search(RecoveryWorld { agreement, ..world }, &[Reach::Alone], 55_000..97_000));
    }

    /// Two faults while copies are merged: both copies refused, or one lost while the other fails.
    #[test]
    fn unequal_copies_and_any_two_faults() {
        let world = mergeable(Level::UnstrictMajority, &[ONE, OTHER], 2);
        println!("{}", search(world, &[Reach::LeftOut, Reach::Joined, Reach::Alone], 4_500..8_000));
    }
}

fn planted(plant: Plant, world: RecoveryWorld) -> RecoveryWorld {
    RecoveryWorld { plant: Some(plant), ..world }
}

/// A store whose word on an earlier listing is taken for the next one's.
#[test]
fn a_word_on_an_earlier_listing_is_found() {
    violates(planted(Plant::Undropped, RecoveryWorld::new(&[Peer::PLAIN, Peer::PLAIN], 1)), NO_MISUSE);
}

#[test]
fn a_job_that_takes_less_than_the_level_is_found() {
    violates(planted(Plant::Slack, identical(Level::Majority, &[ONE, OTHER], 0)), AGREED);
}

#[test]
fn a_vote_that_nobody_gave_is_found() {
    violates(planted(Plant::Forged, identical(Level::Majority, &[ONE, OTHER], 0)), AGREED);
}

#[test]
fn a_copy_that_is_kept_though_it_is_left_out_is_found() {
    violates(planted(Plant::Hoarder, mergeable(Level::UnstrictMajority, &[ONE, OTHER], 1)), WHOLE);
}

#[test]
fn a_source_that_is_asked_under_the_names_of_others_is_found() {
    violates(planted(Plant::Renamed, identical(Level::Majority, &[BACK, FRONT], 0)), NAMED);
}

/// A job that does not hear of the lower level waits for ever, though all agree that it is met.
#[test]
fn a_level_that_is_not_heard_of_is_found() {
    let world = identical(Level::Majority, &[ONE, OTHER], 1);
    let world = RecoveryWorld { levels: vec![Level::UnstrictMajority], ..world };
    violates(planted(Plant::Muffled, world), ENDS);
}
