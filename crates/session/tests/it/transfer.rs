//! Requests, answers, acknowledgements, releases.

use peerstream_session::config::TRANSMIT_MAX;
use peerstream_session::{CommandError, Config, Event, Session, SessionError, State};
use peerstream_types::{ByteCount, ChunkIndex, ChunkRange, FetchId, OfferId, Ordinal, PageToken, Role, Span};
use peerstream_wire::message::{FetchFailedV1, HaveV1, ReleaseReason};
use peerstream_wire::{Code, Message};

use crate::make::{
    T0, ack, at, bounded, drain, entries, fetch, fetch_failed, id, init, list, names, offer, outline,
    prepare_ack, received, release, request, run, tree,
};

const OFFER: OfferId = OfferId(1);

fn failed(messages: &[Message]) -> Vec<(u64, Code)> {
    let failure = |message: &Message| match message {
        Message::FetchFailed(FetchFailedV1 { request, code, .. }) => Some((request.0, *code)),
        _ => None,
    };
    messages.iter().filter_map(failure).collect()
}

#[test]
fn requests_reach_the_source_with_all_they_say() {
    let mut source = at(Role::Follower, State::Stream);
    for message in [list(1, 1), outline(2, 1), fetch(3, 1), tree(4, 1), run(5, 1)] {
        source.handle_message(T0, message).unwrap();
    }
    let (offer, token, pages) = (OFFER, PageToken::START, 1);
    let range = ChunkRange::one(ChunkIndex(0));
    let expected = [
        Event::ListRequested { request: FetchId(1), offer, token, pages },
        Event::OutlineRequested { request: FetchId(2), offer, ordinal: Ordinal(0), level: 0, range },
        Event::FetchRequested { request: FetchId(3), offer, spans: vec![entries(0, 1)], attempt: 1 },
        Event::TreeRequested { request: FetchId(4), offer, level: None, start: None, end: None },
        Event::RunRequested { request: FetchId(5), offer, first: Ordinal(7), count: 3 },
    ];
    assert_eq!(drain(&mut source), (vec![], expected.to_vec()));
    assert_eq!(source.under_way(), (1, 5));
    source.served(T0, FetchId(2)).unwrap();
    assert!(source.is_serving(FetchId(1)) && !source.is_serving(FetchId(2)));
}

/// The session answers what no driver has to see: unknown and released offers, used ids, too many.
#[test]
fn requests_that_cannot_be_are_answered_at_once() {
    let mut source = at(Role::Follower, State::Stream);
    source.handle_message(T0, fetch(5, 77)).unwrap();
    source.handle_message(T0, fetch(5, 1)).unwrap();
    source.handle_message(T0, fetch(4, 1)).unwrap();
    (6..=14).for_each(|request| source.handle_message(T0, fetch(request, 1)).unwrap());
    source.handle_message(T0, release(1, vec![])).unwrap();
    source.handle_message(T0, fetch(20, 1)).unwrap();
    let (messages, events) = drain(&mut source);
    let expected = [
        (5, Code::NotFound),
        (5, Code::BadRequest),
        (4, Code::BadRequest),
        (14, Code::Busy),
        (20, Code::NotFound),
    ];
    assert_eq!(failed(&messages), expected, "the follower allowed 8 requests");
    assert_eq!(events.len(), 8 + 1, "eight requests and the release");
    assert_eq!((source.stats().requests_taken, source.stats().requests_rejected), (8, 5));
    assert_eq!(source.state(), State::Stream);
}

/// Row F-35: an answer belongs to the request whose id it repeats, whatever the order.
#[test]
fn failures_are_matched_by_id() {
    let mut receiver = at(Role::Initiator, State::Stream);
    let second = receiver.fetch(T0, OFFER, vec![entries(1, 1)], 1).unwrap();
    receiver.handle_message(T0, fetch_failed(second.0, vec![])).unwrap();
    receiver.handle_message(T0, fetch_failed(second.0, vec![])).unwrap();
    receiver.handle_message(T0, fetch_failed(99, vec![])).unwrap();
    let (_, events) = drain(&mut receiver);
    let (code, reason) = (Code::Changed, "gone".to_owned());
    assert_eq!(events, [Event::RequestFailed { request: second, spans: vec![], code, reason }]);
    assert!(receiver.is_outstanding(FetchId(1)) && !receiver.is_outstanding(second));
    assert_eq!(receiver.stats().answers_unmatched, 2);
}

