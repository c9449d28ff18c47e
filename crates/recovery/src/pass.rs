//! One listing of one manifest through one source: what it lists, what of it is wanted, what is
//! outstanding, and what it could not give.

mod answers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use peerstream_types::{
    ByteCount, ChunkIndex, ChunkRange, Entry, EntryCounts, FetchId, ManifestHeader, NodeId, Ordinal,
    Timestamp,
};

use crate::choice::Yield;
use crate::config::clip;
use crate::cut::Cut;
use crate::flights::Flights;
use crate::listing::Listing;
use crate::retry::Tries;
use crate::shortfall::Shortfall;
use crate::wanted::{Finished, Item, Wanted};
use crate::{Action, CloseReason, Config, Gap, OutlinePart, PageIn, SourceId, Stats, WaitReason};

/// What a pass needs of the job while it takes an input.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) config: &'a Config,
    pub(crate) stats: &'a mut Stats,
    pub(crate) actions: &'a mut VecDeque<Action>,
    pub(crate) next_fetch: &'a mut u64,
}

/// The source is left alone for a while because it said busy.
#[derive(Debug, Clone, Default)]
struct Pause {
    until: Option<Timestamp>,
    /// Pauses in a row in which nothing came.
    in_a_row: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Pass {
    source: SourceId,
    peer: NodeId,
    /// As offered; as sealed once that is known.
    header: ManifestHeader,
    listing: Listing,
    wanted: Wanted,
    flights: Flights,
    tries: Tries,
    /// Attempts used up at parts of outlines that are not there yet.
    outline_tries: BTreeMap<(Ordinal, OutlinePart), u32>,
    pause: Pause,
    /// The last thing that came, or the first request after a time without any.
    moved_at: Timestamp,
    /// The asked page has come, and the store is at work on it.
    page_in_hand: bool,
    /// Fetches of which something has come that the store is at work on.
    in_hand: BTreeSet<FetchId>,
    shortfall: Shortfall,
    /// What the last source that was worked through could not give.
    earlier: Option<Shortfall>,
    done: EntryCounts,
    held_bytes: u64,
    got: Yield,
}

impl Pass {
    /// Starts over with the manifest that `source` offered.
    pub(crate) fn new(
        now: Timestamp,
        source: SourceId,
        peer: NodeId,
        header: ManifestHeader,
        earlier: Option<Shortfall>,
    ) -> Self {
        Self {
            source,
            peer,
            listing: Listing::new(),
            wanted: Wanted::new(header.chunk_size),
            header,
            flights: Flights::default(),
            tries: Tries::default(),
            outline_tries: BTreeMap::new(),
            pause: Pause::default(),
            moved_at: now,
            page_in_hand: false,
            in_hand: BTreeSet::new(),
            shortfall: Shortfall::default(),
            earlier,
            done: EntryCounts::default(),
            held_bytes: 0,
            got: Yield::default(),
        }
    }

    /// Asks for as much as the limits allow: the next page, outlines, data.
    pub(crate) fn ask(&mut self, context: &mut Context<'_>) {
        if self.pause.until.is_some() {
            return;
        }
        let was_idle = !self.awaits_answers();
        self.ask_page(context);
        self.ask_data(context);
        self.ask_outlines(context);
        if was_idle && self.awaits_answers() {
            self.moved_at = context.now;
        }
    }

    fn ask_page(&mut self, context: &mut Context<'_>) {
        if self.wanted.len() as u64 >= u64::from(context.config.entries_ahead) {
            return;
        }
        if let Some(token) = self.listing.ask() {
            context.actions.push_back(Action::List { source: self.source, token });
        }
    }

    fn ask_data(&mut self, context: &mut Context<'_>) {
        while let Some(cut) = Cut::next(&mut self.wanted, &self.tries, context.config, self.flights.bytes()) {
            let fetch = FetchId(*context.next_fetch);
            *context.next_fetch += 1;
            context.stats.fetches += 1;
            self.flights.send(fetch, cut.items);
            let (source, spans, attempt) = (self.source, cut.spans, cut.attempt);
            context.actions.push_back(Action::Fetch { source, fetch, spans, attempt });
        }
    }

    /// Outlines are asked for until two windows can be asked for without another one.
    fn ask_outlines(&mut self, context: &mut Context<'_>) {
        let ahead = context.config.window.0.saturating_mul(2);
        while let Some((ordinal, part)) = self.wanted.ask_outline(ahead, context.config.outline_values) {
            context.actions.push_back(Action::Outline { source: self.source, ordinal, part });
        }
    }

    /// Takes a page in.
    ///
    /// # Errors
    ///
    /// The source's manifest does not add up.
    pub(crate) fn page(&mut self, context: &mut Context<'_>, page: PageIn) -> Result<(), CloseReason> {
        self.page_in_hand = false;
        self.listing.take(&page, &self.header).map_err(CloseReason::BadManifest)?;
        self.moved(context.now);
        context.stats.pages += 1;
        let mut held: BTreeMap<Ordinal, Vec<ChunkRange>> = BTreeMap::new();
        for (ordinal, chunks) in page.held {
            held.entry(ordinal).or_default().extend(chunks);
        }
        let unusable: BTreeMap<Ordinal, String> = page.unusable.into_iter().collect();
        for entry in page.entries {
            match unusable.get(&entry.ordinal) {
                Some(why) => self.skip(context, &entry, why),
                None => {
                    let held = held.remove(&entry.ordinal).unwrap_or_default();
                    self.admit(entry, held);
                }
            }
        }
        if let Some(sealed) = page.sealed {
            self.shortfall.digest = sealed.digest;
            self.header = sealed;
        }
        Ok(())
    }

