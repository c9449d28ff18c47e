//! The end that everyone wants.

use peerstream_session::{By, Event, SessionError, State};
use peerstream_types::{OfferId, Role};
use peerstream_wire::message::ReleaseReason;

use crate::make::{T0, at, complete, drain, every_message, names, release};

const OFFER: OfferId = OfferId(1);

/// Row C14: own part first, then the peer's.
#[test]
fn complete_comes_after_the_own_part() {
    for role in [Role::Initiator, Role::Follower] {
        let mut session = at(role, State::Stream);
        session.handle_message(T0, release(1, vec![])).unwrap();
        assert_eq!(session.state(), State::Stream, "this end still needs the peer's offer");
        session.release(T0, OFFER, ReleaseReason::Done).unwrap();
        assert_eq!(names(&drain(&mut session).0), ["Release", "Complete"]);
        assert_eq!(session.state(), State::Complete);
        session.handle_message(T0, complete()).unwrap();
        let outcome = session.outcome().unwrap();
        assert_eq!((outcome.state, outcome.by, outcome.code), (State::Completed, By::Remote, None));
    }
}

/// Row C14: the peer's part first, then the own.
#[test]
fn complete_comes_before_the_own_part() {
    for role in [Role::Initiator, Role::Follower] {
        let mut session = at(role, State::Stream);
        session.handle_message(T0, release(1, vec![])).unwrap();
        session.handle_message(T0, complete()).unwrap();
        assert_eq!(session.state(), State::Stream);
        session.release(T0, OFFER, ReleaseReason::Done).unwrap();
        assert_eq!(names(&drain(&mut session).0), ["Release", "Complete"]);
        let outcome = session.outcome().unwrap();
        assert_eq!((outcome.state, outcome.by), (State::Completed, By::Local));
    }
}

/// Row C14: completed means completed, though the last message still waits and the connection goes.
#[test]
fn completion_does_not_need_the_connection() {
    let mut session = at(Role::Follower, State::Stream);
    session.release(T0, OFFER, ReleaseReason::Done).unwrap();
    session.handle_message(T0, release(1, vec![])).unwrap();
    session.handle_message(T0, complete()).unwrap();
    assert_eq!(session.state(), State::Completed, "nothing was transmitted yet");
    session.handle_disconnect(T0, "closed by the peer".into());
    let (_, events) = drain(&mut session);
    let ended = events.iter().filter(|event| matches!(event, Event::Ended(_))).count();
    assert_eq!((ended, session.state(), session.poll_timeout()), (1, State::Completed, None));
}

#[test]
fn complete_without_releases_is_a_breach() {
    let mut session = at(Role::Follower, State::Stream);
    let error = session.handle_message(T0, complete()).unwrap_err();
    assert!(matches!(error, SessionError::Breach { message: "Complete", .. }), "{error}");

    let mut session = at(Role::Follower, State::Stream);
    session.handle_message(T0, release(1, vec![])).unwrap();
    session.handle_message(T0, complete()).unwrap();
    session.handle_message(T0, complete()).unwrap_err();
    assert_eq!(session.state(), State::Failed);
}

/// Row C15: after the end KeepAlive is tolerated, all else is counted; an end of stream is no error.
#[test]
fn messages_after_the_end_are_refused_and_do_nothing() {
    for role in [Role::Initiator, Role::Follower] {
        for state in [State::Completed, State::Failed, State::Aborted] {
            let mut session = at(role, state);
            let before = session.outcome().cloned();
            for (_, message) in every_message() {
                session.handle_message(T0, message).unwrap();
            }
            session.handle_disconnect(T0, "end of stream".into());
            session.handle_timeout(T0);
            assert_eq!(session.stats().messages_refused, every_message().len() as u64 - 1);
            assert_eq!((drain(&mut session), session.outcome().cloned()), ((vec![], vec![]), before));
        }
    }
}
