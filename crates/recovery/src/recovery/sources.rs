//! Sources come and go: the first one, those that join, and what follows when one is closed.

use std::collections::BTreeMap;
use std::mem;

use peerstream_types::{DatasetKind, ManifestHeader, Timestamp};

use super::Recovery;
use crate::choice::Yield;
use crate::link::Link;
use crate::pass::{Left, Pass};
use crate::phase::{Asked, Live, State};
use crate::{Action, CloseReason, SourceId};

impl Recovery {
    /// Opens the source that lists.
    pub(super) fn open(&mut self, candidate: usize) {
        self.stored_before = self.stats.stored_bytes;
        let live = self.dial(candidate);
        let asked = Asked { live, since: self.now, offer: None };
        self.state =
            State::Opening { asked: BTreeMap::from([(live.id, asked)]), met_at: None, since: self.now };
    }

    pub(super) fn dial(&mut self, candidate: usize) -> Live {
        let source = SourceId(self.next_source);
        self.next_source += 1;
        self.stats.sources_opened += 1;
        let attempt = self.candidates.opened(candidate);
        let peer = self.candidates.peer(candidate).clone();
        self.actions.push_back(Action::Open { source, peer, attempt });
        Live { id: source, candidate }
    }

    /// Who may join next, and from when on; nobody if there are enough, or little is left.
    pub(super) fn next_to_join(&self) -> Option<(usize, Option<Timestamp>)> {
        let State::Streaming { pass, joining } = &self.state else { return None };
        let in_use = pass.links().count() + joining.len();
        let is_worth_it = pass.bytes_left().is_some_and(|left| left >= self.config.join_from.0.max(1));
        if !is_worth_it || in_use as u64 >= u64::from(self.config.sources_max) {
            return None;
        }
        self.candidates.next_to_join(self.now, pass.mark()?)
    }

    /// Asks others to join, as many as may now.
    pub(super) fn recruit(&mut self) {
        while let Some((candidate, from)) = self.next_to_join() {
            if from.is_some_and(|from| from > self.now) {
                return;
            }
            let live = self.dial(candidate);
            if let State::Streaming { joining, .. } = &mut self.state {
                joining.insert(live.id, (live, self.now));
            }
        }
    }

    /// A source offers: what follows is decided once enough have, or it joins those that have the same.
    pub(super) fn offered(&mut self, source: SourceId, header: ManifestHeader) {
        match &mut self.state {
            State::Opening { asked, .. } => {
                if let Some(asked) = asked.get_mut(&source) {
                    asked.offer = Some(header);
                }
            }
            State::Streaming { .. } => self.offered_late(source, &header),
            State::Choosing { .. } | State::Sealing { .. } | State::Publishing { .. } | State::Done => {}
        }
    }

    /// Who offers while others serve joins those that have the same, under the rules by which they were
    /// chosen. Its word for the manifest counts in any case.
    fn offered_late(&mut self, source: SourceId, header: &ManifestHeader) {
        let State::Streaming { pass, joining } = &mut self.state else { return };
        let Some(live) = joining.get(&source).map(|(live, _)| *live) else { return };
        let Some(column) = pass.column_of(header) else { return self.left_out(source) };
        pass.hear(column, self.candidates.peer(live.candidate));
        if self.is_wanted(live, column) {
            let link = self.new_link(live, column);
            if let State::Streaming { pass, joining } = &mut self.state {
                joining.remove(&source);
                pass.join(source, link);
            }
        } else {
            self.actions.push_back(Action::Release { source });
            self.close(source, &CloseReason::NotNeeded);
        }
    }

    /// Whether a source of a manifest in use is to serve too: there is room for it, and it is not avoided
    /// while others can do without it. One that alone has its manifest is.
    fn is_wanted(&self, live: Live, column: usize) -> bool {
        let Some(pass) = self.state.pass() else { return false };
        let has_room = (pass.links().count() as u64) < u64::from(self.config.sources_max);
        let is_avoided = |candidate: usize| self.candidates.is_avoided(self.now, candidate);
        let mut others = pass.links().filter(|(_, link)| link.column == column).peekable();
        let is_alone = others.peek().is_none();
        let has_better = pass.entries_missing() == 0 && others.any(|(_, link)| !is_avoided(link.candidate));
        is_alone || (has_room && !(is_avoided(live.candidate) && has_better))
    }

