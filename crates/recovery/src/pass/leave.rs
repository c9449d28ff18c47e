//! A source leaves a pass: what it owed goes back, another one lists in its place, and what nobody is
//! left to give is set aside.

use std::collections::BTreeSet;

use peerstream_types::Ordinal;

use super::{Context, Left, Pass};
use crate::SourceId;
use crate::agreement::Agreement;
use crate::link::Link;
use crate::wanted::Item;

/// Why something is missing that several sources refused.
pub(super) const NOBODY: &str = "none of the sources in use gives it";

impl Pass {
    /// Lets a source go, with what it did; says what becomes of the pass.
    pub(crate) fn leave(&mut self, source: SourceId, agreement: &Agreement) -> Option<(Link, Left)> {
        let link = self.links.remove(&source)?;
        self.recheck = true;
        if let Some(column) = self.roll.listed_by(source) {
            let same = self.links.iter().find(|(_, other)| other.column == column);
            let same = same.map(|(other, _)| *other);
            if !self.roll.columns()[column].listing.is_done() {
                // What was listed so far was not checked against the digest that others vouch for. Where
                // replicas are counted, one that is gone or lied does not count.
                let relisted = same.filter(|_| self.roll.is_single() && !agreement.compares());
                return Some((link, relisted.map_or(Left::Ended, Left::NeedsListing)));
            }
            self.roll.pass_on(column, same);
        }
        for part in &link.outlines {
            self.wanted.outline_answered(part.0, part.1, false);
        }
        let owed: Vec<Item> = link.flights.the_last_first().map(|(item, _)| item).collect();
        for item in owed {
            self.give_back(item);
        }
        let goes_on = !self.links.is_empty() && self.is_heard_enough(agreement);
        Some((link, if goes_on { Left::GoesOn } else { Left::Ended }))
    }

    /// Whether those who listed, or still do, are as many as the level asks for.
    pub(super) fn is_heard_enough(&self, agreement: &Agreement) -> bool {
        let heard = self.roll.heard();
        let all: u32 = self.roll.columns().iter().map(|column| column.votes()).sum();
        heard == all || (heard > 0 && agreement.level.is_achieved(agreement.voters.replicas, all, heard))
    }

    /// Whether an item is outstanding with any source.
    pub(super) fn is_asked(&self, item: Item) -> bool {
        self.links.values().any(|link| link.flights.has(item))
    }

    /// Sets aside what nobody who is left gives, each for its own reason.
    pub(super) fn set_aside_orphans(&mut self, context: &mut Context<'_>) {
        let recheck = std::mem::take(&mut self.recheck) && !self.roll.is_single();
        // Of several manifests, those who fell short may be all that have an entry.
        let mut links = self.links.values();
        let may_be_orphans =
            if self.roll.is_single() { links.all(Link::fell_short) } else { links.any(Link::fell_short) };
        if !(recheck || may_be_orphans) {
            return;
        }
        let entries: BTreeSet<Ordinal> = if recheck {
            self.wanted.ordinals().collect()
        } else {
            self.links.values().flat_map(Link::refused_entries).collect()
        };
        for ordinal in entries {
            if self.nobody_has(ordinal) {
                self.leave_entry(context, None, ordinal, NOBODY);
            }
        }
        let orphans: Vec<Item> = self.wanted.again().filter(|item| self.nobody_gives(*item)).collect();
        for item in orphans {
            self.wanted.take(item);
            self.leave_item(context, None, item, NOBODY);
        }
    }
}
