//! How fast small entries are staged and published: `staging_rate <directory> [entries] [bytes]`.
//!
//! Entries are made and hashed on the way; only the calls of the staging are measured.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::{
    BlockingPool, DirectoryStore, Fence, ManifestHasher, RealDisk, Sink, VerifiedChunk,
};
use peerstream_types::{
    ChunkIndex, ChunkSize, Codec, Entry, EntryCounts, EntryKey, EntryKind, ManifestHeader, Ordinal, Selector,
    ShardId,
};
use tokio::time::Instant;

const PAGE: u64 = 1_024;

fn entry(ordinal: u64, content: &[u8]) -> Result<Entry, Box<dyn std::error::Error>> {
    Ok(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("d{:04}/key-{ordinal:09}", ordinal / 1_000))?,
        len: content.len() as u64,
        digest: Some(digest_of_whole(content)),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    })
}

fn content(ordinal: u64, len: usize) -> Bytes {
    let mut bytes = vec![7; len];
    let mark = ordinal.to_le_bytes();
    let part = mark.len().min(len);
    bytes[..part].copy_from_slice(&mark[..part]);
    bytes.into()
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are its purpose")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().ok_or("which directory?")?);
    let entries: u64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let len: usize = args.next().map_or(Ok(1_024), |text| text.parse())?;
    let (disk, pool) = (Arc::new(RealDisk::new()), Arc::new(BlockingPool::new()));
    let store = DirectoryStore::open(root, disk, pool).await?;
    let shard: ShardId = "rate@1/0".parse()?;
    let staging = store.stage(&shard, &Selector::All, Fence(1)).await?;

    let (chunk_size, counts) = (ChunkSize::DEFAULT, EntryCounts::default());
    let mut header = ManifestHeader { chunk_size, counts, digest: None, position: None, state: Vec::new() };
    let mut hasher = ManifestHasher::new();
    staging.begin(&header).await?;
    let (mut admitting, mut storing) = (Duration::ZERO, Duration::ZERO);
    for first in (0..entries).step_by(PAGE as usize) {
        let (mut page, mut chunks) = (Vec::new(), Vec::new());
        for ordinal in first..entries.min(first + PAGE) {
            let bytes = content(ordinal, len);
            let entry = Arc::new(entry(ordinal, &bytes)?);
            hasher.entry(&entry);
            chunks.push(VerifiedChunk::check(&entry, chunk_size, None, ChunkIndex(0), bytes)?);
            page.push(entry);
        }
        let start = Instant::now();
        staging.admit(page).await?;
        admitting += start.elapsed();
        let start = Instant::now();
        staging.store(chunks).await?;
        storing += start.elapsed();
    }
    header.counts = hasher.counts();
    header.digest = Some(hasher.seal(&header));
    let start = Instant::now();
    staging.checkpoint().await?;
    let synced = start.elapsed();
    let start = Instant::now();
    staging.seal(&header).await?;
    let sealing = start.elapsed();
    let start = Instant::now();
    staging.publish().await?;
    let publishing = start.elapsed();
    let mib = header.counts.bytes as f64 / f64::from(1 << 20);
    let staged = admitting + storing;
    println!("{entries} entries of {len} bytes: {mib:.0} MiB");
    println!(
        "staged in {staged:.2?} ({:.0} MiB/s): {admitting:.2?} admit, {storing:.2?} store",
        mib / staged.as_secs_f64()
    );
    println!("checkpoint {synced:.2?}, seal {sealing:.2?}, publish {publishing:.2?}");
    Ok(())
}
