//! Values for tests.

use peerstream_session::{Config, Event, Session, State};
use peerstream_types::{
    ChunkIndex, ChunkRange, ChunkSize, ClusterName, DatasetName, Digest, EntryCounts, FetchId, Incarnation,
    ManifestHeader, NodeId, OfferId, Operation, Ordinal, PageToken, PlanId, Role, Selector, SessionId,
    ShardId, Span, Timestamp,
};
use peerstream_wire::message::{
    AbortV1, CompleteV1, FetchFailedV1, FetchV1, GoAwayV1, HaveV1, InitAckV1, InitV1, InventoryRequestV1,
    KeepAlive, OfferV1, OutlineRequestV1, PeerLimits, PrepareAckV1, PrepareV1, Preview, ReceivedV1,
    RefusalV1, RefuseV1, ReleaseReason, ReleaseV1, RequestV1, RunRequestV1, ThrottleV1, TreeRequestV1,
};
use peerstream_wire::{Bounded, Code, Extensions, Features, Message, Minor, Text};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// The same cases in every run.
pub(crate) fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(41), failure_persistence: None, ..Default::default() }
}

pub(crate) const T0: Timestamp = Timestamp::ZERO;
pub(crate) const PLAN: u128 = 7;
/// Bytes of one entry.
pub(crate) const ENTRY: u64 = 100;

pub(crate) fn id(role: Role) -> SessionId {
    let peer = NodeId::new(if role == Role::Initiator { "node-b" } else { "node-a" }).unwrap();
    SessionId { plan: PlanId::from(PLAN), peer, index: 0, role }
}

pub(crate) fn init() -> InitV1 {
    InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan: PlanId::from(PLAN),
        index: 0,
        operation: Operation::Bootstrap,
        preview: Preview::Off,
        cluster: ClusterName::new("prod").unwrap(),
        incarnation: Incarnation(3),
        trace: Text::default(),
        extensions: Extensions::default(),
    }
}

pub(crate) fn ack(requests: u32) -> InitAckV1 {
    InitAckV1 {
        minor: Minor::NEWEST,
        features: Features::OURS,
        incarnation: Incarnation(4),
        limits: PeerLimits { requests, bytes: 1 << 25 },
        extensions: Extensions::default(),
    }
}

pub(crate) fn shard(index: u32) -> ShardId {
    ShardId::new(DatasetName::new("metrics").unwrap(), 1, index)
}

pub(crate) fn request(index: u32) -> RequestV1 {
    RequestV1 { shard: shard(index), selector: Selector::All }
}

/// An offer of shard `index` with `entries` entries; its id is the shard's index.
pub(crate) fn offer(index: u32, entries: u64) -> OfferV1 {
    let header = ManifestHeader {
        chunk_size: ChunkSize::DEFAULT,
        counts: EntryCounts { entries, bytes: entries * ENTRY },
        digest: Some(Digest::Blake3([9; 32])),
        position: None,
        state: Vec::new(),
    };
    OfferV1 { offer: OfferId(index.into()), shard: shard(index), selector: Selector::All, header }
}

pub(crate) fn refusal(index: u32, code: Code) -> RefusalV1 {
    RefusalV1 { shard: shard(index), selector: Selector::All, code, reason: Text::cut("no") }
}

pub(crate) fn bounded<T, const N: usize>(items: Vec<T>) -> Bounded<T, N> {
    items.try_into().unwrap()
}

pub(crate) fn entries(first: u64, count: u32) -> Span {
    Span::Entries { first: Ordinal(first), count }
}

pub(crate) fn prepare(requests: Vec<RequestV1>, offers: Vec<OfferV1>) -> Message {
    let (requests, offers) = (bounded(requests), bounded(offers));
    Message::Prepare(PrepareV1 { requests, offers, more: false, extensions: Extensions::default() })
}

pub(crate) fn prepare_ack(offers: Vec<OfferV1>, more: bool) -> Message {
    let (refused_requests, refused_offers) = (Bounded::new(), Bounded::new());
    let extensions = Extensions::default();
    let offers = bounded(offers);
    Message::PrepareAck(PrepareAckV1 { offers, refused_requests, refused_offers, more, extensions })
}

pub(crate) fn refuse() -> Message {
    let (reason, extensions) = (Text::cut("come back"), Extensions::default());
    Message::Refuse(RefuseV1 { code: Code::Busy, reason, retry_after_ms: 1500, extensions })
}

pub(crate) fn list(request: u64, offer: u64) -> Message {
    let (request, offer) = (FetchId(request), OfferId(offer));
    Message::InventoryRequest(InventoryRequestV1 { request, offer, token: PageToken::START, pages: 1 })
}

pub(crate) fn tree(request: u64, offer: u64) -> Message {
    let (request, offer) = (FetchId(request), OfferId(offer));
    Message::TreeRequest(TreeRequestV1 { request, offer, level: None, start: None, end: None })
}

pub(crate) fn run(request: u64, offer: u64) -> Message {
    let (request, offer) = (FetchId(request), OfferId(offer));
    Message::RunRequest(RunRequestV1 { request, offer, first: Ordinal(7), count: 3 })
}

pub(crate) fn outline(request: u64, offer: u64) -> Message {
    let (request, offer) = (FetchId(request), OfferId(offer));
    let range = ChunkRange::one(ChunkIndex(0));
    Message::OutlineRequest(OutlineRequestV1 { request, offer, ordinal: Ordinal(0), level: 0, range })
}

pub(crate) fn fetch(request: u64, offer: u64) -> Message {
    let (request, offer, spans) = (FetchId(request), OfferId(offer), bounded(vec![entries(0, 1)]));
    Message::Fetch(FetchV1 { request, offer, spans, attempt: 1, extensions: Extensions::default() })
}

