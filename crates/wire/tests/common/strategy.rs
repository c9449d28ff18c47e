//! Arbitrary valid values of everything that travels, small and extreme ones mixed. Strategies are
//! boxed where they nest: their types would not fit the stack of a test.

use peerstream_types::{
    ChunkIndex, ChunkRange, ChunkSize, ClusterName, Codec, DatasetName, Digest, Entry, EntryCounts, EntryKey,
    EntryKind, FetchId, Incarnation, ManifestHeader, OfferId, Operation, Ordinal, PageToken, PlanId,
    Position, Role, Selector, ShardId, Span,
};
use peerstream_wire::data::DataHeaderV1;
use peerstream_wire::extension::Extension;
use peerstream_wire::hello::{HelloV1, Lane, UnwelcomeV1, WelcomeV1};
use peerstream_wire::inventory::{InventoryPageV1, InventoryRunV1};
use peerstream_wire::limits::{
    OUTLINE_VALUES_MAX, PAGE_ENTRIES_MAX, REASON_LEN_MAX, RECORD_LEN_MAX, RETRY_AFTER_MS_MAX,
};
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
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// At most so many items of a generated collection: limits have tests of their own.
const FEW: usize = 6;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, any::<u64>(), Just(u64::MAX)]
}

fn few<T: std::fmt::Debug, const N: usize>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Bounded<T, N>> {
    vec(item, 0..=FEW).prop_map(|items| Bounded::try_from(items).unwrap())
}

fn text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    any::<String>().prop_map(|text| Text::cut(&text))
}

fn extensions() -> impl Strategy<Value = Extensions> {
    let one = (any::<u16>(), few(any::<u8>())).prop_map(|(tag, value)| Extension { tag, value });
    prop_oneof![Just(Extensions::default()), few(one).prop_map(Extensions)]
}

fn code() -> impl Strategy<Value = Code> {
    select(Code::ALL.to_vec())
}

fn reason() -> impl Strategy<Value = Text<REASON_LEN_MAX>> {
    text()
}

fn minors() -> impl Strategy<Value = (Minor, Minor)> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| (Minor(a.min(b)), Minor(a.max(b))))
}

fn shard() -> impl Strategy<Value = ShardId> {
    ("[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", number(), any::<u32>())
        .prop_map(|(name, version, index)| ShardId::new(DatasetName::new(name).unwrap(), version, index))
}

fn key() -> impl Strategy<Value = EntryKey> {
    vec(any::<u8>(), 1..40).prop_map(|bytes| EntryKey::new(bytes).unwrap())
}

fn selector() -> BoxedStrategy<Selector> {
    let keys = (key(), key()).prop_filter_map("two keys", |(a, b)| {
        let (start, end) = (Some(a.clone().min(b.clone())), Some(a.clone().max(b.clone())));
        (a != b).then_some(Selector::Keys { start, end })
    });
    prop_oneof![
        Just(Selector::All),
        btree_set(key(), 1..=FEW).prop_map(|keys| Selector::Entries(keys.into_iter().collect())),
        keys,
        of(key()).prop_map(|start| Selector::Keys { start, end: None }),
        (any::<i64>(), 1..i64::MAX).prop_map(|(start_ms, more)| Selector::Time {
            start_ms: start_ms.min(i64::MAX - 1),
            end_ms: start_ms.min(i64::MAX - 1).saturating_add(more),
        }),
    ]
    .boxed()
}

fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![any::<[u8; 32]>().prop_map(Digest::Blake3), any::<[u8; 32]>().prop_map(Digest::Sha256)]
}

fn position() -> impl Strategy<Value = Position> {
    ("[a-z]{0,9}", number(), vec(any::<u8>(), 0..20)).prop_map(|(log, epoch, token)| Position {
        log,
        epoch,
        token,
    })
}

fn chunk_size() -> impl Strategy<Value = ChunkSize> {
    (10..=24u8).prop_map(|log| ChunkSize::try_from(log).unwrap())
}

