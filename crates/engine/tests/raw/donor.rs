//! The raw peer as a donor: answers as a source should, unless the test twists an answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::snapshot::{MemoryStore, Snapshot, Source};
use peerstream_engine::transport::{RecvStreamExt, SendStream, SendStreamExt, Transport};
use peerstream_engine::types::{
    ChunkIndex, ChunkRange, Codec, FetchId, Incarnation, OfferId, Role, Selector, Span,
};
use peerstream_wire::data::DataHeaderV1;
use peerstream_wire::hello::{self, WelcomeV1};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::message::{CompleteV1, FetchV1, InitAckV1, InitV1, OfferV1, PeerLimits, PrepareAckV1};
use peerstream_wire::{
    Bounded, Extensions, Features, FrameDecoder, HelloMessage, InventoryPage, Message, Minor, RecordHeader,
    RecordStatus, StreamKind,
};

use super::{CHUNK, Control, Link, World, framed, open_data, shard};

/// Entries per page of an honest inventory.
const PAGE: usize = 2;

/// What the donor does about a message.
pub(crate) enum Reply {
    /// A data stream with these bytes.
    Whole(Vec<u8>),
    /// The same, but the stream stays open and nothing more comes.
    Open(Vec<u8>),
    /// The same bytes again every few seconds, until the stream is stopped.
    Endless(Vec<u8>),
    /// The same as `Whole`, but after the next answer.
    Later(Vec<u8>),
    /// The same as `Whole`, but so much later.
    After(Duration, Vec<u8>),
    /// A data stream that answers another request.
    Stray(FetchId, Vec<u8>),
    /// A control message.
    Say(Message),
    /// All connections are closed.
    HangUp,
}

type Twist = dyn FnMut(&Message, Vec<Reply>) -> Vec<Reply> + Send;

/// A donor that runs. It holds what [`super::fill`] puts into a shard.
pub(crate) struct Donor {
    heard: Mutex<Vec<Message>>,
    snapshot: Arc<dyn Snapshot>,
    twist: Mutex<Box<Twist>>,
    links: Mutex<(Option<Link>, Option<Link>)>,
}

/// The records of a stream, taken apart.
pub(crate) fn records(mut body: &[u8]) -> Vec<(RecordHeader, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some((header, rest)) = body.split_first_chunk() {
        let header = RecordHeader::decode(header).unwrap();
        let (content, rest) = rest.split_at(header.len as usize);
        records.push((header, content.to_vec()));
        body = rest;
    }
    records
}

impl Donor {
    /// Begins to answer the engine. `twist` sees each message and what an honest donor would do.
    pub(crate) async fn start(
        world: &World,
        content: &MemoryStore,
        twist: impl FnMut(&Message, Vec<Reply>) -> Vec<Reply> + Send + 'static,
    ) -> Arc<Self> {
        let donor = Arc::new(Self {
            heard: Mutex::default(),
            snapshot: content.open(&shard(0), &Selector::All).await.unwrap(),
            twist: Mutex::new(Box::new(twist)),
            links: Mutex::default(),
        });
        let (accepting, transport) = (donor.clone(), world.raw.clone());
        tokio::spawn(async move {
            while let Some(link) = transport.accept().await {
                let lane = welcome(&link).await;
                let mut links = accepting.links.lock().unwrap();
                match lane {
                    hello::Lane::Bulk => links.1 = Some(link),
                    hello::Lane::Control => {
                        links.0 = Some(link.clone());
                        tokio::spawn(accepting.clone().take_sessions(link));
                    }
                }
            }
        });
        donor
    }

    /// Every message of the engine so far, of all sessions.
    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    /// What the engine said of the bytes of its last session.
    pub(crate) fn summary(&self) -> CompleteV1 {
        let said = self.heard().into_iter().rev();
        let mut summaries = said.filter_map(|m| if let Message::Complete(c) = m { Some(c) } else { None });
        summaries.next().expect("the engine completed the session")
    }

    async fn take_sessions(self: Arc<Self>, link: Link) {
        while let Ok((send, mut recv)) = link.accept_bi().await {
            let Ok(Some(kind)) = recv.read(1).await else { return };
            assert_eq!(kind[0], StreamKind::Control.byte());
            let control = Control { send, recv, decoder: FrameDecoder::new() };
            tokio::spawn(self.clone().session(control));
        }
    }

    async fn session(self: Arc<Self>, mut control: Control) {
        let mut init: Option<InitV1> = None;
        let mut later: Vec<(FetchId, u8, Vec<u8>)> = Vec::new();
        let mut open = Vec::new();
        while let Ok(Some(message)) = control.hear().await {
            self.heard.lock().unwrap().push(message.clone());
            if let Message::Init(first) = &message {
                init = Some(first.clone());
            }
            let honest = self.honest(&message).await;
            let replies = (self.twist.lock().unwrap())(&message, honest);
            let init = init.as_ref().expect("Init comes first");
            let (request, kind) = asked(&message);
            for reply in replies {
                match reply {
                    Reply::Whole(body) => {
                        self.send(init, request, kind, &body).await;
                        for (request, kind, body) in std::mem::take(&mut later) {
                            self.send(init, request, kind, &body).await;
                        }
                    }
                    Reply::Open(body) => open.push(self.begin(init, request, kind, &body).await),
                    Reply::Endless(body) => {
                        let mut send = self.begin(init, request, kind, &body).await;
                        tokio::spawn(async move {
                            while send.write_all(body.clone().into()).await.is_ok() {
                                tokio::time::sleep(Duration::from_secs(5)).await;
                            }
                        });
                    }
                    Reply::Later(body) => later.push((request, kind, body)),
                    Reply::After(wait, body) => {
                        let (donor, init) = (self.clone(), init.clone());
                        tokio::spawn(async move {
                            tokio::time::sleep(wait).await;
                            donor.send(&init, request, kind, &body).await;
                        });
                    }
                    Reply::Stray(request, body) => self.send(init, request, kind, &body).await,
                    Reply::Say(message) => control.say(&message).await,
                    Reply::HangUp => self.hang_up(),
                }
            }
        }
    }

