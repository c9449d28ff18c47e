//! Nodes of the digest tree of an inventory.

use peerstream_types::{Digest, EntryKey};
use serde::{Deserialize, Serialize};

use crate::limits::{PAGE_FRAME_MAX, TREE_NODES_MAX};
use crate::{Bounded, Framed, WireError};

/// The digest of one part of an inventory: from its first key up to the next node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeNodeV1 {
    /// The first key in it.
    pub first: EntryKey,
    /// How many entries are in it; at least one.
    pub entries: u64,
    /// How many of them have no digest.
    pub mutable: u64,
    /// Over the entries: everything but their ordinals.
    pub digest: Digest,
}

/// The nodes of one level that begin in a range of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeNodesV1 {
    /// The level; that of the root if the root was asked for.
    pub level: u8,
    /// The nodes in ascending order of their first keys; `None` if they are more than
    /// [`TREE_NODES_MAX`]. None at all for an empty inventory.
    pub nodes: Option<Bounded<TreeNodeV1, TREE_NODES_MAX>>,
}

/// The answer to a [`TreeRequest`](crate::Message::TreeRequest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreeNodes {
    /// Version 1.
    V1(TreeNodesV1),
}

impl Framed for TreeNodes {
    const WHAT: &'static str = "tree nodes";
    const FRAME_MAX: usize = PAGE_FRAME_MAX;

    fn validate(&self) -> Result<(), WireError> {
        let Self::V1(nodes) = self;
        let nodes = nodes.nodes.as_deref().unwrap_or_default();
        let invalid = |why| Err(WireError::Invalid { what: Self::WHAT, why });
        if !nodes.is_sorted_by(|one, next| one.first < next.first) {
            return invalid("their keys do not ascend");
        }
        if nodes.iter().any(|node| node.entries == 0 || node.mutable > node.entries) {
            return invalid("a node has no entries, or more mutable ones than entries");
        }
        Ok(())
    }
}
