//! What may move: pages, answers, refusals.

use bytes::BytesMut;
use peerstream_session::{CommandError, Config, Event, Session, SessionError, State};
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{EntryKey, OfferId, Position, Role, Selector, ShardId};
use peerstream_wire::limits::{PREPARE_FRAME_MAX, SELECTOR_KEYS_MAX};
use peerstream_wire::message::{OfferV1, PrepareV1, Preview, RefusalV1, ReleaseReason, RequestV1};
use peerstream_wire::{Code, Message, Text, frame};
use proptest::prelude::*;

use crate::make::{
    T0, ack, at, drain, fetch, id, init, names, offer, prepare, prepare_ack, refusal, request, seeded, shard,
};
use crate::sequence::{both_ways, nothing_held};

/// An initiator that may prepare, and a follower that waits for it.
fn ready() -> [Session; 2] {
    let mut a = Session::initiate(T0, Config::default(), id(Role::Initiator), init());
    a.handle_message(T0, Message::InitAck(ack(8))).unwrap();
    drain(&mut a);
    [a, at(Role::Follower, State::Prepare)]
}

fn large_offer(index: u32) -> OfferV1 {
    let mut offer = offer(index, 1);
    offer.header.state = vec![7; STATE_LEN_MAX];
    offer
}

fn carry(from: &mut Session, to: &mut Session) -> usize {
    let (messages, _) = drain(from);
    for message in &messages {
        let mut out = BytesMut::new();
        frame::encode(message, &mut out).expect("a page is a frame");
        to.handle_message(T0, message.clone()).unwrap();
    }
    messages.len()
}

/// The pages of both directions are cut by number and by bytes, and come together again.
#[test]
fn many_shards_travel_on_pages() {
    let [mut a, mut b] = ready();
    let requests: Vec<_> = (0..300).map(request).collect();
    let pushed: Vec<_> = (1000..1100).map(large_offer).collect();
    a.prepare(T0, requests.clone(), pushed.clone()).unwrap();
    assert!(carry(&mut a, &mut b) >= 7, "6.5 MiB of state do not fit on fewer pages");
    assert_eq!(drain(&mut b).1, [Event::Prepared { requests, offers: pushed.clone() }]);

    let offers: Vec<_> = (0..100).map(large_offer).collect();
    let refused_requests: Vec<_> = (100..300).map(|index| refusal(index, Code::NotFound)).collect();
    let refused_offers: Vec<_> = (1000..1100).map(|index| refusal(index, Code::Full)).collect();
    b.answer(T0, offers.clone(), refused_requests.clone(), refused_offers.clone()).unwrap();
    carry(&mut b, &mut a);
    let (_, events) = drain(&mut a);
    assert_eq!(events[0], Event::Offered { offers, refused_requests, refused_offers });
    assert_eq!(events.len(), 1 + pushed.len(), "each refused offer is released");
    assert_eq!((a.state(), b.state()), (State::Stream, State::Stream));
}

/// The longest items that the wire allows.
fn selector(keys: usize, len: usize) -> Selector {
    let key = |n: usize| EntryKey::new(format!("{n:0len$}")).unwrap();
    Selector::Entries((0..keys).map(key).collect())
}

proptest! {
    #![proptest_config(seeded(48))]

    /// No page is longer than its frame may be, whatever is in it.
    #[test]
    fn every_page_fits_its_frame(
        requests in prop::collection::vec((1..=SELECTOR_KEYS_MAX, 4..=1024usize), 0..12),
        offers in prop::collection::vec((0..=STATE_LEN_MAX, 0..=256usize), 0..40),
    ) {
        let [mut a, mut b] = ready();
        let shard = ShardId::new("d".repeat(63).parse().unwrap(), u64::MAX, u32::MAX);
        let requests: Vec<_> = requests
            .into_iter()
            .map(|(keys, len)| RequestV1 { shard: shard.clone(), selector: selector(keys, len) })
            .collect();
        let offers: Vec<_> = (0..)
            .zip(offers)
            .map(|(index, (state, part))| {
                let mut offer = offer(index, u64::MAX / 100);
                (offer.offer, offer.shard) = (OfferId(u64::MAX - u64::from(index)), shard.clone());
                offer.header.state = vec![0xff; state];
                let (log, token) = ("x".repeat(part), vec![0xff; part]);
                offer.header.position = Some(Position { log, epoch: u64::MAX, token });
                offer
            })
            .collect();
        a.prepare(T0, requests.clone(), offers.clone()).unwrap();
        carry(&mut a, &mut b);
        let refused = |request: &RequestV1| RefusalV1 {
            shard: request.shard.clone(),
            selector: request.selector.clone(),
            code: Code::Internal,
            reason: Text::cut(&"n".repeat(2000)),
        };
        if !requests.is_empty() {
            b.answer(T0, offers, requests.iter().map(refused).collect(), vec![]).unwrap();
            carry(&mut b, &mut a);
        }
        prop_assert!(a.outcome().is_none_or(|outcome| outcome.state == State::Completed));
    }
}

#[test]
fn what_fits_no_prepare_is_an_error_for_the_driver() {
    let [mut a, _] = ready();
    let requests = (0..9000).map(request).collect();
    let error = a.prepare(T0, requests, vec![]).unwrap_err();
    assert!(matches!(error, CommandError::TooManyPages { .. }), "{error}");
    let mut long = offer(1, 1);
    long.header.state = vec![0; PREPARE_FRAME_MAX];
    assert!(a.prepare(T0, vec![], vec![long]).is_err());
    assert!(a.prepare(T0, vec![], vec![offer(1, 1), offer(1, 1)]).is_err(), "an id is used twice");
    assert_eq!(drain(&mut a), (vec![], vec![]));
    a.prepare(T0, vec![request(1)], vec![]).expect("nothing has changed");
}

