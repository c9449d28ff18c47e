//! One recovery job, searched exhaustively; and every property, shown to fail.

use std::ops::Range;

use peerstream_models::recovery::{
    BOUNDED, ENDS, NO_DEADLOCK, NO_MISUSE, ONCE, PROGRESS, Peer, Plant, RecoveryWorld, SOURCES, STALE, WAITS,
    WHOLE,
};
use peerstream_models::search::{exhaust, violates};

/// Searches a world. A world that has shrunk to nothing, or exploded, is not what it was.
#[track_caller]
fn search(world: RecoveryWorld, states: Range<usize>) -> String {
    let (peers, faults, counted) = (world.peers.len(), world.faults, world.counted);
    let (opens, attempts) = (world.opens_per_peer, world.attempts_per_source);
    let size = exhaust(world);
    let line =
        format!("{peers} peers, {faults} faults, {opens} dials, {attempts} attempts, {counted}: {size}");
    assert!(states.contains(&size.states), "{line}; {states:?} were expected");
    line
}

/// Promises 1 to 3, 6 to 9 for the part of the job: one candidate, one fault at any moment.
#[test]
fn one_source_and_any_fault() {
    println!("{}", search(RecoveryWorld::new(&[Peer::PLAIN], 1), 600..900));
}

/// The same with fetches that are answered in parts.
#[test]
fn one_source_with_larger_fetches_and_any_fault() {
    let world = RecoveryWorld { fetch_chunks: 2, ..RecoveryWorld::new(&[Peer::PLAIN], 1) };
    println!("{}", search(world, 700..1_100));
}

/// Two candidates with the same content, one of which hashes while it is asked.
#[test]
fn two_sources_and_any_fault() {
    println!("{}", search(RecoveryWorld::new(&[Peer::SLOW, Peer::PLAIN], 1), 1_900..3_000));
}

/// The second candidate has other content: what both have is kept, what is shown begins anew.
#[test]
fn a_source_with_other_content_and_any_fault() {
    println!("{}", search(RecoveryWorld::new(&[Peer::PLAIN, Peer::OTHER], 1), 1_000..1_600));
}

/// Two candidates serve at once: whatever goes wrong at one of them, each chunk comes from one place.
#[test]
fn two_sources_at_once_and_any_fault() {
    let world = RecoveryWorld { joins: true, ..RecoveryWorld::new(&[Peer::PLAIN, Peer::PLAIN], 1) };
    println!("{}", search(world, 5_500..9_200));
}

/// The large worlds take minutes without optimisation.
#[cfg(not(debug_assertions))]
mod large {
    use super::*;

    /// Two faults, one after the other or both at once.
    #[test]
    fn two_sources_and_any_two_faults() {
        println!("{}", search(RecoveryWorld::new(&[Peer::SLOW, Peer::PLAIN], 2), 31_000..50_000));
    }

    #[test]
    fn three_sources_and_any_two_faults() {
        let peers = [Peer::PLAIN, Peer::OTHER, Peer::SLOW];
        println!("{}", search(RecoveryWorld::new(&peers, 2), 41_000..67_000));
    }

    /// One of three that serve at once has something else, and does not join.
    #[test]
    fn three_sources_at_once_and_any_fault() {
        let peers = [Peer::PLAIN, Peer::OTHER, Peer::PLAIN];
        let world = RecoveryWorld { joins: true, attempts_per_source: 1, ..RecoveryWorld::new(&peers, 1) };
        println!("{}", search(world, 18_000..30_000));
    }

    /// Three faults, and each step counts: that there are finitely many states means that every run
    /// ends, however unfair.
    #[test]
    fn every_run_is_finite() {
        let world = RecoveryWorld::new(&[Peer::PLAIN], 3);
        let world = RecoveryWorld { counted: true, opens_per_peer: 1, attempts_per_source: 1, ..world };
        println!("{}", search(world, 70_000..115_000));
    }
}

fn planted(plant: Plant, faults: u8) -> RecoveryWorld {
    RecoveryWorld { plant: Some(plant), ..RecoveryWorld::new(&[Peer::PLAIN, Peer::SLOW], faults) }
}

#[test]
fn a_store_that_loses_writes_is_found() {
    violates(planted(Plant::LostWrites, 0), WHOLE);
}

#[test]
fn a_seal_that_did_not_happen_is_found() {
    violates(planted(Plant::LostSeal, 0), WHOLE);
}

#[test]
fn a_store_that_forgets_what_it_holds_is_found() {
    violates(planted(Plant::Forgetful, 1), ONCE);
}

#[test]
fn a_fetch_that_outlives_its_source_is_found() {
    violates(planted(Plant::Deaf, 1), ONCE);
}

#[test]
fn an_attempt_too_many_is_found() {
    violates(planted(Plant::Fewer, 1), BOUNDED);
}

/// A wait that no clock ends is one for ever.
#[test]
fn a_driver_without_a_clock_is_found() {
    violates(planted(Plant::NoClock, 0), WAITS);
    violates(planted(Plant::NoClock, 2), NO_DEADLOCK);
    violates(planted(Plant::NoClock, 2), ENDS);
}

#[test]
fn progress_that_falls_is_found() {
    violates(planted(Plant::Rewind, 0), PROGRESS);
}

#[test]
fn an_answer_that_counts_twice_is_found() {
    violates(RecoveryWorld { fetch_chunks: 2, ..planted(Plant::Misfiled, 0) }, STALE);
}

#[test]
fn an_answer_that_was_not_asked_for_is_found() {
    violates(planted(Plant::Hasty, 0), NO_MISUSE);
}

#[test]
fn a_job_that_goes_back_opens_a_source_twice() {
    violates(planted(Plant::Rewind, 1), SOURCES);
}
