//! A donor whose manifests or content are wrong, late, surplus or never come.

use std::time::Duration;

use peerstream_engine::snapshot::{ManifestHasher, MemoryStore, Source};
use peerstream_engine::transport::access::AccessRules;
use peerstream_engine::types::{
    Codec, Digest, Entry, EntryKey, EntryKind, FetchId, ManifestHeader, OfferId, Ordinal, PageToken, Selector,
};
use peerstream_engine::{BadChunk, EngineConfig, PlanEvent, PlanResult, ShardOutcome};
use peerstream_wire::inventory::InventoryPageV1;
use peerstream_wire::message::{AbortV1, FetchFailedV1, OfferV1};
use peerstream_wire::{Bounded, Code, Extensions, InventoryPage, Message, RecordHeader, RecordStatus, Text};

use crate::raw::{CHUNK, Donor, Reply, World, fill, framed, records, settle, shard, store, within};

const A: Ordinal = Ordinal(0);
const BIG: Ordinal = Ordinal(1);
const Z: Ordinal = Ordinal(2);
const TOTAL: u64 = (100 + 4 * CHUNK + 300 + 200) as u64;

/// What a donor holds that was filled as all are here.
fn content() -> MemoryStore {
    let content = store();
    fill(&content, &shard(0));
    content
}

fn record(ordinal: Ordinal, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let (len, status) = (u32::try_from(bytes.len()).unwrap(), RecordStatus::Content(Codec::Plain));
    [&RecordHeader { ordinal, offset, len, status }.encode(), bytes].concat()
}

fn body(honest: Vec<Reply>) -> Vec<u8> {
    match honest.into_iter().next() {
        Some(Reply::Whole(body)) => body,
        _ => panic!("an honest donor answers with a stream"),
    }
}

/// An honest body with some of its records replaced.
fn replaced(honest: Vec<Reply>, with: impl Fn(RecordHeader, &[u8]) -> Option<Vec<u8>>) -> Vec<Reply> {
    let all = records(&body(honest)).into_iter();
    let all = all.map(|(header, bytes)| {
        with(header, &bytes).unwrap_or_else(|| record(header.ordinal, header.offset, &bytes))
    });
    vec![Reply::Whole(all.flatten().collect())]
}

/// Small fetches, so that a few kilobytes take more than one.
fn small_fetches() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.fetch_bytes.0 = 2 * CHUNK as u64;
    config
}

async fn published(world: &World, content: &MemoryStore) {
    let got = world.store.open(&shard(0), &Selector::All).await.unwrap().header();
    assert_eq!(got, content.open(&shard(0), &Selector::All).await.unwrap().header());
}

/// Rows C18 and F-35, P-41: records that come twice or were never asked for, in any order, are dropped and
/// counted as wasted; what was asked for is stored once.
#[tokio::test(start_paused = true)]
async fn surplus_and_duplicates_are_wasted() {
    within(async {
        let (world, content) = (World::new(), content());
        let donor = Donor::start(&world, &content, |message, honest| match message {
            Message::Fetch(_) => {
                let mut all = records(&body(honest));
                all.reverse();
                let honest = all.iter().map(|(header, bytes)| record(header.ordinal, header.offset, bytes));
                let mut bytes: Vec<u8> = honest.flatten().collect();
                // Twice, beyond the manifest, beyond the entry, between chunks.
                let (header, first) = &all[0];
                bytes.extend(record(header.ordinal, header.offset, first));
                bytes.extend(record(Ordinal(99), 0, &[1; 70]));
                bytes.extend(record(A, 7 * CHUNK as u64, &[2; 50]));
                bytes.extend(record(A, 1, &[3; 30]));
                vec![Reply::Whole(bytes)]
            }
            _ => honest,
        })
        .await;
        let outcome = world.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        published(&world, &content).await;
        settle().await;
        let fetches = donor.heard().into_iter().filter(|message| matches!(message, Message::Fetch(_)));
        assert_eq!(fetches.count(), 3, "one for each entry: on the first page, with an outline, on the last");
        let (said, twice) = (donor.summary(), 100 + 300 + 200);
        assert_eq!((said.bytes_stored, said.bytes_wasted), (TOTAL, twice + 3 * (70 + 50 + 30)));
        assert_eq!(world.store.stats().bytes_stored, TOTAL);
        assert_eq!(world.store.stats().chunks_duplicate, 0);
    })
    .await;
}