fn header(digest: impl Strategy<Value = Option<Digest>> + 'static) -> BoxedStrategy<ManifestHeader> {
    let counts = (number(), number()).prop_map(|(entries, bytes)| EntryCounts { entries, bytes });
    (chunk_size(), counts, digest, of(position()), vec(any::<u8>(), 0..50))
        .prop_map(|(chunk_size, counts, digest, position, state)| ManifestHeader {
            chunk_size,
            counts,
            digest,
            position,
            state,
        })
        .boxed()
}

fn range() -> impl Strategy<Value = ChunkRange> {
    (number(), 1..=OUTLINE_VALUES_MAX).prop_map(|(first, count)| ChunkRange {
        first: ChunkIndex(first.min(u64::MAX - u64::from(count))),
        count,
    })
}

fn span() -> BoxedStrategy<Span> {
    prop_oneof![
        (number(), 1..=u32::MAX).prop_map(|(first, count)| Span::Entries {
            first: Ordinal(first.min(u64::MAX - u64::from(count))),
            count,
        }),
        (number(), range()).prop_map(|(ordinal, range)| Span::Chunks { ordinal: Ordinal(ordinal), range }),
    ]
    .boxed()
}

fn request() -> impl Strategy<Value = FetchId> {
    number().prop_map(FetchId)
}

fn offer_id() -> impl Strategy<Value = OfferId> {
    number().prop_map(OfferId)
}

fn init() -> BoxedStrategy<InitV1> {
    let who = ("[a-z0-9]([a-z0-9.]?[a-z0-9])?", number())
        .prop_map(|(name, boot)| (ClusterName::new(name).unwrap(), Incarnation(boot)));
    let what = (select(Operation::ALL.to_vec()), select(vec![Preview::Off, Preview::On]));
    let plan = (any::<u128>().prop_map(PlanId::from), any::<u32>());
    (minors(), plan, what, who, text(), extensions())
        .prop_map(
            |(minors, (plan, index), (operation, preview), (cluster, incarnation), trace, extensions)| {
                InitV1 { minors, plan, index, operation, preview, cluster, incarnation, trace, extensions }
            },
        )
        .boxed()
}

fn init_ack() -> BoxedStrategy<InitAckV1> {
    let limits = (any::<u32>(), number()).prop_map(|(requests, bytes)| PeerLimits { requests, bytes });
    (any::<u16>(), any::<u64>(), number(), limits, extensions())
        .prop_map(|(minor, features, incarnation, limits, extensions)| InitAckV1 {
            minor: Minor(minor),
            features: Features(features),
            incarnation: Incarnation(incarnation),
            limits,
            extensions,
        })
        .boxed()
}

fn refuse() -> BoxedStrategy<RefuseV1> {
    (code(), reason(), 0..=RETRY_AFTER_MS_MAX, extensions())
        .prop_map(|(code, reason, retry_after_ms, extensions)| RefuseV1 {
            code,
            reason,
            retry_after_ms,
            extensions,
        })
        .boxed()
}

fn offer() -> BoxedStrategy<OfferV1> {
    (offer_id(), shard(), selector(), header(of(digest())))
        .prop_map(|(offer, shard, selector, header)| OfferV1 { offer, shard, selector, header })
        .boxed()
}

fn refusal() -> BoxedStrategy<RefusalV1> {
    (shard(), selector(), code(), reason())
        .prop_map(|(shard, selector, code, reason)| RefusalV1 { shard, selector, code, reason })
        .boxed()
}

fn prepare() -> BoxedStrategy<PrepareV1> {
    let request = (shard(), selector()).prop_map(|(shard, selector)| RequestV1 { shard, selector });
    (few(request), few(offer()), any::<bool>(), extensions())
        .prop_map(|(requests, offers, more, extensions)| PrepareV1 { requests, offers, more, extensions })
        .boxed()
}

fn prepare_ack() -> BoxedStrategy<PrepareAckV1> {
    (few(offer()), few(refusal()), few(refusal()), any::<bool>(), extensions())
        .prop_map(|(offers, refused_requests, refused_offers, more, extensions)| PrepareAckV1 {
            offers,
            refused_requests,
            refused_offers,
            more,
            extensions,
        })
        .boxed()
}

