//! The replicas that one decision is about, as small numbers and sets of them.

use peerstream_types::NodeId;

/// Most replicas of one roster: a set of them is one machine word. Replication factors are far
/// below, and a move doubles them at the most.
pub const REPLICAS_MAX: usize = 64;

/// More than [`REPLICAS_MAX`] replicas. The caller is at fault; nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} replicas of one shard, at most {REPLICAS_MAX} are allowed")]
pub struct TooManyReplicas(pub usize);

/// A replica's place in a [`Roster`]. Slots are ordered as the ids of their nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The slot as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The replicas of one shard, in order of their node ids, so that the lower slot is the lower id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster(Vec<NodeId>);

impl Roster {
    /// Sorts the nodes; a repeated one counts once.
    ///
    /// # Errors
    ///
    /// [`TooManyReplicas`] over [`REPLICAS_MAX`].
    pub fn new(nodes: impl IntoIterator<Item = NodeId>) -> Result<Self, TooManyReplicas> {
        let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len() > REPLICAS_MAX {
            return Err(TooManyReplicas(nodes.len()));
        }
        Ok(Self(nodes))
    }

    /// How many replicas there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All slots.
    pub fn slots(&self) -> Slots {
        Slots((0..self.0.len()).fold(0, |bits, index| bits | 1 << index))
    }

    /// Where a node stands.
    pub fn slot(&self, node: &NodeId) -> Option<Slot> {
        self.0.binary_search(node).ok().map(|index| Slot(index as u8))
    }

    /// The node of a slot of this roster.
    pub fn node(&self, slot: Slot) -> Option<&NodeId> {
        self.0.get(slot.index())
    }

    /// The nodes of a set, in order.
    pub fn nodes(&self, slots: Slots) -> impl Iterator<Item = &NodeId> {
        slots.iter().filter_map(|slot| self.node(slot))
    }
}

/// A set of slots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Slots(u64);

impl Slots {
    /// No slot.
    pub const NONE: Self = Self(0);

    /// Just this one.
    pub fn one(slot: Slot) -> Self {
        Self(1 << slot.0)
    }

    /// Adds a slot.
    pub fn insert(&mut self, slot: Slot) {
        self.0 |= 1 << slot.0;
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: Slot) {
        self.0 &= !(1 << slot.0);
    }

    /// Whether a slot is in the set.
    pub fn contains(self, slot: Slot) -> bool {
        self.0 & (1 << slot.0) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many slots are in the set.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The slots of either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The slots of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The slots of this set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The lowest slot.
    pub fn first(self) -> Option<Slot> {
        (self.0 != 0).then(|| Slot(self.0.trailing_zeros() as u8))
    }

    /// The slots in order.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        let mut left = self;
        std::iter::from_fn(move || {
            let slot = left.first()?;
            left.0 &= left.0 - 1;
            Some(slot)
        })
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        let mut set = Self::NONE;
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|slot| slot.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(names: &[&str]) -> Roster {
        Roster::new(names.iter().map(|name| NodeId::new(name).unwrap())).unwrap()
    }

    #[test]
    fn slots_are_ordered_as_the_ids_are() {
        let roster = roster(&["c", "a", "b", "a"]);
        let names: Vec<&str> = roster.nodes(roster.slots()).map(NodeId::as_str).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let b = roster.slot(&NodeId::new("b").unwrap()).unwrap();
        assert_eq!((b.index(), roster.slot(&NodeId::new("d").unwrap())), (1, None));
        let others = roster.slots().without(Slots::one(b));
        assert_eq!((others.len(), others.contains(b), others.first()), (2, false, Some(Slot(0))));
    }

    #[test]
    fn a_full_roster_fits_and_one_more_is_refused() {
        let names = |count: usize| (0..count).map(|index| NodeId::new(format!("n{index}")).unwrap());
        let full = Roster::new(names(REPLICAS_MAX)).unwrap();
        assert_eq!((full.slots().len(), full.slots().iter().count()), (64, 64));
        assert_eq!(Roster::new(names(65)), Err(TooManyReplicas(65)));
    }
}