    /// A source has another manifest than those in use.
    pub(super) fn left_out(&mut self, source: SourceId) {
        let mark = self.state.pass().and_then(Pass::mark);
        let live = self.state.sources().into_iter().find(|live| live.id == source);
        if let (Some(live), Some(mark)) = (live, mark) {
            self.candidates.cannot_join(live.candidate, mark);
        }
        self.close(source, &CloseReason::OtherManifest);
    }

    pub(super) fn new_link(&self, live: Live, column: usize) -> Link {
        let peer = self.candidates.peer(live.candidate).clone();
        let mut link = Link::new(self.now, peer, live.candidate, column);
        link.elsewhere = self.candidates.outstanding(live.candidate);
        link
    }

    /// Everything is stored: the sources wait until it is durable.
    pub(super) fn seal(&mut self, header: ManifestHeader) {
        self.keep_progress();
        self.close_joining();
        self.sealed_by = self.heard();
        let State::Streaming { pass, .. } = &self.state else { return };
        self.sealed_with = pass.roll().voters().cloned().collect();
        self.findings = pass.findings().clone();
        if self.agreement.is_best_effort() {
            self.findings.dropped.extend(pass.forsaken());
        }
        let held = |(id, link): (SourceId, &Link)| (id, (Live { id, candidate: link.candidate }, link.got));
        let sources = pass.links().map(held).collect();
        self.actions.push_back(Action::Seal { header });
        let verdicts = pass.verdicts().clone();
        self.state = State::Sealing { sources, verdicts, is_below_level: false, since: self.now };
    }

    /// Best effort: what nobody can give is left out, if the store can do without it and nobody else is left
    /// who may have it (row F-19).
    pub(super) fn drops_the_rest(&mut self) -> bool {
        let State::Streaming { joining, .. } = &self.state else { return false };
        let merges = self.agreement.kind == DatasetKind::Mergeable;
        let is_last = joining.is_empty() && !self.candidates.has_fresh();
        merges
            && is_last
            && self.agreement.is_best_effort()
            && self.with_pass(Pass::drop_missing).unwrap_or(false)
    }

    /// The sources in use gave what they could, and something is missing. Those that failed at nothing
    /// may be asked for it again, and if the level demands it, all of them; at once, if the level is another
    /// by now, and what was left for want of votes would be taken.
    pub(super) fn end_pass(&mut self) {
        let is_judged_anew =
            self.state.pass().is_some_and(|pass| pass.verdicts().left_too_much(&self.agreement));
        self.close_joining();
        for Live { id, .. } in self.state.sources().into_iter().rev() {
            let lists = self.state.pass().is_some_and(|pass| pass.lists(id));
            let fell_short = self.state.pass().and_then(|pass| pass.link(id)).is_some_and(Link::fell_short);
            let is_spent = (lists || fell_short) && !is_judged_anew;
            let reason = if is_spent { CloseReason::WorkedThrough } else { CloseReason::NotNeeded };
            self.close(id, &reason);
        }
        if self.agreement.is_patient() && !is_judged_anew {
            self.stats.rounds += 1;
            let round = u32::try_from(self.stats.rounds).unwrap_or(u32::MAX);
            self.candidates.rest_until(self.now + self.config.back_off.delay(round, self.config.seed));
        }
    }

    fn close_joining(&mut self) {
        if let State::Streaming { joining, .. } = &self.state {
            let joining: Vec<SourceId> = joining.keys().copied().collect();
            joining.into_iter().for_each(|source| self.close(source, &CloseReason::NotNeeded));
        }
    }

    /// Closes every source.
    pub(super) fn close_all(&mut self, reason: &CloseReason) {
        while let Some(live) = self.state.sources().last().copied() {
            self.close(live.id, reason);
        }
    }

    /// Closes a source; others go on, or another is chosen.
    pub(super) fn close(&mut self, source: SourceId, reason: &CloseReason) {
        if !self.state.has(source) {
            return;
        }
        self.keep_progress();
        let had_offered = !self.is_opening(source);
        self.cancel_fetches(source, reason);
        let settled = matches!(
            reason,
            CloseReason::Complete
                | CloseReason::WorkedThrough
                | CloseReason::NotNeeded
                | CloseReason::OtherManifest
                | CloseReason::JobEnded(_)
        );
        if settled && had_offered {
            self.actions.push_back(Action::Release { source });
        }
        self.actions.push_back(Action::Close { source, reason: reason.clone() });
        if let Some((candidate, got)) = self.leave(source) {
            self.candidates.closed(self.now, candidate, reason.clone(), got);
        }
    }

