//! Walking down a peer's tree to where it differs from the own one, or from another peer's.

use std::collections::VecDeque;

use peerstream_types::{EntryKey, Ordinal};

use super::{CHILDREN_MAX, LEVELS_MAX, TreeNode};

/// Most parts of one result. What would be more is joined with a differing part, so that what lies
/// between is listed for nothing.
pub const PARTS_MAX: usize = 4096;

/// Keys from `start`, up to but not including `end`; `None` is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// First key of the range.
    pub start: Option<EntryKey>,
    /// First key after the range.
    pub end: Option<EntryKey>,
}

impl KeyRange {
    /// Whether a key is in the range.
    pub fn contains(&self, key: &EntryKey) -> bool {
        self.start.as_ref().is_none_or(|start| key >= start) && !self.is_before(key)
    }

    /// Whether the range ends before a key.
    pub fn is_before(&self, key: &EntryKey) -> bool {
        self.end.as_ref().is_some_and(|end| key >= end)
    }
}

/// A peer is asked for the nodes of a level of its tree that begin in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodesRequest {
    /// Which level; 0 are the leaves.
    pub level: usize,
    /// Where they begin.
    pub range: KeyRange,
}

/// A part of the peer's inventory, which is equal to what the other one has between the same keys, or
/// is not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which keys.
    pub range: KeyRange,
    /// The ordinal of the first of the peer's entries in it.
    pub first: Ordinal,
    /// How many entries the peer has in it.
    pub entries: u64,
    /// Whether the other one has just these entries there.
    pub is_equal: bool,
}

/// What a peer says of its tree cannot be right. It is at fault; list its inventory instead, or leave
/// it. The comparison is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodesFault {
    /// Nothing was asked for.
    #[error("nodes came that were not asked for")]
    Unasked,
    /// More levels than [`LEVELS_MAX`].
    #[error("a tree of {0} levels, at most {LEVELS_MAX} are walked")]
    TooHigh(usize),
    /// More nodes than [`CHILDREN_MAX`], or more than one root.
    #[error("{0} nodes came in one answer")]
    TooMany(usize),
    /// A node does not begin in the range that was asked for, or not after the one before.
    #[error("the node at {0} is out of its place")]
    OutOfPlace(EntryKey),
    /// A part that is there has nothing in it.
    #[error("no node came for a part that has some")]
    Missing,
    /// The nodes do not have as many entries as what they are part of.
    #[error("nodes of {found} entries came for a part of {expected}")]
    Miscounted {
        /// How many there are in the part.
        expected: u64,
        /// How many there are in the nodes.
        found: u64,
    },
}

/// What is known of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Equal,
    /// It is a leaf, and differs.
    Differing,
    /// It differs; the nodes of this level say where.
    At(usize),
}

/// A part that is to be looked at, or waits for its turn.
#[derive(Debug, Clone)]
struct Left {
    range: KeyRange,
    entries: u64,
    known: Known,
}

/// Finds the parts in which a peer's inventory differs from another one: from the own one, or from a
/// second peer's.
///
/// After [`Comparison::new`] and every answer: carry out [`Comparison::poll_request`], of both sides,
/// until it is `None` or too much was asked; then [`Comparison::into_parts`].
#[derive(Debug, Clone)]
pub struct Comparison {
    top: usize,
    /// The next one first: level by level at most the children of one node.
    left: VecDeque<Left>,
    parts: Vec<Part>,
    /// [`PARTS_MAX`], less in tests.
    pub(super) parts_max: usize,
    asked: bool,
    next: Ordinal,
}

impl Comparison {
    /// Begins at the root of a peer's tree of so many levels, over so many entries.
    ///
    /// # Errors
    ///
    /// [`NodesFault::TooHigh`], and [`NodesFault::Missing`] for entries without a tree.
    pub fn new(peer_levels: usize, peer_entries: u64) -> Result<Self, NodesFault> {
        if peer_levels > LEVELS_MAX {
            return Err(NodesFault::TooHigh(peer_levels));
        }
        let top = peer_levels.checked_sub(1);
        if top.is_none() && peer_entries > 0 {
            return Err(NodesFault::Missing);
        }
        let root = top.map(|level| Left {
            range: KeyRange::default(),
            entries: peer_entries,
            known: Known::At(level),
        });
        Ok(Self {
            top: top.unwrap_or(0),
            left: root.into_iter().collect(),
            parts: Vec::new(),
            parts_max: PARTS_MAX,
            asked: false,
            next: Ordinal(0),
        })
    }

