//! One listing of what the sources have, and all who serve it: what of it is wanted, what is outstanding
//! with whom, and what nobody could give.

mod answers;
mod contest;
mod leave;
mod listed;
mod missing;
mod not_taken;
mod steal;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peerstream_types::{
    ByteCount, ChunkIndex, Digest, Entry, EntryCounts, FetchId, ManifestHeader, NodeId, Ordinal, Timestamp,
};

use self::contest::Contests;
use self::not_taken::Untaken;
use crate::agreement::Agreement;
use crate::cut::Cut;
use crate::link::{Link, Part};
use crate::roll::Roll;
use crate::shortfall::Shortfall;
use crate::verdicts::Verdicts;
use crate::wanted::{Finished, Item, Wanted};
use crate::{Action, CloseReason, Config, Findings, OutlinePart, SourceId, Stats, WaitReason};

/// What a pass needs of the job while it takes an input.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) config: &'a Config,
    pub(crate) agreement: &'a Agreement,
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
    /// The source was listing, and this one has the same manifest: it lists from the start.
    NeedsListing(SourceId),
    /// No source is left, or too few for the level while something was to be listed.
    Ended,
}

#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// Everyone who is asked for content, those who list among them.
    links: BTreeMap<SourceId, Link>,
    /// What the staging was begun with. Of one manifest as sealed, once that is known.
    header: ManifestHeader,
    roll: Roll,
    wanted: Wanted,
    contests: Contests,
    verdicts: Verdicts,
    /// Who gives what may have become another question.
    recheck: bool,
    shortfall: Shortfall,
    untaken: Untaken,
    /// What the last source that was worked through could not give.
    earlier: Option<Shortfall>,
    findings: Findings,
    /// Entries were left out: they belong to the whole no longer.
    does_without_some: bool,
    done: EntryCounts,
    held_bytes: u64,
}

impl Pass {
    /// Starts over with what these sources offer.
    pub(crate) fn new(
        header: ManifestHeader,
        roll: Roll,
        links: BTreeMap<SourceId, Link>,
        earlier: Option<Shortfall>,
    ) -> Self {
        Self {
            links,
            roll,
            wanted: Wanted::new(header.chunk_size),
            contests: Contests::default(),
            verdicts: Verdicts::default(),
            recheck: false,
            header,
            shortfall: Shortfall::default(),
            untaken: Untaken::default(),
            earlier,
            findings: Findings::default(),
            does_without_some: false,
            done: EntryCounts::default(),
            held_bytes: 0,
        }
    }

    /// Starts over with the one manifest, which another of those who have it lists.
    pub(crate) fn relist(self, now: Timestamp, lister: SourceId) -> Option<Self> {
        let roll = self.roll.relisted(lister)?;
        let header = roll.columns().first()?.header.clone();
        let links = self.links.into_iter().map(|(source, link)| (source, link.anew(now))).collect();
        Some(Self::new(header, roll, links, self.earlier))
    }

    /// Another peer says that it has this manifest. Who was heard before has its vote already, with what it
    /// had then.
    pub(crate) fn hear(&mut self, column: usize, peer: &NodeId) {
        let is_heard = self.roll.columns().iter().any(|column| column.peers.contains(peer));
        if let Some(column) = self.roll.column_mut(column).filter(|_| !is_heard) {
            column.peers.push(peer.clone());
        }
    }

    /// Another source joins those that have the same manifest.
    pub(crate) fn join(&mut self, source: SourceId, link: Link) {
        if let Some(column) = self.roll.column_mut(link.column)
            && column.lister.is_none()
            && column.listing.is_done()
        {
            column.lister = Some(source);
        }
        self.links.insert(source, link);
    }

    /// Which of the joined manifests a source that offers this has.
    pub(crate) fn column_of(&self, offered: &ManifestHeader) -> Option<usize> {
        self.roll.find(offered)
    }

