//! The job: takes inputs in, decides what follows, hands actions out.

mod gathering;
mod inputs;
mod level;
mod not_taken;
mod sources;
mod standing;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use peerstream_select::roster::REPLICAS_MAX;
use peerstream_types::{
    ByteCount, ChunkIndex, DatasetKind, Entry, EntryCounts, FetchId, ManifestHeader, NodeId, Ordinal,
    Selector, ShardId, Timestamp,
};

use crate::agreement::{Agreement, PositionOrder};
use crate::choice::{Candidates, Next};
use crate::config::{CANDIDATES_MAX, clip};
use crate::pass::{Context, Pass};
use crate::phase::State;
use crate::shortfall::Shortfall;
use crate::{
    Action, CloseReason, Config, Findings, Job, Misuse, Outcome, OutlinePart, SourceId, SourceStatus, Stats,
    Status, WaitReason, Waiting,
};

/// Brings one (shard, selector) up across its candidates: as many are heard as the level asks for, and all
/// that have what is wanted serve.
///
/// Driven: give inputs with `handle_*`; after [`Recovery::new`] and after each of them carry out
/// [`Recovery::poll_action`] until it is empty, then arm a timer for [`Recovery::poll_timeout`]. Time
/// never runs backwards; an earlier `now` counts as the latest one seen.
///
/// **It ends.** Whatever the peers do, the job reaches [`Action::Done`], unless a level that is not met
/// demands to go on, which the status says: at every moment it has ended, or has a timeout, or waits for the
/// local store, which always answers [`Action::Seal`] and [`Action::Publish`], or for replicas that only
/// [`Recovery::handle_candidates`] can bring. **Bounded.** What it keeps is the unfinished entries of the
/// pages in flight and the window, whatever the size of the shard.
///
/// **Several sources.** While enough is left of the shard, further candidates are asked to join. They
/// give chunks of the same entries at once; one with nothing left to do takes work from the slowest, before
/// all is listed only from one that is still. A source that dies, slows down, lies or refuses costs what it
/// had in flight.
///
/// **Fail-over.** Page tokens belong to the source that made them. What was listed counts
/// only once all of it was checked against its digest, so whoever takes over lists from the start:
/// [`Action::Begin`] comes first, and the staging says for each entry what is verified already. So nothing is
/// fetched twice, and all that is known of an entry (row F-36) comes with the listing.
#[derive(Debug, Clone)]
pub struct Recovery {
    config: Config,
    shard: ShardId,
    selector: Selector,
    agreement: Agreement,
    positions: Arc<dyn PositionOrder>,
    candidates: Candidates,
    state: State,
    actions: VecDeque<Action>,
    stats: Stats,
    now: Timestamp,
    overall_deadline: Option<Timestamp>,
    next_source: u32,
    next_fetch: u64,
    /// What the last source that was worked through could not give.
    shortfall: Option<Shortfall>,
    /// Header and progress of the manifest that was used last.
    last: Option<(ManifestHeader, EntryCounts)>,
    /// What there was in all in the manifests that were used last.
    last_total: Option<EntryCounts>,
    /// How many were heard and agreed when everything was stored, and what was found.
    sealed_by: (u32, u32),
    /// Who they were.
    sealed_with: BTreeSet<NodeId>,
    findings: Findings,
    /// Bytes that were stored before the current source was opened.
    stored_before: u64,
    outcome: Option<Outcome>,
}

