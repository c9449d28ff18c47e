//! What a pass does with the answers of its sources.

use std::collections::BTreeSet;
use std::time::Duration;

use peerstream_types::{ChunkIndex, FetchId, GroupIndex, Ordinal, Span};

use super::{Context, Ended, Pass};
use crate::config::clip;
use crate::flights::named;
use crate::link::Part;
use crate::retry::Verdict;
use crate::wanted::Item;
use crate::{Action, CloseReason, Fault, OutlinePart, SourceId};

/// Why an item did not come.
#[derive(Debug, Clone, Copy)]
enum Miss {
    Bad,
    Short,
    Failed,
}

impl Pass {
    /// The asked page did not come.
    ///
    /// # Errors
    ///
    /// Nothing more is to be had from the source that lists.
    pub(crate) fn page_failed(
        &mut self,
        context: &mut Context<'_>,
        source: SourceId,
        fault: Fault,
    ) -> Result<(), Ended> {
        let column = self.roll.listed_by(source);
        let Some(column) = column.and_then(|column| self.roll.column_mut(column)) else { return Ok(()) };
        match fault {
            Fault::Wrong(why) => Err((source, CloseReason::BadManifest(clip(&why)))),
            Fault::Gone(why) => Err((source, CloseReason::ListFailed(clip(&why)))),
            Fault::Busy { retry_after } => {
                column.listing.give_back();
                self.pause(context, source, retry_after)
            }
            Fault::Failed(why) => {
                if !column.listing.fail(context.config.attempts_per_source) {
                    return Err((source, CloseReason::ListFailed(clip(&why))));
                }
                context.stats.retries.failed += 1;
                Ok(())
            }
        }
    }

    /// A part of an outline was verified, or was not. `Ok(false)`: it was not asked of this source.
    ///
    /// # Errors
    ///
    /// Nothing more is to be had from this source.
    pub(crate) fn outline(
        &mut self,
        context: &mut Context<'_>,
        source: SourceId,
        part: Part,
        result: Result<(), Fault>,
    ) -> Result<bool, Ended> {
        let asked = self.links.get_mut(&source).is_some_and(|link| link.outlines.remove(&part));
        if !asked || !self.wanted.outline_answered(part.0, part.1, result.is_ok()) {
            return Ok(false);
        }
        match result {
            Ok(()) => {
                self.moved(context.now, source);
                self.links.values_mut().for_each(|link| link.forget_outline(part));
                context.stats.outlines += 1;
            }
            Err(Fault::Busy { retry_after }) => self.pause(context, source, retry_after)?,
            Err(Fault::Gone(why)) => self.entry_gone(context, source, part.0, &why),
            Err(Fault::Wrong(why)) => self.outline_missed(context, source, part, Miss::Bad, &why),
            Err(Fault::Failed(why)) => self.outline_missed(context, source, part, Miss::Failed, &why),
        }
        Ok(true)
    }

    fn outline_missed(
        &mut self,
        context: &mut Context<'_>,
        source: SourceId,
        part: Part,
        miss: Miss,
        why: &str,
    ) {
        let limit = context.config.attempts_per_source;
        if self.links.get_mut(&source).is_some_and(|link| link.outline_missed(part, limit)) {
            return count(context, miss);
        }
        if !self.nobody_outlines(part) {
            context.stats.passed_on += 1;
            return;
        }
        self.leave_outline(context, Some(source), part, why);
    }

    /// Leaves what a part of an outline makes way for.
    pub(super) fn leave_outline(
        &mut self,
        context: &mut Context<'_>,
        source: Option<SourceId>,
        part: Part,
        why: &str,
    ) {
        match part {
            (ordinal, OutlinePart::Group(group)) if self.wanted.has_groups(ordinal) => {
                self.leave_group(context, source, ordinal, group, why);
            }
            (ordinal, OutlinePart::Top | OutlinePart::Group(_)) => {
                self.leave_entry(context, source, ordinal, why);
            }
        }
    }

