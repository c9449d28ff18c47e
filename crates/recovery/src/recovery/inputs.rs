//! The inputs of a job.

use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ChunkIndex, FetchId, ManifestHeader, NodeId, Ordinal, Position, Span, Timestamp};

use super::Recovery;
use crate::config::clip;
use crate::pass::{Ended, Pass};
use crate::phase::{Asked, State};
use crate::{
    Action, Admitted, Candidate, CloseReason, Fault, Misuse, Outcome, OutlinePart, PageIn, Phase, Refusal,
    Regard, SourceId, Step, Voters,
};

/// What comes from sources.
impl Recovery {
    /// The session with the peer is prepared and it offers this snapshot.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a source that was never opened or has offered already.
    pub fn handle_offer(
        &mut self,
        now: Timestamp,
        source: SourceId,
        header: ManifestHeader,
    ) -> Result<(), Misuse> {
        if !self.is_current(now, source)? {
            return Ok(());
        }
        if !self.is_opening(source) {
            return Err(Misuse::Unasked("another offer"));
        }
        if header.state.len() > STATE_LEN_MAX
            || !header.position.as_ref().is_none_or(Position::is_well_formed)
        {
            self.close(source, &CloseReason::BadManifest("its position or state is too long".into()));
        } else {
            self.offered(source, header);
        }
        self.advance();
        Ok(())
    }

    /// The peer will not serve the shard, or no longer.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a source that was never opened.
    pub fn handle_refusal(
        &mut self,
        now: Timestamp,
        source: SourceId,
        refusal: Refusal,
    ) -> Result<(), Misuse> {
        let refusal = Refusal { reason: clip(&refusal.reason), ..refusal };
        self.end_source(now, source, CloseReason::Refused(refusal))
    }

    /// The connection or the session of the source ended, whoever ended it.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a source that was never opened.
    pub fn handle_source_lost(&mut self, now: Timestamp, source: SourceId, why: &str) -> Result<(), Misuse> {
        self.end_source(now, source, CloseReason::Lost(clip(why)))
    }

    /// The asked page of the manifest.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no page was asked for.
    pub fn handle_page(&mut self, now: Timestamp, source: SourceId, page: PageIn) -> Result<(), Misuse> {
        if !self.is_current(now, source)? {
            return Ok(());
        }
        if !self.state.pass().is_some_and(|pass| pass.awaits_page(source)) {
            return Err(Misuse::Unasked("a page"));
        }
        self.give(|pass, context| pass.page(context, source, page));
        Ok(())
    }

    /// The asked page did not come, or cannot be used; see [`Fault`].
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no page was asked for.
    pub fn handle_page_failed(
        &mut self,
        now: Timestamp,
        source: SourceId,
        fault: Fault,
    ) -> Result<(), Misuse> {
        if !self.is_current(now, source)? {
            return Ok(());
        }
        if !self.state.pass().is_some_and(|pass| pass.awaits_page(source)) {
            return Err(Misuse::Unasked("a page"));
        }
        self.give(|pass, context| pass.page_failed(context, source, fault));
        Ok(())
    }

    /// The asked part of an outline was verified and is kept by the driver, or was not.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a source that was never opened.
    pub fn handle_outline(
        &mut self,
        now: Timestamp,
        source: SourceId,
        ordinal: Ordinal,
        part: OutlinePart,
        result: Result<(), Fault>,
    ) -> Result<(), Misuse> {
        if !self.is_current(now, source)? {
            return Ok(());
        }
        let mut asked = false;
        self.give(|pass, context| {
            asked = pass.outline(context, source, (ordinal, part), result)?;
            Ok(())
        });
        self.stats.late_inputs += u64::from(!asked);
        Ok(())
    }

