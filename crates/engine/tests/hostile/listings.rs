//! Listings over the engine: pages, tokens, and positions that vanish.

use std::sync::{Arc, Mutex};

use peerstream_engine::snapshot::{MemoryStore, Source};
use peerstream_engine::types::{
    Entry, EntryKey, EntryKind, FetchId, OfferId, Ordinal, PageToken, Selector, Span,
};
use peerstream_engine::{EngineConfig, PlanEvent, PlanOutcome, PlanResult};
use peerstream_wire::limits::PAGE_ENTRIES_MAX;
use peerstream_wire::message::{FetchFailedV1, FetchV1, InventoryRequestV1};
use peerstream_wire::{Bounded, Code, Extensions, FrameDecoder, InventoryPage, Message, Text};

use crate::raw::{
    CHUNK, Donor, Receiver, Reply, World, fill, framed, records, settle, shard, store, take_data, within,
};

const TOTAL: u64 = (100 + 4 * CHUNK + 300 + 200) as u64;

fn content() -> MemoryStore {
    let content = store();
    fill(&content, &shard(0));
    content
}

/// How the donor fails the page after the first one.
#[derive(Debug, Clone, Copy)]
enum Failing {
    /// It says this, so many times.
    Says(Code, usize),
    /// It goes away, once.
    HangsUp,
}

/// What a recovery did whose donor failed in the middle of its listing.
struct Run {
    outcome: PlanOutcome,
    /// The tokens that were asked for, in turn; empty for the start.
    tokens: Vec<Vec<u8>>,
    /// Entries that were asked for, in turn.
    asked: Vec<u64>,
    /// Why the donor was left.
    left: Vec<String>,
    stored: u64,
}

/// Brings a shard up, two entries to a page. The next page is asked for when what the one before listed is here.
async fn run(failing: Failing) -> Run {
    let mut config = EngineConfig::default();
    config.recovery.entries_ahead = 1;
    let (world, content) = (World::with(config), content());
    let mut failed = 0;
    let donor = Donor::start(&world, &content, move |message, honest| match (message, failing) {
        (Message::InventoryRequest(ask), _) if ask.token == PageToken::START => honest,
        (Message::InventoryRequest(ask), Failing::Says(code, times)) if failed < times => {
            failed += 1;
            let (request, spans, reason) = (ask.request, Bounded::new(), Text::cut("the position is gone"));
            vec![Reply::Say(Message::FetchFailed(FetchFailedV1 { request, spans, code, reason }))]
        }
        (Message::InventoryRequest(_), Failing::HangsUp) if failed == 0 => {
            failed += 1;
            vec![Reply::HangUp]
        }
        _ => honest,
    })
    .await;
    let plan = world.bring_up();
    let mut events = plan.events();
    let outcome = plan.await;
    settle().await;
    let mut left = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let PlanEvent::SourceLost { reason, .. } = event {
            left.push(reason);
        }
    }
    let (mut tokens, mut asked) = (Vec::new(), Vec::new());
    for message in donor.heard() {
        match message {
            Message::InventoryRequest(ask) => tokens.push(ask.token.as_bytes().to_vec()),
            Message::Fetch(fetch) => asked.extend(fetch.spans.iter().map(|span| span.first_ordinal().0)),
            _ => {}
        }
    }
    if outcome.is_completed() {
        let header = world.store.open(&shard(0), &Selector::All).await.unwrap().header();
        assert_eq!(header, content.open(&shard(0), &Selector::All).await.unwrap().header());
    }
    Run { outcome, tokens, asked, left, stored: world.store.stats().bytes_stored }
}

