//! Digest trees of the inventories that this node offers: built when a peer asks, and kept for the next
//! one, so that peers tell where inventories differ without listing them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use peerstream_select::{DigestTree, KeyRange, TreeBuilder};
use peerstream_snapshot::{Offload, Snapshot, SourceError, run_for};
use peerstream_types::{Digest, PageToken};
use peerstream_wire::limits::PAGE_ENTRIES_MAX;
use peerstream_wire::tree::{TreeNodeV1, TreeNodesV1};
use peerstream_wire::{Bounded, StreamKind, TreeNodes, frame};
use tokio::sync::OnceCell;

use super::stream::Outgoing;
use super::{Serve, ServeError};
use crate::io::IoError;

/// Most trees that are kept, the one that was asked for last first. A tree is some hundred bytes for
/// every 1,280 entries.
const TREES_MAX: usize = 16;

/// One tree, as soon as it is built.
type Cell = Arc<OnceCell<DigestTree>>;

/// Trees by the digest of the manifest.
#[derive(Debug, Default)]
pub(crate) struct Trees(Mutex<VecDeque<(Digest, Cell)>>);

impl Trees {
    fn cell(&self, manifest: &Digest) -> Cell {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = trees.iter().position(|(of, _)| of == manifest);
        let tree = place.and_then(|place| trees.remove(place));
        let tree = tree.unwrap_or_else(|| (*manifest, Cell::default()));
        trees.push_front(tree.clone());
        trees.truncate(TREES_MAX);
        tree.1
    }
}

/// Waits until the tree of a snapshot is there; it is built by the first who asks.
pub(super) async fn build(serve: &Serve, snapshot: &dyn Snapshot) -> Result<Cell, ServeError> {
    let manifest = snapshot.header().digest.ok_or(ServeError::Unsealed)?;
    let cell = serve.shared.trees.cell(&manifest);
    let offload = &*serve.shared.parts.offload;
    cell.get_or_try_init(|| tree_of(snapshot, offload)).await?;
    Ok(cell)
}

async fn tree_of(snapshot: &dyn Snapshot, offload: &dyn Offload) -> Result<DigestTree, ServeError> {
    let (mut builder, mut token) = (TreeBuilder::default(), PageToken::START);
    loop {
        let page = snapshot.page(&token, PAGE_ENTRIES_MAX).await?;
        let (entries, next) = (page.entries, page.next);
        let pushed = run_for(offload, move || {
            let pushed = entries.iter().try_for_each(|entry| builder.push(entry));
            pushed.map(|()| builder)
        });
        builder = pushed.await.map_err(SourceError::from)?.map_err(|_| ServeError::NoTree)?;
        match next {
            Some(next) => token = next,
            None => return Ok(builder.finish()),
        }
    }
}

/// Sends the nodes of a level that begin in a range.
pub(super) async fn serve(
    serve: &Serve,
    snapshot: &dyn Snapshot,
    level: Option<u8>,
    range: &KeyRange,
) -> Result<(), ServeError> {
    let cell = build(serve, snapshot).await?;
    let nodes = cell.get().map_or_else(none, |tree| nodes_of(tree, level, range));
    let mut frame = BytesMut::new();
    frame::encode(&TreeNodes::V1(nodes), &mut frame).map_err(IoError::from)?;
    let mut out = Outgoing::open(serve, StreamKind::Tree).await?;
    out.write(frame.freeze()).await?;
    out.finish()
}

fn none() -> TreeNodesV1 {
    TreeNodesV1 { level: 0, nodes: Some(Bounded::new()) }
}

fn nodes_of(tree: &DigestTree, level: Option<u8>, range: &KeyRange) -> TreeNodesV1 {
    let top = u8::try_from(tree.levels().saturating_sub(1)).unwrap_or(u8::MAX);
    let level = level.unwrap_or(top);
    let nodes = tree.nodes(usize::from(level), range).map(|nodes| {
        let node = |node: &peerstream_select::TreeNode| TreeNodeV1 {
            first: node.first.clone(),
            entries: node.entries,
            mutable: node.mutable,
            digest: node.digest,
        };
        nodes.iter().map(node).collect::<Vec<_>>()
    });
    TreeNodesV1 { level, nodes: nodes.and_then(|nodes| Bounded::try_from(nodes).ok()) }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, Entry, EntryKey, EntryKind, Ordinal};

    use super::*;

    fn tree(entries: u32) -> DigestTree {
        let entry = |number: u32| Entry {
            ordinal: Ordinal(u64::from(number)),
            key: EntryKey::new(number.to_be_bytes()).unwrap(),
            len: 1,
            digest: Some(Digest::Blake3([7; 32])),
            kind: EntryKind::Block,
            codec: Codec::Plain,
            metadata: Vec::new(),
        };
        let entries: Vec<Entry> = (0..entries).map(entry).collect();
        DigestTree::of(&entries).unwrap()
    }

    #[test]
    fn the_root_is_found_whatever_its_level() {
        for (entries, level) in [(1, 0), (20_000, 1)] {
            let nodes = nodes_of(&tree(entries), None, &KeyRange::default());
            assert_eq!((nodes.level, nodes.nodes.unwrap()[0].entries), (level, u64::from(entries)));
        }
        let empty = nodes_of(&tree(0), None, &KeyRange::default());
        assert_eq!(empty, none());
        assert_eq!(nodes_of(&tree(9), Some(200), &KeyRange::default()).nodes, Some(Bounded::new()));
    }

    #[test]
    fn few_trees_are_kept() {
        let trees = Trees::default();
        let digest = |byte| Digest::Blake3([byte; 32]);
        let first = trees.cell(&digest(0));
        for byte in 0..TREES_MAX as u8 {
            trees.cell(&digest(byte));
        }
        assert!(Arc::ptr_eq(&first, &trees.cell(&digest(0))));
        trees.cell(&digest(100));
        trees.cell(&digest(101));
        assert_eq!(trees.0.lock().unwrap().len(), TREES_MAX);
        assert!(!trees.0.lock().unwrap().iter().any(|(of, _)| *of == digest(1)));
    }
}
