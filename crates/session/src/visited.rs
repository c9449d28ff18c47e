//! Which inputs met which state: for tests that ask whether everything was tried.

use std::fmt;

use peerstream_types::Role;

use crate::input::Input;
use crate::state::{self, State};

const ROLES: [Role; 2] = [Role::Initiator, Role::Follower];
const _: () = assert!(Input::ALL.len() <= u64::BITS as usize, "an input is a bit");

/// A role, a state and an input that the table has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The role of the session.
    pub role: Role,
    /// Where it was.
    pub state: State,
    /// What it met there.
    pub input: Input,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.role, self.state, self.input)
    }
}

/// The steps that a session took, or several. A bit each: cheap enough for every session.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Visited([[u64; State::ALL.len()]; ROLES.len()]);

/// Says nothing of what was taken: two sessions that stand at the same place look the same.
impl fmt::Debug for Visited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visited")
    }
}

impl Visited {
    pub(crate) fn take(&mut self, role: Role, state: State, input: Input) {
        self.0[usize::from(role == Role::Follower)][state as usize] |= 1 << input as u64;
    }

    /// Adds the steps of another session.
    pub fn merge(&mut self, other: &Self) {
        let words = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        words.for_each(|(own, other)| *own |= other);
    }

    /// Whether a step was taken.
    pub fn has(&self, step: Step) -> bool {
        let Step { role, state, input } = step;
        self.0[usize::from(role == Role::Follower)][state as usize] & (1 << input as u64) != 0
    }

    /// The steps that were taken.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        Self::every_step().filter(|step| self.has(*step))
    }

    /// Every step that the table has a row for.
    pub fn every_step() -> impl Iterator<Item = Step> {
        let states = ROLES.iter().flat_map(|role| State::ALL.map(|state| (*role, state)));
        let steps = states.flat_map(|(role, state)| {
            Input::ALL.iter().map(move |input| Step { role, state, input: *input })
        });
        steps.filter(|step| state::has_row(step.role, step.state, step.input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_kept_apart_and_merged() {
        let (mut one, mut other) = (Visited::default(), Visited::default());
        one.take(Role::Initiator, State::Init, Input::InitAck);
        other.take(Role::Follower, State::Stream, Input::OwnDone);
        // No row: nothing to ask for.
        other.take(Role::Follower, State::Stream, Input::Init);
        one.merge(&other);
        let shown: Vec<String> = one.steps().map(|step| step.to_string()).collect();
        assert_eq!(shown, ["initiator Init InitAck", "follower Stream OwnDone"]);
        assert!(Visited::every_step().count() > 100);
    }
}