/// F-03: after an error the listing goes on at the token of the last page, in the same session.
#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_at_its_last_token() {
    within(async {
        for code in [Code::Internal, Code::Busy, Code::TimedOut] {
            let run = run(Failing::Says(code, 1)).await;
            assert!(run.outcome.is_completed(), "{code}: {:?}", run.outcome);
            let [first, failed, again] = &run.tokens[..] else { panic!("{code}: {:?}", run.tokens) };
            assert!(first.is_empty() && !failed.is_empty() && failed == again, "{code}: {:?}", run.tokens);
            assert!(run.left.is_empty(), "{code}: {:?}", run.left);
        }
    })
    .await;
}

/// F-03, G-07, G-16: a donor that has no such position any more, because its lease is gone or it made other
/// pages, says so: the listing is not taken for a short one but begins again, at the start, and nothing that
/// came before is fetched again.
#[tokio::test(start_paused = true)]
async fn a_position_that_vanished_is_an_error_and_the_listing_begins_again() {
    within(async {
        // Another answer may help against a token that is not known; nothing does against a lease that is gone.
        for (code, asked_before) in [(Code::BadRequest, 2), (Code::NotFound, 1)] {
            let run = run(Failing::Says(code, asked_before)).await;
            assert!(run.outcome.is_completed(), "{code}: {:?}", run.outcome);
            let starts: Vec<bool> = run.tokens.iter().map(Vec::is_empty).collect();
            let mut expected = vec![false; asked_before];
            expected.insert(0, true);
            expected.extend([true, false]);
            assert_eq!(starts, expected, "{code}: {:?}", run.tokens);
            let [left] = &run.left[..] else { panic!("{code}: {:?}", run.left) };
            assert!(left.contains("cannot list its snapshot") && left.contains("position is gone"), "{left}");
            assert_eq!((run.asked, run.stored), (vec![0, 1, 2], TOTAL), "{code}");
        }
    })
    .await;
}

/// F-03, G-07: a donor that restarts in the middle of its listing is listed anew, from the start: its tokens
/// went with it. Nothing that came before is fetched again.
#[tokio::test(start_paused = true)]
async fn a_donor_that_restarts_while_it_lists_is_listed_anew() {
    within(async {
        let run = run(Failing::HangsUp).await;
        assert!(run.outcome.is_completed(), "{:?}", run.outcome);
        let starts: Vec<bool> = run.tokens.iter().map(Vec::is_empty).collect();
        assert_eq!(starts, [true, false, true, false], "{:?}", run.tokens);
        assert_eq!((run.asked, run.stored), (vec![0, 1, 2], TOTAL));
    })
    .await;
}

/// F-03, G-07, G-16: if the position is gone whoever is asked, nothing is published, why is said, and what came
/// is kept.
#[tokio::test(start_paused = true)]
async fn a_listing_that_never_ends_well_publishes_nothing() {
    within(async {
        let run = run(Failing::Says(Code::BadRequest, usize::MAX)).await;
        assert_eq!(run.outcome.result, PlanResult::Failed);
        let said = run.outcome.shards[0].outcome.to_string();
        assert!(said.contains("raw") && said.contains("position is gone"), "{said}");
        assert_eq!((run.asked, run.stored), (vec![0, 1], TOTAL - 200), "what the first page listed is kept");
    })
    .await;
}

impl Receiver {
    async fn pages(&mut self, request: u64, token: PageToken, pages: u32) {
        let (request, offer) = (FetchId(request), self.offers[0].offer);
        let ask = InventoryRequestV1 { request, offer, token, pages };
        self.control.say(&Message::InventoryRequest(ask)).await;
    }

    /// The pages that answer a request.
    async fn listed(&mut self, request: u64, token: PageToken, pages: u32) -> Vec<Listed> {
        self.pages(request, token, pages).await;
        let (_, header, body) = take_data(&self.bulk).await;
        assert_eq!(header.request.0, request);
        let mut decoder = FrameDecoder::new();
        decoder.push(&body);
        let mut all = Vec::new();
        while let Some(InventoryPage::V1(page)) = decoder.next_frame().unwrap() {
            let (next, is_sealed) = (page.next, page.sealed.is_some());
            all.push(Listed { entries: page.entries.into_vec(), next, is_sealed });
        }
        all
    }
}

