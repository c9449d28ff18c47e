//! The merge join of the inventories of several replicas.
//!
//! Every replica lists its entries in key order, page by page, mutable state before sealed state, so
//! that an entry which is sealed meanwhile may be listed twice but never not at all (row F-04). The
//! join holds the pages in flight and nothing else. An entry is handed on when every replica has
//! reached or passed it, or has ended; each comes with the latest report of every replica that listed it
//! (row F-06). Who goes on without a replica begins a join without it.
//!
//! After every input: [`Join::poll`] until it is [`Step::Pending`] or [`Step::Done`], then
//! [`Join::poll_request`] until it is `None`.

use std::cmp::Ordering;
use std::num::NonZeroUsize;
use std::sync::Arc;

use peerstream_types::{Entry, EntryKey};

use crate::{Roster, Slot, Slots};

mod cursor;
mod page;

use cursor::{Cursor, Head};
pub use page::{Page, PageError, PageFault, PageRequest};

/// Most entries of one page, as a listing is asked for (row F-03).
pub const PAGE_ENTRIES_MAX: usize = 4096;
/// Pages in a row that hold no new key and still say that there is more. A source has one such page
/// where its mutable state ends; more than a few are no progress.
pub const IDLE_PAGES_MAX: u32 = 16;

/// How much a join holds. Per replica at most `pages_ahead + 1` pages of `page_entries_max` entries,
/// and one more while a page that is on its way comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinConfig {
    /// Entries that a page may have. Default [`PAGE_ENTRIES_MAX`].
    pub page_entries_max: NonZeroUsize,
    /// Pages that a replica is asked for beyond the one that is joined. More hide the latency of
    /// slow listings and cost memory. Default 1.
    pub pages_ahead: NonZeroUsize,
}

impl Default for JoinConfig {
    fn default() -> Self {
        const ENTRIES: NonZeroUsize = NonZeroUsize::new(PAGE_ENTRIES_MAX).expect("it is positive");
        Self { page_entries_max: ENTRIES, pages_ahead: NonZeroUsize::MIN }
    }
}

/// What was joined so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JoinStats {
    /// Entries handed on.
    pub entries: u64,
    /// Reports that they came with.
    pub reports: u64,
    /// Reports that a later one of the same replica replaced, or that came after their entry was
    /// handed on.
    pub repeats: u64,
    /// Pages taken.
    pub pages: u64,
}

/// What comes next out of a join.
#[derive(Debug)]
pub enum Step<'a> {
    /// An entry, with who reported it.
    Entry(Joined<'a>),
    /// A page is needed before anything else can be handed on: the join waits for these replicas.
    Pending(Slots),
    /// Every inventory has ended, and everything was handed on.
    Done,
}

/// One entry as the replicas report it.
#[derive(Debug, Clone, Copy)]
pub struct Joined<'a> {
    cursors: &'a [Cursor],
    /// Who reported it.
    pub reporters: Slots,
}

impl<'a> Joined<'a> {
    /// What a replica reports.
    pub fn report(&self, slot: Slot) -> Option<&'a Arc<Entry>> {
        self.reporters.contains(slot).then(|| self.cursors[slot.index()].current())?
    }

    /// Every report, in order of the slots.
    pub fn reports(&self) -> impl Iterator<Item = (Slot, &'a Arc<Entry>)> {
        let cursors = self.cursors;
        self.reporters.iter().filter_map(move |slot| Some((slot, cursors[slot.index()].current()?)))
    }
}

/// Joins the inventories of the replicas of one shard.
#[derive(Debug, Clone)]
pub struct Join {
    roster: Roster,
    cursors: Vec<Cursor>,
    config: JoinConfig,
    /// Whose heads were handed on, and are passed at the next poll.
    handed_on: Slots,
    stats: JoinStats,
}

impl Join {
    /// Begins at the start of every replica's inventory.
    pub fn new(roster: Roster, config: JoinConfig) -> Self {
        let cursors = roster.slots().iter().map(|_| Cursor::default()).collect();
        Self { roster, cursors, config, handed_on: Slots::NONE, stats: JoinStats::default() }
    }

    /// The replicas.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What was joined so far.
    pub fn stats(&self) -> JoinStats {
        self.stats
    }

    /// How many reports are held in memory now.
    pub fn held(&self) -> usize {
        self.cursors.iter().map(Cursor::held).sum()
    }

    /// The next entry, as soon as it is known who has it. Hands on nothing twice by itself: what was
    /// borrowed is passed with the next call.
    pub fn poll(&mut self) -> Step<'_> {
        self.pass();
        let (mut least, mut reporters): (Option<&EntryKey>, Slots) = (None, Slots::NONE);
        let mut pending = Slots::NONE;
        for (slot, cursor) in self.roster.slots().iter().zip(&self.cursors) {
            let key = match cursor.head() {
                Head::Entry(entry) => &entry.key,
                Head::Ended => continue,
                Head::Awaited => {
                    pending.insert(slot);
                    continue;
                }
            };
            match least.map_or(Ordering::Less, |least| key.cmp(least)) {
                Ordering::Less => (least, reporters) = (Some(key), Slots::one(slot)),
                Ordering::Equal => reporters.insert(slot),
                Ordering::Greater => {}
            }
        }
        if !pending.is_empty() {
            return Step::Pending(pending);
        }
        if least.is_none() {
            return Step::Done;
        }
        self.handed_on = reporters;
        self.stats.entries += 1;
        self.stats.reports += u64::from(reporters.len());
        Step::Entry(Joined { cursors: &self.cursors, reporters })
    }

    /// Who is to be asked for which page now. Those that the join waits for come first; one page per
    /// replica is under way at most, and none while its share of memory is used up.
    pub fn poll_request(&mut self) -> Option<PageRequest> {
        let ahead = self.config.pages_ahead.get();
        let wanting = self.roster.slots().iter().filter(|slot| self.cursors[slot.index()].wants(ahead));
        let slot = wanting.min_by_key(|slot| (self.cursors[slot.index()].held(), *slot))?;
        Some(PageRequest { slot, token: self.cursors[slot.index()].ask() })
    }

    /// Takes the page that a replica was asked for.
    ///
    /// # Errors
    ///
    /// [`PageError`] names the replica and what is wrong. Nothing of the page was taken, and what was listed
    /// before it counts; the request stands, and another page may answer it.
    pub fn handle_page(&mut self, slot: Slot, page: Page) -> Result<(), PageError> {
        let handed_on = self.handed_on.contains(slot);
        let Some(cursor) = self.cursors.get_mut(slot.index()) else { return Ok(()) };
        match cursor.take(page, handed_on, self.config.page_entries_max.get()) {
            Ok(repeats) => {
                self.stats.pages += 1;
                self.stats.repeats += repeats;
                Ok(())
            }
            Err(fault) => {
                let replica = self.roster.node(slot).expect("it has a cursor").clone();
                Err(PageError { replica, fault })
            }
        }
    }

    /// Passes what was handed on.
    fn pass(&mut self) {
        let handed_on = std::mem::take(&mut self.handed_on);
        handed_on.iter().for_each(|slot| self.cursors[slot.index()].pass());
    }
}

#[cfg(test)]
mod tests;
