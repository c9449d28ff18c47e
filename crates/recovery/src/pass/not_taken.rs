//! Copies that fit their digest and that the store does not take: whoever gives such a copy, it stays so, and
//! nobody else is asked for it.

use std::collections::BTreeSet;

use peerstream_types::{FetchId, Ordinal, Span};

use super::{Context, Pass};
use crate::NotTaken;

/// What the store did not take.
#[derive(Debug, Clone, Default)]
pub(super) struct Untaken {
    /// What is not decided yet. Bounded by the unfinished entries.
    open: BTreeSet<Ordinal>,
    /// How many of them the level does not do without.
    missing: u64,
}

impl Pass {
    /// A copy of which a fetch gave the last that was missing is not taken by the store.
    pub(crate) fn not_taken(
        &mut self,
        context: &mut Context<'_>,
        fetch: FetchId,
        ordinal: Ordinal,
        reason: NotTaken,
    ) {
        let Some(source) = self.flown_by(fetch) else { return };
        let Some(link) = self.links.get_mut(&source) else { return };
        link.out_of_hand(fetch);
        link.flights.begun(fetch);
        let taken = link.flights.take(fetch, Span::entry(ordinal));
        if taken.is_empty() {
            context.stats.surplus += 1;
            return;
        }
        link.refuse_entry(ordinal);
        let why = match reason {
            NotTaken::Bad(why) => {
                let count = taken.len() as u64;
                link.got.bad_chunks += count;
                context.stats.bad_chunks += count;
                context.stats.bad_bytes += taken.iter().map(|(_, len)| len).sum::<u64>();
                why
            }
            NotTaken::Unmergeable(why) => why,
        };
        self.untaken.open.insert(ordinal);
        for (item, _) in taken {
            self.give_back(item);
        }
        self.leave_entry(context, Some(source), ordinal, &why);
    }

    /// An entry is missing, for good in this pass.
    pub(super) fn lacks(&mut self, ordinal: Ordinal) {
        self.untaken.missing += u64::from(self.untaken.open.remove(&ordinal));
        self.shortfall.add_entry(ordinal);
    }

    /// The level does without a copy.
    pub(super) fn does_without(&mut self, ordinal: Ordinal) {
        self.untaken.open.remove(&ordinal);
        self.shortfall.forgive(ordinal);
        self.does_without_some = true;
    }

    /// Whether all that is missing is what the store did not take: asking again brings the same.
    pub(crate) fn lacks_only_untaken(&self) -> bool {
        self.untaken.missing > 0 && self.untaken.missing == self.shortfall.entries()
    }
}
