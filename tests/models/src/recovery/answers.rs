//! What the driver tells the job, good and bad, and once more.

use std::time::Duration;

use peerstream_recovery::{Misuse, Phase, Refusal, SourceId};
use peerstream_types::{FetchId, PageToken};

use super::world::is_patient;
use super::world::{Flaw, Owed, Scene, fetch_of};
use super::{Action, Plant, RecoveryWorld, Why};

impl Scene {
    /// Takes a step.
    pub(super) fn carry_out(&mut self, model: &RecoveryWorld, action: &Action) {
        let is_fault = match action {
            Action::Give(_) | Action::Arrive(_) | Action::Rewind => false,
            Action::Timer => self.awaits_source(),
            Action::Deny(..)
            | Action::Bad(_)
            | Action::Refuse(..)
            | Action::End(_)
            | Action::DenyAll(..)
            | Action::Lose(_)
            | Action::StoreFails
            | Action::Unkept(_)
            | Action::Level(_)
            | Action::Abort
            | Action::Crash(_) => true,
        };
        if self.faults != u8::MAX {
            self.faults = self.faults.saturating_sub(u8::from(is_fault));
        }
        if self.is_of_an_earlier_listing(action) {
            let mut after = self.clone();
            let _ = after.give(model, action);
            self.compare(after);
        }
        let given = self.give(model, action);
        if given.is_err() {
            self.flag(Flaw::Misuse);
        }
        self.settle(model);
        self.give_again(model, action);
        self.end_if_over(model, action);
    }

    /// Whether the store says something of a listing that was given up, and no other was begun.
    fn is_of_an_earlier_listing(&self, action: &Action) -> bool {
        let is_its =
            matches!(action, Action::Give(Owed::Admit) | Action::Deny(Owed::Admit, _) | Action::Unkept(_));
        is_its && self.job.status().phase != Phase::Streaming
    }

    fn give(&mut self, model: &RecoveryWorld, action: &Action) -> Result<(), Misuse> {
        match action {
            Action::Give(owed) => self.give_good(model, *owed),
            Action::Arrive(owed) => {
                self.in_hand.insert(*owed);
                fetch_of(owed).map_or(Ok(()), |fetch| self.job.handle_content_arrived(self.now, fetch))
            }
            Action::Deny(owed, why) => {
                if *why == Why::Busy {
                    self.excuse(|other| other == owed);
                }
                self.owed.remove(owed);
                self.deny(model, *owed, *why)
            }
            Action::Bad(owed) => {
                self.owed.remove(owed);
                self.bad(*owed)
            }
            Action::Refuse(source, permanent) => self.refuse(*source, *permanent),
            Action::End(fetch) => {
                self.drop_rest(*fetch);
                self.job.handle_fetch_ended(self.now, *fetch)
            }
            Action::DenyAll(fetch, why) => {
                if *why == Why::Busy {
                    self.excuse(|owed| fetch_of(owed) == Some(*fetch));
                }
                self.drop_rest(*fetch);
                self.job.handle_fetch_failed(self.now, *fetch, None, why.fault())
            }
            Action::Lose(source) => self.job.handle_source_lost(self.now, *source, "reset"),
            Action::StoreFails => {
                self.store_failed = true;
                self.job.handle_store_failed(self.now, "cannot write");
                Ok(())
            }
            Action::Unkept(mark) => {
                self.unkept.insert(*mark);
                self.answer_admit(model)
            }
            Action::Level(level) => {
                self.level = *level;
                self.listed.in_force.insert(*level);
                self.was_patient |= is_patient(&self.agreement(model));
                if model.plant != Some(Plant::Muffled) {
                    self.job.handle_level(self.now, *level);
                }
                Ok(())
            }
            Action::Abort => {
                self.stopped = true;
                self.job.abort(self.now, "told to");
                Ok(())
            }
            Action::Crash(survives) => {
                self.restart(model, *survives);
                Ok(())
            }
            Action::Timer => self.time_passes(),
            Action::Rewind => {
                self.job = self.saved.take().map_or_else(|| self.job.clone(), |saved| *saved);
                Ok(())
            }
        }
    }

