//! A replica comes up from two that differ, while it is written to.
//!
//! ```text
//! cargo run -p peerstream-blocks --example bootstrap_while_writing
//! ```
#![expect(clippy::print_stdout, reason = "it shows a person what happens")]

use std::sync::Arc;

use peerstream_blocks::{BlockKey, BlockOptions, BlockStore, Point, SeriesUnion, Stamp, Tags};
use peerstream_snapshot::{Fence, Sink, Snapshot, Source, Staging, VerifiedChunk};
use peerstream_types::{Entry, ManifestHeader, Ordinal, PageToken, Selector, ShardId};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let shard: ShardId = "metrics@1/0".parse()?;
    let (one, other, new) = (store(), store(), store());
    for (replica, at) in [(&one, 0), (&other, 1)] {
        replica.create(&shard).await?;
        write(replica, &shard, at).await?;
    }

    // What the two have: images that stay as they are, each block with its digest.
    let (first, second) =
        (one.open(&shard, &Selector::All).await?, other.open(&shard, &Selector::All).await?);
    let staging = new.stage(&shard, &Selector::All, Fence(1)).await?;
    staging.begin(&first.header()).await?;
    staging.contribute(&second.header()).await?;
    println!("from two replicas, of which each lacks a point");

    // The two copies of the block are variants: both are fetched, and merged as they come.
    let mut ordinal = 0;
    for source in [&first, &second] {
        fetch(&**source, &*staging, &mut ordinal).await?;
        write(&new, &shard, ordinal as i64 + 1).await?;
        println!("a copy is merged, a point is written: {} points", count(&new, &shard).await?);
    }

    // The header of a union is its maker's: the least position, no digest of any one source.
    let header = ManifestHeader { digest: None, ..first.header() };
    staging.seal(&header).await?;
    println!("ready before publish: {}", new.is_ready(&shard).await?);
    staging.publish().await?;
    println!("ready after publish: {}", new.is_ready(&shard).await?);
    assert_eq!(count(&new, &shard).await?, 4);
    Ok(())
}

fn store() -> BlockStore {
    BlockStore::in_memory(BlockOptions::new(SeriesUnion))
}

fn cpu() -> Result<BlockKey> {
    Ok(BlockKey::new("cpu", Tags::new([("host", "a")])?, 0)?)
}

async fn write(store: &BlockStore, shard: &ShardId, at_ms: i64) -> Result<()> {
    let point = Point { at_ms, stamp: Stamp(1_700_000_000_000), value: "0.3".into() };
    Ok(store.write(shard, &cpu()?, &SeriesUnion::encode(&[point])?).await?)
}

async fn count(store: &BlockStore, shard: &ShardId) -> Result<usize> {
    let block = store.read(shard, &cpu()?).await?.and_then(|block| block.payload);
    Ok(SeriesUnion::decode(&block.ok_or("there is no such block")?)?.len())
}

/// Takes the one block of a source into the staging. A recovery does this for many blocks and sources at
/// once, and lists what is equal once.
async fn fetch(source: &dyn Snapshot, staging: &dyn Staging, ordinal: &mut u64) -> Result<()> {
    let page = source.page(&PageToken::START, 1).await?;
    let listed = page.entries.first().ok_or("it has no block")?;
    let entry = Arc::new(Entry { ordinal: Ordinal(*ordinal), ..listed.clone() });
    *ordinal += 1;
    staging.admit(vec![entry.clone()]).await?;
    let bytes = source.read(listed.ordinal, 0, usize::try_from(entry.len)?).await?;
    let chunk = VerifiedChunk::check(
        &entry,
        source.header().chunk_size,
        None,
        peerstream_types::ChunkIndex(0),
        bytes,
    )?;
    Ok(staging.store(vec![chunk]).await?)
}
