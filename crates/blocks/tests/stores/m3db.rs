//! The cases of M3DB's own test-suite that are about blocks.

use std::sync::Arc;

use peerstream_blocks::{BlockKey, BlockOptions, BlockStore, LastWriter, Point, SeriesUnion, Stamp, Tags};
use peerstream_snapshot::Source;
use peerstream_types::{ChunkSize, EntryKind, PageToken, Selector};

use crate::common::{Offer, all_of, bring_up, key, points, read, shard};

async fn empty() -> BlockStore {
    let chunk_size = ChunkSize::new(1024).unwrap();
    BlockStore::in_memory(BlockOptions { chunk_size, ..BlockOptions::new(SeriesUnion) })
}

/// A store that is ready, with these blocks.
async fn holding(blocks: &[(BlockKey, bytes::Bytes)]) -> BlockStore {
    let store = empty().await;
    store.create(&shard()).await.unwrap();
    for (key, payload) in blocks {
        store.write(&shard(), key, payload).await.unwrap();
    }
    store
}

/// M-16, M-32: a block arrives with its bytes, its start, its series and its length as they were, whether it
/// is one chunk or many.
#[tokio::test]
async fn a_block_arrives_as_it_was() {
    let long: Vec<Point> =
        (0..2000).map(|at_ms| Point { at_ms, stamp: Stamp(1), value: vec![at_ms as u8; 9].into() }).collect();
    let blocks = [
        (key("cpu", -7_200_000), points(1, &[(-7_200_000, "a")])),
        (key("cpu", 0), SeriesUnion::encode(&long).unwrap()),
    ];
    let (donor, replica) = (holding(&blocks).await, empty().await);
    bring_up(&replica, &[&donor]).await.unwrap();
    let arrived = all_of(&replica).await;
    assert_eq!(arrived, all_of(&donor).await);
    for (key, payload) in &blocks {
        assert_eq!(arrived[key].payload.as_ref(), Some(payload), "{key:?}");
    }
    assert!(replica.is_ready(&shard()).await.unwrap(), "nothing is left to be done");
}

/// M-17: parts of a series that overlap and come out of order are one series in order of time, with what
/// belongs to each point.
#[tokio::test]
async fn parts_are_merged_in_order_of_time() {
    let parts = [
        points(1, &[(30, "30 s"), (50, "50 s")]),
        points(1, &[(10, "10 s, first"), (20, "20 s")]),
        points(2, &[(40, "40 s"), (20, "20 s, anew")]),
    ];
    let expected: Vec<(i64, bytes::Bytes)> =
        [(10, "10 s, first"), (20, "20 s, anew"), (30, "30 s"), (40, "40 s"), (50, "50 s")]
            .map(|(at, value)| (at, value.into()))
            .into();
    for turn in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut donors = Vec::new();
        for part in turn {
            donors.push(holding(&[(key("cpu", 0), parts[part].clone())]).await);
        }
        let replica = empty().await;
        bring_up(&replica, &donors.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(read(&replica, &key("cpu", 0)).await.unwrap(), expected, "{turn:?}");
    }
}

