//! The states of a session and the one table of what may follow what.
//!
//! [`next`] decides every step of a [`Session`](crate::Session); the snapshot of all of it and the
//! [`diagram`] come from the same rows.

use std::fmt;
use std::fmt::Write as _;

use peerstream_types::Role;

use Input as I;
use Next::{Ignore, Stay, To};

use crate::input::{Input, Origin};

/// Where a session is (row C07).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Init is on its way, or waits for the follower's decision.
    Init,
    /// Both ends put on the table what may move.
    Prepare,
    /// Content moves.
    Stream,
    /// Own part done; the peer's Complete has not come.
    Complete,
    /// Both parts done.
    Completed,
    /// Something went wrong, here or there.
    Failed,
    /// Someone called it off.
    Aborted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Init,
        Self::Prepare,
        Self::Stream,
        Self::Complete,
        Self::Completed,
        Self::Failed,
        Self::Aborted,
    ];

    /// Whether nothing follows it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What an input does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// It is handled and leads there.
    To(State),
    /// It is handled; the state stays, unless an input of the session itself follows.
    Stay,
    /// It means nothing here.
    Ignore,
    /// A message after the end: counted, no more (row C15).
    Refuse,
    /// A message in the wrong place: the session fails, the peer is told why.
    Breach,
    /// A command in the wrong place: an error for the driver, nothing changes.
    Misuse,
}

struct Row(&'static [Role], &'static [State], &'static [Input], Next);

const INITIATOR: &[Role] = &[Role::Initiator];
const FOLLOWER: &[Role] = &[Role::Follower];
const EITHER: &[Role] = &[Role::Initiator, Role::Follower];

const INIT: &[State] = &[State::Init];
const PREPARE: &[State] = &[State::Prepare];
const STREAM: &[State] = &[State::Stream];
const COMPLETE: &[State] = &[State::Complete];
const MOVING: &[State] = &[State::Stream, State::Complete];
const TAKEN: &[State] = &[State::Prepare, State::Stream, State::Complete];
const OPEN: &[State] = &[State::Init, State::Prepare, State::Stream, State::Complete];
const FINAL: &[State] = &[State::Completed, State::Failed, State::Aborted];

/// Every step that is allowed. What has no row follows from the input's [`Origin`].
const TABLE: &[Row] = &[
    Row(FOLLOWER, INIT, &[I::Init, I::InitAgain], Stay),
    Row(FOLLOWER, INIT, &[I::DoAccept], To(State::Prepare)),
    Row(FOLLOWER, INIT, &[I::DoRefuse], To(State::Failed)),
    Row(FOLLOWER, TAKEN, &[I::InitAgain], Stay),
    Row(INITIATOR, INIT, &[I::InitAck], To(State::Prepare)),
    Row(INITIATOR, INIT, &[I::Refuse], To(State::Failed)),
    Row(INITIATOR, TAKEN, &[I::InitAckAgain], Ignore),
    Row(INITIATOR, PREPARE, &[I::DoPrepare, I::PrepareAck], Stay),
    Row(INITIATOR, PREPARE, &[I::PrepareAckLast], To(State::Stream)),
    Row(FOLLOWER, PREPARE, &[I::Prepare], Stay),
    Row(FOLLOWER, PREPARE, &[I::DoAnswer], To(State::Stream)),
    Row(EITHER, MOVING, &[I::Request, I::FetchFailed, I::Received, I::Release, I::Have], Stay),
    Row(EITHER, STREAM, &[I::DoRequest, I::DoReceived, I::DoRelease], Stay),
    Row(EITHER, MOVING, &[I::DoSettle, I::DoCount], Stay),
    Row(EITHER, STREAM, &[I::PeerComplete], Stay),
    Row(EITHER, STREAM, &[I::OwnDone], To(State::Complete)),
    Row(EITHER, STREAM, &[I::OwnDoneLast], To(State::Completed)),
    Row(EITHER, COMPLETE, &[I::PeerComplete], To(State::Completed)),
    Row(EITHER, OPEN, &[I::KeepAlive, I::Throttle, I::GoAway], Stay),
    Row(EITHER, TAKEN, &[I::DoNotice], Stay),
    Row(EITHER, OPEN, &[I::PeerAbort, I::DoAbort], To(State::Aborted)),
    Row(EITHER, OPEN, &[I::PeerFailure, I::DoFail, I::Breach, I::Disconnect, I::Silence], To(State::Failed)),
    Row(EITHER, &[State::Init, State::Prepare, State::Complete], &[I::Deadline], To(State::Failed)),
    Row(EITHER, FINAL, &[I::KeepAlive, I::DoAbort, I::DoFail], Ignore),
    Row(EITHER, FINAL, &[I::DoCount], Stay),
];

/// What `input` does to a session with this role in this state.
pub fn next(role: Role, state: State, input: Input) -> Next {
    match (row(role, state, input), input.origin()) {
        (Some(row), _) => row.3,
        (None, Origin::Peer) if state.is_final() => Next::Refuse,
        (None, Origin::Peer) => Next::Breach,
        (None, Origin::Driver) => Next::Misuse,
        (None, Origin::Own) => Ignore,
    }
}

/// Whether the table has a row for it. What has none is refused, or means nothing.
pub(crate) fn has_row(role: Role, state: State, input: Input) -> bool {
    row(role, state, input).is_some()
}

fn row(role: Role, state: State, input: Input) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0.contains(&role) && row.1.contains(&state) && row.2.contains(&input))
}

/// The states and what leads from one to another, as a Mermaid state diagram for the protocol's
/// documentation.
pub fn diagram() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> Init\n");
    for from in State::ALL {
        for to in State::ALL {
            let causes = causes(from, to);
            if !causes.is_empty() {
                writeln!(out, "    {from} --> {to}: {}", causes.join(", ")).expect("strings take all");
            }
        }
    }
    for state in FINAL {
        writeln!(out, "    {state} --> [*]").expect("strings take all");
    }
    out
}

fn causes(from: State, to: State) -> Vec<String> {
    let mut causes = Vec::new();
    for Row(roles, states, inputs, then) in TABLE {
        if !states.contains(&from) || *then != To(to) {
            continue;
        }
        let role = if let [role] = roles { format!(" ({role})") } else { String::new() };
        causes.extend(inputs.iter().map(|input| format!("{input}{role}")));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_has_two_rows() {
        for (role, state, input) in every_step() {
            let rows = TABLE.iter().filter(|Row(roles, states, inputs, _)| {
                roles.contains(&role) && states.contains(&state) && inputs.contains(&input)
            });
            assert!(rows.count() <= 1, "{role} {state} {input}");
        }
    }

    #[test]
    fn nothing_leads_out_of_a_final_state() {
        for (role, state, input) in every_step().filter(|(_, state, _)| state.is_final()) {
            assert!(!matches!(next(role, state, input), To(_)), "{role} {state} {input}");
        }
    }

    fn every_step() -> impl Iterator<Item = (Role, State, Input)> {
        let pairs = EITHER.iter().flat_map(|role| State::ALL.map(|state| (*role, state)));
        pairs.flat_map(|(role, state)| Input::ALL.iter().map(move |input| (role, state, *input)))
    }
}