    fn hang_up(&self) {
        let links = self.links.lock().unwrap();
        [&links.0, &links.1].into_iter().flatten().for_each(|link| link.close(0, "gone"));
    }

    async fn begin(&self, init: &InitV1, request: FetchId, kind: u8, body: &[u8]) -> Box<dyn SendStream> {
        let (plan, index, sender) = (init.plan, init.index, Role::Follower);
        let header = DataHeaderV1 { plan, index, sender, request, extensions: Extensions::default() };
        let bulk = self.links.lock().unwrap().1.clone().expect("the engine dials both lanes first");
        open_data(&bulk, kind, header, body).await
    }

    async fn send(&self, init: &InitV1, request: FetchId, kind: u8, body: &[u8]) {
        let mut send = self.begin(init, request, kind, body).await;
        let _ = send.finish();
    }

    async fn honest(&self, message: &Message) -> Vec<Reply> {
        let extensions = Extensions::default();
        vec![match message {
            Message::Init(_) => Reply::Say(Message::InitAck(InitAckV1 {
                minor: Minor::NEWEST,
                features: Features::OURS,
                incarnation: Incarnation(1),
                limits: PeerLimits { requests: 64, bytes: 1 << 20 },
                extensions,
            })),
            Message::Prepare(prepare) => {
                let header = self.snapshot.header();
                let offers = prepare.requests.iter().map(|request| OfferV1 {
                    offer: OfferId(1),
                    shard: request.shard.clone(),
                    selector: request.selector.clone(),
                    header: header.clone(),
                });
                let offers = offers.collect::<Vec<_>>().try_into().unwrap();
                let (refused_requests, refused_offers) = (Bounded::new(), Bounded::new());
                let ack = PrepareAckV1 { offers, refused_requests, refused_offers, more: false, extensions };
                Reply::Say(Message::PrepareAck(ack))
            }
            Message::InventoryRequest(ask) => {
                // A token that the test made up is answered by the test.
                let Ok(page) = self.snapshot.page(&ask.token, PAGE).await else { return Vec::new() };
                let entries = page.entries.try_into().unwrap();
                let page = InventoryPageV1 { entries, next: page.next, sealed: page.sealed };
                Reply::Whole(framed(&InventoryPage::V1(page)))
            }
            Message::OutlineRequest(ask) => {
                let values = self.snapshot.outline(ask.ordinal, ask.level, ask.range).await.unwrap();
                Reply::Whole(values.into_iter().flat_map(|value| value.0).collect())
            }
            Message::Fetch(fetch) => Reply::Whole(self.content(fetch).await),
            Message::Complete(_) => Reply::Say(Message::Complete(CompleteV1::default())),
            _ => return Vec::new(),
        }]
    }

    async fn content(&self, fetch: &FetchV1) -> Vec<u8> {
        let mut body = Vec::new();
        for span in fetch.spans.iter() {
            let (first, count, part) = match *span {
                Span::Entries { first, count } => (first, count, None),
                Span::Chunks { ordinal, range } => (ordinal, 1, Some(range)),
            };
            for entry in self.snapshot.entries(first, count).await.unwrap() {
                let all = u32::try_from(entry.len.div_ceil(CHUNK as u64)).unwrap();
                let range = part.unwrap_or(ChunkRange { first: ChunkIndex(0), count: all });
                for index in range.iter() {
                    let offset = index.0 * CHUNK as u64;
                    let len = (entry.len - offset).min(CHUNK as u64) as usize;
                    let bytes = self.snapshot.read(entry.ordinal, offset, len).await.unwrap();
                    let (ordinal, status) = (entry.ordinal, RecordStatus::Content(Codec::Plain));
                    let header = RecordHeader { ordinal, offset, len: len as u32, status };
                    body.extend_from_slice(&header.encode());
                    body.extend_from_slice(&bytes);
                }
            }
        }
        body
    }
}

fn asked(message: &Message) -> (FetchId, u8) {
    let (request, kind) = match message {
        Message::InventoryRequest(ask) => (ask.request, StreamKind::Inventory),
        Message::OutlineRequest(ask) => (ask.request, StreamKind::Outline),
        Message::Fetch(fetch) => (fetch.request, StreamKind::Records),
        _ => (FetchId(0), StreamKind::Records),
    };
    (request, kind.byte())
}

/// Takes the engine's greeting.
async fn welcome(link: &Link) -> hello::Lane {
    let (mut send, mut recv) = link.accept_bi().await.unwrap();
    let kind = recv.read(1).await.unwrap().unwrap();
    assert_eq!(kind[0], StreamKind::Hello.byte());
    let mut decoder = FrameDecoder::new();
    let hello = loop {
        decoder.push(&recv.read(4096).await.unwrap().unwrap());
        if let Some(HelloMessage::Hello(hello)) = decoder.next_frame().unwrap() {
            break hello;
        }
    };
    let welcome = HelloMessage::Welcome(WelcomeV1 {
        minor: Minor::NEWEST,
        features: Features::OURS,
        incarnation: Incarnation(1),
        extensions: Extensions::default(),
    });
    send.write_all(Bytes::from(framed(&welcome))).await.unwrap();
    send.finish().unwrap();
    hello.lane
}