    pub(crate) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Asks for as much as the limits allow: the next page, outlines, data.
    pub(crate) fn ask(&mut self, context: &mut Context<'_>) {
        let idle = self.links.values_mut().filter(|link| !link.owes());
        idle.for_each(|link| link.rests(context.now));
        self.set_aside_orphans(context);
        self.judge_contests(context);
        self.admit(context);
        loop {
            self.ask_pages(context);
            self.ask_data(context);
            let was = self.wanted.len();
            self.ask_outlines(context);
            if self.wanted.len() == was {
                break;
            }
        }
    }

    fn ask_pages(&mut self, context: &mut Context<'_>) {
        let known = self.wanted.len() + self.roll.pending();
        if known as u64 >= u64::from(context.config.entries_ahead) {
            return;
        }
        let links = &self.links;
        let may_ask = |source| links.get(&source).is_some_and(|link: &Link| link.paused_until().is_none());
        let asked = self.roll.ask(may_ask);
        for (source, token) in asked {
            if let Some(link) = self.links.get_mut(&source) {
                link.is_asked(context.now);
            }
            context.actions.push_back(Action::List { source, token });
        }
    }

    /// Fills the windows, and finds work for those who have none; who lost some may have room again.
    fn ask_data(&mut self, context: &mut Context<'_>) {
        self.fill(context);
        while self.steal(context) {
            self.fill(context);
        }
    }