/// A part that failed does not end its request: the rest is still to come.
#[test]
fn a_request_survives_the_failure_of_a_part() {
    let mut receiver = at(Role::Initiator, State::Stream);
    receiver.handle_message(T0, fetch_failed(1, vec![entries(0, 1)])).unwrap();
    assert!(receiver.is_outstanding(FetchId(1)));

    let mut source = at(Role::Follower, State::Stream);
    source.handle_message(T0, fetch(1, 1)).unwrap();
    source.request_failed(T0, FetchId(1), vec![entries(0, 1)], Code::Changed, "gone").unwrap();
    assert!(source.is_serving(FetchId(1)));
    source.request_failed(T0, FetchId(1), vec![], Code::Internal, "disk").unwrap();
    source.request_failed(T0, FetchId(1), vec![], Code::Internal, "disk").expect("it is over already");
    assert_eq!(failed(&drain(&mut source).0), [(1, Code::Changed), (1, Code::Internal)]);
    let error = source.request_failed(T0, FetchId(2), vec![], Code::Internal, "").unwrap_err();
    assert_eq!(error, CommandError::UnknownRequest(FetchId(2)));
}

/// Row C11: the source's reference goes once. Row C17d: unknown and repeated acknowledgements are
/// harmless.
#[test]
fn each_part_is_acknowledged_once() {
    let mut source = at(Role::Follower, State::Stream);
    let chunks = |first, count| {
        let range = ChunkRange { first: ChunkIndex(first), count };
        Span::Chunks { ordinal: Ordinal(9), range }
    };
    for spans in [vec![entries(0, 2)], vec![entries(1, 3)], vec![entries(0, 4)], vec![chunks(0, 8)]] {
        source.handle_message(T0, received(1, spans)).unwrap();
    }
    source.handle_message(T0, received(1, vec![chunks(4, 8), entries(0, 1)])).unwrap();
    source.handle_message(T0, received(55, vec![entries(0, 1)])).unwrap();
    let acknowledged: Vec<Span> = drain(&mut source)
        .1
        .into_iter()
        .flat_map(|event| match event {
            Event::Acknowledged { offer: OFFER, spans } => spans,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(acknowledged, [entries(0, 2), entries(2, 2), chunks(0, 8), chunks(8, 4)]);
    assert_eq!(source.stats().duplicates_ignored, 2);
}

/// Row C18: what comes after its request ended, or its offer was released, is discarded.
#[test]
fn late_data_is_not_outstanding() {
    let mut receiver = at(Role::Initiator, State::Stream);
    let second = receiver.fetch(T0, OFFER, vec![entries(1, 1)], 1).unwrap();
    receiver.request_done(T0, FetchId(1)).unwrap();
    receiver.request_done(T0, FetchId(1)).expect("the end of a request may be noticed twice");
    assert!(!receiver.is_outstanding(FetchId(1)));
    assert_eq!(receiver.offer_of(second), Some(OFFER));
    receiver.release(T0, OFFER, ReleaseReason::Elsewhere).unwrap();
    assert!(!receiver.is_outstanding(second));
    receiver.wasted(T0, ByteCount(9)).unwrap();
    assert_eq!(receiver.stats().wasted, ByteCount(9));
    let error = receiver.received(T0, OFFER, vec![entries(0, 1)], ByteCount(9)).unwrap_err();
    assert_eq!(error, CommandError::OfferReleased(OFFER));
    assert_eq!(receiver.request_done(T0, FetchId(9)), Err(CommandError::UnknownRequest(FetchId(9))));
}

/// A release stops the service of its offer; what the driver says of it later is no mistake.
#[test]
fn a_release_ends_the_requests_of_its_offer() {
    let mut source = at(Role::Follower, State::Stream);
    source.handle_message(T0, fetch(1, 1)).unwrap();
    source.handle_message(T0, release(1, vec![])).unwrap();
    source.handle_message(T0, release(1, vec![])).unwrap();
    assert!(!source.is_serving(FetchId(1)));
    source.served(T0, FetchId(1)).unwrap();
    let released = Event::Released { offer: OFFER, reason: ReleaseReason::Done };
    let (_, events) = drain(&mut source);
    assert_eq!(events.iter().filter(|event| **event == released).count(), 1);
    assert_eq!(source.stats().duplicates_ignored, 1);
}

#[test]
fn hints_of_a_peer_are_not_needed() {
    let mut source = at(Role::Follower, State::Stream);
    source.handle_message(T0, release(1, vec![entries(0, 1)])).unwrap();
    let have = HaveV1 { offer: OFFER, spans: bounded(vec![entries(0, 1)]) };
    source.handle_message(T0, Message::Have(have)).unwrap();
    assert_eq!((drain(&mut source), source.stats().hints_ignored), ((vec![], vec![]), 2));
}

/// The window is the smaller of what this end wants and the follower allows.
#[test]
fn no_more_requests_than_the_follower_allows() {
    for (own, allowed, window) in [(100, 3, 3), (2, 100, 2), (100, 0, 1)] {
        let config = Config { requests_in_flight_max: own, ..Config::default() };
        let mut a = Session::initiate(T0, config, id(Role::Initiator), init());
        a.handle_message(T0, Message::InitAck(ack(allowed))).unwrap();
        a.prepare(T0, vec![request(1)], vec![]).unwrap();
        a.handle_message(T0, prepare_ack(vec![offer(1, 2)], false)).unwrap();
        let mut ask = || a.fetch(T0, OFFER, vec![entries(0, 1)], 1);
        let ids: Vec<_> = std::iter::from_fn(|| ask().ok()).take(200).collect();
        assert_eq!(ids.len(), window as usize);
        assert_eq!(ask(), Err(CommandError::WindowFull(window)));
        a.request_done(T0, ids[0]).unwrap();
        let next = a.fetch(T0, OFFER, vec![entries(0, 1)], 1).unwrap();
        assert!(!ids.contains(&next), "ids are not used twice");
    }
}

#[test]
fn requests_that_break_the_wire_are_errors_for_the_driver() {
    let mut a = at(Role::Initiator, State::Stream);
    assert!(matches!(a.fetch(T0, OFFER, vec![], 1), Err(CommandError::Invalid(_))));
    let many = vec![entries(0, 1); 1025];
    assert!(matches!(a.fetch(T0, OFFER, many, 1), Err(CommandError::Unfit { .. })));
    assert!(matches!(a.fetch(T0, OFFER, vec![entries(0, 0)], 1), Err(CommandError::Invalid(_))));
    assert!(matches!(a.list(T0, OFFER, PageToken::START, 0), Err(CommandError::Unfit { .. })));
    let error = a.fetch(T0, OfferId(8), vec![entries(0, 1)], 1).unwrap_err();
    assert_eq!(error, CommandError::UnknownOffer(OfferId(8)));
    let bad = a.received(T0, OFFER, vec![entries(3, 0)], ByteCount(1));
    assert!(matches!(bad, Err(CommandError::Invalid(_))));
    assert_eq!((drain(&mut a), a.stats().stored), ((vec![], vec![]), ByteCount(0)));
}

/// One command may acknowledge more than one message holds.
#[test]
fn long_acknowledgements_are_cut() {
    let mut a = at(Role::Initiator, State::Stream);
    let spans: Vec<Span> = (0..2500).map(|n| entries(n * 2, 1)).collect();
    a.received(T0, OFFER, spans, ByteCount(2500)).unwrap();
    let (messages, _) = drain(&mut a);
    assert_eq!(names(&messages), ["Received"; 3]);
    let mut source = at(Role::Follower, State::Stream);
    messages.into_iter().for_each(|message| source.handle_message(T0, message).unwrap());
    let count = |event: &Event| matches!(event, Event::Acknowledged { spans, .. } if !spans.is_empty());
    assert_eq!(drain(&mut source).1.iter().filter(|event| count(event)).count(), 3);
}

/// What waits to be sent is bounded: the driver is asked to drain, a peer that does not read is cut.
#[test]
fn what_waits_to_be_sent_is_bounded() {
    let mut a = at(Role::Initiator, State::Stream);
    for _ in 0..TRANSMIT_MAX {
        a.received(T0, OFFER, vec![entries(0, 1)], ByteCount(0)).unwrap();
    }
    let error = a.received(T0, OFFER, vec![entries(0, 1)], ByteCount(0)).unwrap_err();
    assert_eq!(error, CommandError::TransmitFull(1));
    assert_eq!(a.release(T0, OFFER, ReleaseReason::Done), Err(CommandError::TransmitFull(1)));
    drain(&mut a);
    a.release(T0, OFFER, ReleaseReason::Done).unwrap();

    let mut source = at(Role::Follower, State::Stream);
    let flood = (0..).find_map(|request| source.handle_message(T0, fetch(request, 77)).err());
    assert_eq!(flood, Some(SessionError::Flood));
    assert_eq!(names(&drain(&mut source).0).last(), Some(&"Abort"), "it is told why");
}
