//! The task itself: wait for something, tell the recovery job, do what it asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerstream_recovery::{Admitted, Fault, Misuse, NotTaken, OutlinePart, Phase, Recovery, SourceId};
use peerstream_select::Part;
use peerstream_shape::Class;
use peerstream_snapshot::{ManifestHasher, Sink, Staging};
use peerstream_types::{FetchId, NodeId, Ordinal, Selector, ShardId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{Instrument, info_span, warn};

use super::Origin;
use super::admission::NotAdmitted;
use super::agreement::another_level;
use super::checkpoints::Checkpoints;
use super::listing::PageAnswer;
use super::outlines::Outlines;
use super::reports::{Report, Reports};
use super::source::SourceLink;
use crate::config::EngineConfig;
use crate::discover::Whom;
use crate::plan::{BadChunk, PlanEvent, PlanRecord, ShardOutcome, SourceProgress, Stage};
use crate::receive::{FetchEvent, ReceiveError, VerifiedPart};
use crate::regards::Incident;
use crate::session::{Hold, Opening, SessionEnd};
use crate::shared::Shared;
use crate::watch;

/// Events that may wait for a job: those who report wait when it is full.
const EVENTS_MAX: usize = 256;
/// One shard that is brought to this node.
pub(crate) struct ShardJob {
    pub(crate) shared: Arc<Shared>,
    pub(crate) record: PlanRecord,
    /// The shard's place in the record.
    pub(crate) index: usize,
    pub(crate) shard: ShardId,
    pub(crate) selector: Selector,
    pub(crate) class: Class,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) origin: Origin,
    pub(crate) whom: Whom,
    pub(crate) abort: watch::Receiver<Option<String>>,
}

/// What the tasks of a job report to it.
pub(super) enum JobEvent {
    Opened(SourceId, Box<Opening>),
    Page(SourceId, PageAnswer),
    /// For the listing with this number: where it differs from another's.
    Compared(u64, SourceId, Result<Vec<Part>, ReceiveError>),
    /// In the listing with this number, a page from this entry on was waited for.
    Waited(u64, SourceId, Ordinal),
    /// Of which listing, counted by begins.
    Admitted(u64, Result<Admitted, NotAdmitted>),
    Outline(SourceId, Ordinal, OutlinePart, Result<VerifiedPart, ReceiveError>),
    Lost(SourceId, SessionEnd),
    Sealed(Result<(), String>),
    Published(Result<u64, String>),
    Checkpointed(Result<(), String>),
}

/// A job that runs.
pub(super) struct Running {
    pub(super) job: ShardJob,
    pub(super) recovery: Recovery,
    pub(super) staging: Arc<dyn Staging>,
    pub(super) sources: BTreeMap<SourceId, SourceLink>,
    /// Which source a fetch belongs to.
    pub(super) fetches: BTreeMap<FetchId, SourceId>,
    /// The offers that everything came from, kept until the outcome is known: the sources are told how
    /// it went, not just that their bytes arrived.
    pub(super) retiring: BTreeMap<SourceId, Hold>,
    /// Of the manifest in use, whoever gave them.
    pub(super) outlines: Outlines,
    /// Listings begun, and the staging at work on entries of the last one.
    pub(super) listing: u64,
    pub(super) admitting: Option<JoinHandle<()>>,
    /// The digest so far of several manifests that are joined, and what it will be when the staging has
    /// taken the entries.
    pub(super) joined: Option<ManifestHasher>,
    pub(super) joined_next: Option<ManifestHasher>,
    /// Listings are compared before they are asked for: until that has led astray.
    pub(super) compares: bool,
    /// Sources that were asked and have not answered.
    pub(super) opening: BTreeMap<SourceId, (NodeId, Incident)>,
    pub(super) checkpoints: Checkpoints,
    /// What was waited for so far, by name.
    pub(super) waits: BTreeSet<&'static str>,
    /// Why sources were closed so far, by name.
    pub(super) closes: BTreeSet<&'static str>,
    pub(super) events: mpsc::Sender<JobEvent>,
    pub(super) fetch_events: mpsc::Sender<Report>,
}

impl ShardJob {
    /// Brings the shard here, or says why not. Dropping the future stops everything; what is
    /// verified stays staged.
    pub(crate) async fn run(self) -> ShardOutcome {
        let span = info_span!("shard", plan = %self.record.plan, shard = %self.shard);
        let (record, index) = (self.record.clone(), self.index);
        let outcome = self.start().instrument(span).await;
        record.end_shard(index, outcome.clone());
        outcome
    }

