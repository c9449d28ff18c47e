//! Init and what answers it.

use std::time::Duration;

use peerstream_session::{By, CommandError, Config, Event, Session, SessionError, State};
use peerstream_types::{Incarnation, PlanId, Role};
use peerstream_wire::message::{InitAckV1, InitV1};
use peerstream_wire::{Code, Message, Minor, Text};

use crate::make::{T0, ack, at, drain, id, init, names, request};

/// Row C04: the name of the session is what Init carries, whatever the caller put there.
#[test]
fn init_carries_the_name_of_its_session() {
    let other = InitV1 { plan: PlanId::from(99), index: 99, ..init() };
    let mut session = Session::initiate(T0, Config::default(), id(Role::Initiator), other);
    assert_eq!(session.poll_transmit(), Some(Message::Init(init())));
    assert_eq!(session.id().role, Role::Initiator);
}

/// Row C04: an Init that was sorted to the wrong session opens nothing.
#[test]
fn an_init_of_another_session_is_a_breach() {
    let mut session = Session::follow(T0, Config::default(), id(Role::Follower));
    let error = session.handle_message(T0, Message::Init(InitV1 { index: 5, ..init() })).unwrap_err();
    assert!(matches!(error, SessionError::Breach { message: "Init", .. }), "{error}");
    assert_eq!(session.state(), State::Failed);
}

/// Row C05.
#[test]
fn a_second_init_attaches_and_resets_nothing() {
    for state in [State::Prepare, State::Stream, State::Complete] {
        let mut session = at(Role::Follower, state);
        let traced = InitV1 { trace: Text::cut("00-1-2-01"), ..init() };
        session.handle_message(T0, Message::Init(traced.clone())).unwrap();
        session.attach(T0, &traced).unwrap();
        let (messages, events) = drain(&mut session);
        assert_eq!(messages, [Message::InitAck(ack(8)), Message::InitAck(ack(8))]);
        assert_eq!(events, [Event::Attached, Event::Attached]);
        assert_eq!(session.state(), state);
    }
}

/// Row C05: before the decision there is no answer to repeat.
#[test]
fn a_second_init_before_the_decision_is_answered_once() {
    let mut session = at(Role::Follower, State::Init);
    session.attach(T0, &init()).unwrap();
    session.accept(T0, ack(8)).unwrap();
    let (messages, events) = drain(&mut session);
    assert_eq!((names(&messages), events), (vec!["InitAck"], vec![Event::Attached]));
}

/// Row C05: on another stream it is refused and touches nothing; a newer boot is such an Init.
#[test]
fn a_contradicting_init_on_another_stream_is_refused() {
    let mut session = at(Role::Follower, State::Stream);
    let newer = InitV1 { incarnation: Incarnation(9), ..init() };
    assert_eq!(session.attach(T0, &newer).unwrap_err().code, Code::BadRequest);
    assert_eq!((session.state(), drain(&mut session)), (State::Stream, (vec![], vec![])));
}

/// Rows C05 and C15: the session is over, so there is nothing to attach to.
#[test]
fn an_init_after_the_end_is_refused() {
    let mut session = at(Role::Follower, State::Completed);
    assert_eq!(session.attach(T0, &init()).unwrap_err().code, Code::NotFound);
    assert_eq!(session.state(), State::Completed);
}

/// Row C05: on the same stream it is a peer that breaks the protocol.
#[test]
fn a_contradicting_init_on_the_same_stream_fails_the_session() {
    let mut session = at(Role::Follower, State::Stream);
    let newer = InitV1 { incarnation: Incarnation(9), ..init() };
    session.handle_message(T0, Message::Init(newer)).unwrap_err();
    assert_eq!(session.outcome().unwrap().code, Some(Code::Protocol));
}

/// Row C05, the other end: the repeated answer changes nothing, another answer is a breach.
#[test]
fn a_repeated_init_ack_is_ignored() {
    let mut session = at(Role::Initiator, State::Stream);
    session.handle_message(T0, Message::InitAck(ack(8))).unwrap();
    assert_eq!((session.state(), session.stats().duplicates_ignored), (State::Stream, 1));
    session.handle_message(T0, Message::InitAck(ack(9))).unwrap_err();
    assert_eq!(session.state(), State::Failed);
}

/// Row C16: both ends show who refused, why, and when to come back.
#[test]
fn a_refused_session_fails_at_both_ends_with_the_reason() {
    let mut follower = at(Role::Follower, State::Init);
    follower.refuse(T0, Code::Busy, "8 of 8 sessions", Some(Duration::from_secs(2))).unwrap();
    let (messages, _) = drain(&mut follower);
    let mut initiator = at(Role::Initiator, State::Init);
    initiator.handle_message(T0, messages[0].clone()).unwrap();
    let (_, events) = drain(&mut initiator);
    let retry_after = Some(Duration::from_secs(2));
    let refused = Event::Refused { code: Code::Busy, reason: "8 of 8 sessions".into(), retry_after };
    assert_eq!(events[0], refused);
    for (session, by) in [(&follower, By::Local), (&initiator, By::Remote)] {
        let outcome = session.outcome().unwrap();
        assert_eq!((outcome.state, outcome.by, outcome.code), (State::Failed, by, Some(Code::Busy)));
        assert!(outcome.reason.contains("8 of 8 sessions"), "{outcome}");
    }
}

#[test]
fn a_version_that_nobody_offered_is_not_taken() {
    let strange = InitAckV1 { minor: Minor(7), ..ack(8) };
    let mut follower = at(Role::Follower, State::Init);
    let error = follower.accept(T0, strange.clone()).unwrap_err();
    assert!(matches!(error, CommandError::Unfit { command: "accept", .. }), "{error}");
    assert_eq!(follower.state(), State::Init);
    let mut initiator = at(Role::Initiator, State::Init);
    initiator.handle_message(T0, Message::InitAck(strange)).unwrap_err();
}

/// A driver's mistakes change nothing.
#[test]
fn commands_out_of_place_are_errors_for_the_driver() {
    let mut follower = Session::follow(T0, Config::default(), id(Role::Follower));
    assert!(matches!(follower.accept(T0, ack(8)), Err(CommandError::Unfit { .. })));
    assert!(matches!(follower.refuse(T0, Code::Busy, "", None), Err(CommandError::Unfit { .. })));
    assert!(matches!(follower.prepare(T0, vec![], vec![]), Err(CommandError::WrongState { .. })));
    let mut initiator = at(Role::Initiator, State::Prepare);
    assert!(matches!(initiator.prepare(T0, vec![request(2)], vec![]), Err(CommandError::Unfit { .. })));
    assert!(matches!(initiator.answer(T0, vec![], vec![], vec![]), Err(CommandError::WrongState { .. })));
    assert_eq!((drain(&mut follower), drain(&mut initiator)), Default::default());
}