/// M-24: a block that comes for one that is there already is merged with it, whichever of them has nothing
/// left in it.
#[tokio::test]
async fn a_block_that_comes_is_merged_with_the_one_that_is_there() {
    let (ours, theirs) = (points(5, &[(1, "ours"), (2, "ours")]), points(6, &[(2, "theirs"), (3, "theirs")]));
    let both = [(1, "ours"), (2, "theirs"), (3, "theirs")];
    type Case<'a> = (Option<&'a bytes::Bytes>, Option<&'a bytes::Bytes>, &'a [(i64, &'a str)]);
    let cases: [Case<'_>; 3] = [
        (Some(&ours), Some(&theirs), &both),
        (None, Some(&theirs), &both[1..]),
        (Some(&ours), None, &[(1, "ours"), (2, "ours")]),
    ];
    for (here, there, expected) in cases {
        let (replica, donor) =
            (holding(&[]).await, holding(&[(key("disk", 0), points(1, &[(0, "x")]))]).await);
        for (store, payload) in [(&replica, here), (&donor, there)] {
            match payload {
                Some(payload) => store.write(&shard(), &key("cpu", 0), payload).await.unwrap(),
                None => {
                    store.write(&shard(), &key("cpu", 0), &points(1, &[(9, "old")])).await.unwrap();
                    store.delete(&shard(), &key("cpu", 0), Stamp(2)).await.unwrap();
                    assert_eq!(read(store, &key("cpu", 0)).await, None);
                }
            }
        }
        bring_up(&replica, &[&donor]).await.unwrap();
        let found = read(&replica, &key("cpu", 0)).await.unwrap();
        let found: Vec<(i64, &str)> =
            found.iter().map(|(at, value)| (*at, std::str::from_utf8(value).unwrap())).collect();
        assert_eq!(found, expected);
    }
}

/// M-33: a block without a byte of content is carried like any other.
#[tokio::test]
async fn an_empty_block_is_carried_too() {
    let stores = [LastWriter, LastWriter].map(|hook| BlockStore::in_memory(BlockOptions::new(hook)));
    let [donor, replica] = &stores;
    donor.create(&shard()).await.unwrap();
    let nothing = LastWriter::encode(Stamp(1), b"");
    donor.write(&shard(), &key("cpu", 0), &nothing).await.unwrap();
    bring_up(replica, &[donor]).await.unwrap();
    let arrived = all_of(replica).await;
    assert_eq!(arrived, all_of(donor).await);
    assert_eq!(arrived[&key("cpu", 0)].payload, Some(nothing));
}

/// M-25, F-02, F-04: a listing has every block once, in order, with its tags, its length and its digest, though
/// all of them are written to, some go and some come between its pages.
#[tokio::test]
async fn what_changes_while_it_is_listed_is_listed_once_with_its_tags() {
    let named = |host: usize| {
        let host = format!("h{host}");
        let tags = Tags::new([("host", host.as_str()), ("unit", "ms")]).unwrap();
        BlockKey::new("cpu", tags, 0).unwrap()
    };
    let blocks: Vec<_> = (0..9).map(|host| (named(host), points(1, &[(0, "a")]))).collect();
    let store = holding(&blocks).await;
    let snapshot = store.open(&shard(), &Selector::All).await.unwrap();
    let (mut listed, mut token, mut stamp) = (Vec::new(), PageToken::START, 10);
    let header = loop {
        let page = snapshot.page(&token, 2).await.unwrap();
        listed.extend(page.entries.into_iter().map(Arc::new));
        stamp += 10;
        for (key, _) in &blocks {
            store.write(&shard(), key, &points(stamp, &[(stamp as i64, "later")])).await.unwrap();
        }
        store.delete(&shard(), &named(stamp as usize / 10 % 9), Stamp(stamp + 1)).await.unwrap();
        store.write(&shard(), &named(stamp as usize), &points(stamp, &[(0, "new")])).await.unwrap();
        match page.next {
            Some(next) => token = next,
            None => break page.sealed.unwrap(),
        }
    };
    let keys: Vec<BlockKey> =
        listed.iter().map(|entry| BlockKey::from_entry(&entry.key, &entry.metadata).unwrap()).collect();
    let mut expected: Vec<BlockKey> = blocks.iter().map(|(key, _)| key.clone()).collect();
    expected.sort_by_key(BlockKey::to_entry_key);
    assert_eq!(keys, expected);
    let offer = Offer { snapshot, header, entries: listed };
    for (entry, key) in offer.entries.iter().zip(&keys) {
        assert_eq!(key.tags().iter().nth(1), Some((&b"unit"[..], &b"ms"[..])));
        assert_eq!((entry.kind, entry.len > 0, entry.digest.is_some()), (EntryKind::Block, true, true));
        assert_eq!(offer.chunks(entry, entry).await.len(), 1, "it is read as it was listed");
    }
}