    async fn start(self) -> ShardOutcome {
        let failed = |reason: String| ShardOutcome::Failed { reason };
        if let Some(reason) = self.abort.get() {
            return ShardOutcome::Aborted { reason };
        }
        self.record.update(self.index, |shard| shard.stage = Stage::Opening);
        if let Some(reason) = self.whom.nobody() {
            return failed(format!("no source: {reason}"));
        }
        let staging = match self.sink.stage(&self.shard, &self.selector, self.shared.new_fence()).await {
            Ok(staging) => staging,
            Err(error) => return failed(format!("cannot stage: {error}")),
        };
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let (fetch_events, fetch_inbox) = mpsc::channel(EVENTS_MAX);
        let mut config = self.shared.config.recovery.clone();
        config.seed = self.shared.next_random();
        let job = self.recovery_job();
        let recovery = match Recovery::new(self.shared.clock.now(), config, job) {
            Ok(recovery) => recovery,
            Err(misuse) => return failed(misuse.to_string()),
        };
        let EngineConfig { checkpoint_bytes, checkpoint_interval, .. } = self.shared.config;
        let running = Running {
            job: self,
            recovery,
            staging,
            sources: BTreeMap::new(),
            fetches: BTreeMap::new(),
            retiring: BTreeMap::new(),
            outlines: Outlines::default(),
            listing: 0,
            admitting: None,
            joined: None,
            joined_next: None,
            compares: true,
            opening: BTreeMap::new(),
            checkpoints: Checkpoints::new(checkpoint_bytes, checkpoint_interval),
            waits: BTreeSet::new(),
            closes: BTreeSet::new(),
            events,
            fetch_events,
        };
        running.run(inbox, fetch_inbox).await
    }
}

