//! Stores with long blocks, long tags, many blocks: what is written in one step is read back, and costs
//! what it should.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_blocks::limits::{BLOCK_LEN_MAX, SERIES_ID_LEN_MAX};
use peerstream_blocks::{
    BlockError, BlockKey, BlockOptions, BlockStore, MergeError, Point, SeriesUnion, Stamp, Tags,
};
use peerstream_snapshot::disk::crash::{CrashDisk, Survival};
use peerstream_snapshot::{Fence, Sink};
use peerstream_types::Selector;

use crate::common::{Offer, all_of, bring_up, key, points, read, shard};

/// Five of these in one record of a log are more than is read back of one.
const LONG: usize = 14 << 20;

fn options() -> BlockOptions {
    BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) }
}

fn open(disk: &CrashDisk) -> BlockStore {
    BlockStore::on_disk(Arc::new(disk.clone()), "blocks", options())
}

/// A payload of one point.
fn long(stamp: u64) -> Bytes {
    one_point(stamp, LONG)
}

/// A payload of one point with a value of so many bytes.
fn one_point(stamp: u64, len: usize) -> Bytes {
    let point = Point { at_ms: 1, stamp: Stamp(stamp), value: vec![7; len].into() };
    SeriesUnion::encode(&[point]).unwrap()
}

/// A key with the longest id, and with long tags.
fn long_key(start: i64) -> BlockKey {
    let tags = Tags::new([("a", vec![b'x'; 4_000])]).unwrap();
    BlockKey::new(vec![0; SERIES_ID_LEN_MAX], tags, start).unwrap()
}

/// What is written after long blocks forgot their deletes is there after a crash, and so are they.
#[tokio::test]
async fn a_purge_of_long_blocks_is_read_back() {
    let disk = CrashDisk::new();
    let store = open(&disk);
    store.create(&shard()).await.unwrap();
    for start in 0..5 {
        store.delete(&shard(), &key("cpu", start), Stamp(60)).await.unwrap();
        store.write(&shard(), &key("cpu", start), &long(300)).await.unwrap();
    }
    store.mark_synced(&shard(), Stamp(500)).await.unwrap();
    assert_eq!(store.purge(&shard(), Stamp(1_000)).await, Ok(5));
    store.write(&shard(), &key("after", 0), &points(600, &[(1, "told")])).await.unwrap();
    store.flush(&shard()).await.unwrap();
    drop(store);
    let store = open(&disk.crash(Survival::Nothing));
    assert_eq!(read(&store, &key("after", 0)).await, Some(vec![(1, "told".into())]));
    for start in 0..5 {
        let block = store.read(&shard(), &key("cpu", start)).await.unwrap().unwrap();
        assert_eq!((block.deleted, block.payload.map(|payload| payload.len() > LONG)), (None, Some(true)));
    }
}

/// Short copies that come at once for blocks that are long here are merged in steps that are read back.
#[tokio::test]
async fn a_recovery_into_long_blocks_is_read_back() {
    let disk = CrashDisk::new();
    let (store, source) = (open(&disk), BlockStore::in_memory(options()));
    source.create(&shard()).await.unwrap();
    for start in 0..5 {
        store.write(&shard(), &key("cpu", start), &long(300)).await.unwrap();
        source.write(&shard(), &key("cpu", start), &points(310, &[(2, "short")])).await.unwrap();
    }
    let offer = Offer::of(&source).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let mut chunks = Vec::new();
    for entry in &offer.entries {
        chunks.extend(offer.chunks(entry, entry).await);
    }
    staging.store(chunks).await.unwrap();
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    drop((staging, store));
    let store = open(&disk.crash(Survival::Nothing));
    assert_eq!(store.is_ready(&shard()).await, Ok(true));
    for start in 0..5 {
        assert_eq!(read(&store, &key("cpu", start)).await.unwrap().len(), 2, "block {start}");
    }
}