pub(crate) fn fetch_failed(request: u64, spans: Vec<Span>) -> Message {
    let (spans, reason) = (bounded(spans), Text::cut("gone"));
    let request = FetchId(request);
    Message::FetchFailed(FetchFailedV1 { request, spans, code: Code::Changed, reason })
}

pub(crate) fn received(offer: u64, spans: Vec<Span>) -> Message {
    Message::Received(ReceivedV1 { offer: OfferId(offer), spans: bounded(spans) })
}

pub(crate) fn release(offer: u64, spans: Vec<Span>) -> Message {
    let spans = bounded(spans);
    Message::Release(ReleaseV1 { offer: OfferId(offer), spans, reason: ReleaseReason::Done })
}

pub(crate) fn abort(code: Code, reason: &str) -> Message {
    Message::Abort(AbortV1 { code, reason: Text::cut(reason), extensions: Extensions::default() })
}

pub(crate) fn complete() -> Message {
    Message::Complete(CompleteV1::default())
}

pub(crate) fn keep_alive() -> Message {
    Message::KeepAlive(KeepAlive::default())
}

/// One message of each kind, with the variants that the table tells apart. They speak of the offers
/// and requests that [`at`] leaves behind.
pub(crate) fn every_message() -> Vec<(&'static str, Message)> {
    let extensions = Extensions::default;
    let have = HaveV1 { offer: OfferId(1), spans: bounded(vec![entries(0, 1)]) };
    vec![
        ("Init", Message::Init(init())),
        ("Init of another incarnation", Message::Init(InitV1 { incarnation: Incarnation(9), ..init() })),
        ("InitAck", Message::InitAck(ack(8))),
        ("Refuse", refuse()),
        ("Prepare", prepare(vec![request(1)], vec![offer(2, 1)])),
        ("Prepare, empty", prepare(vec![], vec![])),
        ("PrepareAck, more", prepare_ack(vec![offer(1, 1)], true)),
        ("PrepareAck", prepare_ack(vec![offer(1, 1)], false)),
        ("PrepareAck, not asked", prepare_ack(vec![offer(9, 1)], false)),
        ("InventoryRequest", list(1, 1)),
        ("TreeRequest", tree(1, 1)),
        ("RunRequest", run(1, 1)),
        ("OutlineRequest", outline(1, 1)),
        ("Fetch", fetch(1, 1)),
        ("Fetch, no such offer", fetch(1, 77)),
        ("FetchFailed", fetch_failed(1, vec![])),
        ("Received", received(1, vec![entries(0, 1)])),
        ("Release", release(1, vec![])),
        ("Release, a part", release(1, vec![entries(0, 1)])),
        ("Have", Message::Have(have)),
        ("Complete", complete()),
        ("KeepAlive", keep_alive()),
        ("Throttle", Message::Throttle(ThrottleV1 { bytes: 9, extensions: extensions() })),
        ("GoAway", Message::GoAway(GoAwayV1 { gone_in_ms: 5, extensions: extensions() })),
        ("Abort", abort(Code::Aborted, "called off")),
        ("Abort, failure", abort(Code::Full, "disk full")),
    ]
}

pub(crate) fn drain(session: &mut Session) -> (Vec<Message>, Vec<Event>) {
    let messages = std::iter::from_fn(|| session.poll_transmit()).collect();
    (messages, std::iter::from_fn(|| session.poll_event()).collect())
}

pub(crate) fn names(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(Message::name).collect()
}

/// A drained session in a state. In Stream, each end offers shard 1 with two entries to the other, the
/// initiator first; own request 1 is outstanding. Peers are played by hand.
pub(crate) fn at(role: Role, state: State) -> Session {
    let mut session = match role {
        Role::Initiator => initiator_at(state),
        Role::Follower => follower_at(state),
    };
    match state {
        State::Failed => session.handle_disconnect(T0, "cable".into()),
        State::Aborted => session.abort(T0, Code::Aborted, "called off").unwrap(),
        State::Complete | State::Completed => {
            session.release(T0, OfferId(1), ReleaseReason::Done).unwrap();
            session.handle_message(T0, release(1, vec![])).unwrap();
        }
        State::Init | State::Prepare | State::Stream => {}
    }
    if state == State::Completed {
        session.handle_message(T0, complete()).unwrap();
    }
    drain(&mut session);
    assert_eq!(session.state(), state, "{role}");
    session
}

fn initiator_at(state: State) -> Session {
    let mut session = Session::initiate(T0, Config::default(), id(Role::Initiator), init());
    if state == State::Init {
        return session;
    }
    session.handle_message(T0, Message::InitAck(ack(8))).unwrap();
    session.prepare(T0, vec![request(1)], vec![offer(1, 2)]).unwrap();
    if state != State::Prepare {
        session.handle_message(T0, prepare_ack(vec![offer(1, 2)], false)).unwrap();
        session.fetch(T0, OfferId(1), vec![entries(0, 1)], 1).unwrap();
    }
    session
}

fn follower_at(state: State) -> Session {
    let mut session = Session::follow(T0, Config::default(), id(Role::Follower));
    session.handle_message(T0, Message::Init(init())).unwrap();
    if state == State::Init {
        return session;
    }
    session.accept(T0, ack(8)).unwrap();
    if state != State::Prepare {
        session.handle_message(T0, prepare(vec![request(1)], vec![offer(1, 2)])).unwrap();
        session.answer(T0, vec![offer(1, 2)], vec![], vec![]).unwrap();
        session.fetch(T0, OfferId(1), vec![entries(0, 1)], 1).unwrap();
    }
    session
}