    /// Content of a fetch has come and was verified, and the store is at work on it: from here until it
    /// is [stored](Self::handle_stored) or the fetch ends, the source is not taken for stalled. Optional.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_content_arrived(&mut self, now: Timestamp, fetch: FetchId) -> Result<(), Misuse> {
        if self.is_flying(now, fetch)? {
            self.give(|pass, context| {
                pass.content_arrived(context.now, fetch);
                Ok(())
            });
        }
        Ok(())
    }

    /// A part of a fetch is verified and stored.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_stored(&mut self, now: Timestamp, fetch: FetchId, span: Span) -> Result<(), Misuse> {
        if self.is_flying(now, fetch)? {
            self.give(|pass, context| {
                pass.stored(context, fetch, span);
                Ok(())
            });
        }
        Ok(())
    }

    /// A chunk of a fetch does not fit its digest. It was not stored.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_bad(
        &mut self,
        now: Timestamp,
        fetch: FetchId,
        ordinal: Ordinal,
        chunk: ChunkIndex,
        why: &str,
    ) -> Result<(), Misuse> {
        if self.is_flying(now, fetch)? {
            self.give(|pass, context| {
                pass.bad(context, fetch, ordinal, chunk, why);
                Ok(())
            });
        }
        Ok(())
    }

    /// The source will not give `span` of a fetch, or with `None` all that is left of it.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_fetch_failed(
        &mut self,
        now: Timestamp,
        fetch: FetchId,
        span: Option<Span>,
        fault: Fault,
    ) -> Result<(), Misuse> {
        if self.is_flying(now, fetch)? {
            self.give(|pass, context| pass.fetch_failed(context, fetch, span, fault));
        }
        Ok(())
    }

    /// Nothing more comes of a fetch. What it did not answer is asked again within its budget (row
    /// F-35). No harm after everything came.
    ///
    /// # Errors
    ///
    /// [`Misuse`] for a fetch that was never asked.
    pub fn handle_fetch_ended(&mut self, now: Timestamp, fetch: FetchId) -> Result<(), Misuse> {
        self.tick(now);
        self.check_fetch(fetch)?;
        self.give(|pass, context| {
            pass.fetch_ended(context, fetch);
            Ok(())
        });
        Ok(())
    }

    /// Gives the pass something; closes a source if that is the end of it.
    pub(super) fn give(
        &mut self,
        work: impl FnOnce(&mut Pass, &mut crate::pass::Context<'_>) -> Result<(), Ended>,
    ) {
        if let Some(Err((source, reason))) = self.with_pass(work) {
            self.close(source, &reason);
        }
        self.advance();
    }

    fn end_source(&mut self, now: Timestamp, source: SourceId, reason: CloseReason) -> Result<(), Misuse> {
        if self.is_current(now, source)? {
            self.close(source, &reason);
            self.advance();
        }
        Ok(())
    }

    /// Whether an input is of the source in use; counts it as late if not.
    fn is_current(&mut self, now: Timestamp, source: SourceId) -> Result<bool, Misuse> {
        self.tick(now);
        if source.0 >= self.next_source {
            return Err(Misuse::UnknownSource(source));
        }
        let current = self.state.has(source);
        self.stats.late_inputs += u64::from(!current);
        Ok(current)
    }

    /// Whether an input is of a fetch that waits for something; counts it as late if not.
    pub(super) fn is_flying(&mut self, now: Timestamp, fetch: FetchId) -> Result<bool, Misuse> {
        self.tick(now);
        self.check_fetch(fetch)?;
        let flying = self.state.pass().is_some_and(|pass| pass.is_flying(fetch));
        self.stats.late_inputs += u64::from(!flying);
        Ok(flying)
    }

    fn check_fetch(&self, fetch: FetchId) -> Result<(), Misuse> {
        if fetch.0 < self.next_fetch { Ok(()) } else { Err(Misuse::UnknownFetch(fetch)) }
    }
}

/// What comes from the local store, the clock and the operator.
impl Recovery {
    /// Whether everything is durable and fits the sealed header, or why not.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no seal was asked for.
    pub fn handle_sealed(&mut self, now: Timestamp, result: Result<(), String>) -> Result<(), Misuse> {
        if !self.is_due(now, Phase::Sealing, "a seal")? {
            return Ok(());
        }
        match result {
            Ok(()) if matches!(self.state, State::Sealing { is_below_level: true, .. }) => {
                self.unseal();
                self.advance();
            }
            Ok(()) => {
                self.close_all(&CloseReason::Complete);
                self.state = State::Publishing { since: self.now };
                self.actions.push_back(Action::Publish);
            }
            Err(why) => self.stop(Outcome::Failed { step: Step::Seal, why: clip(&why) }),
        }
        Ok(())
    }

