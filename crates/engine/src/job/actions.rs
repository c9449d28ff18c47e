//! What a recovery job asks for, done.

use peerstream_recovery::{Action, CloseReason, Fault, Misuse, Outcome, OutlinePart, Refusal, SourceId};
use peerstream_select::Offence;
use peerstream_types::{ChunkIndex, ChunkRange, FetchId, Ordinal, Span};
use peerstream_wire::Code;
use peerstream_wire::message::ReleaseReason;
use tracing::{info, warn};

use super::due::Due;
use super::source::{Owned, SourceLink};
use super::task::{JobEvent, Running};
use crate::io::IoError;
use crate::plan::PlanEvent;
use crate::receive::{Expected, Fetch, Names, ReceiveError, Wanted, fetch_outline};
use crate::session::{Opening, OpeningFailed};

impl Running {
    /// Does all that the job asks for; its outcome, once it has one.
    ///
    /// What is called off stops before anything else is done: that may take as long as the disk does, and
    /// what such a fetch stored meanwhile would be fetched again from another source.
    pub(super) async fn act_all(&mut self) -> Option<Outcome> {
        let mut due = Due::default();
        loop {
            while let Some(action) = self.recovery.poll_action() {
                self.stop(&action);
                due.push(action);
            }
            let action = due.pop()?;
            if let Action::Done(outcome) = action {
                return Some(outcome);
            }
            self.act(action).await;
        }
    }

    /// Stops the fetches that an action calls off: what comes of them is no longer stored, and their streams
    /// are stopped.
    fn stop(&mut self, action: &Action) {
        if let Action::Cancel { source, fetch } = action {
            self.fetches.remove(fetch);
            if let Some(link) = self.sources.get_mut(source) {
                link.fetches.remove(fetch);
            }
        } else if let Action::Close { source, .. } = action {
            self.fetches.retain(|_, of| of != source);
            if let Some(link) = self.sources.get_mut(source) {
                link.fetches.clear();
            }
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Open { source, peer, attempt } => {
                self.look_around();
                if !self.job.whom.may_ask(&peer) {
                    self.withdrawn(source);
                    return;
                }
                info!(%peer, attempt, "opening a source");
                let asked = self.job.origin.open(&peer, &self.job.shard, &self.job.selector);
                self.opening.insert(source, (peer, asked.incident));
                let events = self.events.clone();
                tokio::spawn(async move {
                    let opening = asked.answer.await;
                    let opening =
                        opening.unwrap_or_else(|_| Err(OpeningFailed::lost("the session ended", None)));
                    let _ = events.send(JobEvent::Opened(source, Box::new(opening))).await;
                });
            }
            Action::Begin { header, joined } => self.begin(&header, &joined).await,
            Action::Admit { entries } => self.admit(entries),
            Action::LeaveOut { ordinal } => {
                if let Err(error) = self.staging.leave_out(ordinal).await {
                    self.store_failed(&error);
                }
            }
            Action::List { source, token } => self.list(source, token),
            Action::Outline { source, ordinal, there, part } => {
                self.outline(source, ordinal, there, part);
            }
            Action::Fetch { source, fetch, spans, there, attempt } => {
                let names = Names::new(&spans, &there);
                self.fetch(source, fetch, spans, names, attempt);
            }
            Action::Release { source } => {
                let hold = self.sources.get_mut(&source).and_then(|link| link.hold.take());
                self.retiring.extend(hold.map(|hold| (source, hold)));
            }
            Action::Close { source, reason } => self.close(source, &reason).await,
            Action::Seal { header } => {
                let header = self.sealed(header);
                let (staging, events) = (self.staging.clone(), self.events.clone());
                tokio::spawn(async move {
                    let sealed = staging.seal(&header).await.map_err(|error| error.to_string());
                    let _ = events.send(JobEvent::Sealed(sealed)).await;
                });
            }
            Action::Publish => {
                let (staging, events) = (self.staging.clone(), self.events.clone());
                tokio::spawn(async move {
                    let published = staging.publish().await;
                    let published =
                        published.map(|generation| generation.0).map_err(|error| error.to_string());
                    let _ = events.send(JobEvent::Published(published)).await;
                });
            }
            // What is called off was stopped, and the outcome is nothing to do.
            Action::Cancel { .. } | Action::Done(_) => {}
        }
    }