impl Recovery {
    /// Starts a job. Without candidates, and nobody who may become one, it is done at once, with
    /// [`Outcome::NoSource`].
    ///
    /// # Errors
    ///
    /// [`Misuse`] for settings of zero and for too many candidates.
    pub fn new(now: Timestamp, config: Config, job: Job) -> Result<Self, Misuse> {
        config.check()?;
        if job.candidates.len() > CANDIDATES_MAX {
            return Err(Misuse::TooManyCandidates(job.candidates.len()));
        }
        let agreement = job.agreement;
        let candidates = Candidates::new(job.candidates, &config, agreement.is_patient());
        if agreement.kind != DatasetKind::Local && candidates.counts().0 as usize > REPLICAS_MAX {
            return Err(Misuse::TooManyToCompare(candidates.counts().0 as usize));
        }
        let mut recovery = Self {
            shard: job.shard,
            selector: job.selector,
            agreement,
            positions: job.positions,
            candidates,
            state: State::Choosing { wait: None, since: now },
            actions: VecDeque::new(),
            stats: Stats::default(),
            now,
            overall_deadline: config.overall_limit.map(|limit| now + limit),
            next_source: 0,
            next_fetch: 0,
            shortfall: None,
            last: None,
            last_total: None,
            sealed_by: (0, 0),
            sealed_with: BTreeSet::new(),
            findings: Findings::default(),
            stored_before: 0,
            outcome: None,
            config,
        };
        recovery.advance();
        Ok(recovery)
    }

