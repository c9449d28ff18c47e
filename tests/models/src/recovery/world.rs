//! A job with its driver and its store: what is asked, staged, sealed, and what must never be.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_recovery::{
    Action as Ask, Agreement, CloseReason, Outcome, OutlinePart, Phase, Recovery, ReplicaStanding, SourceId,
    WaitReason,
};
use peerstream_select::Level;
use peerstream_types::{ChunkIndex, EntryCounts, FetchId, Ordinal, PageToken, Timestamp};

use super::levels::{self, Listed};
use super::parts::{self, Content, Mark, Peer};
use super::{Action, Plant, RecoveryWorld, Survives};
use crate::kept::{Kept, canonical};

/// What the driver owes the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owed {
    /// An offer of the peer that was dialled.
    Offer(SourceId),
    /// A page of its manifest.
    Page(SourceId),
    /// A part of an outline.
    Outline(SourceId, Ordinal, OutlinePart),
    /// A chunk of a fetch.
    Item(FetchId, SourceId, Ordinal, ChunkIndex),
    /// The store's word on entries that it is asked to take.
    Admit,
    /// Everything durable.
    Seal,
    /// Everything visible.
    Publish,
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// An answer that was asked for was refused.
    Misuse,
    /// A late or second answer changed something.
    Stale,
    /// Too many sources were opened at once, or one of them twice, or one was closed twice.
    Sources,
    /// A chunk was asked for while it was on its way already.
    Pending,
    /// A chunk was asked for that is stored.
    Again,
    /// A chunk was asked for too often.
    Attempts,
    /// A peer was dialled too often in vain.
    Dials,
    /// A seal was asked for what is not all there, or a publish for what is not sealed.
    Hollow,
    /// Something was begun with, taken or sealed that the level does not allow.
    Level,
    /// A source was asked for an entry under another name than its own, or the names here have gaps.
    Named,
    /// A source was called wrong that said nothing wrong.
    Blamed,
    /// A job that waits for its level does not say so, or not until when.
    Silent,
    /// Progress fell.
    Fell,
    /// A timer leaves the job where it was.
    Spins,
    /// Something was asked after the end.
    AfterEnd,
    /// The outcome does not fit what happened.
    Outcome,
}

/// A source that is open.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Which peer it is.
    pub index: usize,
    /// Whether it has offered.
    pub(super) offered: bool,
    /// Whether anything came from it.
    pub(super) brought: bool,
}

/// A job and what surrounds it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The machine.
    pub job: Recovery,
    /// The driver's clock.
    pub now: Timestamp,
    /// What may come.
    pub owed: BTreeSet<Owed>,
    /// What of it has come and is with the store.
    pub in_hand: BTreeSet<Owed>,
    /// The open sources.
    pub sources: BTreeMap<SourceId, Open>,
    /// Faults that may still happen.
    pub faults: u8,
    /// Something that must not be.
    pub flaw: Option<Flaw>,
    /// An earlier job, with [`Plant::Rewind`].
    pub saved: Option<Box<Recovery>>,
    /// The level that was asked for last.
    pub level: Level,
    /// Whether a level was in force at which whoever fails is asked again without end.
    pub(super) was_patient: bool,
    pub(super) listed: Listed,
    /// The tokens of the pages that are owed.
    pub(super) tokens: BTreeMap<SourceId, PageToken>,
    /// What the store cannot keep.
    pub(super) unkept: BTreeSet<Mark>,
    /// Sources that gave a page which is not right.
    pub(super) wrong: BTreeSet<SourceId>,
    pub(super) staged: BTreeSet<Content>,
    /// Everything that the store said it has stored.
    pub(super) ever: BTreeSet<Content>,
    /// How often each chunk was asked of each open source.
    pub(super) asked: BTreeMap<(SourceId, Ordinal, ChunkIndex), u32>,
    /// Dials in a row that brought nothing, by peer.
    pub(super) in_vain: Vec<u32>,
    pub(super) sealed: bool,
    /// The total and what was shown of it last.
    pub(super) shown: Option<(EntryCounts, EntryCounts)>,
    /// What was owed by sources that were closed in this step.
    pub(super) late: Vec<Owed>,
    pub(super) stopped: bool,
    pub(super) store_failed: bool,
    pub(super) steps: u32,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct World(Kept<Scene>);

impl World {
    pub(super) fn new(model: &RecoveryWorld) -> Self {
        let now = Timestamp::from_millis(1_000);
        let mut scene = Scene::new(model, now);
        scene.settle(model);
        Self(Kept::new(scene, now))
    }

