//! Entries of several groups: wrong tops and outlines of groups are found before anything is asked under
//! them, and both levels are served as the rules say.

use std::sync::Arc;

use peerstream_engine::snapshot::{MemoryStore, Source};
use peerstream_engine::types::{ChunkIndex, ChunkRange, EntryKey, GROUP_CHUNKS, Ordinal, Selector, Span};
use peerstream_engine::{BadChunk, PlanEvent, ShardOutcome};
use peerstream_wire::message::OutlineRequestV1;
use peerstream_wire::{Code, Message};

use crate::raw::{CHUNK, Donor, Reply, World, shard, store, take_data, within};

const LARGE: Ordinal = Ordinal(0);
const SMALL: Ordinal = Ordinal(1);
const GROUP: usize = GROUP_CHUNKS as usize;
/// Two groups and a bit.
const CHUNKS: usize = 2 * GROUP + 3;
const TOTAL: usize = CHUNKS * CHUNK - 7 + 100;

/// A shard with an entry of three groups and one of one chunk.
fn content() -> MemoryStore {
    let content = store();
    for (key, len) in [("large", TOTAL - 100), ("small", 100)] {
        let bytes: Vec<u8> = (0..len).map(|i| (i / 251 + i * 31) as u8).collect();
        content.put(&shard(0), EntryKey::from_path(key).unwrap(), bytes, Vec::new());
    }
    content
}

/// Flips a bit of each answer that is picked.
fn forging(picked: fn(&OutlineRequestV1) -> bool) -> impl FnMut(&Message, Vec<Reply>) -> Vec<Reply> + Send {
    move |message, mut honest| {
        if let (Message::OutlineRequest(ask), [Reply::Whole(values)]) = (message, &mut honest[..])
            && picked(ask)
        {
            values[40] ^= 1;
        }
        honest
    }
}

/// The chunks of the large entry that the engine asked for.
fn chunks_asked(donor: &Donor) -> Vec<u64> {
    let fetches = donor.heard().into_iter().filter_map(|message| match message {
        Message::Fetch(fetch) => Some(fetch.spans.into_vec()),
        _ => None,
    });
    let chunks = fetches.flatten().filter_map(|span| match span {
        Span::Chunks { ordinal, range } if ordinal == LARGE => Some(range.iter()),
        Span::Chunks { .. } | Span::Entries { .. } => None,
    });
    chunks.flatten().map(|chunk| chunk.0).collect()
}

fn outlines_asked(donor: &Donor) -> Vec<(u8, ChunkRange)> {
    let asked = |message| match message {
        Message::OutlineRequest(ask) => Some((ask.level, ask.range)),
        _ => None,
    };
    donor.heard().into_iter().filter_map(asked).collect()
}

fn range(first: usize, count: usize) -> ChunkRange {
    ChunkRange { first: ChunkIndex(first as u64), count: u32::try_from(count).unwrap() }
}

/// F-31, P-45: the top, then each group once, then each chunk once; what is published is what was
/// offered.
#[tokio::test(start_paused = true)]
async fn an_entry_of_several_groups_is_brought_up() {
    within(async {
        let (world, content) = (World::new(), content());
        let donor = Donor::start(&world, &content, |_, honest| honest).await;
        let outcome = world.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let got = world.store.open(&shard(0), &Selector::All).await.unwrap().header();
        assert_eq!(got, content.open(&shard(0), &Selector::All).await.unwrap().header());
        let groups = [range(0, GROUP), range(GROUP, GROUP), range(2 * GROUP, 3)];
        let mut asked = outlines_asked(&donor);
        assert_eq!(asked.remove(0), (1, range(0, 3)));
        assert_eq!(asked, groups.map(|group| (0, group)));
        let mut chunks = chunks_asked(&donor);
        chunks.sort_unstable();
        assert!(chunks.into_iter().eq(0..CHUNKS as u64));
        assert_eq!(world.store.stats().chunks_duplicate, 0);
    })
    .await;
}

/// Brings the shard up from a donor that forges; what is missing, what listeners heard, and the donor.
async fn missing(picked: fn(&OutlineRequestV1) -> bool) -> (Vec<BadChunk>, Vec<BadChunk>, World, Arc<Donor>) {
    let world = World::new();
    let donor = Donor::start(&world, &content(), forging(picked)).await;
    let plan = world.bring_up();
    let mut events = plan.events();
    let outcome = plan.await;
    assert!(world.store.published(&shard(0)).is_none());
    let ShardOutcome::Incomplete { bad, count: 1 } = &outcome.shards[0].outcome else {
        panic!("{outcome:?}")
    };
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let PlanEvent::BadChunk { bad, .. } = event {
            told.push(bad);
        }
    }
    (bad.clone(), told, world, donor)
}