#[derive(Debug, PartialEq)]
struct Listed {
    entries: Vec<Entry>,
    next: Option<PageToken>,
    is_sealed: bool,
}

/// A session with an engine that has `count` entries of a few bytes.
async fn serving(count: usize) -> (World, Receiver) {
    let world = World::new();
    for at in 0..count {
        let (key, content) = (EntryKey::from_path(&format!("f{at:05}")).unwrap(), at.to_be_bytes().to_vec());
        world.store.put(&shard(0), key, content, vec![1]);
    }
    let receiver = world.receiver(vec![shard(0)]).await;
    (world, receiver)
}

/// F-02, F-03, M-25, MI-14: what a peer has is listed before any of it is asked for, with length, digest and
/// metadata, in the order of keys, on pages of at most 4,096 entries; each page can be had again by its token,
/// and one request brings several.
#[tokio::test(start_paused = true)]
async fn pages_have_at_most_4096_entries_and_are_had_again_by_their_tokens() {
    within(async {
        const COUNT: usize = 2 * 4096 + 100;
        let (_world, mut session) = serving(COUNT).await;
        let (mut token, mut pages) = (PageToken::START, Vec::new());
        loop {
            let request = 1 + pages.len() as u64;
            let page = session.listed(request, token, 1).await.remove(0);
            token = page.next.clone().unwrap_or_default();
            pages.push(page);
            if token == PageToken::START {
                break;
            }
        }
        assert!(pages.iter().all(|page| page.entries.len() <= 4096 && !page.entries.is_empty()));
        let all: Vec<&Entry> = pages.iter().flat_map(|page| &page.entries).collect();
        assert_eq!(all.len(), COUNT);
        for (ordinal, entry) in (0..).zip(&all) {
            assert_eq!((entry.ordinal, entry.len, &entry.metadata[..]), (Ordinal(ordinal), 8, &[1][..]));
            assert!(entry.digest.is_some());
        }
        assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
        let ends: Vec<bool> = pages.iter().map(|page| page.is_sealed).collect();
        assert!(ends.ends_with(&[true]) && !ends[..ends.len() - 1].contains(&true));

        let second = pages[0].next.clone().unwrap();
        assert_eq!(session.listed(90, second.clone(), 1).await, pages[1..2], "again, as it was");
        assert_eq!(session.listed(91, PageToken::START, 16).await, pages, "and all of them at once");
    })
    .await;
}

/// F-03: a token that was never given, and one of an offer that was released, are refused, not guessed.
#[tokio::test(start_paused = true)]
async fn a_token_without_a_position_is_refused() {
    within(async {
        let (_world, mut session) = serving(10).await;
        session.pages(1, PageToken::new([7; 9]).unwrap(), 1).await;
        let refused = session.failed(1).await;
        assert_eq!(refused.code, Code::BadRequest);
        assert!(refused.reason.to_string().contains("token"), "{refused:?}");
        session.offers[0].offer = OfferId(99);
        session.pages(2, PageToken::START, 1).await;
        assert_eq!(session.failed(2).await.code, Code::NotFound);
    })
    .await;
}

