//! A receiver that asks for what it should not.

use peerstream_engine::EngineConfig;
use peerstream_engine::transport::access::AccessRules;
use peerstream_engine::transport::{RecvStreamExt, Verb};
use peerstream_engine::types::{
    ByteCount, ChunkIndex, ChunkRange, EntryKey, FetchId, OfferId, Ordinal, PageToken, ShardId, Span,
};
use peerstream_wire::message::{
    FetchFailedV1, FetchV1, InventoryRequestV1, OutlineRequestV1, ReleaseReason, ReleaseV1, RunRequestV1,
    TreeRequestV1,
};
use peerstream_wire::{Bounded, Code, Extensions, InventoryRun, Message, StreamKind, TreeNodes, frame};

use tokio::time::Instant;

use crate::raw::{CHUNK, Receiver, World, fill, records, settle, shard, take_data, within};

const BIG: Ordinal = Ordinal(1);

impl Receiver {
    fn offer(&self) -> OfferId {
        self.offers[0].offer
    }

    pub(crate) async fn list(&mut self, request: u64) {
        let (request, offer, token) = (FetchId(request), self.offer(), PageToken::START);
        let ask = InventoryRequestV1 { request, offer, token, pages: 1 };
        self.control.say(&Message::InventoryRequest(ask)).await;
    }

    async fn outline(&mut self, request: u64, ordinal: Ordinal, range: ChunkRange) {
        self.outline_of(request, ordinal, 0, range).await;
    }

    pub(crate) async fn outline_of(&mut self, request: u64, ordinal: Ordinal, level: u8, range: ChunkRange) {
        let (request, offer) = (FetchId(request), self.offer());
        let ask = OutlineRequestV1 { request, offer, ordinal, level, range };
        self.control.say(&Message::OutlineRequest(ask)).await;
    }

    async fn tree(&mut self, request: u64, level: Option<u8>) {
        let (request, offer) = (FetchId(request), self.offer());
        let ask = TreeRequestV1 { request, offer, level, start: None, end: None };
        self.control.say(&Message::TreeRequest(ask)).await;
    }

    async fn run(&mut self, request: u64, first: u64, count: u32) {
        let (request, offer, first) = (FetchId(request), self.offer(), Ordinal(first));
        self.control.say(&Message::RunRequest(RunRequestV1 { request, offer, first, count })).await;
    }

    async fn fetch(&mut self, request: u64, offer: OfferId, spans: Vec<Span>) {
        let (request, spans) = (FetchId(request), spans.try_into().unwrap());
        let fetch = FetchV1 { request, offer, spans, attempt: 1, extensions: Extensions::default() };
        self.control.say(&Message::Fetch(fetch)).await;
    }

    async fn release(&mut self, offer: OfferId) {
        let release = ReleaseV1 { offer, spans: Bounded::new(), reason: ReleaseReason::GivenUp };
        self.control.say(&Message::Release(release)).await;
    }

    /// The refusal that has to come for a request.
    pub(crate) async fn failed(&mut self, request: u64) -> FetchFailedV1 {
        let message = self.control.heard().await;
        let Message::FetchFailed(failed) = message else { panic!("{message:?}") };
        assert_eq!((failed.request.0, failed.spans.len()), (request, 0));
        failed
    }
}

fn chunks(first: u64, count: u32) -> Span {
    Span::Chunks { ordinal: BIG, range: ChunkRange { first: ChunkIndex(first), count } }
}

fn entries(first: u64, count: u32) -> Span {
    Span::Entries { first: Ordinal(first), count }
}

async fn serving(config: EngineConfig, shards: Vec<ShardId>) -> (World, Receiver) {
    let world = World::with(config);
    shards.iter().for_each(|shard| fill(&world.store, shard));
    let receiver = world.receiver(shards).await;
    assert!(receiver.refused.is_empty(), "{:?}", receiver.refused);
    (world, receiver)
}

fn one() -> Vec<ShardId> {
    vec![shard(0)]
}

/// P-28: no more requests may be under way than the peer was told; those beyond are answered with Busy.
#[tokio::test(start_paused = true)]
async fn requests_beyond_the_limit_are_busy() {
    within(async {
        let mut config = EngineConfig { serves_in_parallel: 1, ..EngineConfig::default() };
        config.session.requests_served_max = 2;
        let world = World::with(config);
        // More than the window of a stream: the first answer waits for its reader.
        world.store.put(&shard(0), EntryKey::from_path("large").unwrap(), vec![5; 1 << 20], Vec::new());
        let mut session = world.receiver(one()).await;
        let offer = session.offer();
        for request in 1..=3 {
            session.fetch(request, offer, vec![entries(0, 1)]).await;
        }
        assert_eq!(session.failed(3).await.code, Code::Busy);
        // Once an answer is taken, there is room again.
        for request in [1, 2] {
            assert_eq!(take_data(&session.bulk).await.1.request.0, request);
        }
        settle().await;
        session.fetch(4, offer, vec![entries(0, 1)]).await;
        assert_eq!(take_data(&session.bulk).await.1.request.0, 4);
    })
    .await;
}