    /// A part of a fetch is verified and stored.
    pub(crate) fn stored(&mut self, context: &mut Context<'_>, fetch: FetchId, span: Span) {
        let Some(source) = self.flown_by(fetch) else { return };
        let Some(link) = self.links.get_mut(&source) else { return };
        link.out_of_hand(fetch);
        link.flights.begun(fetch);
        let taken = link.flights.take(fetch, span);
        let answered = match span {
            Span::Entries { .. } => taken.chunk_by(|(a, _), (b, _)| a.ordinal == b.ordinal).count(),
            Span::Chunks { .. } => taken.len(),
        };
        context.stats.surplus += named(span).saturating_sub(answered as u64);
        for (item, len) in taken {
            if let Some(link) = self.links.get_mut(&source) {
                link.gave(context.now, len);
            }
            self.done.bytes = self.done.bytes.saturating_add(len);
            context.stats.stored_bytes += len;
            context.stats.stored_chunks += 1;
            self.settle_everywhere(context, item);
            let finished = self.wanted.stored(item);
            self.settle(finished);
        }
    }

    /// An item is stored: nobody else has to give it any more.
    fn settle_everywhere(&mut self, context: &mut Context<'_>, item: Item) {
        for (source, link) in &mut self.links {
            link.forget(item);
            if let Some(fetch) = link.flights.drop_item(item) {
                link.out_of_hand(fetch);
                context.actions.push_back(Action::Cancel { source: *source, fetch });
            }
        }
    }

    /// A chunk of a fetch did not fit its digest.
    pub(crate) fn bad(
        &mut self,
        context: &mut Context<'_>,
        fetch: FetchId,
        ordinal: Ordinal,
        chunk: ChunkIndex,
        why: &str,
    ) {
        let Some(source) = self.flown_by(fetch) else { return };
        let Some(link) = self.links.get_mut(&source) else { return };
        let taken = link.flights.take(fetch, Span::chunk(ordinal, chunk));
        if taken.is_empty() {
            context.stats.surplus += 1;
        }
        for (item, len) in taken {
            if let Some(link) = self.links.get_mut(&source) {
                link.got.bad_chunks += 1;
            }
            context.stats.bad_chunks += 1;
            context.stats.bad_bytes += len;
            self.missed(context, source, item, Miss::Bad, why);
        }
    }

    /// The source says that a part of a fetch, or all that is left of it, will not come.
    ///
    /// # Errors
    ///
    /// Nothing more is to be had from this source.
    pub(crate) fn fetch_failed(
        &mut self,
        context: &mut Context<'_>,
        fetch: FetchId,
        span: Option<Span>,
        fault: Fault,
    ) -> Result<(), Ended> {
        let Some(source) = self.flown_by(fetch) else { return Ok(()) };
        let Some(link) = self.links.get_mut(&source) else { return Ok(()) };
        let taken = match span {
            Some(span) => link.flights.take(fetch, span),
            None => link.flights.take_all(fetch),
        };
        let items = taken.into_iter().map(|(item, _)| item);
        match fault {
            Fault::Busy { retry_after } => {
                for item in items {
                    context.stats.retries.busy += u64::from(self.give_back(item));
                }
                return self.pause(context, source, retry_after);
            }
            Fault::Gone(why) => {
                let mut ordinals = BTreeSet::new();
                for item in items {
                    self.give_back(item);
                    ordinals.insert(item.ordinal);
                }
                for ordinal in ordinals {
                    self.entry_gone(context, source, ordinal, &why);
                }
            }
            Fault::Wrong(why) => items.for_each(|item| self.missed(context, source, item, Miss::Bad, &why)),
            Fault::Failed(why) => {
                items.for_each(|item| self.missed(context, source, item, Miss::Failed, &why));
            }
        }
        Ok(())
    }

    /// Nothing more comes of a fetch: what it did not answer is missing (row F-35).
    pub(crate) fn fetch_ended(&mut self, context: &mut Context<'_>, fetch: FetchId) {
        let Some(source) = self.flown_by(fetch) else {
            return self.links.values_mut().for_each(|link| link.out_of_hand(fetch));
        };
        let Some(link) = self.links.get_mut(&source) else { return };
        link.out_of_hand(fetch);
        for (item, _) in link.flights.take_all(fetch) {
            self.missed(context, source, item, Miss::Short, "the answer ended without it");
        }
    }

