//! What holds in every state of a session world, and what some run must reach.

use peerstream_session::{By, Outcome, Session, State};
use peerstream_wire::Code;
use stateright::Property;

use super::SessionWorld;
use super::end::Flaw;
use super::world::World;

type Rule = Property<SessionWorld>;

/// A state without a step is an end.
pub const NO_DEADLOCK: &str = "no deadlock";
/// A session that has not ended has a timer that will end it or say that it lives.
pub const WAITS: &str = "ends or waits with a timer";
/// Both ends give the same outcome, or one knows that it cannot know the other's.
pub const AGREE: &str = "both ends agree";
/// Who has completed has a peer that has done its part, and all of both parts is done.
pub const COMPLETE: &str = "complete means complete at both ends";
/// A correct peer is never said to break the protocol.
pub const NO_BREACH: &str = "no correct end breaks the protocol";
/// A command that is in its place is carried out.
pub const NO_MISUSE: &str = "no command in its place is refused";
/// The first end sticks, and comes once.
pub const STICKS: &str = "the first end sticks";
/// When the faults end, the session does.
pub const ENDS: &str = "it ends when the faults do";

pub(super) fn all() -> Vec<Rule> {
    let always = Rule::always;
    let sometimes = Rule::sometimes;
    vec![
        always(NO_DEADLOCK, |model, world| all_ended(world) || !model.steps(world).is_empty()),
        always(WAITS, |_, world| {
            sessions(world).all(|session| session.state().is_final() == session.poll_timeout().is_none())
        }),
        always(AGREE, |_, world| agree(world)),
        always(COMPLETE, |_, world| (0..2).all(|end| is_whole(world, end))),
        always(NO_BREACH, |_, world| world.facts.flaw != Some(Flaw::Breach)),
        always(NO_MISUSE, |_, world| world.facts.flaw != Some(Flaw::Misuse)),
        always(STICKS, |_, world| !matches!(world.facts.flaw, Some(Flaw::Outcome | Flaw::SecondEnd))),
        always(ENDS, |model, world| model.calm.ends(world, |world| model.calmly(world), all_ended)),
        sometimes("both complete", |_, world| states(world) == [Some(State::Completed); 2]),
    ]
}

/// What a world with timers must reach besides.
pub(super) fn with_timers() -> Vec<Rule> {
    vec![Rule::sometimes("both time out", |_, world| {
        (0..2).all(|end| world.outcome(end).is_some_and(|end| end.code == Some(Code::TimedOut)))
    })]
}

/// What a world with faults must reach besides, or its faults prove nothing.
pub(super) fn with_faults() -> Vec<Rule> {
    let sometimes = Rule::sometimes;
    vec![
        sometimes("both aborted", |_, world| states(world) == [Some(State::Aborted); 2]),
        sometimes("the last word is lost", |_, world| {
            let states = states(world);
            states.contains(&Some(State::Completed)) && states.contains(&Some(State::Failed))
        }),
        sometimes("both failed by one end's word", |_, world| {
            (0..2).all(|end| world.outcome(end).is_some_and(|end| end.code == Some(Code::Full)))
        }),
        sometimes("complete after a second Init", |_, world| {
            world.facts.again && states(world) == [Some(State::Completed); 2]
        }),
        sometimes("complete after a restart", |_, world| {
            let incarnation = world.session(0).and_then(Session::init).map(|init| init.incarnation.0);
            incarnation == Some(2) && states(world) == [Some(State::Completed); 2]
        }),
        sometimes("a duplicate is called a breach", |_, world| {
            (0..2).any(|end| world.outcome(end).is_some_and(|end| end.code == Some(Code::Protocol)))
        }),
    ]
}

fn sessions(world: &World) -> impl Iterator<Item = &Session> {
    (0..2).filter_map(|end| world.session(end))
}

fn states(world: &World) -> [Option<State>; 2] {
    [world.session(0).map(Session::state), world.session(1).map(Session::state)]
}

fn all_ended(world: &World) -> bool {
    sessions(world).all(|session| session.state().is_final())
}

/// Whether an end is one of the session that its peer has too.
fn is_current(world: &World, end: usize) -> bool {
    world.ends[end].as_ref().is_some_and(|end| end.get().connection == world.facts.connection)
}

fn is_whole(world: &World, end: usize) -> bool {
    let completed = world.session(end).map(Session::state) == Some(State::Completed);
    let whole = world.facts.said_complete[1 - end] && world.facts.settled == [true; 2];
    !completed || !is_current(world, end) || whole
}

fn agree(world: &World) -> bool {
    let [Some(a), Some(b)] = [world.outcome(0), world.outcome(1)] else { return true };
    if !is_current(world, 0) || !is_current(world, 1) {
        return true;
    }
    match (a.state, b.state) {
        (State::Completed, State::Completed) => true,
        // The peer's last word did not come; it was asked for, so this end knows that it may exist.
        (State::Completed, _) => world.facts.said_complete[1],
        (_, State::Completed) => world.facts.said_complete[0],
        _ => was_told(a, b) && was_told(b, a),
    }
}

/// Whether an outcome is the end's own, the other's own, or one that says that the other is unknown: the
/// connection is lost, or another stream of the session was refused.
fn was_told(outcome: &Outcome, other: &Outcome) -> bool {
    let unknown = matches!(outcome.code, Some(Code::NotReady | Code::NotFound | Code::BadRequest));
    let told = other.by == By::Local && (outcome.state, outcome.code) == (other.state, other.code);
    outcome.by == By::Local || unknown || told
}