/// Row F-35, P-29: answers are matched by id: in any order, twice, and beside streams that answer nothing.
#[tokio::test(start_paused = true)]
async fn answers_come_in_any_order() {
    within(async {
        let (world, content) = (World::with(small_fetches()), content());
        let mut first = true;
        let donor = Donor::start(&world, &content, move |message, honest| match message {
            Message::Fetch(fetch) => {
                let bytes = body(honest);
                if std::mem::take(&mut first) {
                    return vec![Reply::Later(bytes)];
                }
                let stray = Reply::Stray(FetchId(fetch.request.0 + 1000), bytes.clone());
                vec![stray, Reply::Whole(bytes.clone()), Reply::Whole(bytes)]
            }
            _ => honest,
        })
        .await;
        let outcome = world.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        published(&world, &content).await;
        settle().await;
        assert_eq!(donor.summary().bytes_stored, TOTAL, "and nothing is stored twice");
    })
    .await;
}

/// A manifest that the test makes up: pages and the offered header.
struct Made {
    pages: Vec<InventoryPageV1>,
    offered: ManifestHeader,
}

impl Made {
    /// Seals entries as an honest source would, whatever they are.
    async fn of(pages: Vec<Vec<Entry>>) -> Self {
        let honest = content().open(&shard(0), &Selector::All).await.unwrap().header();
        let mut hasher = ManifestHasher::new();
        pages.iter().flatten().for_each(|entry| hasher.entry(entry));
        let mut offered = ManifestHeader { counts: hasher.counts(), digest: None, ..honest };
        offered.digest = Some(hasher.seal(&offered));
        let last = pages.len() - 1;
        let pages = pages.into_iter().enumerate().map(|(place, entries)| InventoryPageV1 {
            entries: entries.try_into().unwrap(),
            next: (place < last).then(|| PageToken::new([u8::try_from(place).unwrap() + 1]).unwrap()),
            sealed: (place == last).then(|| offered.clone()),
        });
        Self { pages: pages.collect(), offered }
    }

    /// What a donor of this manifest does with a message.
    fn twist(&self, message: &Message, mut honest: Vec<Reply>) -> Vec<Reply> {
        match message {
            Message::Prepare(_) => {
                if let Some(Reply::Say(Message::PrepareAck(ack))) = honest.first_mut() {
                    let mut offers = ack.offers.to_vec();
                    offers.iter_mut().for_each(|offer| offer.header = self.offered.clone());
                    ack.offers = offers.try_into().unwrap();
                }
                honest
            }
            Message::InventoryRequest(ask) => {
                let place = ask.token.as_bytes().first().copied().unwrap_or(0);
                let page = InventoryPage::V1(self.pages[usize::from(place)].clone());
                vec![Reply::Whole(framed(&page))]
            }
            _ => honest,
        }
    }

    /// Brings the shard up from a donor of this manifest: refused, with nothing staged; the outcome.
    async fn refused(self) -> String {
        let (world, pages) = (World::new(), self.pages.len());
        let donor =
            Donor::start(&world, &content(), move |message, honest| self.twist(message, honest)).await;
        let outcome = world.bring_up().await;
        assert_eq!(outcome.result, PlanResult::Failed);
        assert!(world.store.published(&shard(0)).is_none());
        // What an earlier page listed in good order may be there already.
        assert!(pages > 1 || world.store.stats().chunks_stored == 0);
        let opened = donor.heard().into_iter().filter(|message| matches!(message, Message::Init(_)));
        assert_eq!(opened.count(), 1, "a source with a wrong manifest is not asked again");
        let said = outcome.shards[0].outcome.to_string();
        assert!(said.contains("raw") && !said.contains(char::is_control), "{said}");
        said
    }
}

