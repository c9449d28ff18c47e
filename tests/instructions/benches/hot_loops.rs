//! The loops that run per record, per entry or per message, without any I/O: how many instructions
//! they take. `counts.json` has what they took last, and `cargo xtask instructions` compares.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gungraun::prelude::*;
use peerstream_recovery::{Action, Admitted, Config, Job, PageIn, Recovery};
use peerstream_session::{Event, Session};
use peerstream_snapshot::{ManifestHasher, VerifiedChunk};
use peerstream_types::{
    ByteCount, ChunkIndex, ChunkSize, ClusterName, Codec, DatasetName, Digest, Entry, EntryCounts, EntryKey,
    EntryKind, Incarnation, ManifestHeader, NodeId, OfferId, Operation, Ordinal, PlanId, Role, Selector,
    SessionId, ShardId, Span, Timestamp,
};
use peerstream_wire::frame::{self, FrameDecoder};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::message::{InitAckV1, InitV1, OfferV1, PeerLimits, Preview, ReceivedV1, RequestV1};
use peerstream_wire::{
    Extensions, Features, InventoryPage, Message, Minor, RecordHeader, RecordStatus, Text,
};

/// Records, entries and chunks of a run.
const MANY: u64 = 1_000;
/// Spans of one message.
const SPANS: u64 = 256;
/// Bytes of a small entry: one block of the hash, so that what surrounds it is what counts.
const SMALL: usize = 64;

fn entries(count: u64) -> Vec<Arc<Entry>> {
    let entry = |i: u64| {
        let content = content(i);
        Arc::new(Entry {
            ordinal: Ordinal(i),
            key: EntryKey::from_path(&format!("{:04}/{:06}.rec", i / 1_000, i)).unwrap(),
            len: content.len() as u64,
            digest: Some(Digest::Blake3(*blake3::hash(&content).as_bytes())),
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: Vec::new(),
        })
    };
    (0..count).map(entry).collect()
}

fn content(i: u64) -> Bytes {
    Bytes::from(i.to_le_bytes().repeat(SMALL / 8))
}

fn header(entries: u64) -> ManifestHeader {
    ManifestHeader {
        chunk_size: ChunkSize::DEFAULT,
        counts: EntryCounts { entries, bytes: entries * SMALL as u64 },
        digest: Some(Digest::Blake3([9; 32])),
        position: None,
        state: Vec::new(),
    }
}

fn shard() -> ShardId {
    ShardId::new(DatasetName::new("metrics").unwrap(), 1, 0)
}

/// Runs of one entry each, with gaps between them, so that nothing can be joined.
fn scattered(first: u64) -> Vec<Span> {
    (0..SPANS).map(|i| Span::entry(Ordinal(first + 2 * i))).collect()
}

#[library_benchmark]
fn record_headers() -> u64 {
    let mut bytes = 0;
    for i in 0..MANY {
        let status = RecordStatus::Content(Codec::Plain);
        let record = RecordHeader { ordinal: Ordinal(i), offset: 0, len: SMALL as u32, status };
        let decoded = RecordHeader::decode(&black_box(record.encode())).unwrap();
        bytes += u64::from(decoded.len);
    }
    bytes
}

fn received_message() -> Message {
    Message::Received(ReceivedV1 { offer: OfferId(1), spans: scattered(0).try_into().unwrap() })
}

#[library_benchmark]
#[bench::received(received_message())]
fn control_frame(message: Message) -> Message {
    let mut buffer = BytesMut::new();
    frame::encode(&message, &mut buffer).unwrap();
    let mut decoder = FrameDecoder::<Message>::new();
    decoder.push(&black_box(buffer));
    decoder.next_frame().unwrap().unwrap()
}

fn page() -> InventoryPage {
    let entries: Vec<Entry> = entries(MANY).iter().map(|entry| Entry::clone(entry)).collect();
    let entries = entries.try_into().unwrap();
    InventoryPage::V1(InventoryPageV1 { entries, next: None, sealed: Some(header(MANY)) })
}

#[library_benchmark]
#[bench::small_entries(page())]
fn inventory_page(page: InventoryPage) -> InventoryPage {
    let mut buffer = BytesMut::new();
    frame::encode(&page, &mut buffer).unwrap();
    let mut decoder = FrameDecoder::<InventoryPage>::new();
    decoder.push(&black_box(buffer));
    decoder.next_frame().unwrap().unwrap()
}

/// A job that has an offer and waits for the only page of its manifest.
fn job_before_its_page() -> (Recovery, Vec<Action>, Vec<Arc<Entry>>) {
    let job = Job::new(shard(), Selector::All, vec![NodeId::new("donor").unwrap()]);
    let mut recovery = Recovery::new(Timestamp::ZERO, Config::default(), job).unwrap();
    let mut waiting = Vec::new();
    while let Some(action) = recovery.poll_action() {
        match action {
            Action::Open { source, .. } => {
                recovery.handle_offer(Timestamp::ZERO, source, header(MANY)).unwrap();
            }
            Action::List { .. } => waiting.push(action),
            _ => {}
        }
    }
    (recovery, waiting, entries(MANY))
}