    /// The placement no longer says that the peer has the data: it is not dialled.
    fn withdrawn(&mut self, source: SourceId) {
        let reason = "the placement no longer says that it has the data".to_owned();
        let refusal = Refusal { reason, retry_after: None, permanent: false };
        let told = self.recovery.handle_refusal(self.job.shared.clock.now(), source, refusal);
        if let Err(misuse) = told {
            warn!(%misuse, "the recovery job was told something that it had not asked for");
        }
    }

    /// A peer has answered an open: keep its offer, or pass its refusal on.
    pub(super) fn opened(&mut self, source: SourceId, opening: Opening) -> Result<(), Misuse> {
        let now = self.job.shared.clock.now();
        let Some((peer, _)) = self.opening.remove(&source) else {
            // Closed before it answered: an offer is released by dropping it.
            return Ok(());
        };
        if let Err(OpeningFailed { refused, incident: Some(incident), .. }) = &opening {
            let offence = if *refused { Offence::Refused } else { Offence::Failed };
            self.job.shared.regards.blame(now, &peer, offence, incident);
        }
        match opening {
            Ok(opened) => {
                let header = opened.offer.header.clone();
                let mut link = SourceLink::new(opened);
                let (session, events) = (link.session.clone(), self.events.clone());
                let watch = tokio::spawn(async move {
                    let end = session.ended().await;
                    let _ = events.send(JobEvent::Lost(source, end)).await;
                });
                link.keep(watch.abort_handle());
                self.sources.insert(source, link);
                self.recovery.handle_offer(now, source, header)
            }
            Err(failed) if failed.refused => {
                let OpeningFailed { reason, retry_after, permanent, .. } = failed;
                // Whoever was refused at the same time does not come back at the same time.
                let retry_after = retry_after.map(|wait| wait + self.job.shared.part_of(wait));
                self.recovery.handle_refusal(now, source, Refusal { reason, retry_after, permanent })
            }
            Err(failed) => self.recovery.handle_source_lost(now, source, &failed.reason),
        }
    }

    fn outline(&mut self, source: SourceId, ordinal: Ordinal, there: Ordinal, part: OutlinePart) {
        let Some(entry) = self.recovery.entry(source, ordinal).cloned() else { return };
        let Some(link) = self.sources.get_mut(&source) else { return };
        let (session, offer) = (link.session.clone(), link.offer.clone());
        let (offload, events) = (self.job.shared.parts.offload.clone(), self.events.clone());
        let wanted = Wanted { entry, there, part, top: self.outlines.top(ordinal) };
        let task = tokio::spawn(async move {
            let outline = fetch_outline(&session, &offer, &*offload, wanted).await;
            let _ = events.send(JobEvent::Outline(source, ordinal, part, outline)).await;
        });
        link.keep(task.abort_handle());
    }

    fn fetch(&mut self, source: SourceId, fetch: FetchId, spans: Vec<Span>, names: Names, attempt: u32) {
        let expected = self.expected(source, &spans);
        let Some(link) = self.sources.get_mut(&source) else { return };
        let size = link.offer.header.chunk_size;
        let bytes = expected.iter().map(|expected| expected.bytes(size)).sum();
        let debt = self.job.shared.regards.owes(&link.session.id.peer, bytes);
        let task = Fetch {
            shared: self.job.shared.clone(),
            session: link.session.clone(),
            offer: link.offer.clone(),
            class: self.job.class,
            staging: self.staging.clone(),
            merges: self.job.sink.merges(&self.job.shard),
            fetch,
            spans,
            names,
            attempt,
            expected,
            events: self.fetch_events.clone(),
        };
        let task = tokio::spawn(task.run());
        link.fetches.insert(fetch, (Owned(task.abort_handle()), debt));
        self.fetches.insert(fetch, source);
    }

