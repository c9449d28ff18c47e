//! What a level said of the votes for unequal copies, kept so that another level can be asked the same.

use std::collections::BTreeSet;

use peerstream_select::Level;

use crate::agreement::Agreement;

/// The votes for a copy of an entry that its reporters do not have alike. Of all that there can be, a few
/// hundred differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count {
    /// How many replicas report the entry.
    pub(crate) reporters: u32,
    /// How many of them have what is judged.
    pub(crate) votes: u32,
    /// As many have another copy, so that either is as good.
    pub(crate) is_tied: bool,
}

impl Count {
    fn is_enough(&self, agreement: &Agreement) -> bool {
        let must_win = matches!(agreement.level, Level::Majority | Level::All);
        !(must_win && self.is_tied) && agreement.is_enough(self.reporters, self.votes)
    }
}

/// What was judged in a pass. A level that would have said something else makes it out of date.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdicts {
    taken: BTreeSet<Count>,
    left: BTreeSet<Count>,
}

impl Verdicts {
    /// Whether a copy with these votes is taken.
    pub(crate) fn judge(&mut self, agreement: &Agreement, count: Count) -> bool {
        let is_enough = count.is_enough(agreement);
        if is_enough {
            self.taken.insert(count)
        } else {
            self.left.insert(count)
        };
        is_enough
    }

    /// Whether something was taken that would not be now.
    pub(crate) fn took_too_much(&self, agreement: &Agreement) -> bool {
        self.taken.iter().any(|count| !count.is_enough(agreement))
    }

    /// Whether something was left that would be taken now.
    pub(crate) fn left_too_much(&self, agreement: &Agreement) -> bool {
        self.left.iter().any(|count| count.is_enough(agreement))
    }
}
