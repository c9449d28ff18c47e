//! What waits for the rest of its chunks, and the room that it has.

use peerstream_snapshot::{Fence, Source, VerifiedOutline};
use peerstream_types::{ChunkSize, PageToken, Selector};

use super::*;
use crate::{BlockKey, BlockOptions, LastWriter, Stamp, Tags};

fn options() -> BlockOptions {
    BlockOptions { chunk_size: ChunkSize::new(1024).unwrap(), ..BlockOptions::new(LastWriter) }
}

fn shard() -> ShardId {
    "metrics@1/0".parse().unwrap()
}

/// What a source with blocks of three chunks each offers: the header, the entries and their chunks.
async fn offer(series: &[&str]) -> (ManifestHeader, Vec<Arc<Entry>>, Vec<VerifiedChunk>) {
    let source = BlockStore::in_memory(options());
    source.create(&shard()).await.unwrap();
    for series in series {
        let key = BlockKey::new(*series, Tags::default(), 0).unwrap();
        source.write(&shard(), &key, &LastWriter::encode(Stamp(1), &[7; 2_500])).await.unwrap();
    }
    let snapshot = source.open(&shard(), &Selector::All).await.unwrap();
    let page = snapshot.page(&PageToken::START, 100).await.unwrap();
    let entries: Vec<_> = page.entries.into_iter().map(Arc::new).collect();
    let (size, mut chunks) = (options().chunk_size, Vec::new());
    for entry in &entries {
        let all = ChunkRange { first: ChunkIndex(0), count: 3 };
        let outline = snapshot.outline(entry.ordinal, 0, all).await.unwrap();
        let outline = VerifiedOutline::check(entry, size, outline).unwrap();
        for index in all.iter() {
            let len = size.len_of(index, entry.len) as usize;
            let bytes = snapshot.read(entry.ordinal, index.0 * size.bytes(), len).await.unwrap();
            chunks.push(VerifiedChunk::check(entry, size, Some(&outline), index, bytes).unwrap());
        }
    }
    (page.sealed.unwrap(), entries, chunks)
}

/// A recovery with room for one such block.
async fn cramped() -> MergeStaging {
    let store = BlockStore::in_memory(options());
    let ticket = store.shard(&shard()).await.unwrap().writers.enter(&shard(), Fence(1)).unwrap();
    let staging = MergeStaging::new(store, shard(), ticket);
    staging.work.lock().await.partials = Partials::with_room(3 * 1024);
    staging
}

/// What a call makes whole is merged, and its room is there for the rest of the call.
#[tokio::test]
async fn what_is_merged_makes_room() {
    let (header, entries, chunks) = offer(&["cpu", "disk", "mem"]).await;
    let staging = cramped().await;
    staging.begin(&header).await.unwrap();
    staging.admit(entries).await.unwrap();
    staging.store(chunks).await.unwrap();
    staging.seal(&header).await.unwrap();
    staging.publish().await.unwrap();
}

/// What is whole in a call that ends without room is merged all the same.
#[tokio::test]
async fn what_is_whole_is_merged_though_there_is_no_room() {
    let (header, entries, chunks) = offer(&["cpu", "disk", "mem"]).await;
    let staging = cramped().await;
    staging.begin(&header).await.unwrap();
    staging.admit(entries.clone()).await.unwrap();
    // The last chunk of two of them is missing.
    let some: Vec<_> = [0, 1, 2, 3, 4, 6, 7].map(|place| chunks[place].clone()).into();
    let refused = staging.store(some).await;
    assert!(matches!(refused, Err(SinkError::NoRoom { .. })), "{refused:?}");
    staging.begin(&header).await.unwrap();
    let held = staging.admit(entries).await.unwrap();
    let counts: Vec<_> = held.iter().map(|held| (held.ordinal.0, held.chunks[0].count)).collect();
    assert_eq!(counts, [(0, 3), (1, 2), (2, 1)]);
}

/// What is kept of copies that no manifest lists any more gives way.
#[tokio::test]
async fn what_is_not_listed_any_more_makes_room() {
    let (header, entries, chunks) = offer(&["cpu"]).await;
    let staging = cramped().await;
    staging.begin(&header).await.unwrap();
    staging.admit(entries).await.unwrap();
    staging.store(chunks[..2].to_vec()).await.unwrap();
    let (header, entries, chunks) = offer(&["mem"]).await;
    staging.begin(&header).await.unwrap();
    staging.admit(entries).await.unwrap();
    staging.store(chunks[..2].to_vec()).await.unwrap();
    staging.store(chunks[2..].to_vec()).await.unwrap();
    staging.seal(&header).await.unwrap();
    staging.publish().await.unwrap();
}
