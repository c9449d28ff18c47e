//! Named values of everything that travels; `golden.txt` pins the bytes of each.

use peerstream_types::{
    ChainingValue, ChunkIndex, ChunkRange, ChunkSize, ClusterName, Codec, DatasetName, Digest, Entry,
    EntryCounts, EntryKey, EntryKind, FetchId, Incarnation, ManifestHeader, OfferId, Operation, Ordinal,
    PageToken, PlanId, Position, Role, Selector, ShardId, Span,
};
use peerstream_wire::data::DataHeaderV1;
use peerstream_wire::extension::Extension;
use peerstream_wire::hello::{HelloV1, Lane, UnwelcomeV1, WelcomeV1};
use peerstream_wire::inventory::{InventoryPageV1, InventoryRunV1};
use peerstream_wire::message::{
    AbortV1, CompleteV1, FetchFailedV1, FetchV1, GoAwayV1, HaveV1, InitAckV1, InitV1, InventoryRequestV1,
    KeepAlive, OfferV1, OutlineRequestV1, PeerLimits, PrepareAckV1, PrepareV1, Preview, ReceivedV1,
    RefusalV1, RefuseV1, ReleaseReason, ReleaseV1, RequestV1, RunRequestV1, ThrottleV1, TreeRequestV1,
};
use peerstream_wire::tree::{TreeNodeV1, TreeNodesV1};
use peerstream_wire::{
    Bounded, Code, DataHeader, Extensions, Features, HelloMessage, InventoryPage, InventoryRun, Message,
    Minor, RecordHeader, RecordStatus, Text, TreeNodes,
};

fn list<T: std::fmt::Debug, const N: usize>(items: impl IntoIterator<Item = T>) -> Bounded<T, N> {
    Bounded::try_from(items.into_iter().collect::<Vec<T>>()).unwrap()
}

fn extensions() -> Extensions {
    let one = |tag, value: &[u8]| Extension { tag, value: list(value.iter().copied()) };
    Extensions(list([one(1, b"x"), one(0xfffe, b"")]))
}

fn plan() -> PlanId {
    PlanId::from(0x0192_0000_0000_0000_0000_0000_0000_002a)
}

fn shard() -> ShardId {
    ShardId::new(DatasetName::new("metrics").unwrap(), 3, 17)
}

fn key(text: &str) -> EntryKey {
    EntryKey::from_path(text).unwrap()
}

fn position() -> Position {
    Position { log: "wal".into(), epoch: 7, token: vec![0, 0x80, 0xff] }
}

fn sealed() -> ManifestHeader {
    ManifestHeader {
        chunk_size: ChunkSize::DEFAULT,
        counts: EntryCounts { entries: 3, bytes: 1_000_000 },
        digest: Some(Digest::Blake3([0xab; 32])),
        position: Some(position()),
        state: b"state".to_vec(),
    }
}

fn open() -> ManifestHeader {
    let chunk_size = ChunkSize::new(1024).unwrap();
    ManifestHeader { chunk_size, counts: EntryCounts::default(), digest: None, position: None, state: vec![] }
}

fn entries(first: u64, count: u32) -> Span {
    Span::Entries { first: Ordinal(first), count }
}

fn chunks(ordinal: u64, first: u64, count: u32) -> Span {
    Span::Chunks { ordinal: Ordinal(ordinal), range: ChunkRange { first: ChunkIndex(first), count } }
}

/// Control messages: at least one of every variant.
pub(crate) fn messages() -> Vec<(String, Message)> {
    let mut all = opening();
    all.extend(preparing());
    all.extend(moving());
    all.extend(ending());
    let named = |(case, message): (&str, Message)| (format!("{}/{case}", message.name()), message);
    all.into_iter().map(named).collect()
}

fn init(operation: Operation, preview: Preview, trace: &str, extensions: Extensions) -> Message {
    Message::Init(InitV1 {
        minors: (Minor(0), Minor(300)),
        plan: plan(),
        index: 2,
        operation,
        preview,
        cluster: ClusterName::new("demo.internal").unwrap(),
        incarnation: Incarnation(1_700_000_000),
        trace: Text::cut(trace),
        extensions,
    })
}

fn opening() -> Vec<(&'static str, Message)> {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ack = InitAckV1 {
        minor: Minor(0),
        features: Features(0x8000_0000_0000_0001),
        incarnation: Incarnation(5),
        limits: PeerLimits { requests: 64, bytes: 32 << 20 },
        extensions: extensions(),
    };
    let refuse = RefuseV1 {
        code: Code::Busy,
        reason: Text::cut("8 of 8 sessions"),
        retry_after_ms: 1500,
        extensions: Extensions::default(),
    };
    vec![
        ("plain", init(Operation::Bootstrap, Preview::Off, "", Extensions::default())),
        ("full", init(Operation::Other, Preview::On, trace, extensions())),
        ("full", Message::InitAck(ack)),
        ("busy", Message::Refuse(refuse)),
    ]
}

