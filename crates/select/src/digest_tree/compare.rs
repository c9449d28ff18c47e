//! Walking down a peer's tree to where it differs from the own one.

use peerstream_types::EntryKey;

use super::{CHILDREN_MAX, DigestTree, LEVELS_MAX, TreeNode};

/// Most ranges of one result. What would be more is joined with the range before it, and what lies
/// between them is listed for nothing.
pub const RANGES_MAX: usize = 4096;

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
        self.start.as_ref().is_none_or(|start| key >= start) && self.end.as_ref().is_none_or(|end| key < end)
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
}

/// Finds the ranges in which a peer's inventory differs from the own one.
///
/// After [`Comparison::new`] and every answer: carry out [`Comparison::poll_request`] until it is
/// `None`; then [`Comparison::differing`] is complete.
#[derive(Debug, Clone)]
pub struct Comparison<'t> {
    own: &'t DigestTree,
    top: usize,
    /// What is to be looked at, the next one last: level by level at most the children of one node.
    left: Vec<NodesRequest>,
    differing: Vec<KeyRange>,
    /// [`RANGES_MAX`], less in tests.
    pub(super) ranges_max: usize,
    asked: bool,
}

impl<'t> Comparison<'t> {
    /// Begins at the root of a peer's tree of so many levels.
    ///
    /// # Errors
    ///
    /// [`NodesFault::TooHigh`].
    pub fn new(own: &'t DigestTree, peer_levels: usize) -> Result<Self, NodesFault> {
        if peer_levels > LEVELS_MAX {
            return Err(NodesFault::TooHigh(peer_levels));
        }
        let everything = KeyRange::default();
        let (mut left, mut differing) = (Vec::new(), Vec::new());
        match (own.levels(), peer_levels.checked_sub(1)) {
            (0, None) => {}
            (0, Some(_)) | (_, None) => differing.push(everything),
            (_, Some(level)) => left.push(NodesRequest { level, range: everything }),
        }
        Ok(Self {
            own,
            top: peer_levels.saturating_sub(1),
            left,
            differing,
            ranges_max: RANGES_MAX,
            asked: false,
        })
    }

    /// What the peer is to be asked next; one question at a time.
    pub fn poll_request(&mut self) -> Option<NodesRequest> {
        let request = self.left.last().filter(|_| !self.asked)?.clone();
        self.asked = true;
        Some(request)
    }

    /// The question failed: it is asked again.
    pub fn handle_failed(&mut self) {
        self.asked = false;
    }

    /// Takes the nodes that the peer was asked for.
    ///
    /// # Errors
    ///
    /// [`NodesFault`] if they cannot be right.
    pub fn handle_nodes(&mut self, nodes: &[TreeNode]) -> Result<(), NodesFault> {
        let Some(request) = self.left.last().filter(|_| self.asked) else { return Err(NodesFault::Unasked) };
        check(nodes, &request.range, if request.level == self.top { 1 } else { CHILDREN_MAX })?;
        let Some(NodesRequest { level, range }) = self.left.pop() else { return Err(NodesFault::Unasked) };
        self.asked = false;
        let mut lower = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            // Every key of the range belongs to one of the nodes, what is before the first one to it.
            let start = if index == 0 { range.start.clone() } else { Some(node.first.clone()) };
            let end = nodes.get(index + 1).map_or_else(|| range.end.clone(), |next| Some(next.first.clone()));
            let part = KeyRange { start, end };
            let same = match self.own.beginning_in(level, &part) {
                [own] => own.is_same(node),
                _ => false,
            };
            match (same, level.checked_sub(1)) {
                (true, _) => {}
                (false, Some(level)) => lower.push(NodesRequest { level, range: part }),
                (false, None) => self.found(part),
            }
        }
        self.left.extend(lower.into_iter().rev());
        Ok(())
    }

    /// The ranges found so far, in key order. Outside of them the inventories are equal, once there is
    /// nothing left to ask.
    pub fn differing(&self) -> &[KeyRange] {
        &self.differing
    }

    /// Whether there is nothing left to ask.
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    fn found(&mut self, range: KeyRange) {
        let full = self.differing.len() >= self.ranges_max;
        match self.differing.last_mut() {
            Some(before) if full || before.end == range.start => before.end = range.end,
            _ => self.differing.push(range),
        }
    }
}

fn check(nodes: &[TreeNode], range: &KeyRange, most: usize) -> Result<(), NodesFault> {
    if nodes.is_empty() {
        return Err(NodesFault::Missing);
    }
    if nodes.len() > most {
        return Err(NodesFault::TooMany(nodes.len()));
    }
    let outside = nodes.iter().find(|node| !range.contains(&node.first));
    let unordered = nodes.windows(2).find(|pair| pair[0].first >= pair[1].first).map(|pair| &pair[1]);
    match outside.or(unordered) {
        Some(node) => Err(NodesFault::OutOfPlace(node.first.clone())),
        None => Ok(()),
    }
}
