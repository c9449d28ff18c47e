//! `fetch`: brings shards up into a directory store through the ordinary plan, and ends.

use std::sync::Arc;

use peerstream_engine::snapshot::{BlockingPool, DirectoryStore, Disk, RealDisk};
use peerstream_engine::types::{Operation, ShardId};
use peerstream_engine::{Dataset, Engine, StreamPlan};
use serde_json::json;
use tokio::time::Instant;

use crate::identity::{DONOR, REPLICA};
use crate::options::Options;
use crate::unsynced::Unsynced;
use crate::{Result, engine, identity, say};

pub(crate) async fn run(options: &Options) -> Result<()> {
    let real = RealDisk::new();
    let disk: Arc<dyn Disk> =
        if options.flag("sync") { Arc::new(real) } else { Arc::new(Unsynced(Arc::new(real))) };
    let pool = BlockingPool::new();
    let store = DirectoryStore::open(options.path("to")?, disk, Arc::new(pool.clone())).await?;
    let store = Arc::new(store);
    let transport = engine::transport(options, REPLICA, ([127, 0, 0, 1], 0).into())?;
    let dataset = Dataset { source: Some(store.clone()), sink: Some(store.clone()), ..Dataset::default() };
    let engine = engine::start(REPLICA, transport, pool, dataset, Some(options.needed("from")?))?;
    let shards = engine::shards(options.optional("shards")?.unwrap_or(1))?;

    let started = Instant::now();
    // A plan each: that many sessions at once.
    let plans = shards.iter().map(|shard| tokio::spawn(bring_up(engine.clone(), shard.clone())));
    let mut bytes = 0;
    for plan in plans.collect::<Vec<_>>() {
        bytes += plan.await??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let first = shards.first().ok_or("no shard was asked for")?;
    let at = store.current_path(first).await?.ok_or("nothing was published")?;
    say(&json!({ "bytes": bytes, "seconds": seconds, "published": at }));
    engine.shutdown().await;
    Ok(())
}

/// Brings one shard up; answers how many bytes it has.
async fn bring_up(engine: Engine, shard: ShardId) -> Result<u64> {
    let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard, [identity::node(DONOR)?]);
    let mut plan = engine.execute(plan)?;
    let outcome = (&mut plan).await;
    if !outcome.is_completed() {
        let how = outcome.shards.iter().map(|shard| shard.outcome.to_string());
        return Err(how.collect::<Vec<_>>().join("; ").into());
    }
    Ok(plan.state().shards.iter().map(|shard| shard.bytes_done).sum())
}