    /// What both sides are to be asked next; one question at a time.
    pub fn poll_request(&mut self) -> Option<NodesRequest> {
        let next = self.left.front().filter(|_| !self.asked)?;
        let Known::At(level) = next.known else { return None };
        let request = NodesRequest { level, range: next.range.clone() };
        self.asked = true;
        Some(request)
    }

    /// The question failed: it is asked again.
    pub fn handle_failed(&mut self) {
        self.asked = false;
    }

    /// Takes the nodes that were asked for: the peer's, and those of the other side that begin in the
    /// same range, none if it has none at this level or too many.
    ///
    /// # Errors
    ///
    /// [`NodesFault`] if the peer's cannot be right.
    pub fn handle_nodes(&mut self, other: &[TreeNode], nodes: &[TreeNode]) -> Result<(), NodesFault> {
        let Some(asked) = self.left.front().filter(|_| self.asked) else { return Err(NodesFault::Unasked) };
        let Known::At(level) = asked.known else { return Err(NodesFault::Unasked) };
        check(nodes, asked, if level == self.top { 1 } else { CHILDREN_MAX })?;
        let range = asked.range.clone();
        self.left.pop_front();
        self.asked = false;
        for (index, node) in nodes.iter().enumerate().rev() {
            // Every key of the range belongs to one of the nodes, what is before the first one to it.
            let start = if index == 0 { range.start.clone() } else { Some(node.first.clone()) };
            let end = nodes.get(index + 1).map_or_else(|| range.end.clone(), |next| Some(next.first.clone()));
            let range = KeyRange { start, end };
            let mut others = other.iter().filter(|node| range.contains(&node.first));
            let is_equal = matches!((others.next(), others.next()), (Some(one), None) if one.is_same(node));
            let known = match level.checked_sub(1) {
                _ if is_equal => Known::Equal,
                None => Known::Differing,
                Some(lower) => Known::At(lower),
            };
            self.left.push_front(Left { range, entries: node.entries, known });
        }
        while let Some(left) = self.left.pop_front_if(|left| !matches!(left.known, Known::At(_))) {
            self.found(left);
        }
        Ok(())
    }

    /// Whether there is nothing left to ask.
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// All of the peer's inventory, in key order. What was not asked for is not known to be equal.
    pub fn into_parts(mut self) -> Vec<Part> {
        while let Some(left) = self.left.pop_front() {
            self.found(left);
        }
        self.parts
    }

    fn found(&mut self, Left { range, entries, known }: Left) {
        let is_equal = known == Known::Equal;
        let first = self.next;
        self.next = Ordinal(first.0.saturating_add(entries));
        let is_full = self.parts.len() >= self.parts_max;
        match self.parts.last_mut() {
            Some(before) if before.is_equal == is_equal || (is_full && !before.is_equal) => {
                before.range.end = range.end;
                before.entries = before.entries.saturating_add(entries);
            }
            _ => self.parts.push(Part { range, first, entries, is_equal }),
        }
    }
}

fn check(nodes: &[TreeNode], asked: &Left, most: usize) -> Result<(), NodesFault> {
    if nodes.is_empty() {
        return Err(NodesFault::Missing);
    }
    if nodes.len() > most {
        return Err(NodesFault::TooMany(nodes.len()));
    }
    let outside = nodes.iter().find(|node| !asked.range.contains(&node.first));
    let unordered = nodes.windows(2).find(|pair| pair[0].first >= pair[1].first).map(|pair| &pair[1]);
    if let Some(node) = outside.or(unordered) {
        return Err(NodesFault::OutOfPlace(node.first.clone()));
    }
    let found = nodes.iter().try_fold(0u64, |sum, node| sum.checked_add(node.entries));
    if found != Some(asked.entries) {
        return Err(NodesFault::Miscounted { expected: asked.entries, found: found.unwrap_or(u64::MAX) });
    }
    Ok(())
}