/// The honest entries, in one row.
async fn honest_entries() -> Vec<Entry> {
    let snapshot = content().open(&shard(0), &Selector::All).await.unwrap();
    snapshot.entries(A, 3).await.unwrap()
}

/// Files of the same small content under these keys, numbered as they come.
async fn named(keys: &[&[u8]]) -> Vec<Entry> {
    let like = honest_entries().await.remove(0);
    let entries = (0..).zip(keys).map(|(ordinal, key)| Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::new(*key).unwrap(),
        kind: EntryKind::File,
        ..like.clone()
    });
    entries.collect()
}

/// Rows F-60 and A31, P-43: names that would leave the directory are refused, and nothing is staged.
#[tokio::test(start_paused = true)]
async fn hostile_names_are_refused() {
    within(async {
        let names: [(&[u8], &str); 7] = [
            (b"../x", "../x"),
            (b"/etc/passwd", "/etc/passwd"),
            (b"x\0y", "x\\0y"),
            (b"a/./b", "a/./b"),
            (b"a\\b", "a\\"),
            (b"c:x", "c:x"),
            (b"x\x1b[2J", "x\\u{1b}"),
        ];
        for (name, shown) in names {
            let said = Made::of(vec![named(&[name]).await]).await.refused().await;
            assert!(said.contains(shown), "{said}");
            assert!(said.contains("not a plain relative path"), "{said}");
        }
    })
    .await;
}

/// Row F-60, P-43: a file where another needs a directory is refused, also on another page.
#[tokio::test(start_paused = true)]
async fn a_file_as_a_directory_is_refused() {
    within(async {
        let mut entries = named(&[b"d", b"d/x"]).await;
        let second = entries.split_off(1);
        let said = Made::of(vec![entries, second]).await.refused().await;
        assert!(said.contains("needs it as a directory"), "{said}");
    })
    .await;
}

/// Rows F-60 and A31, P-36: a name that comes twice is refused, in a page and across pages.
#[tokio::test(start_paused = true)]
async fn a_name_that_comes_twice_is_refused() {
    within(async {
        let mut entries = named(&[b"x", b"x"]).await;
        let said = Made::of(vec![entries.clone()]).await.refused().await;
        assert!(said.contains("keys do not ascend"), "{said}");
        let second = entries.split_off(1);
        let said = Made::of(vec![entries, second]).await.refused().await;
        assert!(said.contains("keys do not ascend"), "{said}");
    })
    .await;
}

/// P-36: keys ascend across pages, and ordinals count up by one, from zero.
#[tokio::test(start_paused = true)]
async fn pages_that_do_not_continue_are_refused() {
    within(async {
        let mut descending = named(&[b"b", b"a"]).await;
        let second = descending.split_off(1);
        let said = Made::of(vec![descending, second]).await.refused().await;
        assert!(said.contains("keys do not ascend"), "{said}");
        for ordinals in [[0, 2], [0, 0], [1, 2]] {
            let mut jumping = named(&[b"a", b"b"]).await;
            jumping.iter_mut().zip(ordinals).for_each(|(entry, ordinal)| entry.ordinal.0 = ordinal);
            let second = jumping.split_off(1);
            let said = Made::of(vec![jumping.clone(), second.clone()]).await.refused().await;
            assert!(said.contains("ordinals do not continue"), "{said}");
            if ordinals[1] != ordinals[0] + 1 {
                let said = Made::of(vec![[jumping, second].concat()]).await.refused().await;
                assert!(said.contains("ordinals do not count up by one"), "{said}");
            }
        }
    })
    .await;
}

