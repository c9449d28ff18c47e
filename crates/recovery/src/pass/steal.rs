//! A source with nothing left to do takes work from one that still has much: first what that one has
//! not begun, which costs nothing, then, from a slow one, what it is at, asked twice within a budget. As
//! long as more is about to be listed, nothing is taken but from a source that is still.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_types::Timestamp;

use super::{Context, Pass};
use crate::cut::Cut;
use crate::link::Link;
use crate::wanted::Item;
use crate::{Action, Config, SourceId};

/// A source that is that many times slower is not waited for at the end.
const SLOWER: u32 = 2;
/// While more is being listed, a source of which something came this lately keeps what it has not begun:
/// whoever has nothing to do has soon, and far away is not slow.
const STILL: Duration = Duration::from_secs(1);

impl Pass {
    /// Finds work for one who has none; says whether it did.
    pub(super) fn steal(&mut self, context: &mut Context<'_>) -> bool {
        let idle: Vec<SourceId> = self.idle().collect();
        idle.into_iter().any(|thief| match self.busiest(thief) {
            Some(victim) if self.awaits_more() => {
                self.still_from(victim).is_some_and(|from| from <= context.now)
                    && self.take_unbegun(context, thief, victim)
            }
            Some(victim) => {
                self.take_unbegun(context, thief, victim) || self.ask_twice(context, thief, victim)
            }
            None => false,
        })
    }

    /// Who has nothing to give, though it may owe a page.
    fn idle(&self) -> impl Iterator<Item = SourceId> {
        self.able().filter(|source| !self.links[source].owes())
    }

    /// Whether more is about to be wanted, whatever the sources give: not if they owe so much that no page
    /// is asked for.
    fn awaits_more(&self) -> bool {
        self.roll.is_admitting() || self.roll.columns().iter().any(|column| column.listing.is_asked())
    }

    fn still_from(&self, victim: SourceId) -> Option<Timestamp> {
        self.links.get(&victim)?.still_from(STILL)
    }

    /// Who owes most, of the others.
    fn busiest(&self, thief: SourceId) -> Option<SourceId> {
        let others = self.links.iter().filter(|(source, _)| **source != thief);
        let busiest = others.max_by_key(|(source, link)| (link.flights.bytes(), std::cmp::Reverse(**source)));
        busiest.filter(|(_, link)| !link.flights.is_empty()).map(|(source, _)| *source)
    }

    /// Takes the last fetch from a source that has others before it and has not begun it.
    fn take_unbegun(&mut self, context: &mut Context<'_>, thief: SourceId, victim: SourceId) -> bool {
        let Some(fetch) = self.links.get(&victim).and_then(|link| link.flights.last_untouched()) else {
            return false;
        };
        let gives = |item: Item| {
            let gives =
                |thief: &&Link| self.gives(thief, item) && !self.has_better(item, thief.tries.used(item));
            self.links.get(&thief).filter(gives).is_some()
        };
        let is_whole = |link: &Link| link.flights.items_of(fetch).all(gives);
        if !self.links.get(&victim).is_some_and(is_whole) {
            return false;
        }
        let Some(items) = self.links.get_mut(&victim).map(|link| link.flights.take_all(fetch)) else {
            return false;
        };
        context.stats.stolen += items.len() as u64;
        for (item, _) in items {
            self.give_back(item);
        }
        context.actions.push_back(Action::Cancel { source: victim, fetch });
        self.take_turns();
        let cut = self.links.get(&thief).and_then(|link| Cut::next(&mut self.wanted, link, context.config));
        let found = cut.is_some();
        if let Some(cut) = cut {
            self.send(context, thief, cut);
        }
        found
    }

    /// Asks for the last of what a slow source owes a second time.
    fn ask_twice(&mut self, context: &mut Context<'_>, thief: SourceId, victim: SourceId) -> bool {
        if self.slow_from(thief, victim).is_none_or(|from| from > context.now) {
            return false;
        }
        let items = self.twice(context.config, context.stats.twice_bytes, thief, victim);
        let link = self.links.get(&thief);
        let cut = link.and_then(|link| Cut::twice(items, &self.wanted, link, context.config));
        let Some(cut) = cut else { return false };
        let bytes: u64 = cut.items.values().sum();
        context.stats.twice_bytes += bytes;
        self.send(context, thief, cut);
        true
    }

    fn slow_from(&self, thief: SourceId, victim: SourceId) -> Option<Timestamp> {
        self.links.get(&victim)?.slow_from(self.links.get(&thief)?, SLOWER)
    }

    /// What of a source's debts another one may be asked for too: the last of it, as far as the budget
    /// goes of which the job has `spent` some.
    fn twice(&self, config: &Config, spent: u64, thief: SourceId, victim: SourceId) -> BTreeMap<Item, u64> {
        let (Some(fast), Some(slow)) = (self.links.get(&thief), self.links.get(&victim)) else {
            return BTreeMap::new();
        };
        // Several manifests, and one that is not sealed, have no counts: what was taken of them counts.
        let known = self.header.counts.bytes.max(self.roll.counts().bytes);
        let allowed = (known / 1000).saturating_mul(u64::from(config.twice_per_mille));
        let most = allowed.saturating_sub(spent).min(config.fetch_bytes.0).min(config.window.0);
        let mut bytes = 0;
        let is_once = |item: Item| self.links.values().filter(|link| link.flights.has(item)).count() == 1;
        let owed = slow.flights.the_last_first();
        let owed = owed.filter(|(item, _)| self.gives(fast, *item) && is_once(*item));
        let within = owed.take_while(|(_, len)| {
            bytes += len;
            bytes <= most
        });
        within.collect()
    }

    /// When something may be taken, or asked twice, that may not be yet; the job has `spent` this much on
    /// asking twice.
    pub(crate) fn steals_at(&self, now: Timestamp, config: &Config, spent: u64) -> Option<Timestamp> {
        let at = self.idle().filter_map(|thief| {
            let victim = self.busiest(thief)?;
            if self.awaits_more() {
                let is_some = self.links.get(&victim)?.flights.last_untouched().is_some();
                return self.still_from(victim).filter(|from| is_some && *from > now);
            }
            let from = self.slow_from(thief, victim).filter(|from| *from > now)?;
            (!self.twice(config, spent, thief, victim).is_empty()).then_some(from)
        });
        at.min()
    }
}
