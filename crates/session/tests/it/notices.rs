//! Time and notices: keep-alive, silence, deadlines, Throttle, `GoAway`.

use std::time::Duration;

use peerstream_session::{By, Config, Event, Session, State};
use peerstream_types::{ByteCount, Role, Timestamp};
use peerstream_wire::{Code, Message};

use crate::make::{T0, ack, at, drain, id, init, keep_alive, names};

fn secs(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// Section 1.5: a KeepAlive per period without another message, and none more.
#[test]
fn an_idle_session_says_that_it_is_there() {
    let mut session = at(Role::Initiator, State::Stream);
    assert_eq!(session.poll_timeout(), Some(secs(300)));
    session.handle_timeout(secs(299));
    assert_eq!(drain(&mut session), (vec![], vec![]), "too early");
    session.handle_timeout(secs(300));
    assert_eq!(drain(&mut session).0, [keep_alive()]);
    session.handle_message(secs(400), keep_alive()).unwrap();
    session.throttle(secs(500), ByteCount(1)).unwrap();
    assert_eq!(session.poll_timeout(), Some(secs(800)), "what was said counts");
}

/// What waits to be sent is sign of life enough, and the timer goes on.
#[test]
fn keep_alives_do_not_pile_up() {
    let mut session = at(Role::Initiator, State::Stream);
    session.handle_timeout(secs(300));
    session.handle_message(secs(310), keep_alive()).unwrap();
    session.handle_timeout(secs(600));
    assert_eq!(session.poll_timeout(), Some(secs(900)));
    assert_eq!(names(&drain(&mut session).0), ["KeepAlive"]);
}

/// Row C16 and section 1.5: a dead peer is noticed within two periods, and told, should it listen.
#[test]
fn a_silent_peer_is_dead_after_two_periods() {
    for state in [State::Prepare, State::Stream] {
        let mut session = at(Role::Follower, state);
        session.handle_message(secs(50), keep_alive()).unwrap();
        session.handle_timeout(secs(599));
        assert_eq!(session.state(), state);
        session.handle_timeout(secs(650));
        let outcome = session.outcome().unwrap().clone();
        assert_eq!((outcome.state, outcome.code), (State::Failed, Some(Code::TimedOut)));
        assert_eq!(names(&drain(&mut session).0).last(), Some(&"Abort"));
    }
}

#[test]
fn a_keep_alive_of_zero_is_off() {
    let config = Config { keep_alive: Duration::ZERO, ..Config::default() };
    assert_eq!(config.silence(), None);
    let mut session = Session::initiate(T0, config, id(Role::Initiator), init());
    session.handle_message(T0, Message::InitAck(ack(8))).unwrap();
    assert_eq!(session.poll_timeout(), Some(secs(600)), "only the deadline of Prepare is left");
}

/// It ends: every state that waits for one answer has a limit; Stream is the driver's to judge.
#[test]
fn waiting_states_have_a_deadline() {
    let limits = [(State::Init, 30), (State::Prepare, 600), (State::Complete, 60)];
    for role in [Role::Initiator, Role::Follower] {
        for (state, limit) in limits {
            let mut session = at(role, state);
            session.handle_timeout(secs(limit - 1));
            assert_eq!(session.state(), state);
            session.handle_message(secs(limit - 1), keep_alive()).unwrap();
            session.handle_timeout(secs(limit));
            let outcome = session.outcome().unwrap().clone();
            assert_eq!((outcome.state, outcome.by), (State::Failed, By::Local));
            assert_eq!(outcome.reason, format!("still in state {state} after {limit}s"));
            assert_eq!(names(&drain(&mut session).0).last(), Some(&"Abort"));
        }
        let mut session = at(role, State::Stream);
        for round in 1..100 {
            session.handle_message(secs(round * 299), keep_alive()).unwrap();
            session.handle_timeout(secs(round * 299));
        }
        assert_eq!(session.state(), State::Stream);
    }
}

#[test]
fn notices_reach_the_other_driver_and_change_nothing() {
    let mut a = at(Role::Initiator, State::Stream);
    a.throttle(T0, ByteCount::mib(4)).unwrap();
    a.go_away(T0, Some(Duration::from_secs(30))).unwrap();
    a.go_away(T0, None).unwrap();
    let mut b = at(Role::Follower, State::Prepare);
    drain(&mut a).0.into_iter().for_each(|message| b.handle_message(T0, message).unwrap());
    let (_, events) = drain(&mut b);
    let go_away = |gone_in| Event::GoAway { gone_in };
    let throttled = Event::Throttled { bytes: ByteCount::mib(4) };
    assert_eq!(events, [throttled, go_away(Some(Duration::from_secs(30))), go_away(None)]);
    assert_eq!((a.state(), b.state()), (State::Stream, State::Prepare));
}
