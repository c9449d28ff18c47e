//! A peer that speaks the protocol by hand, as honest or as hostile as a test wants it, and the engine
//! that it speaks to.

mod donor;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::placement::{Holder, StaticPlacement};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{MemoryStore, offload::Inline};
use peerstream_engine::transport::access::{AccessRules, SharedAccess};
use peerstream_engine::transport::memory::{MemoryNetwork, MemoryTransport};
use peerstream_engine::transport::{
    BiStream, Connection, Lane, PeerIdentity, RecvStream, RecvStreamExt, SendStream, SendStreamExt,
    StreamError, Target, Transport,
};
use peerstream_engine::types::{
    ChunkSize, ClusterName, EntryKey, FetchId, Incarnation, NodeId, Operation, PlanId, Role, ShardId,
    WallClock,
};
use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, Parts, PlanHandle, StreamPlan};
use peerstream_wire::data::DataHeaderV1;
use peerstream_wire::hello::{self, HelloV1};
use peerstream_wire::message::{InitV1, OfferV1, PrepareV1, Preview, RefusalV1, RequestV1};
use peerstream_wire::{
    Bounded, DataHeader, Extensions, Features, FrameDecoder, HelloMessage, Message, Minor, StreamKind, Text,
};

pub(crate) use donor::{Donor, Reply, records};

pub(crate) type Link = Arc<dyn Connection>;

/// Longest that a test may take, in virtual time: what hangs fails at once.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);
const CLUSTER: &str = "demo.internal";
/// How content is cut in these tests, in bytes.
pub(crate) const CHUNK: usize = 1024;
/// The plan of every session that the raw peer opens.
pub(crate) const PLAN: u128 = 77;

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

/// Runs a test with its deadline.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}

/// Lets everything happen that needs no other input.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// An engine, and a raw peer that it takes for a holder of everything.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) engine: Engine,
    pub(crate) store: MemoryStore,
    pub(crate) access: SharedAccess,
    pub(crate) raw: Arc<MemoryTransport>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    pub(crate) fn with(config: EngineConfig) -> Self {
        Self::between(config, &[("raw", 2)])
    }

    /// The same with these holders of everything, by name and last part of the address.
    fn between(config: EngineConfig, holders: &[(&str, u8)]) -> Self {
        let (network, store) = (MemoryNetwork::new(), store());
        let access = SharedAccess::new(AccessRules::members_may_read());
        let holders = holders.iter().map(|(name, last)| Holder::everything(identity(name).node, addr(*last)));
        let placement = StaticPlacement::new(holders).unwrap();
        let parts = parts(&network, ("engine", 1), &store, placement, access.clone());
        let raw = Arc::new(network.node(identity("raw"), addr(2)));
        Self { engine: Engine::start(config, parts), network, store, access, raw }
    }

    /// An engine that takes the raw peer, and after it another engine, for holders of everything. The
    /// other engine is there as long as it is kept.
    pub(crate) fn beside(config: EngineConfig, content: &MemoryStore) -> (Self, Engine) {
        let world = Self::between(config.clone(), &[("raw", 2), ("zealous", 3)]);
        let nobody = StaticPlacement::new([]).unwrap();
        let parts = parts(&world.network, ("zealous", 3), content, nobody, world.access.clone());
        (world, Engine::start(config, parts))
    }

    /// The engine brings a shard up from the raw peer.
    pub(crate) fn bring_up(&self) -> PlanHandle {
        self.engine.execute(StreamPlan::new(Operation::Bootstrap).request(shard(0))).unwrap()
    }

    /// A greeted connection of the raw peer to the engine.
    pub(crate) async fn link(&self, lane: Lane) -> Link {
        let link = dial(&self.raw).await;
        let answer = greet(&link, hello(lane, 1)).await;
        assert!(matches!(answer, Ok(Some(HelloMessage::Welcome(_)))), "{answer:?}");
        link
    }

    /// A session of the raw peer that offers shards, past Prepare; nothing may be refused.
    pub(crate) async fn pusher(&self, offers: Vec<OfferV1>) -> Control {
        let mut control = self.session(&self.link(Lane::Control).await).await;
        let (requests, offers) = (Bounded::new(), offers.try_into().unwrap());
        let (more, extensions) = (false, Extensions::default());
        control.say(&Message::Prepare(PrepareV1 { requests, offers, more, extensions })).await;
        let Message::PrepareAck(ack) = control.heard().await else { panic!("no answer to Prepare") };
        assert!(ack.refused_offers.is_empty(), "{ack:?}");
        control
    }

    async fn session(&self, link: &Link) -> Control {
        let mut control = Control::open(link, StreamKind::Control.byte(), &Message::Init(init(0))).await;
        assert!(matches!(control.heard().await, Message::InitAck(_)));
        control
    }

    /// A session of the raw peer that wants shards, past Prepare.
    pub(crate) async fn receiver(&self, requests: Vec<ShardId>) -> Receiver {
        let (link, bulk) = (self.link(Lane::Control).await, self.link(Lane::Bulk).await);
        let mut control = self.session(&link).await;
        control.say(&prepare(requests)).await;
        let Message::PrepareAck(ack) = control.heard().await else { panic!("no answer to Prepare") };
        let (offers, refused) = (ack.offers.into_vec(), ack.refused_requests.into_vec());
        Receiver { link, bulk, control, offers, refused }
    }
}