fn preparing() -> Vec<(&'static str, Message)> {
    let request = |selector| RequestV1 { shard: shard(), selector };
    let offer = |id, selector, header| OfferV1 { offer: OfferId(id), shard: shard(), selector, header };
    let refusal = |code, reason: &str| RefusalV1 {
        shard: shard(),
        selector: Selector::All,
        code,
        reason: Text::cut(reason),
    };
    let selectors = [
        Selector::All,
        Selector::Entries(vec![key("a"), key("b/c")]),
        Selector::Keys { start: Some(key("a")), end: None },
        Selector::Time { start_ms: -1, end_ms: 1_700_000_000_000 },
    ];
    let none =
        PrepareV1 { requests: list([]), offers: list([]), more: false, extensions: Extensions::default() };
    let full = PrepareV1 {
        requests: list(selectors.map(request)),
        offers: list([offer(1, Selector::All, open())]),
        more: true,
        extensions: extensions(),
    };
    let ack = PrepareAckV1 {
        offers: list([offer(9, Selector::All, sealed())]),
        refused_requests: list([refusal(Code::NotFound, "not here")]),
        refused_offers: list([refusal(Code::Denied, "")]),
        more: false,
        extensions: Extensions::default(),
    };
    vec![
        ("empty", Message::Prepare(none)),
        ("full", Message::Prepare(full)),
        ("full", Message::PrepareAck(ack)),
    ]
}

fn moving() -> Vec<(&'static str, Message)> {
    let (request, offer) = (FetchId(300), OfferId(9));
    let token = PageToken::new(b"after b".to_vec()).unwrap();
    let range = ChunkRange { first: ChunkIndex(0), count: 4 };
    let fetch = FetchV1 {
        request,
        offer,
        spans: list([entries(0, 100), chunks(100, u64::from(u32::MAX), 7)]),
        attempt: 1,
        extensions: Extensions::default(),
    };
    let failed = FetchFailedV1 {
        request,
        spans: list([entries(5, 1)]),
        code: Code::Changed,
        reason: Text::cut("vanished"),
    };
    let release = |spans, reason| Message::Release(ReleaseV1 { offer, spans: list(spans), reason });
    let ordinal = Ordinal(7);
    vec![
        (
            "start",
            Message::InventoryRequest(InventoryRequestV1 {
                request,
                offer,
                token: PageToken::START,
                pages: 1,
            }),
        ),
        ("next", Message::InventoryRequest(InventoryRequestV1 { request, offer, token, pages: 8 })),
        ("chunks", Message::OutlineRequest(OutlineRequestV1 { request, offer, ordinal, level: 0, range })),
        ("root", Message::TreeRequest(TreeRequestV1 { request, offer, level: None, start: None, end: None })),
        (
            "leaves",
            Message::TreeRequest(TreeRequestV1 {
                request,
                offer,
                level: Some(0),
                start: Some(key("a")),
                end: Some(key("b")),
            }),
        ),
        ("run", Message::RunRequest(RunRequestV1 { request, offer, first: ordinal, count: 4096 })),
        ("two", Message::Fetch(fetch)),
        ("changed", Message::FetchFailed(failed)),
        ("chunks", Message::Received(ReceivedV1 { offer, spans: list([chunks(1, 2, 3)]) })),
        ("done", release(vec![], ReleaseReason::Done)),
        ("elsewhere", release(vec![entries(1, 1)], ReleaseReason::Elsewhere)),
        ("given-up", release(vec![entries(1, 1)], ReleaseReason::GivenUp)),
        ("entries", Message::Have(HaveV1 { offer, spans: list([entries(0, 3)]) })),
    ]
}

fn ending() -> Vec<(&'static str, Message)> {
    let complete = CompleteV1 {
        bytes_sent: 1,
        bytes_stored: 1 << 40,
        bytes_wasted: u64::MAX,
        extensions: Extensions::default(),
    };
    let abort = AbortV1 {
        code: Code::Aborted,
        reason: Text::cut("operator: grüezi"),
        extensions: Extensions::default(),
    };
    vec![
        ("totals", Message::Complete(complete)),
        ("empty", Message::KeepAlive(KeepAlive::default())),
        ("extended", Message::KeepAlive(KeepAlive { extensions: extensions() })),
        ("less", Message::Throttle(ThrottleV1 { bytes: 65_536, extensions: Extensions::default() })),
        ("drain", Message::GoAway(GoAwayV1 { gone_in_ms: 30_000, extensions: Extensions::default() })),
        ("operator", Message::Abort(abort)),
    ]
}