    /// The state.
    pub fn get(&self) -> &Scene {
        self.0.get()
    }

    pub(super) fn after(&self, model: &RecoveryWorld, action: &Action) -> Self {
        let mut scene = self.0.edit();
        scene.steps += u32::from(model.counted);
        scene.carry_out(model, action);
        let now = scene.now;
        Self(Kept::new(scene, now))
    }
}

impl Scene {
    fn new(model: &RecoveryWorld, now: Timestamp) -> Self {
        let config = parts::config(model);
        let job = Recovery::new(now, config, parts::job(model)).expect("good settings");
        Self {
            job,
            now,
            owed: BTreeSet::new(),
            in_hand: BTreeSet::new(),
            sources: BTreeMap::new(),
            faults: model.faults,
            flaw: None,
            saved: None,
            level: model.agreement.level,
            was_patient: is_patient(&model.agreement),
            listed: Listed::default(),
            tokens: BTreeMap::new(),
            unkept: BTreeSet::new(),
            wrong: BTreeSet::new(),
            staged: BTreeSet::new(),
            ever: BTreeSet::new(),
            asked: BTreeMap::new(),
            in_vain: vec![0; model.peers.len()],
            sealed: false,
            shown: None,
            late: Vec::new(),
            stopped: false,
            store_failed: false,
            steps: 0,
        }
    }

    /// The receiver starts again: another job, and what the store has.
    pub(super) fn restart(&mut self, model: &RecoveryWorld, survives: Survives) {
        let mut staged = std::mem::take(&mut self.staged);
        match survives {
            Survives::Stored => {}
            Survives::Written => {
                let written = self.in_hand.iter().filter_map(|owed| self.content_of(owed));
                staged.extend(written);
            }
            Survives::Nothing => staged.clear(),
        }
        let (faults, steps, unkept) = (self.faults, self.steps, std::mem::take(&mut self.unkept));
        *self = Self { ever: staged.clone(), staged, faults, steps, unkept, ..Self::new(model, self.now) };
    }

    fn content_of(&self, owed: &Owed) -> Option<Content> {
        match *owed {
            Owed::Item(_, _, ordinal, chunk) => self.content(ordinal, chunk),
            Owed::Offer(_) | Owed::Page(_) | Owed::Outline(..) | Owed::Admit | Owed::Seal | Owed::Publish => {
                None
            }
        }
    }

    /// What is asked of the replicas now.
    pub fn agreement(&self, model: &RecoveryWorld) -> Agreement {
        Agreement { level: self.level, ..model.agreement }
    }

    /// Whether nobody is in use and the level is waited for.
    pub fn waits_for_level(&self) -> bool {
        let waiting = self.job.status().waiting;
        waiting.is_some_and(|waiting| matches!(waiting.reason, WaitReason::Level { .. }))
    }

    /// Whether those who may still be asked can meet the level, and agree on all that it asks for.
    pub fn can_agree(&self, model: &RecoveryWorld) -> bool {
        let replicas = self.job.status().standing.replicas;
        let left =
            replicas.iter().filter(|replica| !matches!(replica.state, ReplicaStanding::GivenUp { .. }));
        let left: Vec<Peer> = left.map(|replica| model.peers[parts::index_of(&replica.peer)]).collect();
        levels::can_agree(&self.agreement(model), model.peers.len() as u32, &left)
    }