/// P-37, row F-61: counts and digest of the sealed header are computed, not believed.
#[tokio::test(start_paused = true)]
async fn a_seal_that_does_not_fit_is_refused() {
    within(async {
        let entries = honest_entries().await;
        for wrong in ["digest", "counts", "state"] {
            let mut made = Made::of(vec![entries.clone()]).await;
            match wrong {
                "digest" => made.offered.digest = Some(Digest::Blake3([9; 32])),
                "counts" => made.offered.counts.entries += 1,
                _ => made.offered.state = b"another".to_vec(),
            }
            made.pages[0].sealed = Some(made.offered.clone());
            let said = made.refused().await;
            assert!(said.contains("manifest is wrong") && said.contains("fit"), "{wrong}: {said}");
        }
    })
    .await;
}

/// P-37: the manifest is the one that was offered.
#[tokio::test(start_paused = true)]
async fn another_manifest_than_the_offered_one_is_refused() {
    within(async {
        let mut made = Made::of(vec![named(&[b"x"]).await]).await;
        made.offered = Made::of(vec![named(&[b"y"]).await]).await.offered;
        let said = made.refused().await;
        assert!(said.contains("not the one that was offered"), "{said}");
    })
    .await;
}

/// G-16, P-37: the seal is on the last page and only there.
#[tokio::test(start_paused = true)]
async fn a_listing_without_a_seal_or_past_it_is_refused() {
    within(async {
        let entries = named(&[b"a", b"b"]).await;
        for has_seal in [true, false] {
            let mut made = Made::of(vec![entries.clone()]).await;
            if has_seal {
                made.pages[0].next = Some(PageToken::new([1]).unwrap());
            } else {
                made.pages[0].sealed = None;
            }
            let said = made.refused().await;
            assert!(said.contains("sealed header belongs on the last page"), "{said}");
        }
    })
    .await;
}

/// M-15, G-23, F-32, P-47: an entry that has no digest, or none that could be checked chunk by chunk, is
/// refused with its manifest: nothing of it is asked for.
#[tokio::test(start_paused = true)]
async fn an_entry_without_a_usable_digest_is_refused() {
    within(async {
        let large = 1 << 60;
        for (digest, len, why) in [
            (None, 100, "it has no digest"),
            (None, large, "it has no digest"),
            (Some(Digest::Sha256([7; 32])), 3000, "SHA-256 verifies single chunks only"),
            (Some(Digest::Blake3([7; 32])), large, "more chunks than two levels of outlines hold"),
        ] {
            let mut entries = honest_entries().await;
            (entries[1].digest, entries[1].len) = (digest, len);
            let said = Made::of(vec![entries]).await.refused().await;
            assert!(said.contains("big") && said.contains(why), "{said}");
        }
    })
    .await;
}

/// Brings the shard up from a donor whose content is twisted; what is missing, and what was stored.
async fn missing(
    twist: impl FnMut(&Message, Vec<Reply>) -> Vec<Reply> + Send + 'static,
) -> (Vec<BadChunk>, u64) {
    let world = World::new();
    let _donor = Donor::start(&world, &content(), twist).await;
    let outcome = world.bring_up().await;
    assert!(world.store.published(&shard(0)).is_none());
    let ShardOutcome::Incomplete { bad, count } = &outcome.shards[0].outcome else { panic!("{outcome:?}") };
    assert_eq!(*count, 1);
    assert!(bad.iter().all(|bad| bad.peer.as_str() == "raw"), "{bad:?}");
    (bad.clone(), world.store.stats().bytes_stored)
}