/// Messages of the Hello stream: one of every variant and lane.
pub(crate) fn hellos() -> Vec<(String, HelloMessage)> {
    let hello = |lane, extensions| {
        HelloMessage::Hello(HelloV1 {
            minors: (Minor(0), Minor(2)),
            features: Features(3),
            incarnation: Incarnation(1_700_000_000),
            lane,
            extensions,
        })
    };
    let welcome = WelcomeV1 {
        minor: Minor(1),
        features: Features(1),
        incarnation: Incarnation(8),
        extensions: Extensions::default(),
    };
    let unwelcome = UnwelcomeV1 { code: Code::Incompatible, reason: Text::cut("speaks 1.4 and newer only") };
    vec![
        ("Hello/control".into(), hello(Lane::Control, Extensions::default())),
        ("Hello/bulk".into(), hello(Lane::Bulk, extensions())),
        ("Welcome/plain".into(), HelloMessage::Welcome(welcome)),
        ("Unwelcome/incompatible".into(), HelloMessage::Unwelcome(unwelcome)),
    ]
}

/// Inventory pages: a middle one with every kind of entry, a last one, an empty one.
pub(crate) fn pages() -> Vec<(String, InventoryPage)> {
    let entry = |ordinal, name: &str, len, digest, kind, metadata: &[u8]| Entry {
        ordinal: Ordinal(ordinal),
        key: key(name),
        len,
        digest,
        kind,
        codec: Codec::Plain,
        metadata: metadata.to_vec(),
    };
    let rows = [
        entry(10, "a", 0, Some(Digest::Blake3([1; 32])), EntryKind::File, b""),
        entry(11, "b/c.sst", 1 << 33, Some(Digest::Sha256([2; 32])), EntryKind::File, b"level=1"),
        entry(12, "d", 300, None, EntryKind::Block, b""),
        entry(13, "e", 0, Some(Digest::Blake3([3; 32])), EntryKind::Tombstone, b""),
    ];
    let next = PageToken::new(b"e".to_vec()).unwrap();
    let page = |entries, next, sealed| InventoryPage::V1(InventoryPageV1 { entries, next, sealed });
    let last = [entry(14, "f", 5, Some(Digest::Blake3([4; 32])), EntryKind::File, b"")];
    vec![
        ("InventoryPage/middle".into(), page(list(rows), Some(next), None)),
        ("InventoryPage/last".into(), page(list(last), None, Some(sealed()))),
        ("InventoryPage/empty".into(), page(list([]), None, Some(sealed()))),
    ]
}

/// Runs of entries: one.
pub(crate) fn runs() -> Vec<(String, InventoryRun)> {
    let (digest, kind) = (Some(Digest::Blake3([1; 32])), EntryKind::File);
    let entry = |ordinal, name: &str| {
        let (key, codec, metadata) = (key(name), Codec::Plain, b"level=1".to_vec());
        Entry { ordinal: Ordinal(ordinal), key, len: 7, digest, kind, codec, metadata }
    };
    let entries = list([entry(10, "a"), entry(11, "b")]);
    vec![("InventoryRun/two".into(), InventoryRun::V1(InventoryRunV1 { entries }))]
}

/// Nodes of digest trees: some, too many, none.
pub(crate) fn trees() -> Vec<(String, TreeNodes)> {
    let node = |first: &str, mutable| TreeNodeV1 {
        first: key(first),
        entries: 300,
        mutable,
        digest: Digest::Blake3([5; 32]),
    };
    let nodes =
        |level, nodes: Option<Vec<TreeNodeV1>>| TreeNodes::V1(TreeNodesV1 { level, nodes: nodes.map(list) });
    vec![
        ("TreeNodes/two".into(), nodes(1, Some(vec![node("a", 0), node("b", 7)]))),
        ("TreeNodes/too-many".into(), nodes(0, None)),
        ("TreeNodes/empty".into(), nodes(0, Some(vec![]))),
    ]
}

/// Headers of data streams: one per role.
pub(crate) fn data_headers() -> Vec<(String, DataHeader)> {
    let header = |sender, request, extensions| {
        DataHeader::V1(DataHeaderV1 { plan: plan(), index: 2, sender, request: FetchId(request), extensions })
    };
    vec![
        ("DataHeader/initiator".into(), header(Role::Initiator, 0, Extensions::default())),
        ("DataHeader/follower".into(), header(Role::Follower, u64::MAX, extensions())),
    ]
}

/// Record headers: content and a failure.
pub(crate) fn records() -> Vec<(String, RecordHeader)> {
    let (ordinal, offset) = (Ordinal(0x0102_0304_0506_0708), 0x1112_1314_1516_1718);
    let content = RecordStatus::Content(Codec::Plain);
    let record = |len, status| RecordHeader { ordinal, offset, len, status };
    vec![
        ("RecordHeader/content".into(), record(0x0021_2223, content)),
        ("RecordHeader/failed".into(), record(9, RecordStatus::Failed(Code::Changed))),
    ]
}

/// A chaining value as it travels on an outline stream: its 32 bytes and nothing else.
pub(crate) fn chaining_value() -> (String, ChainingValue) {
    ("ChainingValue/raw".into(), ChainingValue(std::array::from_fn(|at| at as u8)))
}