    fn time_passes(&mut self) -> Result<(), Misuse> {
        let Some(due) = self.job.poll_timeout() else { return Ok(()) };
        self.now = self.now.max(due);
        self.job.handle_timeout(self.now);
        if self.job.poll_timeout().is_some_and(|next| next <= self.now) {
            self.flag(Flaw::Spins);
        }
        Ok(())
    }

    /// What is owed comes and is good.
    fn give_good(&mut self, model: &RecoveryWorld, owed: Owed) -> Result<(), Misuse> {
        self.owed.remove(&owed);
        self.in_hand.remove(&owed);
        self.note(model, owed);
        if let Owed::Item(_, source, ordinal, chunk) = owed
            && let Some(content) = self.content(ordinal, chunk)
        {
            self.sources.entry(source).and_modify(|open| open.brought = true);
            self.ever.insert(content);
            if model.plant != Some(Plant::LostWrites) {
                self.staged.insert(content);
            }
        }
        if owed == Owed::Seal {
            self.sealed = model.plant != Some(Plant::LostSeal);
        }
        if model.plant == Some(Plant::Hasty) && matches!(owed, Owed::Page(_)) {
            self.job.handle_sealed(self.now, Ok(()))?;
        }
        self.answer_good(model, owed)
    }

    /// Tells the job alone.
    pub(super) fn answer_good(&mut self, model: &RecoveryWorld, owed: Owed) -> Result<(), Misuse> {
        let now = self.now;
        match owed {
            Owed::Offer(source) => {
                let is_forged = model.plant == Some(Plant::Forged);
                let peer = if is_forged { model.peers[0] } else { self.peer(model, source) };
                self.job.handle_offer(now, source, peer.offer())
            }
            Owed::Page(source) => {
                let token = self.tokens.get(&source).cloned().unwrap_or(PageToken::START);
                self.job.handle_page(now, source, self.peer(model, source).page(&token))
            }
            Owed::Admit => self.admitted(model, None),
            Owed::Outline(source, ordinal, part) => {
                self.job.handle_outline(now, source, ordinal, part, Ok(()))
            }
            Owed::Item(fetch, _, ordinal, chunk) => {
                self.job.handle_stored(now, fetch, self.span_of(ordinal, chunk))
            }
            Owed::Seal => self.job.handle_sealed(now, Ok(())),
            Owed::Publish => self.job.handle_published(now, Ok(1)),
        }
    }

    /// The store says what becomes of the entries that it is asked to take.
    pub(super) fn answer_admit(&mut self, model: &RecoveryWorld) -> Result<(), Misuse> {
        self.owed.remove(&Owed::Admit);
        self.admitted(model, None)
    }

    /// What the world has to know of an answer, besides the job.
    fn note(&mut self, model: &RecoveryWorld, owed: Owed) {
        match owed {
            Owed::Offer(source) => {
                self.sources.entry(source).and_modify(|open| open.offered = true);
                if self.job.status().phase == Phase::Streaming
                    && let Some(open) = self.sources.get(&source)
                {
                    self.confirms(model, open.index);
                }
            }
            Owed::Page(source) => {
                let token = self.tokens.get(&source).cloned().unwrap_or(PageToken::START);
                let is_last = self.peer(model, source).page(&token).next.is_none();
                if let Some(open) = self.sources.get(&source).filter(|_| is_last) {
                    self.has_listed(open.index);
                }
            }
            Owed::Outline(..) | Owed::Item(..) | Owed::Admit | Owed::Seal | Owed::Publish => {}
        }
    }

    fn deny(&mut self, model: &RecoveryWorld, owed: Owed, why: Why) -> Result<(), Misuse> {
        let now = self.now;
        match owed {
            Owed::Offer(source) => self.job.handle_source_lost(now, source, "reset"),
            Owed::Page(source) => {
                if why == Why::Wrong {
                    self.wrong.insert(source);
                }
                self.job.handle_page_failed(now, source, why.fault())
            }
            Owed::Admit => self.admitted(model, Some(0)),
            Owed::Outline(source, ordinal, part) => {
                self.job.handle_outline(now, source, ordinal, part, Err(why.fault()))
            }
            Owed::Item(fetch, _, ordinal, chunk) => {
                self.job.handle_fetch_failed(now, fetch, Some(self.span_of(ordinal, chunk)), why.fault())
            }
            Owed::Seal => {
                self.store_failed = true;
                self.job.handle_sealed(now, Err("cannot sync".to_owned()))
            }
            Owed::Publish => {
                self.store_failed = true;
                self.job.handle_published(now, Err("cannot rename".to_owned()))
            }
        }
    }

