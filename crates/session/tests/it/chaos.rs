//! Sessions under everything that drivers, networks and peers can do.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_session::config::TRANSMIT_MAX;
use peerstream_session::{Config, Event, Session, State};
use peerstream_types::{ByteCount, FetchId, OfferId, Ordinal, PageToken, Role, Span, Timestamp};
use peerstream_wire::Code;
use peerstream_wire::message::ReleaseReason;
use proptest::prelude::*;

use crate::make::{T0, ack, at, entries, every_message, id, init, offer, refusal, request, seeded};
use crate::pair::Pair;
use crate::sequence::{both_ways, empty, nothing_held, preview, pull, push};

type Scenario = (&'static str, fn() -> Pair);

fn scenarios() -> [Scenario; 7] {
    [
        ("pull", pull),
        ("push", push),
        ("both ways", both_ways),
        ("empty", empty),
        ("preview", preview),
        ("nothing held", || nothing_held(false)),
        ("refused", || nothing_held(true)),
    ]
}

/// What holds for one end's events at any time.
fn check_events(log: &[Event]) {
    let mut released = BTreeMap::new();
    let mut acknowledged = BTreeMap::new();
    for (index, event) in log.iter().enumerate() {
        match event {
            Event::Released { offer, .. } => {
                assert!(released.insert(*offer, ()).is_none(), "{offer} is released twice");
            }
            Event::Acknowledged { offer, spans } => {
                for part in spans.iter().flat_map(|span| parts(*span)) {
                    assert!(acknowledged.insert((*offer, part), ()).is_none(), "{part:?} twice");
                }
            }
            Event::Ended(_) => assert_eq!(index + 1, log.len(), "something follows the end"),
            _ => {}
        }
    }
}

fn parts(span: Span) -> Vec<(u64, Option<u64>)> {
    match span {
        Span::Entries { first, count } => (0..u64::from(count)).map(|n| (first.0 + n, None)).collect(),
        Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal.0, Some(chunk.0))).collect(),
    }
}

fn ended(log: &[Event]) -> usize {
    log.iter().filter(|event| matches!(event, Event::Ended(_))).count()
}

/// Rows C14 and C16: wherever the connection goes, both ends end, and they agree unless the last
/// message was lost.
#[test]
fn a_connection_may_be_lost_before_any_message() {
    for (name, scenario) in scenarios() {
        let mut whole = scenario();
        let messages = whole.run().trace.len();
        assert_eq!(whole.states(), [State::Completed; 2], "{name}");
        for cut in 0..messages {
            let mut pair = scenario();
            pair.cut_after = Some(cut);
            pair.run();
            let states = pair.states();
            assert!(states.iter().all(|state| state.is_final()), "{name} cut at {cut}: {states:?}");
            if cut + 1 < messages {
                assert!(states.contains(&State::Failed), "{name} cut at {cut}: {states:?}");
            }
            for end in &pair.ends {
                check_events(&end.log);
                assert_eq!(ended(&end.log), 1, "{name} cut at {cut}");
                assert_eq!(end.session.poll_timeout(), None);
            }
        }
    }
}

/// Row C17: wherever an end gives up, both ends say the same, by whose hand and why.
#[test]
fn an_abort_may_come_before_any_message() {
    for (name, scenario) in scenarios() {
        let mut whole = scenario();
        let messages = whole.run().trace.len();
        for (cut, side) in (0..messages).flat_map(|cut| [(cut, 0), (cut, 1)]) {
            let mut pair = scenario();
            while pair.trace.len() < cut {
                assert!(pair.step());
            }
            let was_final = pair.ends[side].session.state().is_final();
            pair.ends[side].session.abort(pair.now, Code::Aborted, "called off").unwrap();
            pair.run();
            let (own, other) = (pair.outcome(side).state, pair.outcome(1 - side).state);
            let expected = if was_final { State::Completed } else { State::Aborted };
            assert_eq!(own, expected, "{name} at {cut}");
            // Only a peer that has completed before the Abort came does not take part in it.
            assert!(other == own || other == State::Completed, "{name} at {cut}: {own} {other}");
            pair.ends.iter().for_each(|end| check_events(&end.log));
        }
    }
}

