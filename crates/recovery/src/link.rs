//! A source in use: what it was asked for, how it answers, and what it does not give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerstream_types::{FetchId, NodeId, Ordinal, Timestamp};

use crate::choice::Yield;
use crate::config::RETRY_AFTER_MAX;
use crate::flights::Flights;
use crate::pace::Pace;
use crate::retry::Tries;
use crate::wanted::Item;
use crate::{CloseReason, Config, OutlinePart, SourceId};

/// A part of the outline of an entry.
pub(crate) type Part = (Ordinal, OutlinePart);

/// The source is left alone for a while because it said busy.
#[derive(Debug, Clone, Default)]
struct Pause {
    until: Option<Timestamp>,
    /// Pauses in a row in which nothing came.
    in_a_row: u32,
}

/// What a source does not give, so that others are asked for it.
#[derive(Debug, Clone, Default)]
struct Refused {
    items: BTreeSet<Item>,
    outlines: BTreeSet<Part>,
    entries: BTreeSet<Ordinal>,
    /// How often it did not give something, finished or not.
    times: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    /// Which of the joined manifests it has.
    pub(crate) column: usize,
    /// Its peer, as `choice` counts them.
    pub(crate) candidate: usize,
    pub(crate) flights: Flights,
    /// Bytes that other jobs of this node wait for from its peer.
    pub(crate) elsewhere: u64,
    /// Parts of outlines that it was asked for.
    pub(crate) outlines: BTreeSet<Part>,
    pub(crate) tries: Tries,
    /// Attempts used up at parts of outlines that are not there yet.
    outline_tries: BTreeMap<Part, u32>,
    refused: Refused,
    /// Of what failed here, what others failed at less often: it is theirs.
    yields: BTreeSet<Item>,
    pause: Pause,
    pace: Pace,
    /// The last thing that came, or the first request after a time without any.
    moved_at: Timestamp,
    /// Fetches of which something has come that the store is at work on.
    in_hand: BTreeSet<FetchId>,
    pub(crate) got: Yield,
}

impl Link {
    pub(crate) fn new(now: Timestamp, peer: NodeId, candidate: usize, column: usize) -> Self {
        Self {
            peer,
            column,
            candidate,
            flights: Flights::default(),
            elsewhere: 0,
            outlines: BTreeSet::new(),
            tries: Tries::default(),
            outline_tries: BTreeMap::new(),
            refused: Refused::default(),
            yields: BTreeSet::new(),
            pause: Pause::default(),
            pace: Pace::default(),
            moved_at: now,
            in_hand: BTreeSet::new(),
            got: Yield::default(),
        }
    }

    /// The same source for another listing: nothing is asked of it, and nothing is held against it.
    pub(crate) fn anew(self, now: Timestamp) -> Self {
        let Self { peer, candidate, column, got, elsewhere, .. } = self;
        Self { got, elsewhere, ..Self::new(now, peer, candidate, column) }
    }

    /// Whether it owes an outline or content.
    pub(crate) fn owes(&self) -> bool {
        !self.outlines.is_empty() || !self.flights.is_empty()
    }

    /// Bytes that this node waits for from its peer, for this job and others (row F-07).
    pub(crate) fn outstanding(&self) -> u64 {
        self.flights.bytes().saturating_add(self.elsewhere)
    }

    /// It brought something good.
    pub(crate) fn moved(&mut self, now: Timestamp) {
        self.moved_at = now;
        self.pause.in_a_row = 0;
    }

    pub(crate) fn moved_at(&self) -> Timestamp {
        self.moved_at
    }

    /// It is about to be asked for something: if it owes no outline and no content, its time begins now,
    /// however long it has been at a page.
    pub(crate) fn is_asked(&mut self, now: Timestamp) {
        if !self.owes() {
            self.moved_at = now;
        }
    }

    /// It is about to be asked for an outline or content.
    pub(crate) fn is_asked_to_give(&mut self, now: Timestamp) {
        self.is_asked(now);
        self.pace.starts(now);
    }

    /// It gave content, which is stored.
    pub(crate) fn gave(&mut self, now: Timestamp, bytes: u64) {
        self.moved(now);
        self.got.stored_bytes += bytes;
        self.pace.gave(now, bytes);
    }

    /// Content has come, and the store is at work on it.
    pub(crate) fn content_arrived(&mut self, now: Timestamp, fetch: FetchId) {
        self.in_hand.insert(fetch);
        self.flights.begun(fetch);
        self.moved(now);
    }

    /// The store is done with what has come of a fetch, or nothing more comes of it.
    pub(crate) fn out_of_hand(&mut self, fetch: FetchId) {
        self.in_hand.remove(&fetch);
    }

    /// When it counts as stalled if nothing comes until then. What the store does with what has come
    /// takes its own time, not the source's; and one that owes nothing but a page may be hashing what
    /// goes on it.
    pub(crate) fn stalls_at(&self, config: &Config, owes_page: bool) -> Option<Timestamp> {
        if !self.in_hand.is_empty() {
            return None;
        }
        match (self.owes(), owes_page) {
            (true, _) => Some(self.moved_at + config.no_progress_timeout),
            (false, true) => Some(self.moved_at + config.page_timeout),
            (false, false) => None,
        }
    }

