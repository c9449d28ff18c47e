//! A dataset as the config describes it: its versions and shards, and nothing beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use peerstream_snapshot::{
    BoxFuture, CheckpointSource, Fence, Generation, Sink, SinkError, Snapshot, Source, SourceError, Staging,
};
use peerstream_types::{DatasetKind, DatasetName, ManifestHeader, Selector, ShardId};

use crate::config::SnapshotMode;

/// One version of a dataset.
#[derive(Debug)]
pub(crate) struct Version {
    /// How many shards it has.
    pub(crate) shards: u32,
    /// The directory that is served, if one is.
    pub(crate) served: Option<PathBuf>,
    /// Where its snapshots come from.
    pub(crate) snapshot: SnapshotMode,
    /// Freezes what is served, unless it is served as it is.
    pub(crate) checkpoints: Option<CheckpointSource>,
    pub(super) source: Arc<dyn Source>,
    /// Where shards are received; `None` if a directory is served.
    pub(super) sink: Option<Arc<dyn Sink>>,
}

/// All versions of a dataset. Stands between the engine and the stores, so that a peer can neither
/// ask for nor bring what the config does not name.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: DatasetName,
    pub(crate) kind: DatasetKind,
    pub(crate) versions: BTreeMap<u64, Version>,
}

impl Held {
    /// Whether anything of it can be received.
    pub(super) fn is_received(&self) -> bool {
        self.versions.values().any(|version| version.sink.is_some())
    }

    /// What freezes its versions, with their names.
    pub(super) fn checkpoints(&self) -> impl Iterator<Item = (String, &CheckpointSource)> {
        self.versions.iter().filter_map(|(number, version)| {
            let name = format!("{}@{number}", self.name);
            version.checkpoints.as_ref().map(|checkpoints| (name, checkpoints))
        })
    }

    fn version_of(&self, shard: &ShardId) -> Option<&Version> {
        self.versions.get(&shard.version).filter(|version| shard.index < version.shards)
    }

    fn sink_of(&self, shard: &ShardId) -> Result<&Arc<dyn Sink>, SinkError> {
        let sink = self.version_of(shard).and_then(|version| version.sink.as_ref());
        sink.ok_or_else(|| SinkError::NoSuchShard(shard.clone()))
    }
}

impl Source for Held {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        match self.version_of(shard) {
            Some(version) => version.source.open(shard, selector),
            None => Box::pin(std::future::ready(Err(SourceError::NoSuchShard(shard.clone())))),
        }
    }
}

impl Sink for Held {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        match self.sink_of(shard) {
            Ok(sink) => sink.stage(shard, selector, fence),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        match self.sink_of(shard) {
            Ok(sink) => sink.current(shard),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn merges(&self, shard: &ShardId) -> bool {
        self.sink_of(shard).is_ok_and(|sink| sink.merges(shard))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use peerstream_snapshot::MemoryStore;
    use peerstream_types::EntryKey;

    use super::*;

    fn shard(text: &str) -> ShardId {
        text.parse().unwrap()
    }

    fn held(store: &Arc<MemoryStore>) -> Held {
        let source = store.clone();
        let version = |sink| Version {
            shards: 2,
            served: None,
            snapshot: SnapshotMode::InPlace,
            checkpoints: None,
            source: source.clone(),
            sink,
        };
        let versions =
            BTreeMap::from([(1, version(None)), (2, version(Some(store.clone() as Arc<dyn Sink>)))]);
        Held { name: "metrics".parse().unwrap(), kind: DatasetKind::Local, versions }
    }

    #[tokio::test]
    async fn shards_that_the_config_does_not_name_are_not_there() {
        let store = Arc::new(MemoryStore::new());
        for text in ["metrics@1/0", "metrics@1/7", "metrics@9/0"] {
            store.put(&shard(text), EntryKey::from_path("a").unwrap(), Bytes::from_static(b"x"), Vec::new());
        }
        let held = held(&store);
        assert!(held.open(&shard("metrics@1/0"), &Selector::All).await.is_ok());
        for text in ["metrics@1/7", "metrics@9/0"] {
            let error = held.open(&shard(text), &Selector::All).await.unwrap_err();
            assert_eq!(error, SourceError::NoSuchShard(shard(text)));
        }
    }

    #[tokio::test]
    async fn a_peer_can_bring_only_what_is_received_here() {
        let held = held(&Arc::new(MemoryStore::new()));
        assert!(held.stage(&shard("metrics@2/1"), &Selector::All, Fence(1)).await.is_ok());
        for text in ["metrics@1/0", "metrics@2/2", "metrics@3/0"] {
            let error = held.stage(&shard(text), &Selector::All, Fence(1)).await.unwrap_err();
            assert_eq!(error, SinkError::NoSuchShard(shard(text)));
        }
    }
}
