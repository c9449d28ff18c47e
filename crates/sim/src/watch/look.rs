//! Looks at all nodes. What is visible is read again only when it has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use peerstream_blocks::{Block, BlockKey};
use peerstream_snapshot::{Generation, SourceError};
use peerstream_types::{Digest, ManifestHeader, NodeId, Selector, ShardId};
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::books::SharedBooks;
use super::ledger::Image;
use super::view::{NodeView, Visible};
use super::{Boot, Life};

/// What was read of a shard at a node: read again when one of these is another.
type Version = (Generation, Option<Digest>, Option<Digest>);

/// A shard at a node as it was read; `None` if it could not be.
type Reading = (Version, Option<Arc<Image>>);

/// What earlier looks brought. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    read: Arc<Mutex<BTreeMap<(NodeId, ShardId), Reading>>>,
}

impl Looks {
    /// Looks at every node; reads everything afresh if `is_thorough`.
    pub(super) async fn look(
        &self,
        lives: &BTreeMap<NodeId, Life>,
        books: &SharedBooks,
        is_thorough: bool,
    ) -> BTreeMap<NodeId, NodeView> {
        let mut nodes = BTreeMap::new();
        for (id, Life { boot, engine }) in lives {
            let shards = books.lock().node(id).staged.clone();
            let (mut visible, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
            for shard in shards {
                match self.visible(boot, &shard, is_thorough).await {
                    Ok(Some(seen)) => {
                        visible.insert(shard, seen);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        unreadable.insert(shard, error);
                    }
                }
            }
            let node = NodeView {
                incarnation: boot.incarnation,
                is_up: engine.is_some(),
                config: boot.config.clone(),
                plans: engine.as_ref().map(|engine| engine.plans()).unwrap_or_default(),
                leases: engine.as_ref().map_or(0, |_| books.lock().node(id).leases),
                sessions: engine.as_ref().map_or(0, |engine| engine.sessions()),
                peers: engine.as_ref().map_or(0, |engine| engine.peers().len()),
                visible,
                unreadable,
            };
            nodes.insert(id.clone(), node);
        }
        nodes
    }

    /// What is visible of a shard, also if no generation of it was published.
    async fn visible(
        &self,
        boot: &Boot,
        shard: &ShardId,
        is_thorough: bool,
    ) -> Result<Option<Visible>, String> {
        let Some(sink) = &boot.store.sink else { return Ok(None) };
        let current = sink.current(shard).await.map_err(|error| error.to_string())?;
        if let Some((generation, header)) = current {
            let image = self.image(boot, shard, (generation, &header), is_thorough).await;
            let (blocks, at) = (blocks_of(boot, shard).await, Instant::now());
            return Ok(Some(Visible { generation, header, image, blocks, at }));
        }
        let Some(source) = &boot.store.source else { return Ok(None) };
        match source.open(shard, &Selector::All).await {
            Ok(snapshot) => {
                let (generation, header) = (Generation(0), snapshot.header());
                let image = self.image(boot, shard, (generation, &header), is_thorough).await;
                let (blocks, at) = (blocks_of(boot, shard).await, Instant::now());
                Ok(Some(Visible { generation, header, image, blocks, at }))
            }
            Err(SourceError::NoSuchShard(_) | SourceError::NotReady { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn image(
        &self,
        boot: &Boot,
        shard: &ShardId,
        (generation, header): (Generation, &ManifestHeader),
        is_thorough: bool,
    ) -> Option<Arc<Image>> {
        let snapshot = boot.store.source.as_ref()?.open(shard, &Selector::All).await.ok()?;
        let version = (generation, header.digest, snapshot.header().digest);
        let place = (boot.node().clone(), shard.clone());
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some((read, image)) = known
            && read == version
            && !is_thorough
        {
            return image;
        }
        let image = Image::read(&*snapshot).await.ok().map(Arc::new);
        let reading = (version, image.clone());
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(place, reading);
        image
    }
}

async fn blocks_of(boot: &Boot, shard: &ShardId) -> Option<Arc<BTreeMap<BlockKey, Block>>> {
    Some(Arc::new(boot.blocks.as_ref()?.all(shard).await.ok()?))
}

/// Looks at single shards of a node between two looks, for the next one to judge.
#[derive(Debug, Clone)]
pub(super) struct Glimpses {
    pub(super) boot: Boot,
    pub(super) looks: Looks,
    pub(super) books: SharedBooks,
}

impl Glimpses {
    /// Looks at a shard as it is at this moment. A store of an author's own that has to wait for
    /// something shows nothing now.
    pub(super) fn take(&self, shard: &ShardId) {
        let seen = unconstrained(self.looks.visible(&self.boot, shard, false)).now_or_never();
        if let Some(Ok(Some(seen))) = seen {
            self.books.lock().glimpses.push((self.boot.node().clone(), shard.clone(), seen));
        }
    }

    /// Looks at all that the node began to receive.
    pub(super) fn take_all(&self) {
        let shards = self.books.lock().node(self.boot.node()).staged.clone();
        shards.iter().for_each(|shard| self.take(shard));
    }
}