    fn bad(&mut self, owed: Owed) -> Result<(), Misuse> {
        let Owed::Item(fetch, _, ordinal, chunk) = owed else { return Ok(()) };
        self.job.handle_bad(self.now, fetch, ordinal, chunk, "digest mismatch")
    }

    fn refuse(&mut self, source: SourceId, permanent: bool) -> Result<(), Misuse> {
        let retry_after = (!permanent).then(|| Duration::from_secs(5));
        let refusal = Refusal { reason: "no".to_owned(), retry_after, permanent };
        self.job.handle_refusal(self.now, source, refusal)
    }

    /// What a busy source does not give, or what was taken from it, uses no attempt up.
    pub(super) fn excuse(&mut self, is_meant: impl Fn(&Owed) -> bool) {
        for owed in self.owed.iter().filter(|owed| is_meant(owed)) {
            if let Owed::Item(_, source, ordinal, chunk) = owed {
                self.asked.entry((*source, *ordinal, *chunk)).and_modify(|times| *times -= 1);
            }
        }
    }

    fn drop_rest(&mut self, fetch: FetchId) {
        self.owed.retain(|owed| fetch_of(owed) != Some(fetch));
    }

    /// After the last chunk of a fetch the driver says that nothing more comes.
    fn end_if_over(&mut self, model: &RecoveryWorld, action: &Action) {
        let fetch = match action {
            Action::Give(owed) | Action::Deny(owed, _) | Action::Bad(owed) => fetch_of(owed),
            Action::DenyAll(fetch, _) => Some(*fetch),
            Action::Arrive(_)
            | Action::Refuse(..)
            | Action::End(_)
            | Action::Lose(_)
            | Action::StoreFails
            | Action::Unkept(_)
            | Action::Level(_)
            | Action::Abort
            | Action::Crash(_)
            | Action::Timer
            | Action::Rewind => None,
        };
        let Some(fetch) = fetch else { return };
        if self.owed.iter().any(|other| fetch_of(other) == Some(fetch)) {
            return;
        }
        if self.job.handle_fetch_ended(self.now, fetch).is_err() {
            self.flag(Flaw::Misuse);
        }
        self.settle(model);
    }

    /// Answers that name what they answer may come twice: the second time nothing happens.
    fn give_again(&mut self, model: &RecoveryWorld, action: &Action) {
        let mut after = self.clone();
        let _ = match *action {
            Action::Give(owed @ Owed::Item(..)) => {
                let misfiled = model.plant == Some(Plant::Misfiled);
                let other = self.owed.iter().find(|other| misfiled && fetch_of(other) == fetch_of(&owed));
                after.answer_good(model, other.copied().unwrap_or(owed))
            }
            Action::Give(owed @ (Owed::Outline(..) | Owed::Publish)) => after.answer_good(model, owed),
            Action::Bad(owed) => after.bad(owed),
            Action::Deny(owed @ Owed::Item(..), why) => after.deny(model, owed, why),
            Action::End(fetch) => after.job.handle_fetch_ended(after.now, fetch),
            Action::DenyAll(fetch, why) => after.job.handle_fetch_failed(after.now, fetch, None, why.fault()),
            Action::Lose(source) => after.job.handle_source_lost(after.now, source, "reset"),
            Action::Refuse(source, permanent) => after.refuse(source, permanent),
            Action::Abort if after.job.outcome().is_some() => {
                after.job.abort(after.now, "again");
                Ok(())
            }
            Action::Give(_)
            | Action::Arrive(_)
            | Action::Deny(..)
            | Action::StoreFails
            | Action::Unkept(_)
            | Action::Level(_)
            | Action::Abort
            | Action::Crash(_)
            | Action::Timer
            | Action::Rewind => return,
        };
        self.compare(after);
    }
}