    /// Which generation is visible now, or why none.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if no publish was asked for.
    pub fn handle_published(&mut self, now: Timestamp, result: Result<u64, String>) -> Result<(), Misuse> {
        if !self.is_due(now, Phase::Publishing, "a publish")? {
            return Ok(());
        }
        self.finish(match result {
            Ok(generation) => Outcome::Published { generation },
            Err(why) => Outcome::Failed { step: Step::Publish, why: clip(&why) },
        });
        Ok(())
    }

    /// The staging cannot begin with some of the manifests that [`Action::Begin`] named, by their places in
    /// `joined`, or 0 for the only one: what they have does not go with what is here, or with the others.
    /// Their sources are told so, and the rest is heard anew.
    pub fn handle_begin_refused(&mut self, now: Timestamp, columns: &[usize], why: &str) {
        self.tick(now);
        for source in self.with_pass(|pass, _| pass.members(columns)).unwrap_or_default() {
            self.close(source, &CloseReason::Incompatible(clip(why)));
        }
        self.advance();
    }

    /// The entries that [`Action::Admit`] named were taken.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if none were to be admitted, or if the answer names one that was not.
    pub fn handle_admitted(&mut self, now: Timestamp, answer: Admitted) -> Result<(), Misuse> {
        if !self.is_admitting(now)? {
            return Ok(());
        }
        let held = answer.held.iter().map(|(ordinal, _)| *ordinal);
        let mut named = held.chain(answer.unusable.iter().map(|(ordinal, _)| *ordinal));
        let is_known =
            |ordinal: Ordinal| self.state.pass().is_some_and(|pass| pass.is_admitting(Some(ordinal)));
        if let Some(stray) = named.find(|ordinal| !is_known(*ordinal)) {
            return Err(Misuse::NotAdmitted(stray));
        }
        self.with_pass(|pass, context| pass.admitted(context, answer));
        self.advance();
        Ok(())
    }

    /// The store cannot take the entries that [`Action::Admit`] named, because of what the sources say of
    /// them: a key that it cannot keep, say. None of them was taken. They are asked for again in smaller
    /// numbers, until it is clear who lists what cannot be kept: these are left, and blamed for nothing.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if none were to be admitted.
    pub fn handle_admit_refused(&mut self, now: Timestamp, why: &str) -> Result<(), Misuse> {
        if !self.is_admitting(now)? {
            return Ok(());
        }
        if let Some(refused) = self.with_pass(|pass, _| pass.refused()).flatten() {
            for source in self.with_pass(|pass, _| pass.members(&refused.columns)).unwrap_or_default() {
                self.close(source, &CloseReason::CannotKeep(clip(why)));
            }
            let goes_on = self.with_pass(|pass, context| pass.dismiss(&refused, context.agreement));
            if goes_on == Some(false) {
                self.keep_progress();
                self.leave_all();
            }
        }
        self.advance();
        Ok(())
    }

    /// The staging failed at something that has no answer of its own: begin or store; or at admit, for a
    /// reason that is not the sources'.
    pub fn handle_store_failed(&mut self, now: Timestamp, why: &str) {
        self.tick(now);
        if self.can_stop() {
            self.stop(Outcome::Failed { step: Step::Stage, why: clip(why) });
        }
    }

