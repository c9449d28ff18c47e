//! From the config's datasets to stores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use peerstream_engine::{Dataset, Datasets};
use peerstream_snapshot::{BlockingPool, DirectorySource, DirectoryStore, RealDisk, Sink, Source};
use peerstream_types::{ChunkSize, DatasetKind, DatasetName, ShardId};

use super::checkpoints;
use super::data_dir::DataDir;
use super::held::{Held, Version};
use super::pace::Pace;
use crate::config::{self, Config};
use crate::failure::{Failure, Result};

/// What all stores share.
#[derive(Debug, Clone)]
pub(super) struct Seams {
    pub(super) disk: RealDisk,
    pub(super) pool: BlockingPool,
    pub(super) pace: Pace,
}

/// The datasets, and the store of those that are received.
pub(super) struct Stores {
    pub(super) held: Vec<Arc<Held>>,
    pub(super) received: Arc<DirectoryStore>,
}

/// Opens the stores. What a crash left half made is removed on the way.
pub(super) async fn open(config: &Config, dir: &DataDir, seams: &Seams) -> Result<Stores> {
    let received = received(&dir.store(), seams).await?;
    let served = DirectorySource::with_seams(
        dir.served(),
        Arc::new(seams.disk.clone()),
        Arc::new(seams.pool.clone()),
        ChunkSize::DEFAULT,
    );
    let served = Arc::new(served.paced(Arc::new(seams.pace.clone())));
    let mut held: BTreeMap<_, BTreeMap<u64, Version>> = BTreeMap::new();
    for dataset in &config.datasets {
        for (shard, path) in dataset.served() {
            check_directory(&shard, &path)?;
        }
        let checkpoints = checkpoints::source(dataset, &dir.checkpoints(), &served, seams).await?;
        let source: Arc<dyn Source> = match (&checkpoints, &dataset.serve) {
            (Some(checkpoints), _) => Arc::new(checkpoints.clone()),
            (None, Some(_)) => {
                bind(&served, dataset)?;
                served.clone()
            }
            (None, None) => received.clone(),
        };
        let sink: Option<Arc<dyn Sink>> = if dataset.serve.is_none() { Some(received.clone()) } else { None };
        let (shards, served) = (dataset.shards, dataset.serve.clone());
        let snapshot = dataset.snapshot.mode;
        let version = Version { shards, served, snapshot, checkpoints, source, sink };
        held.entry(dataset.name.clone()).or_default().insert(dataset.version, version);
    }
    let held = held
        .into_iter()
        .map(|(name, versions)| Arc::new(Held { kind: kind_of(config, &name), name, versions }))
        .collect();
    Ok(Stores { held, received })
}

/// Hands the datasets to the engine.
pub(super) fn for_engine(held: &[Arc<Held>]) -> Datasets {
    let datasets = Datasets::new();
    for one in held {
        let sink: Option<Arc<dyn Sink>> = if one.is_received() { Some(one.clone()) } else { None };
        let kind = one.kind;
        let dataset = Dataset { source: Some(one.clone()), sink, kind, ..Dataset::default() };
        datasets.insert(one.name.clone(), dataset);
    }
    datasets
}

/// How the replicas of a dataset are related: all versions of it alike.
fn kind_of(config: &Config, name: &DatasetName) -> DatasetKind {
    let dataset = config.datasets.iter().find(|dataset| dataset.name == *name);
    dataset.map_or(DatasetKind::default(), |dataset| dataset.kind)
}

async fn received(path: &Path, seams: &Seams) -> Result<Arc<DirectoryStore>> {
    let opened = DirectoryStore::open(path, Arc::new(seams.disk.clone()), Arc::new(seams.pool.clone())).await;
    let store = opened.map_err(|error| Failure::new(format!("cannot open the store of shards: {error}")))?;
    for fault in store.faults() {
        tracing::error!(%fault, "a shard was not cleaned up; it may not answer, or take more room than it should");
    }
    Ok(Arc::new(store))
}

fn bind(source: &DirectorySource, dataset: &config::Dataset) -> Result<()> {
    for (shard, path) in dataset.served() {
        source
            .serve(&shard, path, None, Vec::new())
            .map_err(|error| Failure::new(format!("cannot serve {shard}: {error}")))?;
    }
    Ok(())
}

/// Whether there is a directory to serve.
pub(crate) fn check_directory(shard: &ShardId, path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let what = format!("dataset {}@{}: {} is no directory", shard.dataset, shard.version, path.display());
    let hint = "`serve` names the directory of the shard; with several shards, the one above <index>/";
    Err(Failure::new(what).hint(hint))
}