    /// What the spans of a fetch mean, entry by entry.
    fn expected(&self, source: SourceId, spans: &[Span]) -> Vec<Expected> {
        let mut expected = Vec::new();
        let Some(link) = self.sources.get(&source) else { return expected };
        let size = link.offer.header.chunk_size;
        let mut expect = |ordinal: Ordinal, range: ChunkRange| {
            if let Some(entry) = self.recovery.entry(source, ordinal) {
                let runs = self.outlines.expect(entry, size, range);
                expected.extend(runs);
            }
        };
        for span in spans {
            match *span {
                Span::Chunks { ordinal, range } => expect(ordinal, range),
                Span::Entries { first, count } => {
                    let ordinals = first.0..first.0.saturating_add(u64::from(count));
                    ordinals.for_each(|ordinal| expect(Ordinal(ordinal), ChunkRange::one(ChunkIndex(0))));
                }
            }
        }
        expected
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an open enum; every other reason leaves it to others"
    )]
    async fn close(&mut self, source: SourceId, reason: &CloseReason) {
        let unanswered = self.opening.remove(&source);
        self.closes.insert(reason.name());
        let link = self.sources.remove(&source);
        self.lose_mirrors_of(source);
        let session = link.as_ref().map(|link| (link.session.id.peer.clone(), link.session.incident.clone()));
        let session = session.or(unanswered);
        if let (Some((peer, incident)), Some(offence)) = (&session, reason.offence()) {
            self.job.shared.regards.blame(self.job.shared.clock.now(), peer, offence, incident);
        }
        let (Some(mut link), Some((peer, _))) = (link, session) else { return };
        // What was released waits for the outcome if that is all that is missing.
        let (left, ended) = match reason {
            CloseReason::Complete => return,
            CloseReason::JobEnded(_) => (link.hold.take(), ReleaseReason::GivenUp),
            _ => (link.hold.take().or(self.retiring.remove(&source)), ReleaseReason::Elsewhere),
        };
        if matches!(reason, CloseReason::OtherManifest | CloseReason::NotNeeded) {
            info!(%peer, %reason, "a source was closed");
        } else {
            warn!(%peer, %reason, "a source was closed");
            let (shard, text) = (self.job.shard.clone(), reason.to_string());
            self.job.record.emit(PlanEvent::SourceLost { shard, peer, reason: text });
        }
        if let Some(hold) = left {
            hold.release(ended).await;
        }
    }
}

/// What a request that brought nothing means for the job.
pub(super) fn fault_of(error: ReceiveError) -> Fault {
    match error {
        ReceiveError::Refused { code, reason } => fault_of_code(code, reason),
        ReceiveError::Wrong(why) => Fault::Wrong(why),
        // Nothing but the peer makes bytes that break the rules of the wire.
        ReceiveError::Stream(IoError::Wire(error)) => Fault::Wrong(error.to_string()),
        ReceiveError::SessionEnded | ReceiveError::Stream(_) | ReceiveError::NotAsked(_) => {
            Fault::Failed(error.to_string())
        }
    }
}

/// What a source's code means for the job.
pub(super) fn fault_of_code(code: Code, why: String) -> Fault {
    match code {
        Code::Busy | Code::NotReady => Fault::Busy { retry_after: None },
        Code::Changed | Code::NotFound | Code::Denied | Code::Unsupported => Fault::Gone(why),
        Code::Integrity => Fault::Wrong(why),
        Code::BadRequest
        | Code::Incompatible
        | Code::Full
        | Code::TimedOut
        | Code::Draining
        | Code::Aborted
        | Code::Protocol
        | Code::Internal => Fault::Failed(why),
    }
}