/// M-15, G-17, F-31, F-33, P-39, P-40: a record of wrong bytes, length or place is never stored; entry, chunk
/// and peer are named, and everything else is kept.
#[tokio::test(start_paused = true)]
async fn a_wrong_record_costs_its_chunk_only() {
    within(async {
        let third = 2 * CHUNK as u64;
        type Lie = fn(RecordHeader, &[u8]) -> Vec<u8>;
        let lies: [(Lie, &str); 7] = [
            (|h, b| record(h.ordinal, h.offset, &vec![0; b.len()]), "digest mismatch"),
            (|h, b| record(h.ordinal, h.offset, &b[1..]), "1023 bytes instead of 1024"),
            (|h, _| record(h.ordinal, h.offset, &[]), "0 bytes instead of 1024"),
            (|h, b| record(h.ordinal, h.offset, &[b, b"x"].concat()), "ended without it"),
            (|h, b| record(h.ordinal, h.offset + 1, b), "ended without it"),
            (|h, b| record(h.ordinal, h.offset + (1 << 40), b), "ended without it"),
            (|h, b| record(Ordinal(77), h.offset, b), "ended without it"),
        ];
        for (lie, why) in lies {
            let (bad, stored) = missing(move |message, honest| match message {
                Message::Fetch(_) => {
                    let is_it = move |h: RecordHeader| h.ordinal == BIG && h.offset == third;
                    replaced(honest, |header, bytes| is_it(header).then(|| lie(header, bytes)))
                }
                _ => honest,
            })
            .await;
            assert_eq!(bad.len(), 1, "{bad:?}");
            assert_eq!((bad[0].key.to_string().as_str(), bad[0].chunk), ("big", Some(2)));
            assert!(bad[0].why.contains(why), "{why}: {bad:?}");
            assert_eq!(stored, TOTAL - CHUNK as u64);
        }
    })
    .await;
}

/// M-18, M-19, G-18, row F-34: an answer without the entry, or with nothing in its place, is a failure of the
/// source; only a reason that the source gives is believed, and shown.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_needs_a_reason() {
    within(async {
        let silent = |message: &Message, honest| match message {
            Message::Fetch(_) => {
                let without = records(&body(honest)).into_iter().filter(|(header, _)| header.ordinal != A);
                let rest = without.flat_map(|(header, bytes)| record(header.ordinal, header.offset, &bytes));
                vec![Reply::Whole(rest.collect())]
            }
            _ => honest,
        };
        let nothing = |message: &Message, honest| match message {
            Message::Fetch(_) => replaced(honest, |h, _| (h.ordinal == A).then(|| record(A, 0, &[]))),
            _ => honest,
        };
        let expired = |message: &Message, honest| match message {
            Message::Fetch(_) => replaced(honest, |header, _| {
                let (why, status) = (b"it expired", RecordStatus::Failed(Code::NotFound));
                let failed = RecordHeader { ordinal: A, offset: 0, len: why.len() as u32, status };
                (header.ordinal == A).then(|| [&failed.encode(), &why[..]].concat())
            }),
            _ => honest,
        };
        type Twist = fn(&Message, Vec<Reply>) -> Vec<Reply>;
        let answers: [(Twist, &str); 3] =
            [(silent, "ended without it"), (nothing, "0 bytes instead of 100"), (expired, "it expired")];
        for (answer, why) in answers {
            let (bad, stored) = missing(answer).await;
            assert_eq!((bad.len(), bad[0].key.to_string().as_str()), (1, "a"), "{bad:?}");
            assert!(bad[0].why.contains(why), "{why}: {bad:?}");
            assert_eq!(stored, TOTAL - 100);
        }
    })
    .await;
}

/// Row A14: what is acknowledged is what was verified and stored, each part once, and nothing else.
#[tokio::test(start_paused = true)]
async fn only_what_is_stored_is_acknowledged() {
    within(async {
        let (world, content) = (World::new(), content());
        let donor = Donor::start(&world, &content, |message, honest| match message {
            Message::Fetch(_) => replaced(honest, |header, bytes| {
                let is_it = header.ordinal == BIG && header.offset == 2 * CHUNK as u64;
                is_it.then(|| record(header.ordinal, header.offset, &vec![0; bytes.len()]))
            }),
            _ => honest,
        })
        .await;
        assert_eq!(world.bring_up().await.result, PlanResult::Failed);
        settle().await;
        let mut said: Vec<String> = Vec::new();
        for message in donor.heard() {
            if let Message::Received(received) = message {
                said.extend(received.spans.iter().map(ToString::to_string));
            }
        }
        said.sort();
        let stored = ["entries #0+1", "entries #2+1", "entry #1 chunks 0+2", "entry #1 chunks 3+2"];
        assert_eq!(said, stored);
        assert_eq!(donor.summary().bytes_stored, TOTAL - CHUNK as u64);
    })
    .await;
}