    /// Fills the windows, first of whoever has least outstanding (row F-07), so that little work is shared
    /// evenly.
    fn fill(&mut self, context: &mut Context<'_>) {
        self.take_turns();
        let mut able: Vec<SourceId> = self.able().collect();
        let windows = context.config.window.0.saturating_mul(u64::from(context.config.sources_max));
        while self.outstanding().0 < windows {
            able.sort_by_key(|source| (self.links[source].outstanding(), *source));
            // One without room for what comes next may have room for what comes after that.
            let found = able.iter().find_map(|source| {
                Cut::next(&mut self.wanted, &self.links[source], context.config).map(|cut| (*source, cut))
            });
            let Some((source, cut)) = found else { break };
            self.send(context, source, cut);
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
        link.is_asked_to_give(context.now);
        link.flights.send(fetch, cut.items);
        let Cut { spans, there, attempt, .. } = cut;
        context.actions.push_back(Action::Fetch { source, fetch, spans, there, attempt });
    }

    /// Outlines are asked for until two windows of every source can be asked for without another one.
    fn ask_outlines(&mut self, context: &mut Context<'_>) {
        let windows = self.links.len() as u64 * 2;
        let ahead = context.config.window.0.saturating_mul(windows);
        while let Some(part) = self.wanted.peek_outline(ahead, context.config.outline_values) {
            if self.nobody_outlines(part) {
                self.leave_outline(context, None, part, leave::NOBODY);
                continue;
            }
            let Some((source, there)) = self.outliner(part) else { return };
            let (ordinal, part) = part;
            self.wanted.ask_outline(ordinal, part);
            if let Some(link) = self.links.get_mut(&source) {
                link.is_asked_to_give(context.now);
                link.outlines.insert((ordinal, part));
            }
            context.actions.push_back(Action::Outline { source, ordinal, there, part });
        }
    }

    /// Who is asked for a part of an outline, and what that one calls the entry: one who lists, if it
    /// gives it.
    fn outliner(&self, part: Part) -> Option<(SourceId, Ordinal)> {
        let able = |source: SourceId| {
            let link = self.links.get(&source)?;
            let there = self.wanted.there(part.0, link.column)?;
            let may = link.paused_until().is_none() && !link.refuses_outline(part);
            may.then_some((source, there))
        };
        let listers = self.roll.columns().iter().filter_map(|column| column.lister);
        listers.chain(self.links.keys().copied()).find_map(able)
    }

    /// Whether a source has an entry, and does not refuse all of it.
    fn has(&self, link: &Link, ordinal: Ordinal) -> bool {
        self.wanted.has(ordinal, link.column) && !link.refuses_entry(ordinal)
    }

    fn nobody_has(&self, ordinal: Ordinal) -> bool {
        !self.links.values().any(|link| self.has(link, ordinal))
    }

    fn gives(&self, link: &Link, item: Item) -> bool {
        self.has(link, item.ordinal) && !link.refuses(item)
    }

    fn nobody_gives(&self, item: Item) -> bool {
        !self.links.values().any(|link| self.gives(link, item))
    }

    fn nobody_outlines(&self, part: Part) -> bool {
        !self.links.values().any(|link| self.has(link, part.0) && !link.refuses_outline(part))
    }

    fn settle(&mut self, finished: Option<Finished>) {
        let Some(finished) = finished else {
            return;
        };
        let fell_short = self.links.values_mut().filter(|link| link.fell_short());
        fell_short.for_each(|link| link.forget_entry(finished.ordinal));
        if self.contests.settled(&finished) {
            self.done.entries += u64::from(finished.complete);
            return;
        }
        if !finished.complete {
            self.lacks(finished.ordinal);
            return;
        }
        self.done.entries += 1;
        let digest = self.header.digest;
        if let Some(earlier) = self.earlier.as_mut().filter(|earlier| !earlier.is_of_another(digest)) {
            earlier.obtained(finished.ordinal);
        }
    }

    /// A source brought something good.
    fn moved(&mut self, now: Timestamp, source: SourceId) {
        if let Some(link) = self.links.get_mut(&source) {
            link.moved(now);
        }
    }

    /// Whether a page is asked of this source.
    pub(crate) fn awaits_page(&self, source: SourceId) -> bool {
        self.roll.awaits_page(source)
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
        link.stalls_at(config, self.awaits_page(source))
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
        self.roll.is_done() && self.wanted.is_empty()
    }

    /// The header to seal with, if nothing is missing; without a digest if several manifests were joined.
    ///
    /// Of data that something was left out of, no position in the change log is known. That of a single
    /// manifest is part of what its digest is over: there the store, which was told, keeps its own.
    pub(crate) fn complete(&self) -> Option<ManifestHeader> {
        if !self.is_complete() {
            return None;
        }
        let mut header = ManifestHeader { counts: self.roll.counts(), ..self.header.clone() };
        if self.does_without_some && !header.is_sealed() {
            header.position = None;
        }
        Some(header)
    }

    fn is_complete(&self) -> bool {
        self.is_worked_through() && self.shortfall.entries() == 0
    }

    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// How much there is in all, once that is known.
    pub(crate) fn total(&self) -> Option<EntryCounts> {
        if self.does_without_some && self.is_complete() {
            return Some(self.done);
        }
        if self.header.is_sealed() {
            return Some(self.header.counts);
        }
        self.roll.is_done().then(|| self.roll.counts())
    }

    pub(crate) fn wait_reason(&self) -> WaitReason {
        let owes_data = self.links.values().any(|link| !link.flights.is_empty());
        match self.paused_until() {
            Some(until) if !owes_data => WaitReason::SourceBusy { until },
            _ if owes_data => WaitReason::Data,
            _ if self.wanted.awaits_outlines() => WaitReason::Outline,
            _ if self.roll.is_admitting() => WaitReason::Stage,
            _ => WaitReason::Page,
        }
    }

    /// When anything moved last.
    pub(crate) fn moved_at(&self) -> Timestamp {
        self.links.values().map(Link::moved_at).max().unwrap_or_default()
    }

    /// Bytes that are not stored yet, once all of the manifest is known.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        self.total().map(|total| total.bytes.saturating_sub(self.done.bytes))
    }

    /// What tells this listing from others: the digest of a manifest of it.
    pub(crate) fn mark(&self) -> Option<Digest> {
        self.roll.columns().iter().find_map(|column| column.header.digest)
    }

    /// Whether a source lists.
    pub(crate) fn lists(&self, source: SourceId) -> bool {
        self.roll.listed_by(source).is_some()
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

    /// How much other jobs wait for from the sources, by their candidates.
    pub(crate) fn regard(&mut self, elsewhere: impl Fn(usize) -> u64) {
        self.links.values_mut().for_each(|link| link.elsewhere = elsewhere(link.candidate));
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
