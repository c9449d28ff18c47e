//! Digests over key ranges of an inventory, so that equal inventories are recognised without being
//! listed, and different ones narrow to the ranges in which they differ.
//!
//! Entries are fed in key order and fall into leaves, leaves into nodes, up to one root. Where a leaf
//! or node ends depends on keys only: after a key whose hash says so, within a smallest and a largest
//! size. So two replicas with the same keys have the same tree, and after a difference in keys their
//! trees fall in step again. [`Comparison`] walks down a peer's tree, asking for the parts that differ
//! from the own inventory, or from a second peer's.

use peerstream_types::{Digest, Entry, EntryKey};

mod build;
mod compare;

pub use build::{TreeBuilder, TreeError};
pub use compare::{Comparison, KeyRange, NodesFault, NodesRequest, PARTS_MAX, Part};

/// Most nodes of one answer, and most children of one node.
pub const CHILDREN_MAX: usize = 256;
/// Most entries of one leaf: what one page lists.
pub const LEAF_ENTRIES_MAX: u64 = 4096;
/// Most leaves of one tree, some 1,280 entries each: more than a billion entries. In memory a leaf is
/// its first key and a hundred bytes.
pub const LEAVES_MAX: usize = 1 << 20;
/// Most levels of a peer's tree that are walked. Every level is a sixteenth of the one below or less,
/// so this is more than any tree has.
pub const LEVELS_MAX: usize = 16;

/// The digest of one part of an inventory: from its first key up to the next node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNode {
    /// The first key in it.
    pub first: EntryKey,
    /// How many entries are in it.
    pub entries: u64,
    /// How many of them are mutable and have no digest. A part with any is never known to be equal.
    pub mutable: u64,
    /// Over the entries: everything but their ordinals.
    pub digest: Digest,
}

impl TreeNode {
    /// Whether both stand for the same entries.
    pub fn is_same(&self, other: &Self) -> bool {
        self.mutable == 0 && self == other
    }
}

/// The digests of one inventory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DigestTree {
    /// The leaves, then what is above them, up to one root. An empty inventory has no level.
    levels: Vec<Vec<TreeNode>>,
}

impl DigestTree {
    /// Digests entries in key order.
    ///
    /// # Errors
    ///
    /// As [`TreeBuilder::push`].
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Result<Self, TreeError> {
        let mut builder = TreeBuilder::default();
        entries.into_iter().try_for_each(|entry| builder.push(entry))?;
        Ok(builder.finish())
    }

    /// How many levels there are; none for an empty inventory.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The node above all others. Equal roots are equal inventories.
    pub fn root(&self) -> Option<&TreeNode> {
        self.levels.last()?.first()
    }

    /// The nodes of a level (0: the leaves) that begin in a range, to answer a [`NodesRequest`]. `None`
    /// if those are more than [`CHILDREN_MAX`]: nobody who walks down this tree asks for that.
    pub fn nodes(&self, level: usize, range: &KeyRange) -> Option<&[TreeNode]> {
        let nodes = self.beginning_in(level, range);
        (nodes.len() <= CHILDREN_MAX).then_some(nodes)
    }

    fn beginning_in(&self, level: usize, range: &KeyRange) -> &[TreeNode] {
        let nodes = self.levels.get(level).map_or(&[][..], Vec::as_slice);
        let begin = range.start.as_ref().map_or(0, |start| nodes.partition_point(|node| node.first < *start));
        let end =
            range.end.as_ref().map_or(nodes.len(), |end| nodes.partition_point(|node| node.first < *end));
        &nodes[begin..end.max(begin)]
    }
}

#[cfg(test)]
mod tests;