fn requests() -> BoxedStrategy<Message> {
    let token = vec(any::<u8>(), 0..60).prop_map(|bytes| PageToken::new(bytes).unwrap());
    let ids = || (request(), offer_id());
    let spans = (span(), few::<Span, { FEW }>(span())).prop_map(|(first, rest)| {
        let all: Vec<Span> = std::iter::once(first).chain(rest).collect();
        Bounded::try_from(all).unwrap()
    });
    prop_oneof![
        (ids(), token, 1..=u32::MAX).prop_map(|((request, offer), token, pages)| {
            Message::InventoryRequest(InventoryRequestV1 { request, offer, token, pages })
        }),
        (ids(), number(), any::<u8>(), range()).prop_map(|((request, offer), ordinal, level, range)| {
            let ordinal = Ordinal(ordinal);
            Message::OutlineRequest(OutlineRequestV1 { request, offer, ordinal, level, range })
        }),
        (ids(), of(any::<u8>()), of(0u8..9), of(10u8..20)).prop_map(
            |((request, offer), level, start, end)| {
                let key = |byte: u8| EntryKey::new([byte]).unwrap();
                let (start, end) = (start.map(key), end.map(key));
                Message::TreeRequest(TreeRequestV1 { request, offer, level, start, end })
            }
        ),
        (ids(), 0..1u64 << 60, 1..=PAGE_ENTRIES_MAX as u32).prop_map(|((request, offer), first, count)| {
            let first = Ordinal(first);
            Message::RunRequest(RunRequestV1 { request, offer, first, count })
        }),
        (ids(), spans, any::<u32>(), extensions()).prop_map(
            |((request, offer), spans, attempt, extensions)| {
                Message::Fetch(FetchV1 { request, offer, spans, attempt, extensions })
            }
        ),
    ]
    .boxed()
}

fn answers() -> BoxedStrategy<Message> {
    let why = select(vec![ReleaseReason::Done, ReleaseReason::Elsewhere, ReleaseReason::GivenUp]);
    prop_oneof![
        (request(), few(span()), code(), reason()).prop_map(|(request, spans, code, reason)| {
            Message::FetchFailed(FetchFailedV1 { request, spans, code, reason })
        }),
        (offer_id(), few(span())).prop_map(|(offer, spans)| Message::Received(ReceivedV1 { offer, spans })),
        (offer_id(), few(span()), why).prop_map(|(offer, spans, reason)| Message::Release(ReleaseV1 {
            offer,
            spans,
            reason
        })),
        (offer_id(), few(span())).prop_map(|(offer, spans)| Message::Have(HaveV1 { offer, spans })),
    ]
    .boxed()
}

fn endings() -> BoxedStrategy<Message> {
    let complete = (number(), number(), number(), extensions()).prop_map(
        |(bytes_sent, bytes_stored, bytes_wasted, extensions)| CompleteV1 {
            bytes_sent,
            bytes_stored,
            bytes_wasted,
            extensions,
        },
    );
    prop_oneof![
        complete.prop_map(Message::Complete),
        extensions().prop_map(|extensions| Message::KeepAlive(KeepAlive { extensions })),
        (number(), extensions())
            .prop_map(|(bytes, extensions)| Message::Throttle(ThrottleV1 { bytes, extensions })),
        (number(), extensions())
            .prop_map(|(gone_in_ms, extensions)| Message::GoAway(GoAwayV1 { gone_in_ms, extensions })),
        (code(), reason(), extensions()).prop_map(|(code, reason, extensions)| Message::Abort(AbortV1 {
            code,
            reason,
            extensions
        })),
    ]
    .boxed()
}

/// Any control message.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => init().prop_map(Message::Init),
        1 => init_ack().prop_map(Message::InitAck),
        1 => refuse().prop_map(Message::Refuse),
        2 => prepare().prop_map(Message::Prepare),
        2 => prepare_ack().prop_map(Message::PrepareAck),
        3 => requests(),
        4 => answers(),
        5 => endings(),
    ]
}