/// F-31, P-45: a wrong top costs its entry, before an outline or content is asked for under it.
#[tokio::test(start_paused = true)]
async fn a_wrong_top_is_found_before_anything_is_asked_under_it() {
    within(async {
        let (bad, told, world, donor) = missing(|ask| ask.level == 1).await;
        for bad in bad.iter().chain(&told) {
            let named = (bad.key.to_string(), bad.chunk, bad.peer.to_string());
            assert_eq!(named, ("large".to_owned(), None, "raw".to_owned()));
            assert!(bad.why.contains("its outline does not fit its digest"), "{bad}");
        }
        assert_eq!((bad.len(), told.len()), (1, 2), "each of its attempts is told");
        assert!(outlines_asked(&donor).iter().all(|(level, _)| *level == 1));
        assert_eq!(chunks_asked(&donor), [0; 0]);
        assert_eq!(world.store.stats().bytes_stored, 100, "all else is kept");
    })
    .await;
}

/// F-31, P-45: a wrong outline of a group costs the group, before content is asked for under it.
#[tokio::test(start_paused = true)]
async fn a_wrong_group_is_found_before_its_content_is_asked() {
    within(async {
        let (bad, told, world, donor) =
            missing(|ask| ask.level == 0 && ask.range.first.0 == u64::from(GROUP_CHUNKS)).await;
        for bad in bad.iter().chain(&told) {
            let named = (bad.key.to_string(), bad.chunk, bad.peer.to_string());
            assert_eq!(named, ("large".to_owned(), Some(u64::from(GROUP_CHUNKS)), "raw".to_owned()));
            assert!(bad.why.contains("group 1: its outline does not fit the top"), "{bad}");
        }
        assert_eq!((bad.len(), told.len()), (1, 2));
        let mut chunks = chunks_asked(&donor);
        chunks.sort_unstable();
        assert!(chunks.into_iter().eq((0..GROUP as u64).chain(2 * GROUP as u64..CHUNKS as u64)));
        assert_eq!(world.store.stats().bytes_stored as usize, TOTAL - GROUP * CHUNK, "all else is kept");
    })
    .await;
}

/// F-31: what one source has wrong comes from the next one, and only that.
#[tokio::test(start_paused = true)]
async fn the_next_source_gives_what_the_first_one_forged() {
    type Picked = fn(&OutlineRequestV1) -> bool;
    let lies: [(Picked, usize); 2] = [(|ask| ask.level == 1, 0), (|ask| ask.range.first.0 > 0, GROUP)];
    within(async {
        for (picked, honest_chunks) in lies {
            let content = content();
            let (world, _zealous) = World::beside(peerstream_engine::EngineConfig::default(), &content);
            let donor = Donor::start(&world, &content, forging(picked)).await;
            let outcome = world.bring_up().await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let got = world.store.open(&shard(0), &Selector::All).await.unwrap().header();
            assert_eq!(got, content.open(&shard(0), &Selector::All).await.unwrap().header());
            assert_eq!(chunks_asked(&donor).len(), honest_chunks);
            assert_eq!(world.store.stats().bytes_stored as usize, TOTAL, "nothing came twice");
        }
    })
    .await;
}

/// P-46: any values of either level that the entry has are served; what it does not have is refused.
#[tokio::test(start_paused = true)]
async fn both_levels_are_served_as_asked() {
    within(async {
        let (world, content) = (World::new(), content());
        let snapshot = content.open(&shard(0), &Selector::All).await.unwrap();
        for (key, bytes) in [("large", TOTAL - 100), ("small", 100)] {
            let read = snapshot.read(if key == "large" { LARGE } else { SMALL }, 0, bytes).await.unwrap();
            world.store.put(&shard(0), EntryKey::from_path(key).unwrap(), read, Vec::new());
        }
        let mut session = world.receiver(vec![shard(0)]).await;
        let good = [(1, range(0, 3)), (1, range(2, 1)), (0, range(0, CHUNKS)), (0, range(1000, 1050))];
        for (request, (level, range)) in (1..).zip(good) {
            session.outline_of(request, LARGE, level, range).await;
            let (_, header, body) = take_data(&session.bulk).await;
            let values = snapshot.outline(LARGE, level, range).await.unwrap();
            assert_eq!(header.request.0, request);
            assert!(body.iter().eq(values.iter().flat_map(|value| &value.0)), "level {level}: {range:?}");
        }
        let beyond = [(LARGE, 1, range(0, 4)), (LARGE, 0, range(CHUNKS, 1)), (LARGE, 2, range(0, 1))];
        let absent = [(SMALL, 0, range(0, 1)), (SMALL, 1, range(0, 1)), (LARGE, u8::MAX, range(0, 1))];
        for (request, (ordinal, level, range)) in (20..).zip(beyond.into_iter().chain(absent)) {
            session.outline_of(request, ordinal, level, range).await;
            assert_eq!(session.failed(request).await.code, Code::BadRequest, "level {level}: {range:?}");
        }
    })
    .await;
}
