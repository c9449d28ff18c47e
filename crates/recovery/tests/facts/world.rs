//! Driver, peers and store in virtual time, from one seed. The peers refuse, stall, drop, lie, answer
//! short, twice, late or not at all; what the job asks for is checked at every step.

mod outlines;
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{
    Action, Admitted, CloseReason, Config, Fault, Outcome, OutlinePart, Recovery, Refusal, Regard, SourceId,
};
use peerstream_types::{
    ByteCount, ChunkIndex, ChunkRange, Digest, Entry, EntryKey, FetchId, ManifestHeader, NodeId, Ordinal,
    PageToken, Span, Timestamp,
};

use self::outlines::Outlines;
pub(crate) use self::peers::Mood;
use crate::support::{CHUNK, Manifest, entry, job};

/// More steps than any run may take: the largest plan takes a tenth of it.
const STEPS_MAX: u64 = 200_000;

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) lens: Vec<u64>,
    pub(crate) moods: Vec<Mood>,
    pub(crate) page_entries: usize,
    pub(crate) abort_after: Option<Duration>,
}

#[derive(Debug)]
enum Event {
    Offer(SourceId),
    Refuse(SourceId, Refusal),
    Lost(SourceId),
    Page(SourceId, PageToken),
    PageFailed(SourceId, Fault),
    Outline(SourceId, Ordinal, OutlinePart, Result<(), Fault>),
    Stored(FetchId, Ordinal, ChunkIndex),
    Bad(FetchId, Ordinal, ChunkIndex),
    Failed(FetchId, Option<Span>, Fault),
    Ended(FetchId),
    Sealed,
    Published,
    Abort,
}

type Content = (EntryKey, Option<Digest>, ChunkIndex);