    /// It owes no outline and no content any more.
    pub(crate) fn rests(&mut self, now: Timestamp) {
        self.pace.rests(now);
    }

    /// From when on this one counts as `times` slower than another one that rests, as if it gave its next
    /// fetch then. `None` if the other one gave nothing yet.
    pub(crate) fn slow_from(&self, other: &Self, times: u32) -> Option<Timestamp> {
        self.pace.slow_from(self.flights.next_bytes(), &other.pace, times)
    }

    /// From when on it counts as still, if nothing comes until then; never while the store is at work on
    /// what has come.
    pub(crate) fn still_from(&self, after: Duration) -> Option<Timestamp> {
        self.in_hand.is_empty().then(|| self.moved_at + after)
    }

    pub(crate) fn refuses(&self, item: Item) -> bool {
        self.refused.items.contains(&item) || self.refused.entries.contains(&item.ordinal)
    }

    /// Whether it is its turn to be asked for an item again.
    pub(crate) fn takes(&self, item: Item) -> bool {
        !self.refuses(item) && !self.yields.contains(&item)
    }

    /// Leaves these to others, as long as they can be asked.
    pub(crate) fn yield_to_others(&mut self, items: BTreeSet<Item>) {
        self.yields = items;
    }

    pub(crate) fn refuses_entry(&self, ordinal: Ordinal) -> bool {
        self.refused.entries.contains(&ordinal)
    }

    pub(crate) fn refuses_outline(&self, part: Part) -> bool {
        self.refused.outlines.contains(&part) || self.refused.entries.contains(&part.0)
    }

    /// Whether there was anything that it did not give.
    pub(crate) fn fell_short(&self) -> bool {
        self.refused.times > 0
    }

    /// Whether nothing is left of what it was asked for.
    #[cfg(test)]
    pub(crate) fn keeps_nothing(&self) -> bool {
        let refused = &self.refused;
        let sets = [refused.items.len(), refused.outlines.len(), refused.entries.len(), self.outlines.len()];
        let left =
            sets.iter().sum::<usize>() + self.outline_tries.len() + self.in_hand.len() + self.yields.len();
        left == 0 && self.flights.is_empty() && format!("{:?}", self.tries) == "Tries({})"
    }

    pub(crate) fn refused_entries(&self) -> impl Iterator<Item = Ordinal> {
        self.refused.entries.iter().copied()
    }

    pub(crate) fn refuse(&mut self, item: Item) {
        self.refused.items.insert(item);
        self.refused.times += 1;
    }

    pub(crate) fn refuse_entry(&mut self, ordinal: Ordinal) {
        self.refused.entries.insert(ordinal);
        self.refused.times += 1;
    }

    /// It did not give a part of an outline; counts an attempt and says whether one is left of `limit`.
    pub(crate) fn outline_missed(&mut self, part: Part, limit: u32) -> bool {
        let used = self.outline_tries.entry(part).or_default();
        *used += 1;
        if *used < limit {
            return true;
        }
        self.outline_tries.remove(&part);
        self.refused.outlines.insert(part);
        self.refused.times += 1;
        false
    }

    /// A part of an outline is there, or left.
    pub(crate) fn forget_outline(&mut self, part: Part) {
        self.outline_tries.remove(&part);
        self.refused.outlines.remove(&part);
    }

    /// An item is stored.
    pub(crate) fn forget(&mut self, item: Item) {
        self.tries.forget(item);
        self.yields.remove(&item);
        self.refused.items.remove(&item);
    }

    /// An entry is finished, or left but for what is in flight.
    pub(crate) fn forget_entry(&mut self, ordinal: Ordinal) {
        self.refused.entries.remove(&ordinal);
        self.tries.forget_entry(ordinal);
        self.outline_tries.retain(|(of, _), _| *of != ordinal);
        self.refused.outlines.retain(|(of, _)| *of != ordinal);
        self.refused.items.retain(|item| item.ordinal != ordinal);
        self.yields.retain(|item| item.ordinal != ordinal);
    }

    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        self.pause.until
    }

    /// Ends a pause whose time has come.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        if self.pause.until.is_some_and(|until| until <= now) {
            self.pause.until = None;
        }
    }

    /// Leaves the source alone; answers of one burst count once.
    ///
    /// # Errors
    ///
    /// It said busy again and again.
    pub(crate) fn pause(
        &mut self,
        now: Timestamp,
        config: &Config,
        own: SourceId,
        asked_for: Option<Duration>,
    ) -> Result<(), CloseReason> {
        let asked_for = asked_for.unwrap_or_default().min(RETRY_AFTER_MAX);
        if self.pause.until.is_none() {
            self.pause.in_a_row += 1;
        }
        if self.pause.in_a_row > config.opens_per_peer {
            return Err(CloseReason::Busy);
        }
        let seed = config.seed ^ u64::from(own.0);
        let wait = config.back_off.delay(self.pause.in_a_row.max(1), seed).max(asked_for);
        self.pause.until = self.pause.until.max(Some(now + wait));
        Ok(())
    }
}