/// P-12: a request for more bytes than the peer may have under way is refused before anything is read,
/// also if it names the same chunk again and again.
#[tokio::test(start_paused = true)]
async fn a_greedy_request_is_refused() {
    within(async {
        let limit = ByteCount(4 * CHUNK as u64);
        let config = EngineConfig { peer_bytes_in_flight: limit, ..EngineConfig::default() };
        let (_world, mut session) = serving(config, one()).await;
        let offer = session.offer();
        for (request, spans) in [(1, vec![entries(0, 3)]), (2, vec![chunks(0, 1); 1024])] {
            session.fetch(request, offer, spans).await;
            let no = session.failed(request).await;
            assert_eq!(no.code, Code::BadRequest);
            assert!(no.reason.as_str().contains("4096 bytes"), "{no:?}");
        }
        session.fetch(3, offer, vec![chunks(0, 3)]).await;
        assert_eq!(records(&take_data(&session.bulk).await.2).len(), 3);
    })
    .await;
}

/// Row A13, P-29: entries and chunks that the manifest does not have are refused with BadRequest, as a whole.
#[tokio::test(start_paused = true)]
async fn what_the_manifest_does_not_have_is_refused() {
    within(async {
        let (_world, mut session) = serving(EngineConfig::default(), one()).await;
        let offer = session.offer();
        let bad = [entries(3, 1), entries(0, 4), entries(0, u32::MAX), chunks(5, 1), chunks(4, 2)];
        for (request, span) in (1..).zip(bad) {
            session.fetch(request, offer, vec![entries(0, 1), span]).await;
            assert_eq!(session.failed(request).await.code, Code::BadRequest, "{span}");
        }
        session.outline(20, BIG, ChunkRange { first: ChunkIndex(1), count: 5 }).await;
        assert_eq!(session.failed(20).await.code, Code::BadRequest);
        session.outline(21, Ordinal(u64::MAX), ChunkRange::one(ChunkIndex(0))).await;
        assert_eq!(session.failed(21).await.code, Code::BadRequest);
    })
    .await;
}

/// Row A13, P-14: a request for nothing is no message: it ends its session, and the peer is told.
#[tokio::test(start_paused = true)]
async fn a_request_for_nothing_ends_the_session() {
    within(async {
        for spans in [vec![], vec![entries(0, 0)], vec![entries(u64::MAX, 2)], vec![chunks(u64::MAX, 1)]] {
            let (_world, mut session) = serving(EngineConfig::default(), one()).await;
            let offer = session.offer();
            session.fetch(1, offer, spans).await;
            let Message::Abort(abort) = session.control.heard().await else { panic!("not told") };
            assert_eq!(abort.code, Code::Protocol);
        }
    })
    .await;
}

/// Row A17: a peer that takes nothing of what it asked for is given up, and its place is free for others.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_is_given_up() {
    within(async {
        let config = EngineConfig { serves_in_parallel: 1, ..EngineConfig::default() };
        let world = World::with(config.clone());
        // More than the transport takes for a stream that nobody reads.
        let content = vec![7; 1 << 20];
        world.store.put(&shard(0), EntryKey::from_path("huge").unwrap(), content, Vec::new());
        let mut receiver = world.receiver(vec![shard(0)]).await;
        let (offer, asked) = (receiver.offer(), Instant::now());
        receiver.fetch(1, offer, vec![entries(0, 1)]).await;
        receiver.list(2).await;
        let failed = receiver.failed(1).await;
        assert_eq!((failed.code, asked.elapsed()), (Code::TimedOut, config.serve_timeout));
        let mut abandoned = receiver.bulk.accept_uni().await.unwrap();
        while let Ok(Some(_)) = abandoned.read(1 << 20).await {}
        let (_, header, _) = take_data(&receiver.bulk).await;
        assert_eq!(header.request, FetchId(2), "the next one is answered");
    })
    .await;
}

/// Row F-35: spans that overlap are served as they were asked for, each record in its place.
#[tokio::test(start_paused = true)]
async fn overlapping_spans_are_served_as_asked() {
    within(async {
        let (_world, mut session) = serving(EngineConfig::default(), one()).await;
        let offer = session.offer();
        session.fetch(1, offer, vec![chunks(1, 2), chunks(2, 2), entries(1, 1)]).await;
        let (_, header, body) = take_data(&session.bulk).await;
        assert_eq!(header.request.0, 1);
        let offsets = records(&body).into_iter().map(|(header, _)| header.offset / CHUNK as u64);
        assert_eq!(offsets.collect::<Vec<_>>(), [1, 2, 2, 3, 0, 1, 2, 3, 4]);
    })
    .await;
}