fn addr(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 1).into()
}

/// What an engine is made of.
fn parts(
    network: &MemoryNetwork,
    (name, last): (&str, u8),
    store: &MemoryStore,
    placement: StaticPlacement,
    access: SharedAccess,
) -> Parts {
    let datasets = Datasets::new();
    let both = Dataset {
        source: Some(Arc::new(store.clone())),
        sink: Some(Arc::new(store.clone())),
        ..Dataset::default()
    };
    datasets.insert(shard(0).dataset, both);
    let own = identity(name);
    Parts {
        node: own.node.clone(),
        cluster: own.cluster.clone(),
        incarnation: Incarnation(1),
        transport: Arc::new(network.node(own, addr(last))),
        datasets,
        placement: Arc::new(placement),
        access,
        shaper: Arc::new(PassThrough::default()),
        offload: Arc::new(Inline),
        levels: Default::default(),
        wall_clock: Arc::new(Stopped),
        seed: 7,
    }
}

/// The raw peer as a receiver.
pub(crate) struct Receiver {
    pub(crate) link: Link,
    pub(crate) bulk: Link,
    pub(crate) control: Control,
    pub(crate) offers: Vec<OfferV1>,
    pub(crate) refused: Vec<RefusalV1>,
}

pub(crate) fn identity(node: &str) -> PeerIdentity {
    PeerIdentity { cluster: ClusterName::new(CLUSTER).unwrap(), node: NodeId::new(node).unwrap() }
}

pub(crate) fn shard(index: u32) -> ShardId {
    format!("metrics@1/{index}").parse().unwrap()
}

pub(crate) fn store() -> MemoryStore {
    MemoryStore::with_chunk_size(ChunkSize::new(CHUNK as u64).unwrap())
}

/// Puts `a` (one chunk), `big` (five chunks) and `z` (one chunk) into a shard.
pub(crate) fn fill(store: &MemoryStore, shard: &ShardId) {
    for (key, len) in [("a", 100), ("big", 4 * CHUNK + 300), ("z", 200)] {
        let content: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        store.put(shard, EntryKey::from_path(key).unwrap(), content, Vec::new());
    }
}

pub(crate) fn hello(lane: Lane, incarnation: u64) -> HelloMessage {
    HelloMessage::Hello(HelloV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        features: Features::OURS,
        incarnation: Incarnation(incarnation),
        lane: if lane == Lane::Control { hello::Lane::Control } else { hello::Lane::Bulk },
        extensions: Extensions::default(),
    })
}

pub(crate) fn init(index: u32) -> InitV1 {
    InitV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        plan: PlanId::from(PLAN),
        index,
        operation: Operation::Bootstrap,
        preview: Preview::Off,
        cluster: ClusterName::new(CLUSTER).unwrap(),
        incarnation: Incarnation(1),
        trace: Text::default(),
        extensions: Extensions::default(),
    }
}

pub(crate) fn prepare(shards: Vec<ShardId>) -> Message {
    let requests = shards.into_iter().map(|shard| RequestV1 { shard, selector: Default::default() });
    let requests = requests.collect::<Vec<_>>().try_into().unwrap();
    let (offers, extensions) = (Bounded::new(), Extensions::default());
    Message::Prepare(PrepareV1 { requests, offers, more: false, extensions })
}