    pub(super) fn is_opening(&self, source: SourceId) -> bool {
        match &self.state {
            State::Opening { asked, .. } => asked.get(&source).is_some_and(|asked| asked.offer.is_none()),
            State::Streaming { joining, .. } => joining.contains_key(&source),
            State::Choosing { .. } | State::Sealing { .. } | State::Publishing { .. } | State::Done => false,
        }
    }

    /// What runs with a source that is gone ends by itself.
    fn cancel_fetches(&mut self, source: SourceId, reason: &CloseReason) {
        if matches!(reason, CloseReason::Lost(_) | CloseReason::Refused(_)) {
            return;
        }
        let fetches = self.state.pass().and_then(|pass| pass.link(source));
        let fetches = fetches.into_iter().flat_map(|link| link.flights.ids());
        self.actions.extend(fetches.map(|fetch| Action::Cancel { source, fetch }));
    }

    /// Forgets a source; says which candidate it was, and what it gave.
    fn leave(&mut self, source: SourceId) -> Option<(usize, Yield)> {
        let choosing = State::Choosing { wait: None, since: self.now };
        match &mut self.state {
            State::Opening { asked, .. } => {
                let candidate = asked.remove(&source)?.live.candidate;
                if asked.is_empty() && !self.agreement.compares() {
                    self.state = choosing;
                }
                Some((candidate, Yield::default()))
            }
            State::Sealing { sources, .. } => {
                sources.remove(&source).map(|(live, got)| (live.candidate, got))
            }
            State::Streaming { joining, .. } => match joining.remove(&source) {
                Some((live, _)) => Some((live.candidate, Yield::default())),
                None => self.leave_pass(source),
            },
            State::Choosing { .. } | State::Publishing { .. } | State::Done => None,
        }
    }

    fn leave_pass(&mut self, source: SourceId) -> Option<(usize, Yield)> {
        let (link, left) = self.with_pass(|pass, context| pass.leave(source, context.agreement))??;
        match left {
            Left::GoesOn => {}
            Left::NeedsListing(lister) => self.relist(lister),
            Left::Ended => self.leave_all(),
        }
        Some((link.candidate, link.got))
    }

    /// Another source lists, from the start; what is staged is found there.
    fn relist(&mut self, lister: SourceId) {
        let choosing = State::Choosing { wait: None, since: self.now };
        let State::Streaming { pass, joining } = mem::replace(&mut self.state, choosing) else { return };
        for (source, link) in pass.links() {
            let cancels = link.flights.ids().map(|fetch| Action::Cancel { source, fetch });
            self.actions.extend(cancels);
        }
        let Some(pass) = pass.relist(self.now, lister) else { return };
        self.stored_before = self.stats.stored_bytes;
        self.actions.push_back(Action::Begin { header: pass.header().clone(), joined: Vec::new() });
        self.state = State::Streaming { pass: Box::new(pass), joining };
    }

    /// The pass cannot go on: whoever is left is not needed, and whoever was asked to join may begin.
    pub(super) fn leave_all(&mut self) {
        let opening = State::Opening { asked: BTreeMap::new(), met_at: None, since: self.now };
        let State::Streaming { pass, joining } = mem::replace(&mut self.state, opening) else { return };
        for (source, link) in pass.links() {
            let cancels = link.flights.ids().map(|fetch| Action::Cancel { source, fetch });
            self.actions.extend(cancels);
            self.actions.push_back(Action::Release { source });
            self.not_needed(Live { id: source, candidate: link.candidate }, link.got);
        }
        self.shortfall = pass.into_shortfall();
        self.stored_before = self.stats.stored_bytes;
        let one_only = !self.agreement.compares();
        for (place, (source, (live, since))) in joining.into_iter().enumerate() {
            if place > 0 && one_only {
                self.not_needed(live, Yield::default());
            } else if let State::Opening { asked, .. } = &mut self.state {
                asked.insert(source, Asked { live, since, offer: None });
            }
        }
        if let State::Opening { asked, .. } = &self.state
            && asked.is_empty()
        {
            self.state = State::Choosing { wait: None, since: self.now };
        }
    }

    fn not_needed(&mut self, live: Live, got: Yield) {
        self.actions.push_back(Action::Close { source: live.id, reason: CloseReason::NotNeeded });
        self.candidates.closed(self.now, live.candidate, CloseReason::NotNeeded, got);
    }
}
