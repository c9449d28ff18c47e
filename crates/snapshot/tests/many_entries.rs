//! A manifest of very many entries costs the receiver no more memory than one of a few (D12, D16):
//! counted allocations, in a process of its own.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::alloc::System;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::{
    DirectoryStore, Fence, ManifestHasher, RealDisk, Sink, Staging, VerifiedChunk, offload,
};
use peerstream_types::{
    ChunkIndex, ChunkSize, Codec, Entry, EntryCounts, EntryKey, EntryKind, ManifestHeader, Ordinal, Selector,
    ShardId,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PAGE: u64 = 1_000;
/// Enough that every buffer of a fixed size is as full as it gets.
const FEW: u64 = 20_000;
const MANY: u64 = 40_000;

/// What may be held more for many entries than for a few: less than half a byte for each that there are
/// more. An entry alone would take 150.
const MARGIN: usize = 10_000;

fn bytes_held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn content(ordinal: u64) -> Bytes {
    Bytes::copy_from_slice(&ordinal.to_le_bytes())
}

fn entry(ordinal: u64) -> Arc<Entry> {
    Arc::new(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("d{:03}/key-{ordinal:09}", ordinal / 1_000)).unwrap(),
        len: 8,
        digest: Some(digest_of_whole(&content(ordinal))),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    })
}

fn sealed(entries: u64) -> ManifestHeader {
    let mut hasher = ManifestHasher::new();
    (0..entries).for_each(|ordinal| hasher.entry(&entry(ordinal)));
    let mut header = header();
    header.counts = hasher.counts();
    header.digest = Some(hasher.seal(&header));
    header
}

fn header() -> ManifestHeader {
    let (chunk_size, counts) = (ChunkSize::DEFAULT, EntryCounts::default());
    ManifestHeader { chunk_size, counts, digest: None, position: None, state: Vec::new() }
}

async fn fill(staging: &dyn Staging, ordinals: Range<u64>) {
    for first in ordinals.step_by(PAGE as usize) {
        let page: Vec<_> = (first..first + PAGE).map(entry).collect();
        assert_eq!(staging.admit(page.clone()).await.unwrap(), []);
        let check = |entry: &Arc<Entry>| {
            let bytes = content(entry.ordinal.0);
            VerifiedChunk::check(entry, ChunkSize::DEFAULT, None, ChunkIndex(0), bytes).unwrap()
        };
        staging.store(page.iter().map(check).collect()).await.unwrap();
    }
}

/// The most that is held after a page, over what was held before the first.
async fn held_while_receiving(entries: u64) -> usize {
    let root = tempfile::tempdir().unwrap();
    let header = sealed(entries);
    let before = bytes_held();
    let disk = Arc::new(RealDisk::new());
    let store = DirectoryStore::open(root.path(), disk, Arc::new(offload::Inline)).await.unwrap();
    let shard: ShardId = "many@1/0".parse().unwrap();
    let staging = store.stage(&shard, &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&header).await.unwrap();
    let mut most = 0;
    for first in (0..entries).step_by(PAGE as usize) {
        fill(&*staging, first..first + PAGE).await;
        most = most.max(bytes_held().saturating_sub(before));
    }
    staging.checkpoint().await.unwrap();
    staging.seal(&header).await.unwrap();
    most = most.max(bytes_held().saturating_sub(before));
    staging.publish().await.unwrap();
    most.max(bytes_held().saturating_sub(before))
}

/// D12, D16.
#[tokio::test]
async fn many_entries_cost_no_more_memory_than_a_few() {
    // Whatever is made once is made now.
    held_while_receiving(PAGE).await;
    let few = held_while_receiving(FEW).await;
    let many = held_while_receiving(MANY).await;
    println!("{many} bytes for {MANY} entries, {few} for {FEW}");
    assert!(many < few + MARGIN, "{many} bytes for {MANY} entries, {few} for {FEW}");
}