/// G-17, P-40: the content of one chunk in the place of another fits its length but not its outline.
#[tokio::test(start_paused = true)]
async fn chunks_that_change_places_are_not_stored() {
    within(async {
        let (bad, stored) = missing(|message, honest| match message {
            Message::Fetch(_) => replaced(honest, |header, bytes| {
                let other = match header.offset / CHUNK as u64 {
                    0 if header.ordinal == BIG => CHUNK as u64,
                    1 if header.ordinal == BIG => 0,
                    _ => return None,
                };
                Some(record(header.ordinal, other, bytes))
            }),
            _ => honest,
        })
        .await;
        let chunks: Vec<_> = bad.iter().map(|bad| (bad.key.to_string(), bad.chunk)).collect();
        assert_eq!(chunks, [("big".to_owned(), Some(0)), ("big".to_owned(), Some(1))]);
        assert_eq!(stored, TOTAL - 2 * CHUNK as u64);
    })
    .await;
}

/// P-40: an outline that does not fit the digest vouches for nothing; its entry is left, by name.
#[tokio::test(start_paused = true)]
async fn a_lying_outline_is_not_used() {
    within(async {
        for short in [true, false] {
            let (bad, stored) = missing(move |message, honest| match message {
                Message::OutlineRequest(_) => {
                    let mut values = body(honest);
                    values[40] ^= 1;
                    values.truncate(if short { 100 } else { values.len() });
                    vec![Reply::Whole(values)]
                }
                _ => honest,
            })
            .await;
            let why = if short { "ended early" } else { "its outline does not fit its digest" };
            assert!(bad[0].why.contains(why), "{bad:?}");
            assert_eq!((bad[0].key.to_string().as_str(), bad[0].chunk), ("big", None));
            assert_eq!(stored, 300, "only what needs no outline");
        }
    })
    .await;
}

/// M-23, P-38: a record header that breaks a rule makes its stream unusable: what came before it is kept.
#[tokio::test(start_paused = true)]
async fn a_broken_record_header_ends_its_stream() {
    within(async {
        // Spare bytes, an unknown codec, a codec beside a failure, a length over its limit.
        type Break = fn(&mut [u8]);
        let breaks: [Break; 4] =
            [|h| h[22] = 1, |h| h[21] = 9, |h| (h[20], h[21]) = (3, 1), |h| h[16..20].fill(255)];
        for spoil in breaks {
            let (bad, stored) = missing(move |message, honest| match message {
                Message::Fetch(_) => replaced(honest, |header, bytes| {
                    let mut broken = record(header.ordinal, header.offset, bytes);
                    spoil(&mut broken);
                    (header.ordinal == Z).then_some(broken)
                }),
                _ => honest,
            })
            .await;
            assert_eq!((bad.len(), bad[0].key.to_string().as_str()), (1, "z"));
            assert_eq!(stored, TOTAL - 200);
        }
    })
    .await;
}

/// M-14, P-39, row F-53: a failed record costs its chunk, and its reason is shown, made safe (P-44).
#[tokio::test(start_paused = true)]
async fn a_failed_record_shows_its_reason() {
    within(async {
        let (bad, stored) = missing(|message, honest| match message {
            Message::Fetch(_) => replaced(honest, |header, _| {
                let (reason, status) = (b"it is\x1b[2J gone", RecordStatus::Failed(Code::Changed));
                let header = RecordHeader { len: reason.len() as u32, status, ..header };
                (header.ordinal == A).then(|| [&header.encode()[..], reason].concat())
            }),
            _ => honest,
        })
        .await;
        assert!(bad[0].why.contains("gone") && !bad[0].why.contains(char::is_control), "{bad:?}");
        assert_eq!(stored, TOTAL - 100);
    })
    .await;
}

