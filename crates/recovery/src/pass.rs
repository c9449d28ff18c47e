//! One listing of one manifest, which one source lists and all that have the same serve: what of it is
//! wanted, what is outstanding with whom, and what nobody could give.

mod answers;
mod leave;
mod steal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peerstream_types::{
    ByteCount, ChunkIndex, ChunkRange, Entry, EntryCounts, FetchId, ManifestHeader, Ordinal, Timestamp,
};

use crate::config::clip;
use crate::cut::Cut;
use crate::link::{Link, Part};
use crate::listing::Listing;
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

/// Who says what about a source that gives nothing more.
pub(crate) type Ended = (SourceId, CloseReason);

/// What becomes of a pass that a source has left.
#[derive(Debug)]
pub(crate) enum Left {
    /// It goes on with the others.
    GoesOn,
    /// The source was listing: another one has to, from the start.
    NeedsListing(SourceId),
    /// No source is left.
    Alone,
}

#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// Who lists.
    lead: SourceId,
    /// Everyone who is asked for content, the lead among them.
    links: BTreeMap<SourceId, Link>,
    /// As offered; as sealed once that is known.
    header: ManifestHeader,
    listing: Listing,
    wanted: Wanted,
    /// The asked page has come, and the store is at work on it.
    page_in_hand: bool,
    shortfall: Shortfall,
    /// What the last source that was worked through could not give.
    earlier: Option<Shortfall>,
    done: EntryCounts,
    held_bytes: u64,
    /// Bytes that were asked of a second source while the first still owed them.
    twice_bytes: u64,
}

impl Pass {
    /// Starts over with the manifest that `lead` offered.
    pub(crate) fn new(lead: SourceId, link: Link, earlier: Option<Shortfall>) -> Self {
        let header = link.header.clone();
        Self {
            lead,
            links: BTreeMap::from([(lead, link)]),
            listing: Listing::new(),
            wanted: Wanted::new(header.chunk_size),
            header,
            page_in_hand: false,
            shortfall: Shortfall::default(),
            earlier,
            done: EntryCounts::default(),
            held_bytes: 0,
            twice_bytes: 0,
        }
    }

    /// Starts over with the manifest that `lead`, one of the sources that are left, offered.
    pub(crate) fn relist(self, now: Timestamp, lead: SourceId) -> Option<Self> {
        let earlier = self.earlier;
        let mut links = self.links.into_iter().map(|(id, link)| (id, link.anew(now)));
        let mut links: BTreeMap<SourceId, Link> = links.by_ref().collect();
        let mut pass = Self::new(lead, links.remove(&lead)?, earlier);
        pass.links.append(&mut links);
        Some(pass)
    }

    /// Another source with the same sealed manifest joins.
    pub(crate) fn join(&mut self, source: SourceId, link: Link) {
        self.links.insert(source, link);
    }

    /// Whether a source that offers this has the same entries under the same ordinals.
    pub(crate) fn is_same(&self, offered: &ManifestHeader) -> bool {
        let alike = |header: &ManifestHeader| (header.digest, header.chunk_size, header.counts);
        self.header.is_sealed() && alike(&self.header) == alike(offered)
    }

    /// Asks for as much as the limits allow: the next page, outlines, data.
    pub(crate) fn ask(&mut self, context: &mut Context<'_>) {
        let idle: Vec<SourceId> =
            self.links.keys().copied().filter(|source| !self.owes_anything(*source)).collect();
        for source in &idle {
            if let Some(link) = self.links.get_mut(source) {
                link.rests(context.now);
            }
        }
        self.set_aside_orphans(context);
        loop {
            self.ask_page(context);
            self.ask_data(context);
            let was = self.wanted.len();
            self.ask_outlines(context);
            if self.wanted.len() == was {
                break;
            }
        }
        for source in idle {
            if self.owes_anything(source)
                && let Some(link) = self.links.get_mut(&source)
            {
                link.begins_to_owe(context.now);
            }
        }
    }

    fn ask_page(&mut self, context: &mut Context<'_>) {
        let is_paused = self.links.get(&self.lead).is_none_or(|lead| lead.paused_until().is_some());
        if is_paused || self.wanted.len() as u64 >= u64::from(context.config.entries_ahead) {
            return;
        }
        if let Some(token) = self.listing.ask() {
            context.actions.push_back(Action::List { source: self.lead, token });
        }
    }