impl Running {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<JobEvent>,
        fetch_inbox: mpsc::Receiver<Report>,
    ) -> ShardOutcome {
        let mut reports = Reports::new(fetch_inbox);
        let abort = self.job.abort.clone();
        let mut called_off = false;
        loop {
            if let Some(outcome) = self.act_all().await {
                return self.end(outcome).await;
            }
            self.show();
            self.checkpoint();
            let timeout = self.recovery.poll_timeout().into_iter().chain(self.checkpoints.due()).min();
            let (level, of_plan) = (self.level(), (self.job.record.plan, self.job.record.operation));
            tokio::select! {
                biased;
                Ok(reason) = abort.wait_for(Option::is_some), if !called_off => {
                    called_off = true;
                    let reason = reason.unwrap_or_default();
                    self.recovery.abort(self.job.shared.clock.now(), &reason);
                }
                level = another_level(
                    &self.job.shared.parts.levels, of_plan, &self.job.shard, level,
                ) => self.recovery.handle_level(self.job.shared.clock.now(), level),
                () = self.job.whom.changed() => self.hear_placement(),
                Some(event) = inbox.recv() => {
                    self.fetch_events(reports.take_good());
                    self.event(event);
                }
                () = reports.wait() => self.fetch_events(reports.take()),
                () = self.job.shared.clock.sleep_until(timeout) => {
                    self.fetch_events(reports.take());
                    self.look_around();
                    self.recovery.handle_timeout(self.job.shared.clock.now());
                }
            }
        }
    }

    /// Makes durable what was stored, if it is time to; the transfer goes on meanwhile.
    fn checkpoint(&mut self) {
        if self.checkpoints.begin(self.job.shared.clock.now()) {
            let (staging, events) = (self.staging.clone(), self.events.clone());
            tokio::spawn(async move {
                let result = staging.checkpoint().await.map_err(|error| error.to_string());
                let _ = events.send(JobEvent::Checkpointed(result)).await;
            });
        }
    }

    /// Lets the recovery know who may be asked, if that may have changed, and what is known of them: before
    /// whatever may end an attempt.
    pub(super) fn look_around(&mut self) {
        if self.job.whom.may_have_changed() {
            return self.hear_placement();
        }
        let now = self.job.shared.clock.now();
        let (regards, sources) = (&self.job.shared.regards, &self.sources);
        self.recovery.handle_regards(now, |peer| regards.of(now, peer, owed(sources, peer)));
    }

    fn hear_placement(&mut self) {
        let now = self.job.shared.clock.now();
        let (regards, sources) = (&self.job.shared.regards, &self.sources);
        let candidates = self.job.whom.candidates(|peer| regards.of(now, peer, owed(sources, peer)));
        self.recovery.handle_candidates(now, &candidates, self.job.voters());
    }

    fn event(&mut self, event: JobEvent) {
        self.look_around();
        let now = self.job.shared.clock.now();
        let result = match event {
            JobEvent::Opened(source, opening) => self.opened(source, *opening),
            JobEvent::Page(source, answer) => match self.paged(source, answer) {
                Ok(page) => self.recovery.handle_page(now, source, page),
                Err(fault) => self.recovery.handle_page_failed(now, source, fault),
            },
            JobEvent::Compared(listing, source, parts) => {
                self.compared(listing, source, parts);
                Ok(())
            }
            JobEvent::Waited(listing, source, since) => {
                self.waited(listing, source, since);
                Ok(())
            }
            JobEvent::Admitted(listing, admitted) => {
                self.admitted(listing, admitted);
                Ok(())
            }
            JobEvent::Outline(source, ordinal, part, answer) => {
                let result = match answer {
                    Ok(outline) => {
                        if self.sources.contains_key(&source) {
                            self.outlines.keep(ordinal, outline);
                        }
                        Ok(())
                    }
                    Err(error) => {
                        let fault = super::actions::fault_of(error);
                        self.blame_outline(source, ordinal, part, &fault);
                        Err(fault)
                    }
                };
                let told = self.recovery.handle_outline(now, source, ordinal, part, result);
                self.outlines.forget(ordinal, |ordinal, part| self.recovery.needs_outline(ordinal, part));
                told
            }
            // The peer that pushes called it off; a plan of this node goes on elsewhere.
            JobEvent::Lost(_, end) if end.called_off && self.job.origin.is_offered() => {
                self.recovery.abort(now, &end.reason);
                Ok(())
            }
            JobEvent::Lost(source, end) => {
                self.job.origin.lost(&end.reason);
                self.recovery.handle_source_lost(now, source, &end.reason)
            }
            JobEvent::Sealed(result) => self.recovery.handle_sealed(now, result),
            JobEvent::Published(result) => self.recovery.handle_published(now, result),
            JobEvent::Checkpointed(result) => {
                self.checkpoints.ended();
                if let Err(why) = result {
                    self.recovery.handle_store_failed(now, &why);
                }
                Ok(())
            }
        };
        self.understood(result);
    }

    /// Says so if this driver is at fault.
    pub(super) fn understood(&self, told: Result<(), Misuse>) {
        if let Err(misuse) = told {
            warn!(%misuse, "the recovery job was told something that it had not asked for");
        }
    }

    fn fetch_events(&mut self, reports: Vec<Report>) {
        reports.into_iter().for_each(|(fetch, event)| self.fetch_event(fetch, event));
    }

    fn fetch_event(&mut self, fetch: FetchId, event: FetchEvent) {
        let now = self.job.shared.clock.now();
        let result = match event {
            FetchEvent::Arrived => self.recovery.handle_content_arrived(now, fetch),
            FetchEvent::Stored(spans, bytes) => {
                self.checkpoints.stored(now, bytes);
                spans.into_iter().try_for_each(|span| self.recovery.handle_stored(now, fetch, span))
            }
            FetchEvent::Bad { ordinal, chunk, why } => {
                self.blame(fetch, ordinal, Some(chunk.0), &why);
                self.lied_in(fetch);
                self.recovery.handle_bad(now, fetch, ordinal, chunk, &why)
            }
            FetchEvent::NotTaken { ordinal, reason } => {
                self.not_taken(fetch, ordinal, &reason);
                self.recovery.handle_not_taken(now, fetch, ordinal, reason)
            }
            FetchEvent::Failed { span, code, why } => {
                if let Some(span) = span {
                    self.blame(fetch, span.first_ordinal(), None, &why);
                }
                let fault = super::actions::fault_of_code(code, why);
                if matches!(fault, Fault::Wrong(_)) {
                    self.lied_in(fetch);
                }
                self.recovery.handle_fetch_failed(now, fetch, span, fault)
            }
            FetchEvent::StoreFailed(error) => {
                // Of a fetch that was given up, its task may just have gone on: the store may be busy
                // with another source by then, and is right to refuse.
                if self.fetches.contains_key(&fetch) {
                    self.recovery.handle_store_failed(now, &error.to_string());
                }
                Ok(())
            }
            FetchEvent::Ended => {
                let told = self.recovery.handle_fetch_ended(now, fetch);
                if let Some(source) = self.fetches.remove(&fetch)
                    && let Some(link) = self.sources.get_mut(&source)
                {
                    link.fetches.remove(&fetch);
                    self.outlines.forget_all(|ordinal, part| self.recovery.needs_outline(ordinal, part));
                }
                told
            }
        };
        if let Err(misuse) = result {
            warn!(%misuse, "the recovery job was told of a fetch that it had not asked for");
        }
    }

    /// The store does not take what a fetch gave of an entry: if that is bad, its source is named.
    fn not_taken(&self, fetch: FetchId, ordinal: Ordinal, reason: &NotTaken) {
        match reason {
            NotTaken::Bad(why) => {
                self.blame(fetch, ordinal, None, why);
                self.lied_in(fetch);
            }
            NotTaken::Unmergeable(why) => {
                let source = self.fetches.get(&fetch);
                if let Some(entry) = source.and_then(|source| self.recovery.entry(*source, ordinal)) {
                    warn!(key = %entry.key, %why, "a copy was left");
                }
            }
        }
    }

    fn blame(&self, fetch: FetchId, ordinal: Ordinal, chunk: Option<u64>, why: &str) {
        if let Some(source) = self.fetches.get(&fetch) {
            self.blame_source(*source, ordinal, chunk, why);
        }
    }

    /// Names the source of an outline that does not fit.
    fn blame_outline(&self, source: SourceId, ordinal: Ordinal, part: OutlinePart, fault: &Fault) {
        let Some(link) = self.sources.get(&source) else { return };
        let Some(entry) = self.recovery.entry(source, ordinal) else { return };
        let chunk = match part {
            OutlinePart::Group(group) if entry.groups(link.offer.header.chunk_size) > 1 => {
                Some(link.offer.header.chunk_size.chunks_of(group, entry.len).first.0)
            }
            OutlinePart::Top | OutlinePart::Group(_) => None,
        };
        if let Fault::Wrong(why) = fault {
            self.blame_source(source, ordinal, chunk, why);
            self.lied(source);
        }
    }

    fn lied_in(&self, fetch: FetchId) {
        if let Some(source) = self.fetches.get(&fetch) {
            self.lied(*source);
        }
    }

    /// What a source has, or says it has, is not what it has to be: it is avoided for a while (demand D14).
    fn lied(&self, source: SourceId) {
        if let Some(link) = self.sources.get(&source) {
            let Shared { regards, clock, .. } = &*self.job.shared;
            regards.lied(clock.now(), &link.session.id.peer);
        }
    }

    fn blame_source(&self, source: SourceId, ordinal: Ordinal, chunk: Option<u64>, why: &str) {
        let (Some(entry), Some(link)) = (self.recovery.entry(source, ordinal), self.sources.get(&source))
        else {
            return;
        };
        let peer = link.session.id.peer.clone();
        let bad = BadChunk { key: entry.key.clone(), chunk, peer, why: why.to_owned() };
        warn!(%bad, "content was refused");
        self.job.record.emit(PlanEvent::BadChunk { shard: self.job.shard.clone(), bad });
    }

    /// Shows where the job stands.
    pub(super) fn show(&mut self) {
        let (status, stats, findings) =
            (self.recovery.status(), self.recovery.stats(), self.recovery.findings());
        self.waits.extend(status.waiting.as_ref().map(|waiting| waiting.reason.name()));
        self.job.record.update(self.job.index, |shard| {
            shard.stage = stage_of(status.phase).unwrap_or(shard.stage);
            shard.peer = status.source.or(shard.peer.take());
            shard.sources = status.sources.into_iter().map(SourceProgress::from).collect();
            shard.standing = Some(status.standing);
            shard.waits(status.waiting);
            if shard.findings != *findings {
                shard.findings = findings.clone();
            }
            shard.bytes_total = status.total.map(|total| total.bytes);
            shard.entries_total = status.total.map(|total| total.entries);
            // Another source may have another manifest; what is shown never goes back.
            shard.bytes_done =
                status.done.bytes.max(shard.bytes_done).min(shard.bytes_total.unwrap_or(u64::MAX));
            shard.entries_done =
                status.done.entries.max(shard.entries_done).min(shard.entries_total.unwrap_or(u64::MAX));
            shard.bytes_held = stats.held_bytes;
            shard.bytes_wasted = stats.bad_bytes;
        });
    }
}

/// What this job waits for from a peer.
fn owed(sources: &BTreeMap<SourceId, SourceLink>, peer: &NodeId) -> u64 {
    let links = sources.values().filter(|link| link.session.id.peer == *peer);
    links.flat_map(|link| link.fetches.values()).map(|(_, debt)| debt.bytes()).sum()
}

/// What a job in this phase does; one that has ended, what it did last.
fn stage_of(phase: Phase) -> Option<Stage> {
    match phase {
        Phase::Choosing | Phase::Opening => Some(Stage::Opening),
        Phase::Streaming => Some(Stage::Streaming),
        Phase::Sealing => Some(Stage::Sealing),
        Phase::Publishing => Some(Stage::Publishing),
        Phase::Done => None,
    }
}

#[cfg(test)]
#[path = "task/tests.rs"]
mod tests;
