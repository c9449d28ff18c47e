//! The engine and a donor that is honest and far away, beside one that is near.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_engine::snapshot::{MemoryStore, Source};
use peerstream_engine::types::{ByteCount, EntryKey, PageToken, Selector};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::{InventoryPage, Message};
use tokio::time::Instant;

use crate::raw::{CHUNK, Donor, Reply, World, framed, shard, store, within};

const ENTRIES: u64 = 160;
/// Every entry is a chunk and a fetch.
const LEN: usize = CHUNK;
/// Entries of a page: the window of a source.
const PAGE: usize = 8;
/// Requests that the distant donor takes at a time.
const REQUESTS_MAX: u32 = 16;
/// How long it takes over an answer, so that others have the time to do its work, and over a page.
const LATENCY: Duration = Duration::from_secs(3);
const PAGE_TIME: Duration = Duration::from_secs(6);

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount((PAGE * LEN) as u64);
    config.recovery.fetch_bytes = ByteCount(LEN as u64);
    config.recovery.entry_fetch_bytes = ByteCount(LEN as u64);
    config.recovery.join_from = ByteCount(1);
    config.recovery.twice_per_mille = 0;
    config
}

fn content() -> MemoryStore {
    let content = store();
    for index in 0..ENTRIES {
        let bytes: Vec<u8> = index.to_be_bytes().into_iter().cycle().take(LEN).collect();
        let key = EntryKey::from_path(&format!("{index:03}")).unwrap();
        content.put(&shard(0), key, bytes, Vec::new());
    }
    content
}

/// The inventory as a peer is sent it, by where each page begins.
async fn pages(content: &MemoryStore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let snapshot = content.open(&shard(0), &Selector::All).await.unwrap();
    let (mut pages, mut token) = (BTreeMap::new(), Some(PageToken::START));
    while let Some(from) = token {
        let page = snapshot.page(&from, PAGE).await.unwrap();
        let entries = page.entries.try_into().unwrap();
        let sent = InventoryPageV1 { entries, next: page.next.clone(), sealed: page.sealed };
        pages.insert(from.as_bytes().to_vec(), framed(&InventoryPage::V1(sent)));
        token = page.next;
    }
    pages
}

/// A near donor that has nothing to do takes over what a distant one was asked for, at every page. What is
/// given up like that no longer counts against what the distant one allows, though its answers are on their
/// way: it is asked to the end, and nothing is held against it.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_leaves_room_to_ask_for_more() {
    within(async {
        let content = content();
        let (world, _near) = World::beside(config(), &content);
        let pages = pages(&content).await;
        let donor = Donor::start(&world, &content, move |message, honest| {
            let distant = |reply| match (message, reply) {
                (_, Reply::Say(Message::InitAck(mut ack))) => {
                    ack.limits.requests = REQUESTS_MAX;
                    Reply::Say(Message::InitAck(ack))
                }
                (Message::InventoryRequest(ask), _) => {
                    Reply::After(PAGE_TIME, pages[ask.token.as_bytes()].clone())
                }
                (_, Reply::Whole(body)) => Reply::After(LATENCY, body),
                (_, reply) => reply,
            };
            honest.into_iter().map(distant).collect()
        })
        .await;
        let began = Instant::now();
        let mut plan = world.bring_up();
        let outcome = (&mut plan).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let asked = donor.heard().iter().filter(|message| matches!(message, Message::Fetch(_))).count();
        let sources = plan.state().shards[0].sources.clone();
        let given = sources.iter().find(|source| source.peer.as_str() == "raw").unwrap().bytes / LEN as u64;
        assert!(asked as u64 > given + u64::from(REQUESTS_MAX), "{asked} asked of it, {given} given");
        assert_eq!(world.engine.penalties(), []);
        let listing = PAGE_TIME * u32::try_from(ENTRIES).unwrap() / PAGE as u32;
        assert!(began.elapsed() < listing + PAGE_TIME, "{:?}", began.elapsed());
    })
    .await;
}