/// F-12, F-50: a page that fails is asked for again at once, and one that the source is too busy for after a
/// moment; the listing goes on where it was.
#[tokio::test(start_paused = true)]
async fn a_page_that_fails_is_asked_for_again() {
    within(async {
        for code in [Code::Internal, Code::Busy] {
            let world = World::new();
            let content = content();
            let mut lists = 0;
            let donor = Donor::start(&world, &content, move |message, honest| match message {
                Message::InventoryRequest(ask) => {
                    lists += 1;
                    let (spans, reason) = (Bounded::new(), Text::cut("for a moment"));
                    let request = ask.request;
                    match lists {
                        1 => vec![Reply::Say(Message::FetchFailed(FetchFailedV1 {
                            request,
                            spans,
                            code,
                            reason,
                        }))],
                        _ => honest,
                    }
                }
                _ => honest,
            })
            .await;
            let started = tokio::time::Instant::now();
            let outcome = world.bring_up().await;
            assert!(outcome.is_completed(), "{code}: {outcome:?}");
            assert!(started.elapsed() < Duration::from_secs(30), "{code}: nothing has stalled");
            let inits = donor.heard().iter().filter(|heard| matches!(heard, Message::Init(_))).count();
            assert_eq!(inits, 1, "{code}: one session does it all");
            published(&world, &content).await;
        }
    })
    .await;
}

/// Row F-50, A17: a donor that stops in the middle of its answers is given up after a minute without progress;
/// the next attempt goes on with what is staged.
#[tokio::test(start_paused = true)]
async fn a_donor_that_stops_sending_is_given_up() {
    within(async {
        let (world, content) = (World::new(), content());
        let mut stalls = true;
        let donor = Donor::start(&world, &content, move |message, honest| match message {
            Message::Fetch(fetch) if stalls && fetch.spans.iter().any(|s| s.first_ordinal() == BIG) => {
                stalls = false;
                let mut half = body(honest);
                half.truncate(2 * (RecordHeader::LEN + CHUNK) + 100);
                vec![Reply::Open(half)]
            }
            _ => honest,
        })
        .await;
        let plan = world.bring_up();
        let mut events = plan.events();
        let outcome = plan.await;
        assert!(outcome.is_completed(), "{outcome:?}");
        published(&world, &content).await;
        let took = world.engine.now().since_origin();
        assert!((60..70).contains(&took.as_secs()), "{took:?}");
        let mut lost = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let PlanEvent::SourceLost { peer, reason, .. } = event {
                lost.push(format!("{peer} {reason}"));
            }
        }
        assert_eq!(lost, ["raw stalled"]);
        settle().await;
        assert_eq!(donor.summary().bytes_stored, TOTAL - 300 - 2 * CHUNK as u64, "no byte twice");
    })
    .await;
}

/// Row F-50: surplus is no progress: a donor that sends nothing else is given up all the same.
#[tokio::test(start_paused = true)]
async fn endless_surplus_is_no_progress() {
    within(async {
        let world = World::new();
        let surplus = record(Ordinal(99), 0, &[1; 500]);
        let _donor = Donor::start(&world, &content(), move |message, honest| match message {
            Message::Fetch(_) => vec![Reply::Endless(surplus.clone())],
            _ => honest,
        })
        .await;
        let outcome = world.bring_up().await.shards.remove(0).outcome.to_string();
        assert!(outcome.contains("raw") && outcome.contains("stalled"), "{outcome}");
        assert!(world.engine.now().since_origin() < Duration::from_secs(4 * 60));
    })
    .await;
}