proptest! {
    #![proptest_config(seeded(300))]

    /// Row C10 by construction: control and data come in any order between them, each direction at its
    /// own pace; the session completes, acknowledges all and releases all, each once.
    #[test]
    fn any_interleaving_completes(scenario in 0..7usize, order in prop::collection::vec(0..4u8, 0..80)) {
        let (_, scenario) = scenarios()[scenario];
        let mut pair = scenario();
        for queue in order {
            pair.pump();
            match queue {
                0 | 1 => pair.deliver_control(usize::from(queue)),
                _ => pair.deliver_data(usize::from(queue - 2)),
            }
        }
        pair.run();
        prop_assert_eq!(pair.states(), [State::Completed; 2]);
        for (end, other) in [(0, 1), (1, 0)] {
            check_events(&pair.ends[end].log);
            prop_assert_eq!(ended(&pair.ends[end].log), 1);
            let stats = *pair.ends[end].session.stats();
            prop_assert_eq!(stats.sent, pair.ends[other].session.stats().stored);
            if !pair.ends[end].session.is_preview() {
                let offered = pair.ends[end].store.pushes.len();
                let answered = if end == 1 { pair.ends[0].store.wants.len() } else { 0 };
                let held = pair.ends[end].store.holds.len().min(answered);
                let released = pair.ends[end].log.iter().filter(|e| matches!(e, Event::Released { .. }));
                prop_assert_eq!(released.count(), offered + held);
            }
        }
    }

    /// Nothing that a peer sends, a driver asks for or a clock does makes a session panic, end twice,
    /// or grow.
    #[test]
    fn nothing_breaks_a_session(
        follower in any::<bool>(),
        start in 0..8usize,
        inputs in prop::collection::vec((0..70u8, 0..6u64, any::<bool>()), 0..60),
    ) {
        let role = if follower { Role::Follower } else { Role::Initiator };
        let mut session = match State::ALL.get(start) {
            Some(state) => at(role, *state),
            None if follower => Session::follow(T0, Config::default(), id(role)),
            None => Session::initiate(T0, Config::default(), id(role), init()),
        };
        let (mut now, mut log, mut first_end) = (T0, Vec::new(), session.outcome().cloned());
        for (what, n, drain) in inputs {
            now = now + Duration::from_secs(n * n * 7);
            poke(&mut session, now, what, n);
            first_end = first_end.or_else(|| session.outcome().cloned());
            prop_assert_eq!(session.outcome(), first_end.as_ref());
            prop_assert_eq!(session.state().is_final(), first_end.is_some());
            prop_assert!(session.poll_timeout().is_some() != session.state().is_final());
            if drain {
                let waiting = std::iter::from_fn(|| session.poll_transmit()).count();
                prop_assert!(waiting <= TRANSMIT_MAX + 2);
            }
            log.extend(std::iter::from_fn(|| session.poll_event()));
        }
        check_events(&log);
        session.handle_disconnect(now, "over".into());
        log.extend(std::iter::from_fn(|| session.poll_event()));
        check_events(&log);
        prop_assert!(session.state().is_final());
    }
}

/// Gives a session one input of any kind, whether it fits or not.
fn poke(session: &mut Session, now: Timestamp, what: u8, n: u64) {
    let messages = every_message();
    if let Some((_, message)) = messages.into_iter().nth(usize::from(what)) {
        let was_final = session.state().is_final();
        let taken = session.handle_message(now, message);
        assert!(taken.is_ok() || (!was_final && session.state() == State::Failed));
        return;
    }
    let (offer_id, request_id) = (OfferId(n), FetchId(n));
    let before = session.state();
    let taken = match what {
        26..28 => session.fetch(now, offer_id, vec![entries(n, 1)], 1).map(|_| ()),
        28 => session.list(now, offer_id, PageToken::START, n as u32).map(|_| ()),
        29 if n.is_multiple_of(2) => session.tree(now, offer_id, None, (None, None)).map(|_| ()),
        29 => session.run(now, offer_id, Ordinal(n), n as u32).map(|_| ()),
        30 => {
            let range = peerstream_types::ChunkRange { first: peerstream_types::ChunkIndex(n), count: 2 };
            session.outline(now, offer_id, Ordinal(n), 0, range).map(|_| ())
        }
        31..34 => session.received(now, offer_id, vec![entries(n, 2)], ByteCount(n)),
        34 => session.release(now, offer_id, ReleaseReason::Done),
        35 => session.request_done(now, request_id),
        36 => session.served(now, request_id),
        37 => session.request_failed(now, request_id, vec![], Code::Changed, "gone"),
        38 => session.accept(now, ack(n as u32)),
        39 => session.refuse(now, Code::Busy, "busy", None),
        40..43 => session.prepare(now, vec![request(1)], vec![offer(1, n)]),
        43..46 => session.answer(now, vec![offer(1, n)], vec![], vec![]),
        46 => session.answer(now, vec![], vec![refusal(1, Code::Denied)], vec![refusal(2, Code::Full)]),
        47 => session.prepare(now, vec![], vec![]),
        48 => session.throttle(now, ByteCount(n)),
        49 => session.go_away(now, None),
        50 => session.wasted(now, ByteCount(n)),
        51 => session.sent(now, ByteCount(n)),
        52 => session.planned(now, ByteCount(n)),
        53 => session.abort(now, if n == 0 { Code::Aborted } else { Code::Internal }, "enough"),
        54 => {
            session.handle_disconnect(now, "cable".into());
            Ok(())
        }
        55 => {
            let _ = session.attach(now, &init());
            Ok(())
        }
        _ => {
            session.handle_timeout(now);
            Ok(())
        }
    };
    assert!(taken.is_ok() || session.state() == before, "an error changes nothing");
    assert!(!taken.is_err_and(|error| error.is_ended()) || before.is_final());
}