/// Rows C13 and C20, P-28, P-31: offers that were released or never made, and ids that were used, are refused.
#[tokio::test(start_paused = true)]
async fn a_request_after_release_is_refused() {
    within(async {
        let (_world, mut session) = serving(EngineConfig::default(), vec![shard(0), shard(1)]).await;
        let (first, second) = (session.offers[0].offer, session.offers[1].offer);
        session.release(first).await;
        session.fetch(1, first, vec![entries(0, 1)]).await;
        assert_eq!(session.failed(1).await.code, Code::NotFound);
        session.fetch(2, OfferId(99), vec![entries(0, 1)]).await;
        assert_eq!(session.failed(2).await.code, Code::NotFound);
        session.fetch(2, second, vec![entries(0, 1)]).await;
        assert_eq!(session.failed(2).await.code, Code::BadRequest);
        session.fetch(3, second, vec![entries(0, 1)]).await;
        assert_eq!(take_data(&session.bulk).await.1.request.0, 3, "the other offer is served");
    })
    .await;
}

/// Row F-59, P-42: a dataset that no rule allows is refused in PrepareAck, whether it is here or not.
#[tokio::test(start_paused = true)]
async fn a_dataset_without_a_rule_is_refused() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        world.access.replace(AccessRules::deny_all());
        let wanted = vec![shard(0), shard(9), "traces@1/0".parse().unwrap()];
        let mut session = world.receiver(wanted).await;
        assert!(session.offers.is_empty());
        let codes: Vec<Code> = session.refused.iter().map(|no| no.code).collect();
        assert_eq!(codes, [Code::Denied; 3], "nothing was looked up for it");
        assert!(session.refused[0].reason.as_str().contains("raw.demo.internal"));
        let last = session.control.heard().await;
        assert!(matches!(last, Message::Complete(_)), "nothing is left to move: {last:?}");
    })
    .await;
}

/// Rows F-59, P-42, P-48: a rule that is taken away between Prepare and a request counts for that request.
#[tokio::test(start_paused = true)]
async fn a_rule_that_is_taken_away_denies_the_next_request() {
    within(async {
        let (world, mut session) = serving(EngineConfig::default(), one()).await;
        let offer = session.offer();
        session.fetch(1, offer, vec![entries(0, 1)]).await;
        take_data(&session.bulk).await;
        world.access.replace(AccessRules::deny_all());
        session.fetch(2, offer, vec![entries(0, 1)]).await;
        assert_eq!(session.failed(2).await.code, Code::Denied);
        session.list(3).await;
        assert_eq!(session.failed(3).await.code, Code::Denied);
        session.outline(4, BIG, ChunkRange { first: ChunkIndex(0), count: 5 }).await;
        assert_eq!(session.failed(4).await.code, Code::Denied);
        session.tree(5, None).await;
        assert_eq!(session.failed(5).await.code, Code::Denied);
        session.run(6, 0, 1).await;
        assert_eq!(session.failed(6).await.code, Code::Denied);
    })
    .await;
}

/// Row F-59, P-42: who may list may not fetch for that.
#[tokio::test(start_paused = true)]
async fn a_rule_to_list_is_none_to_fetch() {
    within(async {
        let (world, mut session) = serving(EngineConfig::default(), one()).await;
        let mut rules = AccessRules::members_may_read().rules().to_vec();
        rules.iter_mut().for_each(|rule| rule.verbs = [Verb::List].into());
        world.access.replace(AccessRules::new(rules).unwrap());
        let offer = session.offer();
        session.fetch(1, offer, vec![entries(0, 1)]).await;
        assert_eq!(session.failed(1).await.code, Code::Denied);
        session.list(2).await;
        assert_eq!(take_data(&session.bulk).await.1.request.0, 2);
    })
    .await;
}

/// P-48: any level is answered, also one that the tree does not have; a run ends where the manifest does.
#[tokio::test(start_paused = true)]
async fn nodes_and_runs_are_those_that_there_are() {
    within(async {
        let (_world, mut session) = serving(EngineConfig::default(), one()).await;
        for (request, level, found) in [(1, None, Some(3)), (2, Some(0), Some(3)), (3, Some(255), None)] {
            session.tree(request, level).await;
            let (kind, header, body) = take_data(&session.bulk).await;
            assert_eq!((kind, header.request.0), (StreamKind::Tree.byte(), request));
            let TreeNodes::V1(tree) = frame::decode(&body[4..]).unwrap();
            let nodes = tree.nodes.unwrap();
            assert_eq!(nodes.first().map(|node| node.entries), found, "{level:?}");
        }
        session.run(4, 1, 2).await;
        let (kind, _, body) = take_data(&session.bulk).await;
        assert_eq!(kind, StreamKind::Inventory.byte());
        let InventoryRun::V1(run) = frame::decode(&body[4..]).unwrap();
        let ordinals: Vec<u64> = run.entries.iter().map(|entry| entry.ordinal.0).collect();
        assert_eq!(ordinals, [1, 2]);
        for (request, first, count) in [(5, 1, 3), (6, 3, 1), (7, u64::MAX - 9, 8)] {
            session.run(request, first, count).await;
            assert_eq!(session.failed(request).await.code, Code::BadRequest, "{first} and {count} more");
        }
    })
    .await;
}