pub(crate) struct World {
    job: Recovery,
    plan: Plan,
    now: Timestamp,
    dice: u64,
    steps: u64,
    events: BTreeMap<(Timestamp, u64), Event>,
    manifests: [Manifest; 2],
    staged: BTreeSet<Content>,
    opened: BTreeMap<SourceId, NodeId>,
    closed: BTreeSet<SourceId>,
    /// Fetches that the driver still carries out, with their source and what did not come of them.
    fetching: BTreeMap<FetchId, (SourceId, BTreeSet<(Ordinal, ChunkIndex)>)>,
    asked: BTreeMap<(SourceId, Ordinal, ChunkIndex), u32>,
    outlines: Outlines,
    sealed: bool,
    aborted: bool,
    outcome: Option<Outcome>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let names: Vec<String> = (0..plan.moods.len()).map(|i| format!("p{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let now = Timestamp::from_millis(500);
        let same = Manifest::new(&plan.lens);
        // Every second entry has other content, and there is one more.
        let mut entries = same.entries.clone();
        for i in (0..entries.len()).step_by(2) {
            entries[i] = entry(i as u64, plan.lens[i], 1);
        }
        entries.push(entry(entries.len() as u64, 100, 1));
        let mut world = Self {
            job: Recovery::new(now, plan.config.clone(), job(&names)).unwrap(),
            now,
            dice: plan.seed,
            steps: 0,
            events: BTreeMap::new(),
            manifests: [same, Manifest::of(1, entries)],
            staged: BTreeSet::new(),
            opened: BTreeMap::new(),
            closed: BTreeSet::new(),
            fetching: BTreeMap::new(),
            asked: BTreeMap::new(),
            outlines: Outlines::default(),
            sealed: false,
            aborted: false,
            outcome: None,
            plan,
        };
        if let Some(after) = world.plan.abort_after {
            world.at(after, Event::Abort);
        }
        world
    }

    /// Runs to the end, and then gives the job everything that is still on its way.
    pub(crate) fn run(mut self) -> Outcome {
        loop {
            while let Some(action) = self.job.poll_action() {
                self.step();
                assert!(self.outcome.is_none(), "{action:?} after the end");
                self.carry_out(action);
            }
            if self.outcome.is_some() && self.events.is_empty() {
                break;
            }
            self.step();
            self.let_time_pass();
        }
        assert_eq!(self.opened.keys().copied().collect::<BTreeSet<_>>(), self.closed, "each is closed once");
        self.check_end();
        self.outcome.unwrap()
    }

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "it does not end: {:?}", self.job.status());
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.events.insert((self.now + after, self.events.len() as u64 + (self.steps << 20)), event);
    }

    fn soon(&mut self, event: Event) {
        let after = Duration::from_millis(1 + self.roll(300));
        self.at(after, event);
    }

    fn let_time_pass(&mut self) {
        if self.outcome.is_none() && self.roll(8) == 0 {
            return self.tell_regards();
        }
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let timeout = self.job.poll_timeout();
        assert!(self.outcome.is_none() || timeout.is_none(), "a timer after the end");
        let next = event.into_iter().chain(timeout).min();
        self.now = next.unwrap_or_else(|| panic!("nothing will ever happen: {:?}", self.job.status()));
        if timeout == Some(self.now) {
            self.job.handle_timeout(self.now);
            assert!(self.job.poll_timeout().is_none_or(|at| at > self.now), "the timer spins");
        } else if let Some((_, event)) = self.events.pop_first() {
            self.deliver(event);
        }
    }

    fn in_use(&self) -> impl Iterator<Item = SourceId> {
        self.opened.keys().copied().filter(|source| !self.closed.contains(source))
    }

    fn manifest_of(&self, source: SourceId) -> &Manifest {
        let index: usize = self.opened[&source].as_str()[1..].parse().unwrap();
        &self.manifests[usize::from(self.plan.moods[index] == Mood::Different)]
    }

    fn content(&self, source: SourceId, ordinal: Ordinal, chunk: ChunkIndex) -> Content {
        let entry = &self.manifest_of(source).entries[ordinal.0 as usize];
        (entry.key.clone(), entry.digest, chunk)
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open { source, peer, .. } => {
                assert!(!self.aborted, "dialled after the abort (A25)");
                let in_use = self.opened.len() - self.closed.len();
                assert!(in_use < self.plan.config.sources_max as usize, "{in_use} sources are in use");
                assert!(!self.in_use().any(|of| self.opened[&of] == peer), "{peer} is in use");
                self.opened.insert(source, peer);
                self.dial(source);
            }
            Action::Begin { .. } => {
                assert!(self.fetching.values().all(|(_, items)| items.is_empty()), "not cancelled");
                self.asked.clear();
                self.outlines = Outlines::default();
            }
            Action::Admit { entries } => self.admit(&entries),
            Action::LeaveOut { .. } => unreachable!("nothing is merged here"),
            Action::Release { .. } => {}
            Action::List { source, token } => self.list(source, token),
            Action::Outline { source, ordinal, there, part } => {
                assert_eq!(ordinal, there);
                let entry = self.manifest_of(source).entries[ordinal.0 as usize].clone();
                self.outlines.ask(&self.job, &self.plan.config, (source, &entry, part));
                self.outline(source, ordinal, part);
            }
            Action::Fetch { source, fetch, spans, there, attempt } => {
                assert_eq!(there, spans.iter().map(|span| span.first_ordinal()).collect::<Vec<_>>());
                self.fetch(source, fetch, &spans, attempt);
            }
            Action::Cancel { source, fetch } => {
                let cancelled = self.fetching.remove(&fetch);
                let (of, items) = cancelled.expect("something to cancel");
                assert_eq!(of, source);
                for (ordinal, chunk) in items {
                    *self.asked.get_mut(&(source, ordinal, chunk)).unwrap() -= 1;
                }
            }
            Action::Close { source, reason } => {
                assert!(self.closed.insert(source), "closed twice");
                let cancelled = !matches!(reason, CloseReason::Lost(_) | CloseReason::Refused(_));
                let left = self.fetching.values().filter(|(of, items)| *of == source && !items.is_empty());
                assert!(!cancelled || left.count() == 0, "not cancelled");
                self.fetching.retain(|_, (of, _)| *of != source);
                self.outlines.closed(source);
            }
            Action::Seal { header } => self.seal(&header),
            Action::Publish => {
                assert!(self.sealed);
                self.soon(Event::Published);
            }
            Action::Done(outcome) => self.outcome = Some(outcome),
        }
    }

    /// The store takes entries: it knows what is staged.
    fn admit(&mut self, entries: &[Arc<Entry>]) {
        let mut answer = Admitted::default();
        for entry in entries {
            let held = |chunk| self.staged.contains(&(entry.key.clone(), entry.digest, ChunkIndex(chunk)));
            let chunks = (0..entry.len.div_ceil(CHUNK)).filter(|chunk| held(*chunk));
            let chunks = chunks.map(|chunk| ChunkRange::one(ChunkIndex(chunk))).collect();
            answer.held.push((entry.ordinal, chunks));
        }
        self.job.handle_admitted(self.now, answer).unwrap();
    }

    fn fetch(&mut self, source: SourceId, fetch: FetchId, spans: &[Span], attempt: u32) {
        let config = self.plan.config.clone();
        assert!(spans.len() <= config.fetch_spans as usize && attempt <= config.attempts_per_source);
        let mut items = BTreeSet::new();
        for span in spans {
            let single = matches!(span, Span::Entries { .. });
            for (ordinal, chunk) in items_of(*span) {
                let entry = &self.manifest_of(source).entries[ordinal.0 as usize];
                assert_eq!(single, entry.len <= CHUNK);
                if !single {
                    self.outlines.assert_covers(&self.job, ordinal, chunk);
                }
                let content = self.content(source, ordinal, chunk);
                assert!(!self.staged.contains(&content), "{content:?} is fetched again");
                assert!(items.insert((ordinal, chunk)), "asked twice in one fetch");
                *self.asked.entry((source, ordinal, chunk)).or_default() += 1;
                assert!(self.asked[&(source, ordinal, chunk)] <= config.attempts_per_source, "F-11");
            }
        }
        self.fetching.insert(fetch, (source, items.clone()));
        let own = self.fetching.values().filter(|(of, _)| *of == source);
        let bytes: u64 = own.map(|(of, items)| self.bytes_of(*of, items)).sum();
        assert!(bytes <= config.window.0.max(CHUNK), "{bytes} bytes are outstanding");
        self.answer(source, fetch, &items);
    }

    fn bytes_of(&self, source: SourceId, items: &BTreeSet<(Ordinal, ChunkIndex)>) -> u64 {
        let len = |ordinal: Ordinal| self.manifest_of(source).entries[ordinal.0 as usize].len;
        items.iter().map(|(ordinal, chunk)| (len(*ordinal) - chunk.0 * CHUNK).min(CHUNK)).sum()
    }

    fn seal(&mut self, header: &ManifestHeader) {
        let manifest = self.manifests.iter().find(|manifest| manifest.header == *header).unwrap();
        for entry in &manifest.entries {
            for chunk in 0..entry.len.div_ceil(CHUNK) {
                let content = (entry.key.clone(), entry.digest, ChunkIndex(chunk));
                assert!(self.staged.contains(&content), "{content:?} is missing at the seal");
            }
        }
        self.sealed = true;
        self.soon(Event::Sealed);
    }

    /// Whether the driver still stores what comes for a fetch.
    fn runs(&self, fetch: FetchId) -> bool {
        self.fetching.contains_key(&fetch)
    }

    fn deliver(&mut self, event: Event) {
        let (now, before) = (self.now, self.job.status());
        let mut late = false;
        match event {
            Event::Offer(source) => {
                let header = self.manifest_of(source).clone();
                let header = if self.roll(2) == 0 { header.unsealed() } else { header.header };
                self.job.handle_offer(now, source, header).unwrap();
            }
            Event::Refuse(source, refusal) => self.job.handle_refusal(now, source, refusal).unwrap(),
            Event::Lost(source) => self.job.handle_source_lost(now, source, "reset").unwrap(),
            Event::Page(source, token) => {
                let page = self.page(source, &token);
                self.job.handle_page(now, source, page).unwrap();
            }
            Event::PageFailed(source, fault) => self.job.handle_page_failed(now, source, fault).unwrap(),
            Event::Outline(source, ordinal, part, result) => {
                self.outlines.answered((source, ordinal, part), result.is_ok());
                self.job.handle_outline(now, source, ordinal, part, result).unwrap();
            }
            Event::Stored(fetch, ordinal, chunk) => {
                late = !self.runs(fetch);
                self.store(fetch, ordinal, chunk);
                self.job.handle_stored(now, fetch, Span::chunk(ordinal, chunk)).unwrap();
            }
            Event::Bad(fetch, ordinal, chunk) => {
                late = !self.runs(fetch);
                self.forget(fetch, Some(Span::chunk(ordinal, chunk)), false);
                self.job.handle_bad(now, fetch, ordinal, chunk, "digest mismatch").unwrap();
            }
            Event::Failed(fetch, span, fault) => {
                late = !self.runs(fetch);
                self.forget(fetch, span, matches!(fault, Fault::Busy { .. }));
                self.job.handle_fetch_failed(now, fetch, span, fault).unwrap();
            }
            Event::Ended(fetch) => {
                late = !self.runs(fetch);
                self.forget(fetch, None, false);
                self.job.handle_fetch_ended(now, fetch).unwrap();
            }
            Event::Sealed => self.job.handle_sealed(now, Ok(())).unwrap(),
            Event::Published => self.job.handle_published(now, Ok(1)).unwrap(),
            Event::Abort => {
                self.aborted = true;
                self.job.abort(now, "on request");
            }
        }
        self.outlines.forget_needless(&self.job);
        self.drop_what_others_gave();
        if late || self.outcome.is_some() {
            assert_eq!(self.job.status(), before, "a late input changed something");
        }
    }

    /// Other jobs come and go: nothing follows from that alone.
    fn tell_regards(&mut self) {
        let (before, now, dice) = (self.job.status(), self.now, self.roll(1 << 30));
        self.job.handle_regards(now, |peer| {
            let own = dice >> (peer.as_str().bytes().last().unwrap_or(0) % 8);
            let avoided_until = (own % 3 == 0).then(|| now + Duration::from_millis(own % 10_000));
            Regard { outstanding: ByteCount(own % 5000), avoided_until }
        });
        assert!(self.job.poll_action().is_none() && self.job.status() == before);
        self.job.handle_timeout(now);
    }

    fn store(&mut self, fetch: FetchId, ordinal: Ordinal, chunk: ChunkIndex) {
        let expected = self.job.expects(fetch, ordinal, chunk);
        if let Some((source, items)) = self.fetching.get_mut(&fetch) {
            let source = *source;
            assert_eq!(items.remove(&(ordinal, chunk)), expected);
            if expected {
                let content = self.content(source, ordinal, chunk);
                self.staged.insert(content);
            }
        } else {
            assert!(!expected, "a cancelled fetch expects nothing");
        }
        self.drop_if_over(fetch);
    }

    fn drop_what_others_gave(&mut self) {
        let given =
            |source: SourceId, ordinal, chunk| self.staged.contains(&self.content(source, ordinal, chunk));
        let mut given_items = Vec::new();
        for (fetch, (source, items)) in &self.fetching {
            let items = items.iter().filter(|(ordinal, chunk)| given(*source, *ordinal, *chunk));
            given_items.extend(items.map(|item| (*fetch, *item)));
        }
        for (fetch, item) in given_items {
            assert!(!self.job.expects(fetch, item.0, item.1), "it is there");
            self.fetching.get_mut(&fetch).unwrap().1.remove(&item);
        }
    }

    fn forget(&mut self, fetch: FetchId, span: Option<Span>, busy: bool) {
        let Some((source, items)) = self.fetching.get_mut(&fetch) else { return };
        let over: Vec<_> = match span {
            Some(span) => items_of(span).into_iter().filter(|item| items.contains(item)).collect(),
            None => items.iter().copied().collect(),
        };
        for item in over {
            items.remove(&item);
            if busy {
                *self.asked.get_mut(&(*source, item.0, item.1)).unwrap() -= 1;
            }
        }
        self.drop_if_over(fetch);
    }

    fn drop_if_over(&mut self, fetch: FetchId) {
        if self.fetching.get(&fetch).is_some_and(|(_, items)| items.is_empty()) {
            self.fetching.remove(&fetch);
        }
    }

    fn check_end(&self) {
        let honest = (0..self.plan.moods.len()).find(|i| self.plan.moods[*i].is_honest());
        match self.outcome.as_ref().unwrap() {
            Outcome::Published { generation } => assert!(*generation == 1 && self.sealed),
            Outcome::Incomplete { entries, gaps, .. } => {
                assert_eq!(honest, None, "an honest peer has everything");
                assert!(*entries > 0 && !gaps.is_empty());
            }
            Outcome::NoSource { peers } => {
                assert_eq!(honest, None, "an honest peer has everything");
                assert!(peers.iter().all(|report| report.opens > 0 && report.ended.is_some()));
                assert_eq!(peers.len(), self.plan.moods.len());
            }
            Outcome::Aborted { .. } => assert!(self.aborted),
            other => panic!("{other:?}"),
        }
    }
}

fn items_of(span: Span) -> Vec<(Ordinal, ChunkIndex)> {
    match span {
        Span::Entries { first, count } => {
            (first.0..first.0 + u64::from(count)).map(|ordinal| (Ordinal(ordinal), ChunkIndex(0))).collect()
        }
        Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal, chunk)).collect(),
    }
}
