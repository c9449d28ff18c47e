//! What did not come is asked of whoever failed at it least often, however busy it is (row F-07).

use std::collections::BTreeSet;

use super::Pass;
use crate::SourceId;
use crate::link::Link;
use crate::wanted::Item;

impl Pass {
    /// Says what each source leaves to others that can be asked.
    pub(super) fn take_turns(&mut self) {
        if self.wanted.again().next().is_none() {
            return;
        }
        let failed = self.links.iter().filter(|(_, link)| link.tries.failed().next().is_some());
        let failed: Vec<SourceId> = failed.map(|(source, _)| *source).collect();
        for source in failed {
            let Some(link) = self.links.get(&source) else { continue };
            let yields = link.tries.failed().filter(|(item, used)| self.has_better(*item, *used));
            let yields: BTreeSet<Item> = yields.map(|(item, _)| item).collect();
            if let Some(link) = self.links.get_mut(&source) {
                link.yield_to_others(yields);
            }
        }
    }

    /// Whether somebody can be asked for an item who failed at it less often.
    pub(super) fn has_better(&self, item: Item, used: u32) -> bool {
        let can = |link: &&Link| link.paused_until().is_none() && self.gives(link, item);
        self.links.values().filter(can).any(|link| link.tries.used(item) < used)
    }
}
