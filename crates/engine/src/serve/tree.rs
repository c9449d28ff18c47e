//! Digest trees of the inventories that this node offers, built when a peer first asks: by them peers tell
//! where inventories differ without listing them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::BytesMut;
use peerstream_select::{DigestTree, KeyRange, TreeBuilder};
use peerstream_snapshot::{Offload, Snapshot, SourceError, run_for};
use peerstream_types::{Digest, PageToken};
use peerstream_wire::limits::PAGE_ENTRIES_MAX;
use peerstream_wire::tree::{TreeNodeV1, TreeNodesV1};
use peerstream_wire::{Bounded, StreamKind, TreeNodes, frame};
use tokio::sync::{OnceCell, Semaphore};

use super::stream::Outgoing;
use super::{Serve, ServeError};
use crate::io::IoError;

/// Most trees that are built at a time: each is one reading of an inventory.
const BUILDS_MAX: usize = 2;

/// One tree, as soon as it is built; `None` if there can be none.
pub(crate) type Tree = Arc<OnceCell<Option<DigestTree>>>;

/// The trees of what is offered, by the digest of the manifest. A tree is kept by the leases that it was
/// asked for under, and ends with them.
#[derive(Debug)]
pub(crate) struct Trees {
    kept: Mutex<BTreeMap<Digest, Weak<OnceCell<Option<DigestTree>>>>>,
    builds: Semaphore,
}

impl Default for Trees {
    fn default() -> Self {
        Self { kept: Mutex::default(), builds: Semaphore::new(BUILDS_MAX) }
    }
}

impl Trees {
    fn tree(&self, manifest: Digest) -> Tree {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = kept.get(&manifest).and_then(Weak::upgrade) {
            return tree;
        }
        kept.retain(|_, tree| tree.strong_count() > 0);
        let tree = Tree::default();
        kept.insert(manifest, Arc::downgrade(&tree));
        tree
    }
}

/// Waits until the tree of a snapshot is there; it is built by the first who asks.
pub(super) async fn build(serve: &Serve, snapshot: &dyn Snapshot) -> Result<Tree, ServeError> {
    let manifest = snapshot.header().digest.ok_or(ServeError::Unsealed)?;
    let tree = serve.shared.trees.tree(manifest);
    serve.leases.keep_tree(serve.offer, &tree);
    let build = async {
        let Ok(_build) = serve.shared.trees.builds.acquire().await else { return Ok(None) };
        tree_of(snapshot, &*serve.shared.parts.offload).await
    };
    tree.get_or_try_init(|| build).await?;
    Ok(tree)
}

async fn tree_of(snapshot: &dyn Snapshot, offload: &dyn Offload) -> Result<Option<DigestTree>, ServeError> {
    let (mut builder, mut token) = (TreeBuilder::default(), PageToken::START);
    loop {
        let page = snapshot.page(&token, PAGE_ENTRIES_MAX).await?;
        let (entries, next) = (page.entries, page.next);
        let pushed = run_for(offload, move || {
            let pushed = entries.iter().try_for_each(|entry| builder.push(entry));
            pushed.map(|()| builder)
        });
        let Ok(pushed) = pushed.await.map_err(SourceError::from)? else { return Ok(None) };
        builder = pushed;
        match next {
            Some(next) => token = next,
            None => return Ok(Some(builder.finish())),
        }
    }
}

/// Sends the nodes of a level that begin in a range.
pub(super) async fn serve(
    serve: &Serve,
    tree: &Tree,
    level: Option<u8>,
    range: &KeyRange,
) -> Result<(), ServeError> {
    let tree = tree.get().and_then(Option::as_ref).ok_or(ServeError::NoTree)?;
    let mut frame = BytesMut::new();
    frame::encode(&TreeNodes::V1(nodes_of(tree, level, range)), &mut frame).map_err(IoError::from)?;
    let mut out = Outgoing::open(serve, StreamKind::Tree).await?;
    out.write(frame.freeze()).await?;
    out.finish()
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
        assert_eq!(empty, TreeNodesV1 { level: 0, nodes: Some(Bounded::new()) });
        assert_eq!(nodes_of(&tree(9), Some(200), &KeyRange::default()).nodes, Some(Bounded::new()));
    }

    #[test]
    fn a_tree_is_kept_as_long_as_somebody_needs_it() {
        let trees = Trees::default();
        let digest = |byte| Digest::Blake3([byte; 32]);
        let first = trees.tree(digest(0));
        assert!(Arc::ptr_eq(&first, &trees.tree(digest(0))));
        drop(first);
        trees.tree(digest(1));
        assert_eq!(trees.kept.lock().unwrap().len(), 1, "the first is forgotten");
    }
}