/// Refused offers need no release of the follower, and their leases go exactly once.
#[test]
fn a_refused_offer_is_released() {
    let mut pair = both_ways();
    pair.ends[1].store.refuses = true;
    pair.run();
    assert_eq!(pair.states(), [State::Completed; 2]);
    let released = Event::Released { offer: OfferId(2), reason: ReleaseReason::GivenUp };
    assert_eq!(pair.ends[0].log.iter().filter(|event| **event == released).count(), 1);
}

#[test]
fn the_reasons_of_refusals_reach_the_initiator() {
    let mut pair = nothing_held(true);
    pair.run();
    let offered = pair.ends[0].log.iter().find_map(|event| match event {
        Event::Offered { refused_requests, .. } => Some(refused_requests.clone()),
        _ => None,
    });
    assert_eq!(offered.unwrap(), [refusal(1, Code::NotFound), refusal(2, Code::NotFound)]);
}

/// An answer speaks of what was asked: the follower's driver cannot send another, the initiator does
/// not take one.
#[test]
fn answers_to_what_nobody_asked_are_not_taken() {
    let mut b = at(Role::Follower, State::Prepare);
    assert!(b.answer(T0, vec![], vec![], vec![]).is_err(), "nothing was asked yet");
    b.handle_message(T0, prepare(vec![request(1)], vec![offer(2, 1)])).unwrap();
    for (offers, requests, pushed) in [
        (vec![offer(9, 1)], vec![], vec![]),
        (vec![offer(1, 1), offer(1, 1)], vec![], vec![]),
        (vec![], vec![refusal(9, Code::NotFound)], vec![]),
        (vec![], vec![], vec![refusal(1, Code::Full)]),
    ] {
        let error = b.answer(T0, offers, requests, pushed).unwrap_err();
        assert!(matches!(error, CommandError::Unfit { command: "answer", .. }), "{error}");
    }
    assert_eq!(b.state(), State::Prepare);
    let mut a = at(Role::Initiator, State::Prepare);
    let error = a.handle_message(T0, prepare_ack(vec![offer(9, 1)], false)).unwrap_err();
    assert!(matches!(error, SessionError::Breach { message: "PrepareAck", .. }), "{error}");
}

#[test]
fn offers_before_prepare_are_a_breach() {
    let [mut a, _] = ready();
    a.handle_message(T0, prepare_ack(vec![], false)).unwrap_err();
    assert_eq!(a.state(), State::Failed);
}

/// A peer can neither page for ever nor go on after its last page.
#[test]
fn pages_end() {
    let mut b = at(Role::Follower, State::Prepare);
    let page = |index| {
        let Message::Prepare(page) = prepare(vec![request(index)], vec![]) else { unreachable!() };
        Message::Prepare(PrepareV1 { more: true, ..page })
    };
    let refused = (0..).find(|index| b.handle_message(T0, page(*index)).is_err());
    assert_eq!(refused, Some(64));

    let mut b = at(Role::Follower, State::Prepare);
    b.handle_message(T0, prepare(vec![request(1)], vec![])).unwrap();
    b.handle_message(T0, prepare(vec![request(1)], vec![])).unwrap_err();

    let mut b = at(Role::Follower, State::Prepare);
    let Message::Prepare(nothing) = prepare(vec![], vec![]) else { unreachable!() };
    b.handle_message(T0, Message::Prepare(PrepareV1 { more: true, ..nothing })).unwrap_err();
}

/// Section 1.6: asking for content in a preview is an error.
#[test]
fn a_fetch_in_a_preview_is_a_breach() {
    let mut b = Session::follow(T0, Config::default(), id(Role::Follower));
    let mut init = init();
    init.preview = Preview::On;
    b.handle_message(T0, Message::Init(init)).unwrap();
    b.accept(T0, ack(8)).unwrap();
    b.handle_message(T0, prepare(vec![request(1)], vec![])).unwrap();
    b.answer(T0, vec![offer(1, 1)], vec![], vec![]).unwrap();
    assert_eq!(b.state(), State::Complete, "it has nothing left to do");
    assert!(b.list(T0, OfferId(1), Default::default(), 1).is_err());
    b.handle_message(T0, fetch(1, 1)).unwrap_err();
    let (messages, _) = drain(&mut b);
    assert_eq!(names(&messages), ["InitAck", "PrepareAck", "Complete", "Abort"]);
}

/// An offer is matched to its requests by the shard, a refusal by shard and selector.
#[test]
fn several_requests_of_one_shard_may_have_several_selectors() {
    let [mut a, mut b] = ready();
    let part = |start: &str, end: &str| RequestV1 {
        shard: shard(1),
        selector: Selector::Keys {
            start: Some(EntryKey::new(start).unwrap()),
            end: Some(EntryKey::new(end).unwrap()),
        },
    };
    a.prepare(T0, vec![part("a", "m"), part("m", "z")], vec![]).unwrap();
    carry(&mut a, &mut b);
    let RequestV1 { shard, selector } = part("m", "z");
    let refused = RefusalV1 { shard, selector, code: Code::Denied, reason: Text::default() };
    b.answer(T0, vec![offer(1, 1)], vec![refused], vec![]).unwrap();
    carry(&mut b, &mut a);
    assert_eq!((a.state(), b.state()), (State::Stream, State::Stream));
}
