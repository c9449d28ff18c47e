//! Changes of names that wait for a sync of their directories.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;

use super::medium::NodeId;
use super::power::{Chance, Survival};

/// One name in one directory.
pub(super) type Place = (NodeId, OsString);

/// Names that change together: one, or two for a rename. Each stands for a node from then on, or for
/// none.
#[derive(Debug, Clone)]
pub(super) struct Change(pub(super) Vec<(Place, Option<NodeId>)>);

impl Change {
    fn touches(&self, places: &BTreeSet<Place>) -> bool {
        self.0.iter().any(|(place, _)| places.contains(place))
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.0.iter().map(|(place, _)| place.clone())
    }
}

/// What happened to names and is not durable, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending(VecDeque<Change>);

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, change: Change) {
        self.0.push_back(change);
    }

    pub(super) fn take_oldest(&mut self) -> Option<Change> {
        self.0.pop_front()
    }

    /// Takes what concerns a directory, and what has to come before it.
    pub(super) fn take_of(&mut self, dir: NodeId) -> Vec<Change> {
        let mut needed = BTreeSet::new();
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for change in std::mem::take(&mut self.0).into_iter().rev() {
            if change.0.iter().any(|((own, _), _)| *own == dir) || change.touches(&needed) {
                needed.extend(change.places());
                taken.push(change);
            } else {
                left.push_front(change);
            }
        }
        self.0 = left;
        taken.reverse();
        taken
    }

    /// Takes everything and leaves out what does not survive, and what builds on that.
    pub(super) fn take_survivors(&mut self, survival: Survival, chance: &mut Chance) -> Vec<Change> {
        let mut lost = BTreeSet::new();
        let mut survives = |change: &Change| {
            let own = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Mixture(_) => chance.below(2) == 0,
            };
            let survives = own && !change.touches(&lost);
            if !survives {
                lost.extend(change.places());
            }
            survives
        };
        std::mem::take(&mut self.0).into_iter().filter(|change| survives(change)).collect()
    }

    /// The nodes that a crash may bring back.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().flat_map(|change| &change.0).flat_map(|((dir, _), to)| [Some(*dir), *to]).flatten()
    }
}
