//! What a sweep does not have to reach, each with its reason. One that is reached has to go.

use super::{Group, Item};

/// Something that is excused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Of which group.
    pub group: Group,
    /// What, by its name. A `*` at its end stands for anything.
    pub item: &'static str,
    /// Why it is not reached.
    pub reason: &'static str,
}

impl Exception {
    /// Whether it is about this.
    pub(super) fn excuses(&self, (group, item): &Item) -> bool {
        let fits = match self.item.strip_suffix('*') {
            Some(start) => item.starts_with(start),
            None => item == self.item,
        };
        self.group == *group && fits
    }
}

/// Everything that is excused.
pub const EXCEPTIONS: &[Exception] = &[];