    /// Fills the windows, and finds work for those who have none; who lost some may have room again.
    fn ask_data(&mut self, context: &mut Context<'_>) {
        self.fill(context);
        while self.steal(context) {
            self.fill(context);
        }
    }

    /// Fills the windows, the emptiest first, so that little work is shared evenly.
    fn fill(&mut self, context: &mut Context<'_>) {
        let mut able: Vec<SourceId> = self.able().collect();
        loop {
            able.sort_by_key(|source| (self.links[source].flights.bytes(), *source));
            let found = able.iter().enumerate().find_map(|(place, source)| {
                Cut::next(&mut self.wanted, &self.links[source], context.config).map(|cut| (place, cut))
            });
            let Some((place, cut)) = found else { break };
            // Those before it have no room, or nothing is left that they give.
            able.drain(..place);
            self.send(context, able[0], cut);
        }
    }

    /// Sources that may be asked now.
    fn able(&self) -> impl Iterator<Item = SourceId> {
        let able = self.links.iter().filter(|(_, link)| link.paused_until().is_none());
        able.map(|(source, _)| *source)
    }

    fn send(&mut self, context: &mut Context<'_>, source: SourceId, cut: Cut) {
        let Some(link) = self.links.get_mut(&source) else { return };
        let fetch = FetchId(*context.next_fetch);
        *context.next_fetch += 1;
        context.stats.fetches += 1;
        link.flights.send(fetch, cut.items);
        let (spans, attempt) = (cut.spans, cut.attempt);
        context.actions.push_back(Action::Fetch { source, fetch, spans, attempt });
    }

    /// Outlines are asked for until two windows of every source can be asked for without another one.
    fn ask_outlines(&mut self, context: &mut Context<'_>) {
        let windows = self.links.len() as u64 * 2;
        let ahead = context.config.window.0.saturating_mul(windows);
        while let Some(part) = self.wanted.peek_outline(ahead, context.config.outline_values) {
            if self.links.values().all(|link| link.refuses_outline(part)) {
                self.leave_outline(context, self.lead, part, leave::NOBODY);
                continue;
            }
            let Some(source) = self.outliner(part) else { return };
            let (ordinal, part) = part;
            self.wanted.ask_outline(ordinal, part);
            if let Some(link) = self.links.get_mut(&source) {
                link.outlines.insert((ordinal, part));
            }
            context.actions.push_back(Action::Outline { source, ordinal, part });
        }
    }

    /// Who is asked for a part of an outline: the lead, if it gives it.
    fn outliner(&self, part: Part) -> Option<SourceId> {
        let first = [self.lead].into_iter().chain(self.links.keys().copied());
        let mut able = first.filter(|source| {
            let link = self.links.get(source);
            link.is_some_and(|link| link.paused_until().is_none() && !link.refuses_outline(part))
        });
        able.next()
    }

    /// Takes a page in.
    ///
    /// # Errors
    ///
    /// The source's manifest does not add up.
    pub(crate) fn page(&mut self, context: &mut Context<'_>, page: PageIn) -> Result<(), CloseReason> {
        self.page_in_hand = false;
        self.listing.take(&page, &self.header).map_err(CloseReason::BadManifest)?;
        self.moved(context.now, self.lead);
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
        self.add_gap(self.lead, entry, None, why);
        self.shortfall.add_entry();
    }

    fn add_gap(&mut self, source: SourceId, entry: &Entry, chunk: Option<ChunkIndex>, why: &str) {
        let Some(peer) = self.links.get(&source).map(|link| link.peer.clone()) else { return };
        let (ordinal, key) = (entry.ordinal, entry.key.clone());
        self.shortfall.add_gap(Gap { ordinal, key, chunk, peer, why: clip(why) });
    }