    /// Who may be asked and whose word counts from now on, in place of what was said before: say it whenever
    /// the placement says otherwise, before anything else. Sources in use go on (row F-75). Whoever was asked
    /// to be compared, and is no candidate any more, has no vote and is closed. Others are asked at once if
    /// the job waits. Beyond [`CANDIDATES_MAX`] peers in the life of a job, no new ones are taken.
    ///
    /// [`CANDIDATES_MAX`]: crate::config::CANDIDATES_MAX
    pub fn handle_candidates(&mut self, now: Timestamp, candidates: &[Candidate], voters: Voters) {
        self.tick(now);
        let counts_others = std::mem::replace(&mut self.agreement.voters, voters) != voters;
        if self.candidates.relist(candidates) || counts_others {
            self.advance();
        }
    }

    /// What the node knows of its peers beyond this job, as it is now: counts for whom is asked next. Say it
    /// before inputs that let the job choose; nothing follows from it alone.
    pub fn handle_regards(&mut self, now: Timestamp, regard: impl Fn(&NodeId) -> Regard) {
        self.tick(now);
        self.candidates.regard(regard);
        if let State::Streaming { pass, .. } = &mut self.state {
            pass.regard(|candidate| self.candidates.outstanding(candidate));
        }
    }

    /// Time has passed. Harmless at any moment.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.tick(now);
        if self.overall_deadline.is_some_and(|deadline| deadline <= self.now) && self.can_stop() {
            let reason = format!("not done within {:?}", self.config.overall_limit.unwrap_or_default());
            return self.stop(Outcome::Aborted { reason });
        }
        while let Some(source) = self.late_opening() {
            self.close(source, &CloseReason::OpenTimeout);
        }
        if let State::Streaming { pass, .. } = &mut self.state {
            pass.resume(self.now);
        }
        while let Some(source) = self.state.pass().and_then(|pass| pass.stalled(self.now, &self.config)) {
            self.stats.sources_stalled += 1;
            self.close(source, &CloseReason::Stalled);
        }
        self.advance();
    }

    /// Stops the job: outstanding fetches are cancelled, the source is closed, nobody else is dialled
    /// (row A25); staging is kept. Too late, and ignored, once [`Action::Publish`] was handed out: a
    /// publish cannot be taken back, so its result is the outcome.
    pub fn abort(&mut self, now: Timestamp, reason: &str) {
        self.tick(now);
        if self.can_stop() {
            self.stop(Outcome::Aborted { reason: clip(reason) });
        }
    }

    /// Whether the store was asked to take entries; counts an answer as late if the pass has ended.
    fn is_admitting(&mut self, now: Timestamp) -> Result<bool, Misuse> {
        self.tick(now);
        match self.state.pass() {
            Some(pass) if pass.is_admitting(None) => Ok(true),
            Some(_) => Err(Misuse::Unasked("an admission")),
            None => {
                self.stats.late_inputs += 1;
                Ok(false)
            }
        }
    }

    /// A source that has made no offer in time.
    fn late_opening(&self) -> Option<SourceId> {
        let is_late = |since: Timestamp| since + self.config.open_timeout <= self.now;
        match &self.state {
            State::Opening { asked, .. } => {
                let late = |asked: &&Asked| asked.offer.is_none() && is_late(asked.since);
                asked.values().find(late).map(|asked| asked.live.id)
            }
            State::Streaming { joining, .. } => {
                joining.values().find(|(_, since)| is_late(*since)).map(|(live, _)| live.id)
            }
            State::Choosing { .. } | State::Sealing { .. } | State::Publishing { .. } | State::Done => None,
        }
    }

    fn can_stop(&self) -> bool {
        match self.state.phase() {
            Phase::Choosing | Phase::Opening | Phase::Streaming | Phase::Sealing => true,
            Phase::Publishing => self.actions.contains(&Action::Publish),
            Phase::Done => false,
        }
    }

    fn is_due(&mut self, now: Timestamp, phase: Phase, what: &'static str) -> Result<bool, Misuse> {
        self.tick(now);
        match self.state.phase() {
            Phase::Done => {
                self.stats.late_inputs += 1;
                Ok(false)
            }
            current if current == phase => Ok(true),
            Phase::Choosing | Phase::Opening | Phase::Streaming | Phase::Sealing | Phase::Publishing => {
                Err(Misuse::Unasked(what))
            }
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }
}
