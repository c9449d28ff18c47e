//! What every source does.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChunkIndex, ChunkRange, EntryKey, Ordinal, PageToken, Selector, ShardId};

use super::transfer::{Offer, assert_content};
use super::{Harness, Seed};
use crate::{ManifestHasher, Snapshot, SourceError};

pub(super) async fn pages_list_every_entry_once_in_key_order(harness: &dyn Harness) {
    let seed = Seed::sample();
    let source = harness.source(&seed).await;
    let snapshot = source.open(&seed.shard, &Selector::All).await.expect("it opens");
    let mut keys: Vec<EntryKey> = seed.entries.iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    for limit in [1, 2, 5, seed.entries.len(), usize::MAX] {
        let offer = Offer::list(snapshot.clone(), limit).await;
        assert!(offer.entries.iter().map(|entry| &entry.key).eq(&keys), "limit {limit}");
        let mut hasher = ManifestHasher::new();
        for (ordinal, entry) in (0..).zip(&offer.entries) {
            assert_eq!(entry.ordinal, Ordinal(ordinal));
            hasher.entry(entry);
        }
        assert_eq!(offer.header.counts, hasher.counts());
        assert_eq!(offer.header.digest, Some(hasher.seal(&offer.header)));
        assert_eq!((&offer.header.position, &offer.header.state), (&seed.position, &seed.state));
        assert_eq!(snapshot.header(), offer.header, "a sealed header is the header");
        assert_content(&offer, &seed).await;
    }
}

pub(super) async fn a_run_of_entries_can_be_asked_for(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::sample()).await;
    let len = offer.entries.len() as u64;
    for (first, count) in [(0, 1), (0, len), (2, 3), (len - 1, 1), (1, 0)] {
        let run = offer.snapshot.entries(Ordinal(first), count as u32).await.expect("it has these");
        let place = first as usize..(first + count) as usize;
        assert!(run.iter().eq(offer.entries[place].iter().map(AsRef::as_ref)), "{first}+{count}");
    }
    let past = [(0, u32::MAX, len), (len, 1, len), (len + 3, 1, len + 3), (u64::MAX, 1, u64::MAX)];
    for (first, count, missing) in past {
        let run = offer.snapshot.entries(Ordinal(first), count).await;
        assert_eq!(run, Err(SourceError::NoSuchEntry(Ordinal(missing))), "{first}+{count}");
    }
}

pub(super) async fn a_token_that_was_never_given_is_refused(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::sample()).await;
    let given = offer.snapshot.page(&PageToken::START, 2).await.expect("it lists").next;
    let given = given.expect("there is more").as_bytes().to_vec();
    let mut other = given.clone();
    other[0] ^= 0xff;
    let cut = given[..given.len() - 1].to_vec();
    for bad in [other, cut, [given, vec![0]].concat(), b"x".to_vec(), vec![0xff; 256]] {
        let token = PageToken::new(bad).expect("it is short enough");
        let page = offer.snapshot.page(&token, 2).await;
        assert_eq!(page.err(), Some(SourceError::BadToken), "{token:?}");
    }
}

pub(super) async fn an_outline_vouches_for_every_chunk(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::sample()).await;
    let entry = offer.entry("a/deep/er/many-chunks");
    let outlines = offer.outlines(entry).await;
    let [outline] = &outlines[..] else { panic!("{} groups of 10 chunks", outlines.len()) };
    assert_eq!(outline.values().len(), 10);
    assert_eq!(offer.chunks(entry).await.len(), 10);
    for (first, count) in [(0, 10), (3, 4), (9, 1), (5, 0)] {
        let range = ChunkRange { first: ChunkIndex(first), count };
        let part = offer.values(entry, 0, range).await;
        let place = first as usize..(first as usize + count as usize);
        assert_eq!(part, outline.values()[place]);
    }
}

/// F-31: the digest vouches for the top, the top for each group, the group for each chunk.
pub(super) async fn a_top_vouches_for_every_group(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::grouped()).await;
    let entry = offer.entry("a/groups");
    let outlines = offer.outlines(entry).await;
    let lens: Vec<usize> = outlines.iter().map(|outline| outline.values().len()).collect();
    assert_eq!(lens, [1024, 1024, 3]);
    assert_eq!(offer.chunks(entry).await.len(), 2051);
    let range = |first, count| ChunkRange { first: ChunkIndex(first), count };
    let all: Vec<_> = outlines.iter().flat_map(|outline| outline.values()).copied().collect();
    for (first, count) in [(0, 2051), (1000, 100), (2047, 2), (2050, 1), (2051, 0)] {
        let part = offer.values(entry, 0, range(first, count)).await;
        assert_eq!(part, all[first as usize..first as usize + count as usize], "{first}+{count}");
    }
    let top = outlines[0].top().expect("an entry of several groups has a top").values();
    for (first, count) in [(0, 3), (1, 1), (1, 2), (3, 0)] {
        let part = offer.values(entry, 1, range(first, count)).await;
        assert_eq!(part, top[first as usize..first as usize + count as usize], "{first}+{count}");
    }
}

/// An entry of one group has no top, and no entry has a third level.
pub(super) async fn groups_that_do_not_exist_have_no_top(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::grouped()).await;
    let (large, full) = (offer.entry("a/groups").ordinal, offer.entry("one-group").ordinal);
    let beyond = [(large, 1, 0, 4), (large, 1, 3, 1), (large, 1, u64::MAX, 2), (large, 1, 4, 0)];
    let absent = [(full, 1, 0, 1), (large, 2, 0, 1), (large, u8::MAX, 0, 0), (large, 0, 2050, 2)];
    for (ordinal, level, first, count) in beyond.into_iter().chain(absent) {
        let range = ChunkRange { first: ChunkIndex(first), count };
        let values = offer.snapshot.outline(ordinal, level, range).await;
        assert_eq!(values, Err(SourceError::BadRange(ordinal)), "level {level}: {range:?}");
    }
}