    fn settle(&mut self, finished: Option<Finished>) {
        let Some(finished) = finished else {
            return;
        };
        let fell_short = self.links.values_mut().filter(|link| link.fell_short());
        fell_short.for_each(|link| link.forget_entry(finished.ordinal));
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

    /// A source brought something good.
    fn moved(&mut self, now: Timestamp, source: SourceId) {
        if let Some(link) = self.links.get_mut(&source) {
            link.moved(now);
        }
    }

    fn owes_page(&self, source: SourceId) -> bool {
        source == self.lead && self.listing.is_asked()
    }

    fn owes_anything(&self, source: SourceId) -> bool {
        self.owes_page(source) || self.links.get(&source).is_some_and(Link::owes)
    }

    /// Whether a page is asked of this source.
    pub(crate) fn awaits_page(&self, source: SourceId) -> bool {
        self.owes_page(source)
    }

    /// The asked page has come. What the store does with it takes its own time, not the source's.
    pub(crate) fn page_arrived(&mut self, now: Timestamp) {
        self.page_in_hand = true;
        self.moved(now, self.lead);
    }

    /// Content has come. What the store does with it takes its own time, not the source's.
    pub(crate) fn content_arrived(&mut self, now: Timestamp, fetch: FetchId) {
        if let Some(source) = self.flown_by(fetch)
            && let Some(link) = self.links.get_mut(&source)
        {
            link.content_arrived(now, fetch);
        }
    }

    fn stall_of(&self, config: &Config, source: SourceId, link: &Link) -> Option<Timestamp> {
        link.stalls_at(config, self.owes_page(source) && !self.page_in_hand)
    }

    /// When the first source counts as stalled if nothing comes from it until then.
    pub(crate) fn stalls_at(&self, config: &Config) -> Option<Timestamp> {
        self.links.iter().filter_map(|(source, link)| self.stall_of(config, *source, link)).min()
    }

    /// A source that counts as stalled by now.
    pub(crate) fn stalled(&self, now: Timestamp, config: &Config) -> Option<SourceId> {
        let is_due = |(source, link): &(&SourceId, &Link)| {
            self.stall_of(config, **source, link).is_some_and(|at| at <= now)
        };
        self.links.iter().find(is_due).map(|(source, _)| *source)
    }

    /// When the first source that said busy may be asked again.
    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        self.links.values().filter_map(Link::paused_until).min()
    }

    /// Ends the pauses whose time has come.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.links.values_mut().for_each(|link| link.resume(now));
    }

    /// Whether all that is listed was stored, held or set aside.
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
        let owes_data = self.links.values().any(|link| !link.flights.is_empty());
        match self.paused_until() {
            Some(until) if !owes_data => WaitReason::SourceBusy { until },
            _ if owes_data => WaitReason::Data,
            _ if self.wanted.awaits_outlines() => WaitReason::Outline,
            _ => WaitReason::Page,
        }
    }

    /// When anything moved last.
    pub(crate) fn moved_at(&self) -> Timestamp {
        self.links.values().map(Link::moved_at).max().unwrap_or_default()
    }

    /// Bytes that are not stored yet, once all of the manifest is known.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        self.header.is_sealed().then(|| self.header.counts.bytes.saturating_sub(self.done.bytes))
    }

    pub(crate) fn lead(&self) -> SourceId {
        self.lead
    }

    pub(crate) fn link(&self, source: SourceId) -> Option<&Link> {
        self.links.get(&source)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = (SourceId, &Link)> {
        self.links.iter().map(|(source, link)| (*source, link))
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

    pub(crate) fn outstanding(&self) -> ByteCount {
        ByteCount(self.links.values().map(|link| link.flights.bytes()).sum())
    }

    fn flown_by(&self, fetch: FetchId) -> Option<SourceId> {
        let mut links = self.links.iter();
        links.find(|(_, link)| link.flights.contains(fetch)).map(|(source, _)| *source)
    }

    pub(crate) fn is_flying(&self, fetch: FetchId) -> bool {
        self.flown_by(fetch).is_some()
    }

    pub(crate) fn expects(&self, fetch: FetchId, ordinal: Ordinal, chunk: ChunkIndex) -> bool {
        self.links.values().any(|link| link.flights.expects(fetch, Item { ordinal, chunk }))
    }

    pub(crate) fn needs_outline(&self, ordinal: Ordinal, part: OutlinePart) -> bool {
        self.wanted.needs_outline(ordinal, part)
    }

    pub(crate) fn entry(&self, ordinal: Ordinal) -> Option<&Arc<Entry>> {
        self.wanted.entry(ordinal)
    }
}
