//! What a pass does with the answers of its source.

use std::collections::BTreeSet;
use std::time::Duration;

use peerstream_types::{ChunkIndex, FetchId, GroupIndex, Ordinal, Span};

use super::{Context, Pass};
use crate::config::{RETRY_AFTER_MAX, clip};
use crate::flights::named;
use crate::retry::Verdict;
use crate::wanted::Item;
use crate::{CloseReason, Fault, OutlinePart};

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
    /// Nothing more is to be had from this source.
    pub(crate) fn page_failed(&mut self, context: &mut Context<'_>, fault: Fault) -> Result<(), CloseReason> {
        self.page_in_hand = false;
        match fault {
            Fault::Wrong(why) => Err(CloseReason::BadManifest(clip(&why))),
            Fault::Gone(why) => Err(CloseReason::ListFailed(clip(&why))),
            Fault::Busy { retry_after } => {
                self.listing.give_back();
                self.pause(context, retry_after)
            }
            Fault::Failed(why) => {
                if !self.listing.fail(context.config.attempts_per_source) {
                    return Err(CloseReason::ListFailed(clip(&why)));
                }
                context.stats.retries.failed += 1;
                Ok(())
            }
        }
    }

    /// A part of an outline was verified, or was not. `Ok(false)`: it was not asked for.
    ///
    /// # Errors
    ///
    /// Nothing more is to be had from this source.
    pub(crate) fn outline(
        &mut self,
        context: &mut Context<'_>,
        ordinal: Ordinal,
        part: OutlinePart,
        result: Result<(), Fault>,
    ) -> Result<bool, CloseReason> {
        if !self.wanted.outline_answered(ordinal, part, result.is_ok()) {
            return Ok(false);
        }
        match result {
            Ok(()) => {
                self.moved(context.now);
                self.outline_tries.remove(&(ordinal, part));
                context.stats.outlines += 1;
            }
            Err(Fault::Busy { retry_after }) => self.pause(context, retry_after)?,
            Err(Fault::Gone(why)) => self.leave_entry(context, ordinal, &why),
            Err(Fault::Wrong(why)) => self.outline_missed(context, ordinal, part, Miss::Bad, &why),
            Err(Fault::Failed(why)) => self.outline_missed(context, ordinal, part, Miss::Failed, &why),
        }
        Ok(true)
    }

    fn outline_missed(
        &mut self,
        context: &mut Context<'_>,
        ordinal: Ordinal,
        part: OutlinePart,
        miss: Miss,
        why: &str,
    ) {
        let used = self.outline_tries.entry((ordinal, part)).or_default();
        *used += 1;
        if *used < context.config.attempts_per_source {
            return count(context, miss);
        }
        match part {
            OutlinePart::Group(group) if self.wanted.has_groups(ordinal) => {
                self.leave_group(context, ordinal, group, why);
            }
            OutlinePart::Top | OutlinePart::Group(_) => self.leave_entry(context, ordinal, why),
        }
    }

    /// A part of a fetch is verified and stored.
    pub(crate) fn stored(&mut self, context: &mut Context<'_>, fetch: FetchId, span: Span) {
        self.in_hand.remove(&fetch);
        let taken = self.flights.take(fetch, span);
        let answered = match span {
            Span::Entries { .. } => taken.iter().map(|(item, _)| item.ordinal).collect::<BTreeSet<_>>().len(),
            Span::Chunks { .. } => taken.len(),
        };
        context.stats.surplus += named(span).saturating_sub(answered as u64);
        for (item, len) in taken {
            self.moved(context.now);
            self.got.stored_bytes += len;
            self.done.bytes = self.done.bytes.saturating_add(len);
            context.stats.stored_bytes += len;
            context.stats.stored_chunks += 1;
            self.tries.forget(item);
            let finished = self.wanted.stored(item);
            self.settle(finished);
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
        let taken = self.flights.take(fetch, Span::chunk(ordinal, chunk));
        if taken.is_empty() {
            context.stats.surplus += 1;
        }
        for (item, len) in taken {
            self.got.bad_chunks += 1;
            context.stats.bad_chunks += 1;
            context.stats.bad_bytes += len;
            self.missed(context, item, Miss::Bad, why);
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
    ) -> Result<(), CloseReason> {
        let taken = match span {
            Some(span) => self.flights.take(fetch, span),
            None => self.flights.take_all(fetch),
        };
        let items = taken.into_iter().map(|(item, _)| item);
        match fault {
            Fault::Busy { retry_after } => {
                for item in items {
                    if self.wanted.is_left(item.ordinal) {
                        self.set_aside(item);
                    } else {
                        context.stats.retries.busy += 1;
                        self.wanted.give_back(item);
                    }
                }
                return self.pause(context, retry_after);
            }
            Fault::Gone(why) => {
                let mut ordinals = BTreeSet::new();
                for item in items {
                    self.wanted.give_back(item);
                    ordinals.insert(item.ordinal);
                }
                for ordinal in ordinals {
                    self.leave_entry(context, ordinal, &why);
                }
            }
            Fault::Wrong(why) => items.for_each(|item| self.missed(context, item, Miss::Bad, &why)),
            Fault::Failed(why) => items.for_each(|item| self.missed(context, item, Miss::Failed, &why)),
        }
        Ok(())
    }

    /// Nothing more comes of a fetch: what it did not answer is missing (row F-35).
    pub(crate) fn fetch_ended(&mut self, context: &mut Context<'_>, fetch: FetchId) {
        self.in_hand.remove(&fetch);
        for (item, _) in self.flights.take_all(fetch) {
            self.missed(context, item, Miss::Short, "the answer ended without it");
        }
    }

    fn missed(&mut self, context: &mut Context<'_>, item: Item, miss: Miss, why: &str) {
        if self.wanted.is_left(item.ordinal) {
            return self.set_aside(item);
        }
        match self.tries.fail(item, context.config.attempts_per_source) {
            Verdict::Again => {
                count(context, miss);
                self.wanted.give_back(item);
            }
            Verdict::Aside => {
                context.stats.set_aside += 1;
                let chunk = (!self.wanted.is_single(item.ordinal)).then_some(item.chunk);
                if let Some(entry) = self.wanted.entry(item.ordinal).cloned() {
                    self.add_gap(&entry, chunk, why);
                }
                self.set_aside(item);
            }
        }
    }

    fn set_aside(&mut self, item: Item) {
        let finished = self.wanted.set_aside(item);
        self.settle(finished);
    }

    /// Leaves a group whose outline is not to be had to another source; other groups go on.
    fn leave_group(&mut self, context: &mut Context<'_>, ordinal: Ordinal, group: GroupIndex, why: &str) {
        context.stats.set_aside += 1;
        if let Some(entry) = self.wanted.entry(ordinal).cloned() {
            let first = self.header.chunk_size.chunks_of(group, entry.len).first;
            self.add_gap(&entry, Some(first), why);
        }
        self.outline_tries.remove(&(ordinal, OutlinePart::Group(group)));
        let finished = self.wanted.set_aside_group(ordinal, group);
        self.settle(finished);
    }

    /// Leaves all of an entry that is not in flight to another source.
    fn leave_entry(&mut self, context: &mut Context<'_>, ordinal: Ordinal, why: &str) {
        if !self.wanted.is_left(ordinal) {
            context.stats.set_aside += 1;
            if let Some(entry) = self.wanted.entry(ordinal).cloned() {
                self.add_gap(&entry, None, why);
            }
        }
        self.tries.forget_entry(ordinal);
        self.outline_tries.retain(|(of, _), _| *of != ordinal);
        let finished = self.wanted.set_aside_rest(ordinal);
        self.settle(finished);
    }

    /// Leaves the source alone; answers of one burst count once.
    fn pause(&mut self, context: &mut Context<'_>, asked_for: Option<Duration>) -> Result<(), CloseReason> {
        let asked_for = asked_for.unwrap_or_default().min(RETRY_AFTER_MAX);
        if self.pause.until.is_none() {
            self.pause.in_a_row += 1;
        }
        if self.pause.in_a_row > context.config.opens_per_peer {
            return Err(CloseReason::Busy);
        }
        let seed = context.config.seed ^ u64::from(self.source.0);
        let wait = context.config.back_off.delay(self.pause.in_a_row.max(1), seed).max(asked_for);
        self.pause.until = self.pause.until.max(Some(context.now + wait));
        Ok(())
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
