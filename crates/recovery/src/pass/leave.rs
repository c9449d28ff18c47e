//! A source leaves a pass: what it owed goes back, and what nobody is left to give is set aside.

use std::collections::BTreeSet;

use peerstream_types::Ordinal;

use super::{Context, Left, Pass};
use crate::SourceId;
use crate::link::Link;
use crate::wanted::Item;

/// Why something is missing that several sources refused.
pub(super) const NOBODY: &str = "none of the sources in use gives it";

impl Pass {
    /// Lets a source go, with what it did; says what becomes of the pass.
    pub(crate) fn leave(&mut self, source: SourceId) -> Option<(Link, Left)> {
        let link = self.links.remove(&source)?;
        let Some(next) = self.links.keys().next().copied() else {
            return Some((link, Left::Alone));
        };
        if source == self.lead && !self.listing.is_done() {
            return Some((link, Left::NeedsListing(next)));
        }
        if source == self.lead {
            self.lead = next;
        }
        for part in &link.outlines {
            self.wanted.outline_answered(part.0, part.1, false);
        }
        let owed: Vec<Item> = link.flights.the_last_first().map(|(item, _)| item).collect();
        for item in owed {
            if !self.is_asked(item) {
                self.wanted.give_back(item);
            }
        }
        Some((link, Left::GoesOn))
    }

    /// Whether an item is outstanding with any source.
    pub(super) fn is_asked(&self, item: Item) -> bool {
        self.links.values().any(|link| link.flights.has(item))
    }

    /// Sets aside what all who are left refuse, each for its own reason.
    pub(super) fn set_aside_orphans(&mut self, context: &mut Context<'_>) {
        if !self.links.values().all(Link::fell_short) {
            return;
        }
        let entries: BTreeSet<Ordinal> = self.links.values().flat_map(Link::refused_entries).collect();
        for ordinal in entries {
            if self.links.values().all(|link| link.refuses_entry(ordinal)) {
                self.leave_entry(context, self.lead, ordinal, NOBODY);
            }
        }
        let orphans: Vec<Item> =
            self.wanted.again().filter(|item| self.links.values().all(|link| link.refuses(*item))).collect();
        for item in orphans {
            self.wanted.take(item);
            self.leave_item(context, self.lead, item, NOBODY);
        }
    }
}