    fn admit(&mut self, entry: Arc<Entry>, held: Vec<ChunkRange>) {
        let admitted = self.wanted.admit(entry, held);
        self.held_bytes = self.held_bytes.saturating_add(admitted.held_bytes);
        self.done.bytes = self.done.bytes.saturating_add(admitted.held_bytes);
        self.done.entries += u64::from(admitted.complete);
    }

    fn skip(&mut self, context: &mut Context<'_>, entry: &Entry, why: &str) {
        context.stats.set_aside += 1;
        self.add_gap(entry, None, why);
        self.shortfall.add_entry();
    }

    fn add_gap(&mut self, entry: &Entry, chunk: Option<ChunkIndex>, why: &str) {
        let (ordinal, key) = (entry.ordinal, entry.key.clone());
        self.shortfall.add_gap(Gap { ordinal, key, chunk, peer: self.peer.clone(), why: clip(why) });
    }

    fn settle(&mut self, finished: Option<Finished>) {
        let Some(finished) = finished else {
            return;
        };
        if !finished.complete {
            self.shortfall.add_entry();
            return;
        }
        self.done.entries += 1;
        let digest = self.header.digest;
        if let Some(earlier) = self.earlier.as_mut().filter(|e| digest.is_some() && e.digest == digest) {
            earlier.obtained(finished.ordinal);
        }
    }

    /// The source brought something good.
    fn moved(&mut self, now: Timestamp) {
        self.moved_at = now;
        self.pause.in_a_row = 0;
    }

    fn awaits_answers(&self) -> bool {
        self.listing.is_asked() || self.wanted.awaits_outlines() || !self.flights.is_empty()
    }

    pub(crate) fn awaits_page(&self) -> bool {
        self.listing.is_asked()
    }

    /// The asked page has come. What the store does with it takes its own time, not the source's.
    pub(crate) fn page_arrived(&mut self, now: Timestamp) {
        self.page_in_hand = true;
        self.moved(now);
    }

    /// Content has come. What the store does with it takes its own time, not the source's.
    pub(crate) fn content_arrived(&mut self, now: Timestamp, fetch: FetchId) {
        if self.flights.contains(fetch) {
            self.in_hand.insert(fetch);
            self.moved(now);
        }
    }

    /// When the source counts as stalled if nothing comes until then. A source that owes nothing but a
    /// page may be hashing what goes on it, and gets the time for that.
    pub(crate) fn stalls_at(&self, config: &Config) -> Option<Timestamp> {
        if !self.in_hand.is_empty() {
            return None;
        }
        let owes_content = self.wanted.awaits_outlines() || !self.flights.is_empty();
        let owes_page = self.listing.is_asked() && !self.page_in_hand;
        match (owes_content, owes_page) {
            (true, _) => Some(self.moved_at + config.no_progress_timeout),
            (false, true) => Some(self.moved_at + config.page_timeout),
            (false, false) => None,
        }
    }

    /// When the source may be asked again.
    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        self.pause.until
    }

    /// Ends a pause whose time has come.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        if self.pause.until.is_some_and(|until| until <= now) {
            self.pause.until = None;
        }
    }

    /// Whether all that this source lists was stored, held or set aside.
    pub(crate) fn is_worked_through(&self) -> bool {
        self.listing.is_done() && self.wanted.is_empty()
    }

    /// The sealed header, if nothing of it is missing.
    pub(crate) fn complete(&self) -> Option<&ManifestHeader> {
        (self.is_worked_through() && self.shortfall.entries() == 0).then_some(&self.header)
    }

    /// What is known to be missing: of this manifest if it was worked through, else of the last one
    /// that was.
    pub(crate) fn into_shortfall(self) -> Option<Shortfall> {
        if self.is_worked_through() { Some(self.shortfall) } else { self.earlier }
    }

    pub(crate) fn entries_missing(&self) -> u64 {
        self.shortfall.entries().max(self.earlier.as_ref().map_or(0, Shortfall::entries))
    }

    pub(crate) fn wait_reason(&self) -> WaitReason {
        match self.pause.until {
            Some(until) => WaitReason::SourceBusy { until },
            None if !self.flights.is_empty() => WaitReason::Data,
            None if self.wanted.awaits_outlines() => WaitReason::Outline,
            None => WaitReason::Page,
        }
    }

    pub(crate) fn moved_at(&self) -> Timestamp {
        self.moved_at
    }

    pub(crate) fn header(&self) -> &ManifestHeader {
        &self.header
    }

    pub(crate) fn done(&self) -> EntryCounts {
        self.done
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(crate) fn got(&self) -> Yield {
        self.got
    }

    pub(crate) fn outstanding(&self) -> ByteCount {
        ByteCount(self.flights.bytes())
    }

    pub(crate) fn fetches(&self) -> impl Iterator<Item = FetchId> {
        self.flights.ids()
    }

    pub(crate) fn is_flying(&self, fetch: FetchId) -> bool {
        self.flights.contains(fetch)
    }

    pub(crate) fn expects(&self, fetch: FetchId, ordinal: Ordinal, chunk: ChunkIndex) -> bool {
        self.flights.expects(fetch, Item { ordinal, chunk })
    }

    pub(crate) fn needs_outline(&self, ordinal: Ordinal, part: OutlinePart) -> bool {
        self.wanted.needs_outline(ordinal, part)
    }

    pub(crate) fn entry(&self, ordinal: Ordinal) -> Option<&Arc<Entry>> {
        self.wanted.entry(ordinal)
    }
}
