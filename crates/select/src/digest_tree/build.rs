//! Building a tree from entries in key order.

use peerstream_types::{Digest, Entry, EntryKey};

use super::{CHILDREN_MAX, DigestTree, LEAF_ENTRIES_MAX, LEAVES_MAX, TreeNode};

/// Names the encodings below inside the hashes, so that another one can never collide with them.
const LEAF_DOMAIN: &str = "peerstream 2026-11 digest tree leaf v1";
const NODE_DOMAIN: &str = "peerstream 2026-11 digest tree node v1";

/// An entry cannot be added. The tree is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Keys ascend, without repeats. Whoever lists the entries is at fault.
    #[error("key {key} does not stand after {before}")]
    OutOfOrder {
        /// The key before.
        before: String,
        /// The key that is not after it.
        key: EntryKey,
    },
    /// Over [`LEAVES_MAX`].
    #[error("the inventory has more than {LEAVES_MAX} leaves: compare parts of it")]
    TooLarge,
}

/// Within which sizes parts end, and how often a key ends one. All nodes of a cluster have to use the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) least: u64,
    /// A power of two: one key of so many ends a part that is large enough.
    pub(super) one_in: u64,
    pub(super) most: u64,
}

impl Cut {
    const LEAVES: Self = Self { least: 256, one_in: 1024, most: LEAF_ENTRIES_MAX };
    const NODES: Self = Self { least: 16, one_in: 64, most: CHILDREN_MAX as u64 };

    fn is_after(self, key: &EntryKey, level: usize, size: u64) -> bool {
        size >= self.most || (size >= self.least && hash_of(key, level).is_multiple_of(self.one_in))
    }
}

/// How much is hashed at once: large enough for all lanes of the hash.
const HASHED_AT_ONCE: usize = 16 * 1024;

/// A part that has begun and not ended.
#[derive(Debug, Clone)]
struct Open {
    hasher: blake3::Hasher,
    /// Encoded, and not hashed yet: less than [`HASHED_AT_ONCE`] and one entry.
    encoded: Vec<u8>,
    first: EntryKey,
    size: u64,
    entries: u64,
    mutable: u64,
}

impl Open {
    /// Hashes what is encoded, if it is as much as this.
    fn hash_from(&mut self, len: usize) {
        if self.encoded.len() >= len {
            self.hasher.update(&self.encoded);
            self.encoded.clear();
        }
    }
}

/// Builds a [`DigestTree`] from entries in key order, holding its nodes and nothing of the entries.
#[derive(Debug, Clone)]
pub struct TreeBuilder {
    leaves: Cut,
    nodes: Cut,
    /// By level.
    open: Vec<Option<Open>>,
    /// By level.
    closed: Vec<Vec<TreeNode>>,
    /// The last key; empty before the first entry.
    last: Vec<u8>,
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::with_cuts(Cut::LEAVES, Cut::NODES)
    }
}

impl TreeBuilder {
    pub(super) fn with_cuts(leaves: Cut, nodes: Cut) -> Self {
        Self { leaves, nodes, open: Vec::new(), closed: Vec::new(), last: Vec::new() }
    }

    /// Adds the next entry.
    ///
    /// # Errors
    ///
    /// [`TreeError`] if it is out of order, or one too many.
    pub fn push(&mut self, entry: &Entry) -> Result<(), TreeError> {
        if entry.key.as_bytes() <= self.last.as_slice() {
            let before = self.last.escape_ascii().to_string();
            return Err(TreeError::OutOfOrder { before, key: entry.key.clone() });
        }
        if self.closed.first().is_some_and(|leaves| leaves.len() >= LEAVES_MAX) {
            return Err(TreeError::TooLarge);
        }
        self.last.clear();
        self.last.extend_from_slice(entry.key.as_bytes());
        let leaf = self.open(0, &entry.key);
        encode_entry(&mut leaf.encoded, entry);
        leaf.hash_from(HASHED_AT_ONCE);
        leaf.entries += 1;
        leaf.mutable += u64::from(entry.digest.is_none());
        leaf.size += 1;
        if self.leaves.is_after(&entry.key, 0, self.open[0].as_ref().map_or(0, |leaf| leaf.size)) {
            self.close(0);
        }
        Ok(())
    }

    /// The tree of all that was added.
    pub fn finish(mut self) -> DigestTree {
        let mut level = 0;
        while level < self.open.len() {
            self.end(level);
            // One node alone stands for everything below it: it is the root.
            if self.closed[level].len() == 1 {
                self.closed.truncate(level + 1);
                break;
            }
            level += 1;
        }
        DigestTree { levels: self.closed }
    }

    fn open(&mut self, level: usize, first: &EntryKey) -> &mut Open {
        if self.open.len() <= level {
            self.open.push(None);
            self.closed.push(Vec::new());
        }
        let domain = if level == 0 { LEAF_DOMAIN } else { NODE_DOMAIN };
        self.open[level].get_or_insert_with(|| Open {
            hasher: blake3::Hasher::new_derive_key(domain),
            encoded: Vec::new(),
            first: first.clone(),
            size: 0,
            entries: 0,
            mutable: 0,
        })
    }

    /// Ends the open part of a level, if there is one, and adds it to the level above, whose parts may
    /// end with it.
    fn close(&mut self, level: usize) {
        let mut level = level;
        while let Some(first) = self.end(level) {
            level += 1;
            let size = self.open[level].as_ref().map_or(0, |node| node.size);
            if !self.nodes.is_after(&first, level, size) {
                return;
            }
        }
    }

    /// Ends the open part of a level and adds it to the open one above; says with which key it began.
    fn end(&mut self, level: usize) -> Option<EntryKey> {
        let mut part = self.open[level].take()?;
        part.hash_from(0);
        let Open { hasher, first, entries, mutable, .. } = part;
        let node =
            TreeNode { first, entries, mutable, digest: Digest::Blake3(*hasher.finalize().as_bytes()) };
        let first = node.first.clone();
        let above = self.open(level + 1, &first);
        encode_node(&mut above.encoded, &node);
        above.hash_from(HASHED_AT_ONCE);
        above.size += 1;
        above.entries += node.entries;
        above.mutable += node.mutable;
        self.closed[level].push(node);
        Some(first)
    }
}

/// A number of a key, another one at every level.
fn hash_of(key: &EntryKey, level: usize) -> u64 {
    let hash = blake3::hash(key.as_bytes());
    let number = u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"));
    number >> (level % 4 * 10)
}

fn encode_entry(to: &mut Vec<u8>, entry: &Entry) {
    bytes(to, entry.key.as_bytes());
    number(to, entry.len);
    match &entry.digest {
        None => number(to, 0),
        Some(digest) => {
            number(to, u64::from(digest.code()));
            bytes(to, digest.as_bytes());
        }
    }
    number(to, u64::from(entry.kind.code()));
    number(to, u64::from(entry.codec.code()));
    bytes(to, &entry.metadata);
}

fn encode_node(to: &mut Vec<u8>, node: &TreeNode) {
    bytes(to, node.first.as_bytes());
    number(to, node.entries);
    number(to, node.mutable);
    bytes(to, node.digest.as_bytes());
}

fn bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn number(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}
