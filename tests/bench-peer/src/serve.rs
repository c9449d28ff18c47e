//! `serve`: a directory as one or several shards, until its input ends.

use std::sync::Arc;

use peerstream_engine::Dataset;
use peerstream_engine::shape::{PassThrough, Shaper};
use peerstream_engine::snapshot::{BlockingPool, DirectorySource, RealDisk, Snapshot, Source};
use peerstream_engine::transport::Transport;
use peerstream_engine::types::{ChunkSize, PageToken, Selector, ShardId};
use serde_json::json;
use tokio::time::Instant;

use crate::capped::Capped;
use crate::identity::DONOR;
use crate::options::Options;
use crate::{Result, engine, say, usage};

/// Entries that are looked at together while the manifest is made.
const PAGE: usize = 1024;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let (disk, pool) = (RealDisk::new(), BlockingPool::new());
    let dir = options.path("dir")?;
    // Of this process alone, so that nothing is known beforehand; the bench removes what is beside.
    let work = dir.with_extension(format!("served-{}", std::process::id()));
    let source =
        DirectorySource::with_seams(work, Arc::new(disk), Arc::new(pool.clone()), ChunkSize::DEFAULT);
    let source = Arc::new(source);
    let shards = engine::shards(options.optional("shards")?.unwrap_or(1))?;
    for shard in &shards {
        source.serve(shard, &dir, None, Vec::new())?;
    }
    let name = options.optional("name")?.unwrap_or_else(|| DONOR.to_owned());
    let transport = engine::transport(options, &name, options.needed("listen")?)?;
    let addr = transport.local_addr();
    let started = Instant::now();
    let mut bytes = 0;
    let mut snapshots = Vec::new();
    for shard in &shards {
        let snapshot = prepare(&source, shard).await?;
        bytes += snapshot.header().counts.bytes;
        snapshots.push(snapshot);
    }
    let seconds = started.elapsed().as_secs_f64();
    let dataset = Dataset { source: Some(source), sink: None, ..Dataset::default() };
    let shaper: Arc<dyn Shaper> = match options.optional("rate")? {
        Some(rate) => Arc::new(Capped::new(rate)),
        None => Arc::new(PassThrough::default()),
    };
    let _engine = engine::start(&name, transport, pool, dataset, shaper, &[])?;
    say(&json!({
        "ready": addr.to_string(),
        "prepare_bytes": bytes,
        "prepare_seconds": seconds,
        "prepare_cpu_seconds": usage::cpu_seconds(),
    }));
    // The snapshots stay open, so that nothing is prepared twice.
    crate::input_ended().await;
    Ok(())
}

/// Opens a snapshot and waits until its manifest is sealed.
async fn prepare(source: &DirectorySource, shard: &ShardId) -> Result<Arc<dyn Snapshot>> {
    let snapshot = source.open(shard, &Selector::All).await?;
    let mut token = Some(PageToken::START);
    while let Some(from) = token {
        token = snapshot.page(&from, PAGE).await?.next;
    }
    Ok(snapshot)
}
