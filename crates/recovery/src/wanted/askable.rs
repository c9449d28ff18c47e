//! Where fresh chunks can be asked for, by who has them.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::row::Columns;

/// Places in manifest order, apart for each set of columns, so that a source finds its next one without
/// passing what it does not have.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<Columns, BTreeSet<Place>>);

impl Places {
    pub(super) fn insert(&mut self, columns: Columns, place: Place) {
        self.0.entry(columns).or_default().insert(place);
    }

    /// Takes a place out; whether it was there.
    pub(super) fn remove(&mut self, columns: Columns, place: Place) -> bool {
        let Some(places) = self.0.get_mut(&columns) else { return false };
        let was_there = places.remove(&place);
        if places.is_empty() {
            self.0.remove(&columns);
        }
        was_there
    }

    /// The first place that a column has and that is `wanted`.
    pub(super) fn first(&self, column: usize, wanted: impl Fn(&Place) -> bool) -> Option<Place> {
        let sets = self.0.iter().filter(|(columns, _)| columns.has(column));
        sets.filter_map(|(_, places)| places.iter().find(|place| wanted(place))).min().copied()
    }
}