/// F-03: a page of more than 4,096 entries is refused by whoever gets it, and its donor is named.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_too_long_is_refused() {
    within(async {
        for (count, why) in [(PAGE_ENTRIES_MAX + 1, "inventory page"), (PAGE_ENTRIES_MAX, "")] {
            let content = store();
            for at in 0..count {
                content.put(
                    &shard(0),
                    EntryKey::from_path(&format!("f{at:05}")).unwrap(),
                    vec![1],
                    Vec::new(),
                );
            }
            let snapshot = content.open(&shard(0), &Selector::All).await.unwrap();
            let page = snapshot.page(&PageToken::START, usize::MAX).await.unwrap();
            // As it travels: the number of the version, then its fields.
            let body = Arc::new(Mutex::new(framed(&(0_u32, page.entries, page.next, page.sealed))));
            let world = World::new();
            let _donor = Donor::start(&world, &content, move |message, honest| match message {
                Message::InventoryRequest(_) => vec![Reply::Whole(body.lock().unwrap().clone())],
                _ => honest,
            })
            .await;
            let outcome = world.bring_up().await;
            assert_eq!(outcome.is_completed(), why.is_empty(), "{count}: {outcome:?}");
            if !why.is_empty() {
                let said = outcome.shards[0].outcome.to_string();
                assert!(said.contains("raw") && said.contains(why), "{said}");
                assert_eq!(world.store.stats().bytes_stored, 0);
            }
        }
    })
    .await;
}

/// MI-13: without a recovery, a peer's blocks can be had as they are: any of them, in any order, in one request.
#[tokio::test(start_paused = true)]
async fn entries_can_be_had_without_a_recovery() {
    within(async {
        let (_world, mut session) = serving(20).await;
        let (offer, extensions) = (session.offers[0].offer, Extensions::default());
        let wanted = [(15, 3), (2, 1), (0, 1)];
        let spans = wanted.map(|(first, count)| Span::Entries { first: Ordinal(first), count });
        let spans = spans.to_vec().try_into().unwrap();
        let fetch = FetchV1 { request: FetchId(1), offer, spans, attempt: 1, extensions };
        session.control.say(&Message::Fetch(fetch)).await;
        let (_, _, body) = take_data(&session.bulk).await;
        let came: Vec<(u64, Vec<u8>)> =
            records(&body).into_iter().map(|(header, bytes)| (header.ordinal.0, bytes)).collect();
        let expected = [15_usize, 16, 17, 2, 0].map(|at| (at as u64, at.to_be_bytes().to_vec()));
        assert_eq!(came, expected);
    })
    .await;
}

/// G-03, G-05, M-22: a donor whose answer lacks what it was asked for in the middle, and is short by it, is
/// noticed: the others are taken for what they are, and only what is missing is asked again.
#[tokio::test(start_paused = true)]
async fn an_answer_with_a_hole_shifts_nothing() {
    within(async {
        const COUNT: usize = 5;
        let content = store();
        for at in 0..COUNT {
            content.put(
                &shard(0),
                EntryKey::from_path(&format!("f{at}")).unwrap(),
                vec![at as u8; 50],
                Vec::new(),
            );
        }
        let world = World::new();
        let mut first = true;
        let donor = Donor::start(&world, &content, move |message, mut honest| {
            let has_hole = matches!(message, Message::Fetch(_)) && std::mem::take(&mut first);
            if let (true, Some(Reply::Whole(body))) = (has_hole, honest.first_mut()) {
                let kept = records(body).into_iter().filter(|(header, _)| header.ordinal != Ordinal(1));
                let kept = kept.map(|(header, bytes)| [&header.encode()[..], &bytes].concat());
                *body = kept.flatten().collect();
            } else if matches!(message, Message::Fetch(_)) {
                first = false;
            }
            honest
        })
        .await;
        let outcome = world.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let kinds = world.store.open(&shard(0), &Selector::All).await.unwrap().entries(Ordinal(0), 5).await;
        assert!(kinds.unwrap().iter().all(|entry| entry.kind == EntryKind::File));
        settle().await;
        let stats = world.store.stats();
        assert_eq!((stats.bytes_stored, stats.chunks_duplicate), (50 * COUNT as u64, 0));
        let again = donor.heard().into_iter().filter_map(|message| match message {
            Message::Fetch(fetch) if fetch.attempt > 1 => Some(fetch.spans.into_vec()),
            _ => None,
        });
        assert_eq!(again.collect::<Vec<_>>(), [vec![Span::entry(Ordinal(1))]]);
    })
    .await;
}