/// The header of a data stream for a session that the raw peer opened.
pub(crate) fn data_header(plan: u128, request: u64) -> DataHeaderV1 {
    let (sender, request, extensions) = (Role::Initiator, FetchId(request), Extensions::default());
    DataHeaderV1 { plan: PlanId::from(plan), index: 0, sender, request, extensions }
}

/// A frame whose content nobody checks: what a hostile peer may write.
pub(crate) fn framed<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let body = postcard::to_stdvec(value).unwrap();
    let mut frame = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Dials the engine, without a greeting.
pub(crate) async fn dial(from: &MemoryTransport) -> Link {
    let target = Target { addr: ([10, 0, 0, 1], 1).into(), node: None };
    from.connect(&target, Lane::Control).await.unwrap()
}

/// Sends a greeting and waits for the answer.
pub(crate) async fn greet(link: &Link, hello: HelloMessage) -> Result<Option<HelloMessage>, StreamError> {
    let (_send, mut recv) = open_bi(link, StreamKind::Hello.byte(), &framed(&hello)).await;
    let mut decoder = FrameDecoder::new();
    while let Some(bytes) = recv.read(4096).await? {
        decoder.push(&bytes);
        if let Some(answer) = decoder.next_frame().unwrap() {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// Opens a stream with both directions: its kind, then bytes.
pub(crate) async fn open_bi(link: &Link, kind: u8, bytes: &[u8]) -> BiStream {
    let (mut send, recv) = link.open_bi().await.unwrap();
    send.write_all(Bytes::from([&[kind], bytes].concat())).await.unwrap();
    (send, recv)
}

/// Opens a data stream: its kind, its header, then bytes. A peer that stops it early is no error.
pub(crate) async fn open_data(
    link: &Link,
    kind: u8,
    header: DataHeaderV1,
    body: &[u8],
) -> Box<dyn SendStream> {
    let mut send = link.open_uni().await.unwrap();
    let begin = [&[kind], &framed(&DataHeader::V1(header))[..], body].concat();
    let _ = send.write_all(Bytes::from(begin)).await;
    send
}

/// Takes a data stream to its end: its kind, its header, the rest.
pub(crate) async fn take_data(link: &Link) -> (u8, DataHeaderV1, Bytes) {
    let mut recv = link.accept_uni().await.unwrap();
    let mut all = Vec::new();
    while let Some(bytes) = recv.read(1 << 20).await.unwrap() {
        all.extend_from_slice(&bytes);
    }
    let mut decoder = FrameDecoder::<DataHeader>::new();
    decoder.push(&all[1..]);
    let Some(DataHeader::V1(header)) = decoder.next_frame().unwrap() else { panic!("no header") };
    (all[0], header, decoder.into_rest())
}

/// A control stream.
pub(crate) struct Control {
    send: Box<dyn SendStream>,
    recv: Box<dyn RecvStream>,
    decoder: FrameDecoder<Message>,
}

impl Control {
    pub(crate) async fn open(link: &Link, kind: u8, first: &Message) -> Self {
        let (send, recv) = open_bi(link, kind, &framed(first)).await;
        Self { send, recv, decoder: FrameDecoder::new() }
    }

    pub(crate) async fn say(&mut self, message: &Message) {
        self.write(framed(message)).await;
    }

    pub(crate) async fn write(&mut self, bytes: Vec<u8>) {
        let _ = self.send.write_all(bytes.into()).await;
    }

    /// The next message, or how the stream ended.
    pub(crate) async fn hear(&mut self) -> Result<Option<Message>, StreamError> {
        loop {
            match self.decoder.next_frame().unwrap() {
                Some(Message::KeepAlive(_)) => {}
                Some(message) => return Ok(Some(message)),
                None => match self.recv.read(1 << 16).await? {
                    Some(bytes) => self.decoder.push(&bytes),
                    None => return Ok(None),
                },
            }
        }
    }

    /// The next message, which has to come.
    pub(crate) async fn heard(&mut self) -> Message {
        self.hear().await.expect("the stream is whole").expect("the stream goes on")
    }
}