// From the page to the publish: what to fetch is cut, and every entry is reported as stored.
#[library_benchmark]
#[bench::small_entries(job_before_its_page())]
fn recovery(job: (Recovery, Vec<Action>, Vec<Arc<Entry>>)) -> Recovery {
    let (mut recovery, waiting, entries) = job;
    let now = Timestamp::ZERO;
    let mut next = waiting.into_iter();
    while let Some(action) = next.next().or_else(|| recovery.poll_action()) {
        match action {
            Action::List { source, .. } => {
                let page = PageIn::last(entries.clone(), header(MANY));
                recovery.handle_page(now, source, page).unwrap();
            }
            Action::Admit { .. } => recovery.handle_admitted(now, Admitted::default()).unwrap(),
            Action::Fetch { fetch, spans, .. } => {
                for entry in spans.iter().flat_map(|span| ordinals(*span)) {
                    recovery.handle_stored(now, fetch, Span::entry(entry)).unwrap();
                }
                recovery.handle_fetch_ended(now, fetch).unwrap();
            }
            Action::Seal { .. } => recovery.handle_sealed(now, Ok(())).unwrap(),
            Action::Publish => recovery.handle_published(now, Ok(1)).unwrap(),
            _ => {}
        }
    }
    assert_eq!(recovery.stats().stored_bytes, MANY * SMALL as u64, "the whole loop has to run");
    recovery
}

fn ordinals(span: Span) -> impl Iterator<Item = Ordinal> {
    let (first, count) = match span {
        Span::Entries { first, count } => (first.0, u64::from(count)),
        Span::Chunks { ordinal, .. } => (ordinal.0, 1),
    };
    (first..first + count).map(Ordinal)
}

/// Two sessions, of which the first has an offer of the second.
fn sessions() -> (Session, Session) {
    let (now, plan) = (Timestamp::ZERO, PlanId::from_parts(1, 2));
    let id = |peer, role| SessionId { plan, peer: NodeId::new(peer).unwrap(), index: 0, role };
    let init = InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan,
        index: 0,
        operation: Operation::Bootstrap,
        preview: Preview::Off,
        cluster: ClusterName::new("bench").unwrap(),
        incarnation: Incarnation(1),
        trace: Text::default(),
        extensions: Extensions::default(),
    };
    let ack = InitAckV1 {
        minor: Minor::NEWEST,
        features: Features::OURS,
        incarnation: Incarnation(1),
        limits: PeerLimits { requests: 64, bytes: 1 << 25 },
        extensions: Extensions::default(),
    };
    let config = peerstream_session::Config::default();
    let mut receiver = Session::initiate(now, config.clone(), id("donor", Role::Initiator), init);
    let mut source = Session::follow(now, config, id("replica", Role::Follower));
    let mut offered = false;
    while !offered {
        exchange(&mut receiver, &mut source);
        while let Some(event) = source.poll_event() {
            match event {
                Event::Init(_) => source.accept(now, ack.clone()).unwrap(),
                Event::Prepared { .. } => source.answer(now, vec![offer()], vec![], vec![]).unwrap(),
                _ => {}
            }
        }
        while let Some(event) = receiver.poll_event() {
            match event {
                Event::Accepted(_) => {
                    let wanted = RequestV1 { shard: shard(), selector: Selector::All };
                    receiver.prepare(now, vec![wanted], vec![]).unwrap();
                }
                Event::Offered { .. } => offered = true,
                _ => {}
            }
        }
    }
    (receiver, source)
}

fn offer() -> OfferV1 {
    OfferV1 { offer: OfferId(1), shard: shard(), selector: Selector::All, header: header(1 << 20) }
}

fn exchange(one: &mut Session, other: &mut Session) {
    while let Some(message) = one.poll_transmit() {
        other.handle_message(Timestamp::ZERO, message).unwrap();
    }
    while let Some(message) = other.poll_transmit() {
        one.handle_message(Timestamp::ZERO, message).unwrap();
    }
}

// One end acknowledges scattered entries in 16 messages, the other takes them.
#[library_benchmark]
#[bench::scattered(sessions())]
fn session_received(pair: (Session, Session)) -> (Session, Session) {
    let (mut receiver, mut source) = pair;
    for i in 0..16 {
        let spans = scattered(2 * SPANS * i);
        receiver.received(Timestamp::ZERO, OfferId(1), spans, ByteCount(SPANS)).unwrap();
        exchange(&mut receiver, &mut source);
        while black_box(source.poll_event()).is_some() {}
    }
    (receiver, source)
}

fn entries_with_content() -> Vec<(Arc<Entry>, Bytes)> {
    entries(MANY).into_iter().map(|entry| (entry.clone(), content(entry.ordinal.0))).collect()
}

#[library_benchmark]
#[bench::small_entries(entries_with_content())]
fn verified_chunk(entries: Vec<(Arc<Entry>, Bytes)>) -> usize {
    let check = |(entry, bytes): (Arc<Entry>, Bytes)| {
        VerifiedChunk::check(&entry, ChunkSize::DEFAULT, None, ChunkIndex(0), bytes).unwrap().bytes().len()
    };
    entries.into_iter().map(check).sum()
}

#[library_benchmark]
#[bench::small_entries(entries(MANY))]
fn manifest_hasher(entries: Vec<Arc<Entry>>) -> Digest {
    let mut hasher = ManifestHasher::new();
    entries.iter().for_each(|entry| hasher.entry(entry));
    hasher.seal(&header(MANY))
}

library_benchmark_group!(
    name = hot_loops,
    benchmarks = [
        record_headers,
        control_frame,
        inventory_page,
        recovery,
        session_received,
        verified_chunk,
        manifest_hasher,
    ]
);
main!(library_benchmark_groups = hot_loops);