    /// The next thing to do, in order; `None` when there is nothing until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Recovery::handle_timeout`] if nothing comes before; `None` while the local
    /// store works, while only other candidates can help, and after the end. Ask again after every input.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let own = match &self.state {
            State::Choosing { wait, .. } => wait.as_ref().map(|(_, until)| *until),
            State::Opening { asked, met_at, .. } => self.gather_timeout(asked, *met_at),
            State::Streaming { pass, joining } => {
                let joins = joining.values().map(|(_, since)| *since + self.config.open_timeout);
                let joins = joins.chain(self.next_to_join().and_then(|(_, from)| from));
                let pass_at = [
                    pass.stalls_at(&self.config),
                    pass.paused_until(),
                    pass.steals_at(self.now, &self.config, self.stats.twice_bytes),
                ];
                pass_at.into_iter().flatten().chain(joins).min()
            }
            State::Sealing { .. } => None,
            State::Publishing { .. } | State::Done => return None,
        };
        own.into_iter().chain(self.overall_deadline).min()
    }

    /// The shard that is brought up.
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// The part of the shard that is brought up.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// What is asked of the replicas. Level and voters are those that were set last.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// An unfinished entry of the manifest of `source`: what its bytes are verified against, and its
    /// metadata (row F-36). `None` once it is finished or the source is closed.
    pub fn entry(&self, source: SourceId, ordinal: Ordinal) -> Option<&Arc<Entry>> {
        let pass = self.state.pass().filter(|pass| pass.link(source).is_some());
        pass.and_then(|pass| pass.entry(ordinal))
    }

    /// How many sources have offered the manifest at this place in `joined` of the last [`Action::Begin`], or
    /// the only one at place 0; 1 if there is none.
    pub fn backers(&self, place: usize) -> usize {
        let column = self.state.pass().and_then(|pass| pass.roll().columns().get(place));
        column.map_or(1, |column| column.peers.len())
    }

    /// Whether the driver must keep a part of an outline of the manifest in use, whoever gave it: that of
    /// a group until nothing more of the group is to come, a top until its entry is finished. What it
    /// need not keep is never used again, also if it is only now verified. What a source that is closed
    /// gives is of no use.
    pub fn needs_outline(&self, ordinal: Ordinal, part: OutlinePart) -> bool {
        self.state.pass().is_some_and(|pass| pass.needs_outline(ordinal, part))
    }

    /// Whether `fetch` still waits for this chunk (0 for a small entry). What it does not wait for
    /// is surplus (row F-35): drop it before it is hashed and stored.
    pub fn expects(&self, fetch: FetchId, ordinal: Ordinal, chunk: ChunkIndex) -> bool {
        self.state.pass().is_some_and(|pass| pass.expects(fetch, ordinal, chunk))
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let held = self.state.pass().map_or(0, |pass| pass.held_bytes().saturating_sub(self.stored_before));
        Stats { held_bytes: self.stats.held_bytes.max(held), ..self.stats }
    }

    /// What was taken without a second word for it, and what was done without: so far while something is
    /// listed, and in the end of what was published.
    pub fn findings(&self) -> &Findings {
        self.state.pass().map_or(&self.findings, Pass::findings)
    }

    /// Where the job is, how far, and what it waits for.
    pub fn status(&self) -> Status {
        let missing = self.shortfall.as_ref().map_or(0, Shortfall::entries);
        let (header, done) = self.progress().unzip();
        let first = self.state.sources().first().copied();
        Status {
            phase: self.state.phase(),
            waiting: self.waiting(),
            source: first.map(|live| self.candidates.peer(live.candidate).clone()),
            sources: self.sources(),
            standing: self.standing(),
            done: done.unwrap_or_default(),
            total: match &self.state {
                State::Streaming { pass, .. } => pass.total(),
                // What was joined before may be put together in another way by those who come next.
                State::Choosing { .. } | State::Opening { .. } => {
                    header.filter(|header| header.is_sealed()).and(self.last_total)
                }
                State::Sealing { .. } | State::Publishing { .. } | State::Done => self.last_total,
            },
            outstanding: self.state.pass().map_or(ByteCount(0), Pass::outstanding),
            entries_missing: self.state.pass().map_or(missing, Pass::entries_missing),
        }
    }

    /// Who is in use, and who gave something, with all that it gave.
    fn sources(&self) -> Vec<SourceStatus> {
        let live = self.state.sources();
        let all = self.candidates.all().filter_map(|(candidate, report)| {
            let in_use = live.iter().find(|live| live.candidate == candidate);
            let now = in_use.map(|live| self.state.got(live.id)).unwrap_or_default();
            let stored_bytes = report.stored_bytes + now.stored_bytes;
            let bad_chunks = report.bad_chunks + now.bad_chunks;
            let (peer, in_use) = (&report.peer, in_use.is_some());
            let is_shown = in_use || stored_bytes > 0 || bad_chunks > 0;
            is_shown.then(|| SourceStatus { peer: peer.clone(), in_use, stored_bytes, bad_chunks })
        });
        all.collect()
    }

    /// The manifest in use and how much of it is there. A source that lists the same sealed manifest
    /// again takes nothing back.
    fn progress(&self) -> Option<(&ManifestHeader, EntryCounts)> {
        let last = self.last.as_ref().map(|(header, done)| (header, *done));
        let Some(pass) = self.state.pass() else {
            return last;
        };
        let (header, mut done) = (pass.header(), pass.done());
        if let Some((_, before)) = last.filter(|(last, _)| last.is_sealed() && last.digest == header.digest) {
            done.entries = done.entries.max(before.entries);
            done.bytes = done.bytes.max(before.bytes);
        }
        Some((header, done))
    }

    fn waiting(&self) -> Option<Waiting> {
        let (reason, since) = match &self.state {
            State::Choosing { wait, since } => {
                let (peer, until) = wait.clone()?;
                (WaitReason::BackOff { peer, until }, *since)
            }
            State::Opening { asked, since, .. } => (self.wait_for_offers(asked), *since),
            State::Streaming { pass, .. } => (pass.wait_reason(), pass.moved_at()),
            State::Sealing { since, .. } => (WaitReason::Seal, *since),
            State::Publishing { since, .. } => (WaitReason::Publish, *since),
            State::Done => return None,
        };
        Some(Waiting { reason, since })
    }

    /// Does everything that follows from the state without another input.
    fn advance(&mut self) {
        loop {
            self.with_pass(Pass::ask);
            match &mut self.state {
                State::Choosing { .. } | State::Opening { .. } if self.agreement.compares() => {
                    if !self.gather() {
                        return;
                    }
                }
                State::Opening { asked, .. }
                    if asked.is_empty() || asked.values().any(|asked| asked.offer.is_some()) =>
                {
                    self.begin_with_one();
                }
                State::Choosing { wait, .. } => match self.candidates.next(self.now) {
                    Next::Open(candidate) => return self.open(candidate),
                    Next::Wait(candidate, until) => {
                        *wait = Some((self.candidates.peer(candidate).clone(), until));
                        return;
                    }
                    Next::Nobody => return self.give_up(),
                },
                State::Streaming { pass, .. } if !pass.is_worked_through() => return self.recruit(),
                State::Streaming { pass, .. } => match pass.complete() {
                    Some(header) => return self.seal(header),
                    None if self.drops_the_rest() => {}
                    None if self.is_beyond_help() => {
                        self.end_pass();
                        return self.give_up();
                    }
                    None => self.end_pass(),
                },
                State::Opening { .. } | State::Sealing { .. } | State::Publishing { .. } | State::Done => {
                    return;
                }
            }
        }
    }

    /// Lets the pass, if there is one, work on the rest of the job.
    fn with_pass<R>(&mut self, work: impl FnOnce(&mut Pass, &mut Context<'_>) -> R) -> Option<R> {
        let State::Streaming { pass, .. } = &mut self.state else {
            return None;
        };
        let mut context = Context {
            now: self.now,
            config: &self.config,
            agreement: &self.agreement,
            stats: &mut self.stats,
            actions: &mut self.actions,
            next_fetch: &mut self.next_fetch,
        };
        Some(work(pass, &mut context))
    }

    /// All candidates are used up.
    pub(super) fn give_up(&mut self) {
        let peers = self.candidates.reports();
        let missing = self.shortfall.take().filter(|shortfall| shortfall.entries() > 0);
        self.finish(match missing {
            Some(shortfall) => {
                let entries = shortfall.entries();
                Outcome::Incomplete { gaps: shortfall.into_gaps(), entries, peers }
            }
            None => Outcome::NoSource { peers },
        });
    }

    /// Keeps what a pass knows and the job shows after it.
    fn keep_progress(&mut self) {
        self.stats = self.stats();
        self.last_total = self.state.pass().map_or(self.last_total, Pass::total);
        self.last = self.progress().map(|(header, done)| (header.clone(), done));
    }

    /// Ends the job before its time. What was not handed out yet never happens, so no further peer is
    /// dialled (row A25).
    fn stop(&mut self, outcome: Outcome) {
        let (mut unopened, mut unsent) = (BTreeSet::new(), BTreeSet::new());
        self.actions.retain(|action| match action {
            Action::Open { source, .. } => !unopened.insert(*source),
            Action::Fetch { fetch, .. } => !unsent.insert(*fetch),
            Action::Cancel { .. } | Action::Release { .. } | Action::Close { .. } | Action::Done(_) => true,
            Action::Begin { .. }
            | Action::Admit { .. }
            | Action::LeaveOut { .. }
            | Action::List { .. }
            | Action::Outline { .. }
            | Action::Seal { .. }
            | Action::Publish => false,
        });
        self.close_all(&CloseReason::JobEnded(clip(&outcome.to_string())));
        self.actions.retain(|action| match action {
            Action::Cancel { fetch, .. } => !unsent.contains(fetch),
            Action::Release { source } | Action::Close { source, .. } => !unopened.contains(source),
            Action::Open { .. }
            | Action::Begin { .. }
            | Action::Admit { .. }
            | Action::LeaveOut { .. }
            | Action::List { .. }
            | Action::Outline { .. }
            | Action::Fetch { .. }
            | Action::Seal { .. }
            | Action::Publish
            | Action::Done(_) => true,
        });
        self.finish(outcome);
    }

    /// The first outcome stands.
    fn finish(&mut self, outcome: Outcome) {
        self.state = State::Done;
        self.outcome = Some(outcome.clone());
        self.actions.push_back(Action::Done(outcome));
    }
}