    /// Whether there is something to lose.
    pub fn has_stored(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Whether something is to come from a source, so that time which passes means that it does not.
    pub fn awaits_source(&self) -> bool {
        self.owed.iter().any(|owed| !matches!(owed, Owed::Admit | Owed::Seal | Owed::Publish))
    }

    /// Whether the store has to answer, and nobody else can go on.
    pub fn awaits_store(&self) -> bool {
        let is_its = |owed: &Owed| matches!(owed, Owed::Admit | Owed::Seal | Owed::Publish);
        !self.in_hand.is_empty() || self.owed.iter().any(is_its)
    }

    /// Whether this is the first chunk owed of its fetch, and the store is at work on none of it: the
    /// driver says that nothing more comes after it has said what became of what came.
    pub(super) fn may_end(&self, owed: &Owed) -> bool {
        let is_of_it = |other: &&Owed| fetch_of(other) == fetch_of(owed);
        self.owed.iter().find(is_of_it) == Some(owed) && !self.in_hand.iter().any(|other| is_of_it(&other))
    }

    pub(super) fn flag(&mut self, flaw: Flaw) {
        self.flaw = self.flaw.or(Some(flaw));
    }

    pub(super) fn peer(&self, model: &RecoveryWorld, source: SourceId) -> Peer {
        self.sources.get(&source).map_or(Peer::PLAIN, |open| model.peers[open.index])
    }

    /// Carries out what the job asks for, and checks it.
    pub(super) fn settle(&mut self, model: &RecoveryWorld) {
        let mut done = false;
        while let Some(ask) = self.job.poll_action() {
            if done {
                self.flag(Flaw::AfterEnd);
            }
            done = matches!(ask, Ask::Done(_));
            self.ask(model, ask);
        }
        for owed in std::mem::take(&mut self.late) {
            let mut after = self.clone();
            let _ = after.answer_good(model, owed);
            self.compare(after);
        }
        self.show();
        self.wait(model);
        if model.plant == Some(Plant::Rewind) && self.saved.is_none() && self.shown.is_some() {
            self.saved = Some(Box::new(self.job.clone()));
        }
    }

    /// After an answer that is late or comes twice, the job is as it was, less its counters.
    pub(super) fn compare(&mut self, mut after: Self) {
        let asks = after.job.poll_action().is_some();
        if asks || canonical(&after.job, after.now) != canonical(&self.job, self.now) {
            self.flag(Flaw::Stale);
        }
    }

    fn ask(&mut self, model: &RecoveryWorld, ask: Ask) {
        match ask {
            Ask::Open { source, peer, .. } => self.open(model, source, parts::index_of(&peer)),
            Ask::Begin { header, joined } => self.begin(model, &header, &joined),
            Ask::Admit { entries } => {
                self.admit(model, &entries);
                if model.admits_at_once && self.answer_admit(model).is_err() {
                    self.flag(Flaw::Misuse);
                }
            }
            Ask::LeaveOut { ordinal } => self.leave_out(model, ordinal),
            Ask::Release { .. } => {}
            Ask::List { source, token } => {
                self.tokens.insert(source, token);
                self.owed.insert(Owed::Page(source));
            }
            Ask::Outline { source, ordinal, there, part } => {
                if !self.is_named(model, source, ordinal, there) {
                    self.flag(Flaw::Named);
                }
                self.owed.insert(Owed::Outline(source, ordinal, part));
            }
            Ask::Fetch { source, fetch, spans, there, .. } => {
                let items = spans.into_iter().zip(there).flat_map(|(span, there)| parts::items(span, there));
                for (ordinal, chunk, there) in items {
                    if !self.is_named(model, source, ordinal, there) {
                        self.flag(Flaw::Named);
                    }
                    self.fetch(model, Owed::Item(fetch, source, ordinal, chunk));
                }
            }
            Ask::Cancel { fetch, .. } => {
                self.excuse(|owed| fetch_of(owed) == Some(fetch));
                self.forget(model, |owed| fetch_of(owed) == Some(fetch));
            }
            Ask::Close { source, reason } => self.close(model, source, &reason),
            Ask::Seal { header } => self.seal(model, &header),
            Ask::Publish => {
                if !self.sealed {
                    self.flag(Flaw::Hollow);
                }
                self.owed.insert(Owed::Publish);
            }
            Ask::Done(outcome) => self.done(model, &outcome),
        }
    }

    fn open(&mut self, model: &RecoveryWorld, source: SourceId, index: usize) {
        let is_open = self.sources.values().any(|open| open.index == index);
        if self.sources.len() >= model.sources_max() || is_open || self.stopped {
            self.flag(Flaw::Sources);
        }
        let fewer = u32::from(model.plant == Some(Plant::Fewer));
        if !self.was_patient && self.in_vain[index] >= model.opens_per_peer - fewer {
            self.flag(Flaw::Dials);
        }
        self.sources.insert(source, Open { index, offered: false, brought: false });
        self.owed.insert(Owed::Offer(source));
    }

    fn fetch(&mut self, model: &RecoveryWorld, item: Owed) {
        let Owed::Item(_, source, ordinal, chunk) = item else { return };
        let on_its_way = |owed: &Owed| matches!(owed, Owed::Item(_, _, o, c) if (*o, *c) == (ordinal, chunk));
        if self.owed.iter().any(on_its_way) {
            self.flag(Flaw::Pending);
        }
        if self.content(ordinal, chunk).is_none_or(|content| self.ever.contains(&content)) {
            self.flag(Flaw::Again);
        }
        let fewer = u32::from(model.plant == Some(Plant::Fewer));
        let times = self.asked.entry((source, ordinal, chunk)).or_default();
        *times += 1;
        if *times > model.attempts_per_source - fewer {
            self.flag(Flaw::Attempts);
        }
        self.owed.insert(item);
    }

    fn close(&mut self, model: &RecoveryWorld, source: SourceId, reason: &CloseReason) {
        let Some(Open { index, brought, .. }) = self.sources.remove(&source) else {
            return self.flag(Flaw::Sources);
        };
        let is_wrong = |mark: &Mark| self.unkept.contains(mark);
        if matches!(reason, CloseReason::BadManifest(_))
            && !self.wrong.contains(&source)
            && !model.peers[index].has.iter().any(is_wrong)
        {
            self.flag(Flaw::Blamed);
        }
        let is_blameless = matches!(reason, CloseReason::OtherManifest | CloseReason::NotNeeded);
        if matches!(reason, CloseReason::BadManifest(_)) && !self.wrong.contains(&source) {
            self.dismiss(index);
        }
        self.in_vain[index] = if brought { 0 } else { self.in_vain[index] + u32::from(!is_blameless) };
        self.asked.retain(|(of, ..), _| *of != source);
        self.forget(model, |owed| source_of(owed) == Some(source));
    }

    /// What is owed no longer.
    fn forget(&mut self, model: &RecoveryWorld, is_over: impl Fn(&Owed) -> bool) {
        if model.plant == Some(Plant::Deaf) {
            return;
        }
        self.late.extend(self.owed.iter().filter(|owed| is_over(owed)));
        self.owed.retain(|owed| !is_over(owed));
        self.in_hand.retain(|owed| !is_over(owed));
    }

    fn done(&mut self, model: &RecoveryWorld, outcome: &Outcome) {
        let fits = match outcome {
            Outcome::Published { .. } => self.sealed,
            Outcome::Incomplete { gaps, entries, peers } => {
                *entries > 0 && !gaps.is_empty() && peers.iter().all(|peer| peer.opens > 0)
            }
            Outcome::NoSource { peers } => peers.iter().all(|peer| peer.opens > 0 && peer.ended.is_some()),
            Outcome::LevelMissed { level, required, left, .. } => {
                *level == self.level && left < required && levels::compares(model.agreement.kind, *level)
            }
            Outcome::Failed { .. } => self.store_failed,
            Outcome::Aborted { .. } => self.stopped,
            _ => false,
        };
        // The store may still answer what nobody waits for.
        self.late.extend(self.owed.take(&Owed::Seal));
        self.late.extend(self.owed.take(&Owed::Admit));
        if !fits || !self.sources.is_empty() || !self.owed.is_empty() {
            self.flag(Flaw::Outcome);
        }
    }

    /// Whoever waits for a level says so, and until when.
    fn wait(&mut self, model: &RecoveryWorld) {
        let status = self.job.status();
        let is_asking = self.owed.iter().any(|owed| matches!(owed, Owed::Offer(_)));
        if !levels::compares(model.agreement.kind, self.level) || status.phase != Phase::Opening || is_asking
        {
            return;
        }
        let until = status.waiting.and_then(|waiting| {
            let WaitReason::Level { level, until, .. } = waiting.reason else { return None };
            until.filter(|_| level == self.level)
        });
        if until.is_none() || until != self.job.poll_timeout() {
            self.flag(Flaw::Silent);
        }
    }

    /// What an operator sees: it never falls while the total is the same.
    fn show(&mut self) {
        let status = self.job.status();
        let Some(total) = status.total else {
            self.shown = None;
            return;
        };
        let before = self.shown.filter(|(of, _)| *of == total).map(|(_, done)| done).unwrap_or_default();
        if status.done.entries < before.entries || status.done.bytes < before.bytes {
            self.flag(Flaw::Fell);
        }
        if status.done.entries > total.entries || status.done.bytes > total.bytes {
            self.flag(Flaw::Fell);
        }
        self.shown = Some((total, status.done));
    }
}

pub(super) fn fetch_of(owed: &Owed) -> Option<FetchId> {
    match owed {
        Owed::Item(fetch, ..) => Some(*fetch),
        Owed::Offer(_) | Owed::Page(_) | Owed::Outline(..) | Owed::Admit | Owed::Seal | Owed::Publish => None,
    }
}

/// Whether those who failed are asked again for as long as it takes.
pub(super) fn is_patient(agreement: &Agreement) -> bool {
    levels::compares(agreement.kind, agreement.level) && agreement.level != Level::None
}

fn source_of(owed: &Owed) -> Option<SourceId> {
    match owed {
        Owed::Offer(source) | Owed::Page(source) | Owed::Outline(source, ..) | Owed::Item(_, source, ..) => {
            Some(*source)
        }
        Owed::Admit | Owed::Seal | Owed::Publish => None,
    }
}
