//! The ends that nobody wants.

use peerstream_session::{By, Config, Event, Session, State};
use peerstream_types::{ByteCount, OfferId, Role, Timestamp};
use peerstream_wire::{Code, Message};

use crate::make::{T0, abort, at, drain, entries, fetch, id, init, names};
use crate::sequence::pull;

const OPEN: [State; 4] = [State::Init, State::Prepare, State::Stream, State::Complete];

/// Row C16: the reason is stored; nothing is sent where nothing can be carried.
#[test]
fn a_lost_connection_means_the_peer_is_probably_down() {
    for role in [Role::Initiator, Role::Follower] {
        for state in OPEN {
            let mut session = at(role, state);
            session.handle_disconnect(T0, "idle timeout".into());
            let outcome = session.outcome().unwrap().clone();
            assert_eq!((outcome.state, outcome.by), (State::Failed, By::Remote));
            assert_eq!(outcome.reason, "peer probably down: idle timeout");
            assert_eq!(drain(&mut session), (vec![], vec![Event::Ended(outcome)]));
        }
    }
}

/// Row C16: the cause is shown on both sides.
#[test]
fn a_failure_is_shown_at_both_ends() {
    let mut pair = pull();
    while pair.states() != [State::Stream; 2] {
        assert!(pair.step());
    }
    pair.ends[1].session.abort(pair.now, Code::Full, "no room on /data").unwrap();
    pair.run();
    let [a, b] = [pair.outcome(0), pair.outcome(1)];
    assert_eq!((a.state, a.by, a.code), (State::Failed, By::Remote, Some(Code::Full)));
    assert_eq!((b.state, b.by, b.code), (State::Failed, By::Local, Some(Code::Full)));
    assert_eq!(a.reason, "remote failed: no room on /data");
    assert_eq!(b.to_string(), "Failed (no room): no room on /data");
}

/// Row C17: called off is not failed, at neither end; in a final state it is a no-op.
#[test]
fn an_abort_is_not_a_failure() {
    let mut pair = pull();
    while pair.states() != [State::Stream; 2] {
        assert!(pair.step());
    }
    pair.ends[0].session.abort(pair.now, Code::Aborted, "by operator").unwrap();
    pair.run();
    assert_eq!(pair.states(), [State::Aborted; 2]);
    assert_eq!(pair.outcome(1).reason, "remote aborted: by operator");
    pair.ends[0].session.abort(pair.now, Code::Internal, "again").unwrap();
    pair.run();
    assert_eq!(pair.states(), [State::Aborted; 2]);
}

/// Rows C17 and C17b: two ends that give up at the same time each keep their own reason.
#[test]
fn crossing_aborts_are_no_errors() {
    let mut pair = pull();
    while pair.states() != [State::Stream; 2] {
        assert!(pair.step());
    }
    pair.ends[0].session.abort(pair.now, Code::Aborted, "by operator").unwrap();
    pair.ends[1].session.abort(pair.now, Code::Draining, "node stops").unwrap();
    pair.run();
    assert_eq!(pair.states(), [State::Aborted, State::Failed]);
    assert_eq!((pair.outcome(0).by, pair.outcome(1).by), (By::Local, By::Local));
}

/// Row C17b.
#[test]
fn the_first_end_and_its_reason_stick() {
    let mut session = at(Role::Initiator, State::Stream);
    session.abort(T0, Code::Integrity, "first").unwrap();
    session.handle_message(T0, abort(Code::Aborted, "second")).unwrap();
    session.handle_disconnect(T0, "third".into());
    session.abort(T0, Code::Aborted, "fourth").unwrap();
    session.handle_timeout(Timestamp::from_millis(u64::MAX / 2_000_000));
    let (_, events) = drain(&mut session);
    assert_eq!(events.len(), 1);
    assert!(matches!(&events[0], Event::Ended(outcome) if outcome.reason == "first"));
}

/// A message in the wrong place fails the session, and the peer learns which.
#[test]
fn a_message_out_of_order_is_told_to_the_peer() {
    let mut session = at(Role::Initiator, State::Prepare);
    let error = session.handle_message(T0, fetch(1, 1)).unwrap_err();
    assert_eq!(error.to_string(), "the peer sent Fetch to the initiator in state Prepare");
    let (messages, events) = drain(&mut session);
    assert_eq!(messages, [abort(Code::Protocol, &error.to_string())]);
    assert!(matches!(&events[..], [Event::Ended(outcome)] if outcome.code == Some(Code::Protocol)));
}

/// The peer may learn of the end before it learned of the session.
#[test]
fn a_session_that_is_called_off_before_init_left_says_so() {
    let mut a = Session::initiate(T0, Config::default(), id(Role::Initiator), init());
    a.abort(T0, Code::Aborted, "never mind").unwrap();
    let (messages, _) = drain(&mut a);
    assert_eq!(names(&messages), ["Init", "Abort"]);
    let mut b = Session::follow(T0, Config::default(), id(Role::Follower));
    messages.into_iter().for_each(|message: Message| b.handle_message(T0, message).unwrap());
    assert_eq!(b.state(), State::Aborted);
    assert!(b.accept(T0, crate::make::ack(1)).unwrap_err().is_ended());
}

/// A peer's words cannot move an operator's cursor, and are bounded by the wire.
#[test]
fn the_words_of_a_peer_are_safe_to_print() {
    let mut session = at(Role::Initiator, State::Stream);
    session.handle_message(T0, abort(Code::Internal, "\u{1b}[2Jgone\r\n")).unwrap();
    let reason = &session.outcome().unwrap().reason;
    assert!(!reason.contains(char::is_control), "{reason:?}");
}

/// Row C17b, the driver's side: what it does too late is told apart from its mistakes.
#[test]
fn commands_after_the_end_say_that_it_has_ended() {
    let mut session = at(Role::Initiator, State::Failed);
    let late = session.received(T0, OfferId(1), vec![entries(0, 1)], ByteCount(1)).unwrap_err();
    assert!(late.is_ended());
    assert!(session.served(T0, peerstream_types::FetchId(1)).unwrap_err().is_ended());
    session.wasted(T0, ByteCount(5)).expect("bytes are counted to the last");
    session.sent(T0, ByteCount(6)).unwrap();
    assert_eq!((session.stats().wasted, session.stats().sent), (ByteCount(5), ByteCount(6)));
}
