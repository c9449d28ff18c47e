//! Looks at all nodes. What is visible is read again only when it has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_snapshot::Generation;
use peerstream_types::{Digest, ManifestHeader, NodeId, Selector, ShardId};

use super::books::SharedBooks;
use super::ledger::Image;
use super::view::{NodeView, Visible};
use super::{Boot, Life};

/// What was read of a shard at a node: read again when one of these is another.
type Version = (Generation, Option<Digest>, Option<Digest>);

/// A shard at a node as it was read; `None` if it could not be.
type Reading = (Version, Option<Arc<Image>>);

/// What earlier looks brought.
#[derive(Debug, Default)]
pub(super) struct Looks {
    read: BTreeMap<(NodeId, ShardId), Reading>,
}

impl Looks {
    /// Looks at every node; reads everything afresh if `is_thorough`.
    pub(super) async fn look(
        &mut self,
        lives: &BTreeMap<NodeId, Life>,
        books: &SharedBooks,
        is_thorough: bool,
    ) -> BTreeMap<NodeId, NodeView> {
        let mut nodes = BTreeMap::new();
        for (id, Life { boot, engine }) in lives {
            let shards = books.lock().node(id).staged.clone();
            let mut visible = BTreeMap::new();
            for shard in shards {
                if let Some(seen) = self.visible(boot, &shard, is_thorough).await {
                    visible.insert(shard, seen);
                }
            }
            let node = NodeView {
                incarnation: boot.incarnation,
                is_up: engine.is_some(),
                config: boot.config.clone(),
                plans: engine.as_ref().map(|engine| engine.plans()).unwrap_or_default(),
                sessions: engine.as_ref().map_or(0, |engine| engine.sessions()),
                peers: engine.as_ref().map_or(0, |engine| engine.peers().len()),
                visible,
            };
            nodes.insert(id.clone(), node);
        }
        nodes
    }

    async fn visible(&mut self, boot: &Boot, shard: &ShardId, is_thorough: bool) -> Option<Visible> {
        let (generation, header) = boot.store.sink.as_ref()?.current(shard).await.ok()??;
        let image = self.image(boot, shard, (generation, &header), is_thorough).await;
        Some(Visible { generation, header, image })
    }

    async fn image(
        &mut self,
        boot: &Boot,
        shard: &ShardId,
        (generation, header): (Generation, &ManifestHeader),
        is_thorough: bool,
    ) -> Option<Arc<Image>> {
        let snapshot = boot.store.source.as_ref()?.open(shard, &Selector::All).await.ok()?;
        let version = (generation, header.digest, snapshot.header().digest);
        let place = (boot.node().clone(), shard.clone());
        if let Some((read, image)) = self.read.get(&place)
            && *read == version
            && !is_thorough
        {
            return image.clone();
        }
        let image = Image::read(&*snapshot).await.ok().map(Arc::new);
        self.read.insert(place, (version, image.clone()));
        image
    }
}