/// Any message of the Hello stream.
pub(crate) fn hello() -> impl Strategy<Value = HelloMessage> {
    let node = || {
        (any::<u64>(), number(), extensions())
            .prop_map(|(features, boot, extensions)| (Features(features), Incarnation(boot), extensions))
    };
    let lane = select(vec![Lane::Control, Lane::Bulk]);
    prop_oneof![
        (minors(), lane, node()).prop_map(|(minors, lane, (features, incarnation, extensions))| {
            HelloMessage::Hello(HelloV1 { minors, features, incarnation, lane, extensions })
        }),
        (any::<u16>(), node()).prop_map(|(minor, (features, incarnation, extensions))| {
            HelloMessage::Welcome(WelcomeV1 { minor: Minor(minor), features, incarnation, extensions })
        }),
        (code(), reason()).prop_map(|(code, reason)| HelloMessage::Unwelcome(UnwelcomeV1 { code, reason })),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = select(vec![EntryKind::File, EntryKind::Block, EntryKind::Tombstone]);
    let body = (number(), of(digest()), kind, vec(any::<u8>(), 0..20));
    (0..=u64::MAX - 10, btree_set(key(), 1..=FEW), vec(body, FEW)).prop_map(|(first, keys, bodies)| {
        let rows = (first..).zip(keys).zip(bodies);
        rows.map(|((ordinal, key), (len, digest, kind, metadata))| Entry {
            ordinal: Ordinal(ordinal),
            key,
            len,
            digest,
            kind,
            codec: Codec::Plain,
            metadata,
        })
        .collect()
    })
}

/// Any inventory page, in the middle or last.
pub(crate) fn page() -> impl Strategy<Value = InventoryPage> {
    let token = vec(any::<u8>(), 0..60).prop_map(|bytes| PageToken::new(bytes).unwrap());
    let sealed = header(digest().prop_map(Some));
    let end = prop_oneof![
        token.prop_map(|token| (Some(token), None)),
        sealed.prop_map(|header| (None, Some(header)))
    ];
    (entries(), end).prop_map(|(entries, (next, sealed))| {
        let entries = Bounded::try_from(entries).unwrap();
        InventoryPage::V1(InventoryPageV1 { entries, next, sealed })
    })
}

/// Any run of entries.
pub(crate) fn run() -> impl Strategy<Value = InventoryRun> {
    entries()
        .prop_filter("a run has entries", |entries| !entries.is_empty())
        .prop_map(|entries| InventoryRun::V1(InventoryRunV1 { entries: Bounded::try_from(entries).unwrap() }))
}

/// Any nodes of a digest tree.
pub(crate) fn tree() -> impl Strategy<Value = TreeNodes> {
    let node = (1..=u64::MAX, any::<u64>(), digest());
    let nodes = btree_map(vec(any::<u8>(), 1..9), node, 0..6).prop_map(|nodes| {
        let node = |(key, (entries, mutable, digest)): (Vec<u8>, (u64, u64, _))| {
            let first = EntryKey::new(key).unwrap();
            TreeNodeV1 { first, entries, mutable: mutable % entries, digest }
        };
        Bounded::try_from(nodes.into_iter().map(node).collect::<Vec<_>>()).unwrap()
    });
    (any::<u8>(), of(nodes)).prop_map(|(level, nodes)| TreeNodes::V1(TreeNodesV1 { level, nodes }))
}

/// Any header of a data stream.
pub(crate) fn data_header() -> impl Strategy<Value = DataHeader> {
    let role = select(vec![Role::Initiator, Role::Follower]);
    (any::<u128>(), any::<u32>(), role, request(), extensions()).prop_map(
        |(plan, index, sender, request, extensions)| {
            DataHeader::V1(DataHeaderV1 { plan: PlanId::from(plan), index, sender, request, extensions })
        },
    )
}

/// Any record header.
pub(crate) fn record() -> impl Strategy<Value = RecordHeader> {
    let status = prop_oneof![
        (0..=RECORD_LEN_MAX).prop_map(|len| (len, RecordStatus::Content(Codec::Plain))),
        (0..=REASON_LEN_MAX as u32, code()).prop_map(|(len, code)| (len, RecordStatus::Failed(code))),
    ];
    (number(), number(), status).prop_map(|(ordinal, offset, (len, status))| RecordHeader {
        ordinal: Ordinal(ordinal),
        offset,
        len,
        status,
    })
}