    /// An item that a source owed is to be asked for again, unless another one owes it too, or it was
    /// left meanwhile. Says whether it is.
    pub(super) fn give_back(&mut self, item: Item) -> bool {
        if self.is_asked(item) {
            return false;
        }
        if self.wanted.is_left(item.ordinal) {
            self.set_aside(item);
            return false;
        }
        self.wanted.give_back(item);
        true
    }

    fn missed(&mut self, context: &mut Context<'_>, source: SourceId, item: Item, miss: Miss, why: &str) {
        let limit = context.config.attempts_per_source;
        let Some(link) = self.links.get_mut(&source) else { return };
        if !self.wanted.is_left(item.ordinal) && link.tries.fail(item, limit) == Verdict::Aside {
            link.refuse(item);
            if self.nobody_gives(item) {
                return self.leave_item(context, Some(source), item, why);
            }
            context.stats.passed_on += 1;
            self.give_back(item);
        } else if self.give_back(item) {
            count(context, miss);
        }
    }

    /// Leaves an item that no source in use gives to another one.
    pub(super) fn leave_item(
        &mut self,
        context: &mut Context<'_>,
        source: Option<SourceId>,
        item: Item,
        why: &str,
    ) {
        context.stats.set_aside += 1;
        let chunk = (!self.wanted.is_single(item.ordinal)).then_some(item.chunk);
        if let Some(entry) = self.wanted.entry(item.ordinal).cloned() {
            self.add_gap(source, &entry, chunk, why);
        }
        self.set_aside(item);
    }

    fn set_aside(&mut self, item: Item) {
        self.links.values_mut().for_each(|link| link.forget(item));
        let finished = self.wanted.set_aside(item);
        self.settle(finished);
    }

    /// Leaves a group whose outline is not to be had to another source; other groups go on.
    fn leave_group(
        &mut self,
        context: &mut Context<'_>,
        source: Option<SourceId>,
        ordinal: Ordinal,
        group: GroupIndex,
        why: &str,
    ) {
        context.stats.set_aside += 1;
        if let Some(entry) = self.wanted.entry(ordinal).cloned() {
            let first = self.header.chunk_size.chunks_of(group, entry.len).first;
            self.add_gap(source, &entry, Some(first), why);
        }
        let part = (ordinal, OutlinePart::Group(group));
        self.links.values_mut().for_each(|link| link.forget_outline(part));
        let finished = self.wanted.set_aside_group(ordinal, group);
        self.settle(finished);
    }

    /// The source no longer has an entry as it was listed.
    fn entry_gone(&mut self, context: &mut Context<'_>, source: SourceId, ordinal: Ordinal, why: &str) {
        if let Some(link) = self.links.get_mut(&source) {
            link.refuse_entry(ordinal);
        }
        if self.nobody_has(ordinal) {
            self.leave_entry(context, Some(source), ordinal, why);
        } else {
            context.stats.passed_on += 1;
        }
    }

    /// Leaves all of an entry that is not in flight to another source.
    pub(super) fn leave_entry(
        &mut self,
        context: &mut Context<'_>,
        source: Option<SourceId>,
        ordinal: Ordinal,
        why: &str,
    ) {
        if !self.wanted.is_left(ordinal) {
            context.stats.set_aside += 1;
            if let Some(entry) = self.wanted.entry(ordinal).cloned() {
                self.add_gap(source, &entry, None, why);
            }
        }
        self.links.values_mut().for_each(|link| link.forget_entry(ordinal));
        let finished = self.wanted.set_aside_rest(ordinal);
        self.settle(finished);
    }

    fn pause(
        &mut self,
        context: &mut Context<'_>,
        source: SourceId,
        asked_for: Option<Duration>,
    ) -> Result<(), Ended> {
        let Some(link) = self.links.get_mut(&source) else { return Ok(()) };
        let paused = link.pause(context.now, context.config, source, asked_for);
        paused.map_err(|reason| (source, reason))
    }
}

fn count(context: &mut Context<'_>, miss: Miss) {
    let retries = &mut context.stats.retries;
    match miss {
        Miss::Bad => retries.bad += 1,
        Miss::Short => retries.short += 1,
        Miss::Failed => retries.failed += 1,
    }
}