/// A delete that a block survives has room in the longest block that is taken, from the host or from a peer.
#[tokio::test]
async fn a_delete_has_room_in_the_longest_block() {
    let around = one_point(300, 0).len();
    let longest = |room: usize| one_point(300, BLOCK_LEN_MAX - around - room);
    let (store, source) = (BlockStore::in_memory(options()), BlockStore::in_memory(options()));
    store.create(&shard()).await.unwrap();
    for room in 2..10 {
        let refused = store.write(&shard(), &key("cpu", 0), &longest(room)).await;
        assert!(matches!(refused, Err(BlockError::Merge(MergeError::TooLong(_)))), "{room}: {refused:?}");
    }
    store.write(&shard(), &key("cpu", 0), &longest(10)).await.unwrap();
    bring_up(&source, &[&store]).await.unwrap();
    for store in [&store, &source] {
        store.delete(&shard(), &key("cpu", 0), Stamp(200)).await.unwrap();
        let block = store.read(&shard(), &key("cpu", 0)).await.unwrap().unwrap();
        assert_eq!((block.deleted, block.payload), (Some(Stamp(200)), Some(longest(10))));
    }
    bring_up(&source, &[&store]).await.unwrap();
    assert_eq!(all_of(&source).await, all_of(&store).await);
}

/// A log is written anew because most of it does not count, and not because tags are long.
#[tokio::test]
async fn a_log_with_long_tags_is_rarely_written_anew() {
    const BLOCKS: i64 = 500;
    let disk = CrashDisk::new();
    let store = open(&disk);
    store.create(&shard()).await.unwrap();
    let before = disk.counts().changes;
    for start in 0..BLOCKS {
        store.delete(&shard(), &long_key(start), Stamp(1)).await.unwrap();
    }
    let changes = disk.counts().changes - before;
    assert!(changes < 2 * BLOCKS as u64, "{changes} changes of the disk for {BLOCKS} writes");
}

/// Half of a copy that will not come whole takes no room any more.
#[tokio::test]
async fn what_is_left_out_takes_no_room() {
    let (store, source) = (BlockStore::in_memory(options()), BlockStore::in_memory(options()));
    source.create(&shard()).await.unwrap();
    source.write(&shard(), &key("cpu", 0), &long(300)).await.unwrap();
    let offer = Offer::of(&source).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let mut chunks = offer.chunks(&offer.entries[0], &offer.entries[0]).await;
    chunks.pop();
    staging.store(chunks).await.unwrap();
    staging.leave_out(offer.entries[0].ordinal).await.unwrap();
    // Begun again, what is still kept of it would not be asked for.
    staging.begin(&offer.header).await.unwrap();
    assert_eq!(staging.admit(offer.entries.clone()).await, Ok(Vec::new()));
    assert_eq!(store.read(&shard(), &key("cpu", 0)).await, Ok(None));
}

/// A pool that counts its jobs, and lets others run after each.
#[cfg(feature = "fjall")]
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

#[cfg(feature = "fjall")]
impl peerstream_snapshot::Offload for Counting {
    fn run(&self, job: peerstream_snapshot::offload::Job) -> peerstream_snapshot::BoxFuture<'_, ()> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        job();
        Box::pin(tokio::task::yield_now())
    }
}

/// F-30: while thousands of deletes are forgotten, a write waits for a part of them at most.
#[cfg(feature = "fjall")]
#[tokio::test]
async fn a_purge_lets_writes_in() {
    const BLOCKS: u64 = 2_500;
    let (dir, pool) = (tempfile::tempdir().unwrap(), Arc::new(Counting::default()));
    let store = BlockStore::on_fjall(dir.path(), pool.clone(), options()).unwrap();
    store.create(&shard()).await.unwrap();
    for start in 0..BLOCKS as i64 {
        store.delete(&shard(), &key("cpu", start), Stamp(60)).await.unwrap();
    }
    store.mark_synced(&shard(), Stamp(500)).await.unwrap();
    let (metrics, own, mut written, mut most) = (shard(), key("own", 0), 600, 0);
    let purge = store.purge(&metrics, Stamp(1_000));
    tokio::pin!(purge);
    let forgotten = loop {
        let payload = points(written, &[(written as i64, "w")]);
        let before = pool.0.load(std::sync::atomic::Ordering::Relaxed);
        let forgotten = tokio::select! {
            biased;
            forgotten = &mut purge => Some(forgotten),
            done = store.write(&metrics, &own, &payload) => done.map(|()| None).unwrap(),
        };
        // The last write may still wait when all is forgotten.
        most = most.max(pool.0.load(std::sync::atomic::Ordering::Relaxed) - before);
        if let Some(forgotten) = forgotten {
            break forgotten;
        }
        written += 1;
    };
    assert_eq!(forgotten, Ok(BLOCKS));
    assert!(written > 602 && most < 1_100, "{} writes, one waited for {most} jobs", written - 600);
    let kept = read(&store, &own).await.unwrap();
    assert!((0..written as i64 - 600).all(|at| kept[at as usize].0 == at + 600), "{kept:?}");
}