pub(super) async fn chunks_that_do_not_exist_have_no_outline(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::sample()).await;
    let many = offer.entry("a/deep/er/many-chunks").ordinal;
    let one = offer.entry("one-chunk").ordinal;
    let bad = [(many, 0, 9, 2), (many, 0, 11, 0), (many, 1, 0, 1), (one, 0, 0, 1)];
    let overflow = [(many, 0, u64::MAX, 1), (many, 0, u64::MAX, u32::MAX), (many, 0, 0, u32::MAX)];
    for (ordinal, level, first, count) in bad.into_iter().chain(overflow) {
        let range = ChunkRange { first: ChunkIndex(first), count };
        let outline = offer.snapshot.outline(ordinal, level, range).await;
        assert_eq!(outline, Err(SourceError::BadRange(ordinal)), "{range:?}");
    }
    let none = Ordinal(offer.entries.len() as u64);
    let outline = offer.snapshot.outline(none, 0, ChunkRange::one(ChunkIndex(0))).await;
    assert_eq!(outline, Err(SourceError::NoSuchEntry(none)));
}

pub(super) async fn any_range_of_an_entry_can_be_read(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let entry = offer.entry("a/deep/er/many-chunks");
    let content = seed.content(&entry.key);
    let end = content.len();
    for (from, to) in [(0, 1), (0, end), (1023, 1025), (end - 1, end), (5000, 5000), (end, end), (0, 0)] {
        let bytes = offer.snapshot.read(entry.ordinal, from as u64, to - from).await;
        assert_eq!(bytes, Ok(content.slice(from..to)), "{from}..{to}");
    }
    let empty = offer.entry("a/deep/empty");
    assert_eq!(offer.snapshot.read(empty.ordinal, 0, 0).await, Ok(Bytes::new()));
}

pub(super) async fn bytes_that_do_not_exist_are_refused(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::sample()).await;
    let entry = offer.entry("one-chunk");
    for (offset, len) in
        [(0, 1025), (1024, 1), (1025, 0), (u64::MAX, 1), (u64::MAX, usize::MAX), (0, usize::MAX)]
    {
        let bytes = offer.snapshot.read(entry.ordinal, offset, len).await;
        assert_eq!(bytes, Err(SourceError::BadRange(entry.ordinal)), "{offset}+{len}");
    }
    let none = Ordinal(u64::MAX);
    assert_eq!(offer.snapshot.read(none, 0, 0).await, Err(SourceError::NoSuchEntry(none)));
}

pub(super) async fn a_selector_makes_a_manifest_of_its_own(harness: &dyn Harness) {
    let seed = Seed::sample();
    let source = harness.source(&seed).await;
    let key = |path: &str| EntryKey::from_path(path).expect("it is a path");
    let selectors = [
        Selector::All,
        Selector::Keys { start: None, end: Some(key("one")) },
        Selector::Keys { start: Some(key("b")), end: None },
        Selector::Keys { start: Some(key("zz")), end: None },
        Selector::Entries(vec![key("a/deep/er/many-chunks"), key("nothing"), key("one-chunk")]),
        Selector::Entries(Vec::new()),
    ];
    for selector in selectors {
        let snapshot = source.open(&seed.shard, &selector).await.expect("it can be selected");
        let offer = Offer::list(snapshot as Arc<dyn Snapshot>, 2).await;
        let mut selected = seed.clone();
        selected.entries.retain(|(key, _)| selector.selects_key(key) == Some(true));
        assert_content(&offer, &selected).await;
        assert_eq!(offer.header, Offer::of(harness, &selected).await.header, "{selector:?}");
    }
}

pub(super) async fn time_selects_nothing_here(harness: &dyn Harness) {
    for seed in [Seed::sample(), Seed::empty()] {
        let source = harness.source(&seed).await;
        let time = Selector::Time { start_ms: 0, end_ms: 1 };
        let opened = source.open(&seed.shard, &time).await;
        assert_eq!(opened.err(), Some(SourceError::UnsupportedSelector(seed.shard)));
    }
}

pub(super) async fn an_unknown_shard_is_not_held(harness: &dyn Harness) {
    let seed = Seed::sample();
    let source = harness.source(&seed).await;
    let subject = harness.empty().await;
    let other = ShardId { index: 99, ..seed.shard };
    for source in [source, subject.source()] {
        let opened = source.open(&other, &Selector::All).await;
        assert_eq!(opened.err(), Some(SourceError::NoSuchShard(other.clone())));
    }
}

/// F-61: an empty set is one only if the manifest says so.
pub(super) async fn an_empty_shard_has_a_manifest(harness: &dyn Harness) {
    let offer = Offer::of(harness, &Seed::empty()).await;
    assert!(offer.entries.is_empty() && offer.header.is_sealed());
    assert_eq!(offer.header.counts.entries, 0);
}

pub(super) async fn equal_content_has_equal_manifests(harness: &dyn Harness) {
    let seed = Seed::sample();
    let mut reversed = seed.clone();
    reversed.entries.reverse();
    let (one, other) = (Offer::of(harness, &seed).await, Offer::of(harness, &reversed).await);
    assert_eq!(one.header, other.header);
    let changed = seed.with("more", 1, 0);
    assert_ne!(one.header.digest, Offer::of(harness, &changed).await.header.digest);
}
