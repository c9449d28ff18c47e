//! `fetch`: brings shards up into a directory store through the ordinary plan, and ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{BlockingPool, DirectoryStore, Disk, RealDisk};
use peerstream_engine::types::{DatasetKind, Operation, ShardId};
use peerstream_engine::{Dataset, Engine, StreamPlan};
use serde_json::json;
use tokio::time::Instant;

use crate::identity::{DONORS, REPLICA};
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
    let donors: Vec<SocketAddr> = options.list("from")?;
    if donors.len() > DONORS.len() {
        return Err(format!("--from names more than {} donors", DONORS.len()).into());
    }
    let kind = if options.flag("identical") { DatasetKind::Identical } else { DatasetKind::Local };
    let dataset =
        Dataset { source: Some(store.clone()), sink: Some(store.clone()), kind, ..Dataset::default() };
    let shaper = Arc::new(PassThrough::default());
    let engine = engine::start(REPLICA, transport, pool, dataset, shaper, &donors)?;
    let shards = engine::shards(options.optional("shards")?.unwrap_or(1))?;

    let started = Instant::now();
    // A plan each: that many sessions at once.
    let bring_up = |shard: &ShardId| bring_up(engine.clone(), shard.clone(), donors.len());
    let plans = shards.iter().map(|shard| tokio::spawn(bring_up(shard)));
    let mut by_donor = BTreeMap::new();
    for plan in plans.collect::<Vec<_>>() {
        for (donor, bytes) in plan.await?? {
            *by_donor.entry(donor).or_insert(0) += bytes;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let first = shards.first().ok_or("no shard was asked for")?;
    let at = store.current_path(first).await?.ok_or("nothing was published")?;
    say(&json!({ "seconds": seconds, "by_donor": by_donor, "published": at }));
    engine.shutdown().await;
    Ok(())
}

/// Brings one shard up; answers how many bytes came from whom.
async fn bring_up(engine: Engine, shard: ShardId, donors: usize) -> Result<Vec<(String, u64)>> {
    let donors = DONORS.into_iter().take(donors).map(identity::node).collect::<Result<Vec<_>>>()?;
    let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard, donors);
    let mut plan = engine.execute(plan)?;
    let outcome = (&mut plan).await;
    if !outcome.is_completed() {
        let how = outcome.shards.iter().map(|shard| shard.outcome.to_string());
        return Err(how.collect::<Vec<_>>().join("; ").into());
    }
    let shards = plan.state().shards;
    let sources = shards.into_iter().flat_map(|shard| shard.sources);
    Ok(sources.map(|source| (source.peer.to_string(), source.bytes)).collect())
}