/// Row C16: a peer whose connections end in the middle is said to be probably down.
#[tokio::test(start_paused = true)]
async fn a_dropped_connection_says_that_the_peer_is_down() {
    within(async {
        let world = World::new();
        let _donor = Donor::start(&world, &content(), |message, honest| match message {
            Message::Fetch(_) => vec![Reply::HangUp],
            _ => honest,
        })
        .await;
        let outcome = world.bring_up().await.shards.remove(0).outcome.to_string();
        assert!(outcome.contains("raw") && outcome.contains("peer probably down"), "{outcome}");
        assert!(outcome.contains("gone"), "with the reason that the peer gave: {outcome}");
        assert!(world.store.published(&shard(0)).is_none());
    })
    .await;
}

/// Rows C16 and C17, P-34: what a peer gives as its reason to end a session is shown, made safe (P-44).
#[tokio::test(start_paused = true)]
async fn the_reason_of_an_abort_is_shown() {
    within(async {
        for (code, shown) in [(Code::Internal, "remote failed"), (Code::Aborted, "remote aborted")] {
            let world = World::new();
            let _donor = Donor::start(&world, &content(), move |message, honest| match message {
                Message::Fetch(_) => {
                    let reason = Text::cut("disk\x1b[2J on fire");
                    let abort = AbortV1 { code, reason, extensions: Extensions::default() };
                    vec![Reply::Say(Message::Abort(abort))]
                }
                _ => honest,
            })
            .await;
            let outcome = world.bring_up().await.shards.remove(0).outcome.to_string();
            assert!(outcome.contains("raw") && outcome.contains(shown), "{outcome}");
            assert!(outcome.contains("on fire") && !outcome.contains(char::is_control), "{outcome}");
        }
    })
    .await;
}

/// Rows A12 and C16: after a loss in the middle, the next attempt asks only for what is missing.
#[tokio::test(start_paused = true)]
async fn what_was_stored_before_a_loss_is_not_asked_for_again() {
    within(async {
        let (world, content) = (World::with(small_fetches()), content());
        let mut fetches = 0;
        let donor = Donor::start(&world, &content, move |message, honest| {
            fetches += u32::from(matches!(message, Message::Fetch(_)));
            match message {
                Message::Fetch(_) if fetches == 3 => vec![Reply::HangUp],
                _ => honest,
            }
        })
        .await;
        let outcome = world.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        published(&world, &content).await;
        settle().await;
        assert!(donor.summary().bytes_stored < TOTAL, "{:?}", donor.summary());
        assert_eq!(world.store.stats().bytes_stored, TOTAL);
    })
    .await;
}

/// Rows C16 and C17, P-34: a pusher that calls its session off aborts the plan here, one that fails
/// fails it, each with its reason.
#[tokio::test(start_paused = true)]
async fn a_push_ends_here_as_it_ended_there() {
    within(async {
        for (code, aborted) in [(Code::Aborted, true), (Code::Full, false)] {
            let world = World::new();
            world.access.replace(AccessRules::members_may_do_everything());
            let header = content().open(&shard(0), &Selector::All).await.unwrap().header();
            let offer = OfferV1 { offer: OfferId(1), shard: shard(0), selector: Selector::All, header };
            let mut session = world.pusher(vec![offer]).await;
            assert!(matches!(session.heard().await, Message::InventoryRequest(_)));
            let (reason, extensions) = (Text::cut("changed my mind"), Extensions::default());
            session.say(&Message::Abort(AbortV1 { code, reason, extensions })).await;
            // A job that lost its source asks for another one after a wait.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let outcome = world.engine.plans().remove(0).shards.remove(0).outcome.unwrap();
            assert_eq!(matches!(outcome, ShardOutcome::Aborted { .. }), aborted, "{outcome}");
            assert!(outcome.to_string().contains("changed my mind"), "{outcome}");
            assert_eq!(world.engine.sessions(), 0);
        }
    })
    .await;
}
