//! Two ends of one session, searched exhaustively; and every property, shown to fail.

use std::ops::Range;
use std::time::Duration;

use peerstream_models::search::{exhaust, violates};
use peerstream_models::session::{
    AGREE, COMPLETE, ENDS, NO_BREACH, NO_DEADLOCK, NO_MISUSE, Plant, STICKS, SessionWorld, Tasks, WAITS,
};

const NOTHING: Tasks = Tasks { pull: false, push: false };
const PULL: Tasks = Tasks { pull: true, push: false };
const PUSH: Tasks = Tasks { pull: false, push: true };
const BOTH: Tasks = Tasks { pull: true, push: true };
/// Any number of timers.
const ANY: u8 = u8::MAX;

/// Searches a world. A world that has shrunk to nothing, or exploded, is not what it was.
#[track_caller]
fn search(world: SessionWorld, states: Range<usize>) -> String {
    let SessionWorld { tasks, faults, timers, .. } = world;
    let size = exhaust(world);
    let line = format!("{tasks:?}, {faults} faults, {timers} timers: {size}");
    assert!(states.contains(&size.states), "{line}; {states:?} were expected");
    line
}

/// Rows C14 to C17: a shard is pulled, one thing goes wrong, and timers fire at any moment.
#[test]
fn a_pull_survives_any_fault() {
    println!("{}", search(SessionWorld::new(PULL, 1, 1), 3_000..5_000));
}

/// The same for a shard that is pushed: the follower pulls it.
#[test]
fn a_push_survives_any_fault() {
    println!("{}", search(SessionWorld::new(PUSH, 1, 1), 3_000..5_000));
}

/// Row C08: a session about nothing, and two faults.
#[test]
fn an_empty_session_survives_any_two_faults() {
    println!("{}", search(SessionWorld::new(NOTHING, 2, 1), 8_000..14_000));
}

/// A shard each way, and nothing but time goes wrong.
#[test]
fn both_ways_at_any_pace() {
    println!("{}", search(SessionWorld::new(BOTH, 0, 1), 400..700));
}

/// Keep-alives for ever: time is relative, so there are finitely many states.
#[test]
fn a_pull_at_any_pace_for_ever() {
    println!("{}", search(SessionWorld::new(PULL, 0, ANY), 4_000..7_000));
}

/// The large worlds take minutes without optimisation.
#[cfg(not(debug_assertions))]
mod large {
    use super::*;

    /// Two faults, one after the other or both at once.
    #[test]
    fn a_pull_survives_any_two_faults() {
        println!("{}", search(SessionWorld::new(PULL, 2, 1), 30_000..45_000));
    }

    /// Row C03: a shard each way in one session.
    #[test]
    fn both_ways_survive_any_fault() {
        println!("{}", search(SessionWorld::new(BOTH, 1, 1), 15_000..25_000));
    }
}

fn planted(plant: Plant, faults: u8) -> SessionWorld {
    SessionWorld { plant: Some(plant), ..SessionWorld::new(PULL, faults, 1) }
}

#[test]
fn a_source_that_never_serves_is_found() {
    violates(planted(Plant::Silent, 0), ENDS);
}

/// Without keep-alive nothing ends the wait for a source.
#[test]
fn a_wait_without_a_timer_is_found() {
    let deaf = || SessionWorld { keep_alive: Duration::ZERO, ..planted(Plant::Silent, 0) };
    violates(deaf(), WAITS);
    violates(deaf(), NO_DEADLOCK);
}

#[test]
fn a_reason_that_changes_on_its_way_is_found() {
    violates(planted(Plant::Mislabel, 1), AGREE);
}

#[test]
fn a_forged_end_is_found() {
    violates(planted(Plant::Forged, 0), COMPLETE);
}

#[test]
fn a_release_before_the_content_is_stored_is_found() {
    violates(planted(Plant::Eager, 0), COMPLETE);
}

#[test]
fn a_driver_that_does_everything_twice_is_found() {
    violates(planted(Plant::Twofold, 0), NO_MISUSE);
}

#[test]
fn a_message_that_comes_twice_is_found() {
    violates(planted(Plant::Unexcused, 1), NO_BREACH);
}

#[test]
fn a_session_that_lives_again_is_found() {
    violates(planted(Plant::Zombie, 0), STICKS);
}
