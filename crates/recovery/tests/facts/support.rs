//! A driver by hand: manifests to offer, and a job whose actions are looked at one drain at a time.

use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{
    Action, Admitted, CloseReason, Config, Job, Misuse, Outcome, OutlinePart, PageIn, Recovery, Refusal,
    SourceId,
};
use peerstream_types::{
    ChunkRange, ChunkSize, Codec, DatasetName, Digest, Entry, EntryCounts, EntryKey, EntryKind, FetchId,
    GroupIndex, ManifestHeader, NodeId, Ordinal, PageToken, Selector, ShardId, Span, Timestamp,
};

pub(crate) const CHUNK: u64 = 1024;
/// The outline of an entry of one group.
pub(crate) const GROUP: OutlinePart = OutlinePart::Group(GroupIndex(0));

/// A page, with what the store will have to say about its entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) held: Vec<(Ordinal, Vec<ChunkRange>)>,
    pub(crate) unusable: Vec<(Ordinal, String)>,
    pub(crate) next: Option<PageToken>,
    pub(crate) sealed: Option<ManifestHeader>,
}

impl Listed {
    pub(crate) fn last(entries: Vec<Arc<Entry>>, sealed: ManifestHeader) -> Self {
        Self { entries, sealed: Some(sealed), ..Self::default() }
    }

    pub(crate) fn more(entries: Vec<Arc<Entry>>, next: PageToken) -> Self {
        Self { entries, next: Some(next), ..Self::default() }
    }
}

/// A manifest with what its source would list.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) header: ManifestHeader,
    pub(crate) entries: Vec<Arc<Entry>>,
}

impl Manifest {
    /// Entries of these lengths, with chunks of 1 KiB. `mark` makes another manifest and other content.
    pub(crate) fn marked(mark: u8, lens: &[u64]) -> Self {
        let entries = lens.iter().enumerate().map(|(i, len)| entry(i as u64, *len, mark)).collect();
        Self::of(mark, entries)
    }

    pub(crate) fn new(lens: &[u64]) -> Self {
        Self::marked(0, lens)
    }

    pub(crate) fn of(mark: u8, entries: Vec<Arc<Entry>>) -> Self {
        let bytes = entries.iter().map(|entry| entry.len).fold(0, u64::saturating_add);
        let header = ManifestHeader {
            chunk_size: ChunkSize::new(CHUNK).unwrap(),
            counts: EntryCounts { entries: entries.len() as u64, bytes },
            digest: Some(Digest::Blake3([mark; 32])),
            position: None,
            state: vec![mark],
        };
        Self { header, entries }
    }

    /// The header before everything is hashed.
    pub(crate) fn unsealed(&self) -> ManifestHeader {
        ManifestHeader { counts: EntryCounts::default(), digest: None, ..self.header.clone() }
    }

    /// All of it on one page.
    pub(crate) fn page(&self) -> Listed {
        Listed::last(self.entries.clone(), self.header.clone())
    }

    /// Entries `from..to`, and more to come.
    pub(crate) fn part(&self, from: usize, to: usize) -> Listed {
        Listed::more(self.entries[from..to].to_vec(), token(to as u64))
    }

    /// The rest from entry `from` on.
    pub(crate) fn rest(&self, from: usize) -> Listed {
        Listed::last(self.entries[from..].to_vec(), self.header.clone())
    }
}

pub(crate) fn entry(ordinal: u64, len: u64, mark: u8) -> Arc<Entry> {
    let mut digest = [mark; 32];
    digest[..8].copy_from_slice(&ordinal.to_be_bytes());
    Arc::new(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("f{ordinal:06}")).unwrap(),
        len,
        digest: Some(Digest::Blake3(digest)),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: format!("level={ordinal}").into_bytes(),
    })
}

pub(crate) fn token(n: u64) -> PageToken {
    PageToken::new(n.to_be_bytes()).unwrap()
}

pub(crate) fn peer(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

pub(crate) fn job(peers: &[&str]) -> Job {
    let shard = ShardId::new(DatasetName::new("metrics").unwrap(), 1, 0);
    Job::new(shard, Selector::All, peers.iter().map(|name| peer(name)).collect())
}

pub(crate) fn refusal(reason: &str, permanent: bool) -> Refusal {
    Refusal { reason: reason.into(), retry_after: None, permanent }
}

/// A job with a clock.
pub(crate) struct Hand {
    pub(crate) job: Recovery,
    pub(crate) now: Timestamp,
    /// The latest dial that was seen and not yet looked at.
    open: Option<(SourceId, NodeId)>,
    /// What the store says when it is asked to take entries.
    store: Admitted,
    /// A key that the store cannot keep.
    pub(crate) refuses: Option<String>,
}

impl Hand {
    pub(crate) fn new(peers: &[&str]) -> Self {
        Self::with(Config::default(), peers)
    }

    pub(crate) fn with(config: Config, peers: &[&str]) -> Self {
        Self::of(config, job(peers))
    }

    pub(crate) fn of(config: Config, job: Job) -> Self {
        let now = Timestamp::from_millis(1_000);
        Self {
            job: Recovery::new(now, config, job).unwrap(),
            now,
            open: None,
            store: Admitted::default(),
            refuses: None,
        }
    }

    /// What is asked, but for what the store is asked to take, which it does.
    pub(crate) fn drain(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.job.poll_action() {
            let Action::Admit { entries } = action else {
                actions.push(action);
                continue;
            };
            let refused = |entry: &&Arc<Entry>| {
                self.refuses.as_ref().is_some_and(|key| entry.key == EntryKey::from_path(key).unwrap())
            };
            if entries.iter().find(refused).is_some() {
                self.job.handle_admit_refused(self.now, "no such key here").unwrap();
                continue;
            }
            let mut answer = self.store.clone();
            let named = |ordinal: Ordinal| entries.iter().any(|entry| entry.ordinal == ordinal);
            answer.held.retain(|(ordinal, _)| named(*ordinal));
            answer.unusable.retain(|(ordinal, _)| named(*ordinal));
            self.job.handle_admitted(self.now, answer).unwrap();
        }
        for action in &actions {
            if let Action::Open { source, peer, .. } = action {
                self.open = Some((*source, peer.clone()));
            }
        }
        actions
    }

    /// The sources that are dialled now.
    pub(crate) fn opens(&mut self) -> Vec<SourceId> {
        let open = |action: Action| match action {
            Action::Open { source, .. } => Some(source),
            _ => None,
        };
        self.drain().into_iter().filter_map(open).collect()
    }

    /// Gives a page.
    #[track_caller]
    pub(crate) fn page(&mut self, source: SourceId, page: Listed) {
        self.try_page(source, page).unwrap();
    }

    pub(crate) fn try_page(&mut self, source: SourceId, page: Listed) -> Result<(), Misuse> {
        let Listed { entries, held, unusable, next, sealed } = page;
        self.store = Admitted { held, unusable };
        self.job.handle_page(self.now, source, PageIn { entries, next, sealed })
    }

    /// Lets time pass, in one step, and tells the job.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.job.handle_timeout(self.now);
    }

    /// Jumps to the next timeout.
    pub(crate) fn wait(&mut self) {
        self.now = self.job.poll_timeout().expect("it waits for time");
        self.job.handle_timeout(self.now);
    }

    /// The peer that is dialled now.
    #[track_caller]
    pub(crate) fn opened(&mut self) -> (SourceId, NodeId) {
        self.drain();
        self.open.take().expect("an open")
    }

    /// Lets the peer that is dialled now offer a manifest and list it whole; gives what is asked then.
    #[track_caller]
    pub(crate) fn listed(&mut self, manifest: &Manifest) -> (SourceId, Vec<Action>) {
        self.listed_as(manifest, manifest.page())
    }

    #[track_caller]
    pub(crate) fn listed_as(&mut self, manifest: &Manifest, page: Listed) -> (SourceId, Vec<Action>) {
        let source = self.opened().0;
        self.job.handle_offer(self.now, source, manifest.header.clone()).unwrap();
        let asked = self.drain();
        let begin = Action::Begin { header: manifest.header.clone(), joined: vec![] };
        assert_eq!(asked, [begin, Action::List { source, token: PageToken::START }]);
        self.page(source, page);
        (source, self.drain())
    }

    /// Takes part of an answer in and gives what is asked then.
    #[track_caller]
    pub(crate) fn stored(&mut self, fetch: FetchId, span: Span) -> Vec<Action> {
        self.job.handle_stored(self.now, fetch, span).unwrap();
        self.drain()
    }

    /// Stores all that is asked until nothing more is; gives the other actions.
    #[track_caller]
    pub(crate) fn store_all(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut rest = Vec::new();
        let mut queue = std::collections::VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Fetch { fetch, spans, .. } => {
                    for span in spans {
                        queue.extend(self.stored(fetch, span));
                    }
                }
                Action::Outline { source, ordinal, part, .. } => {
                    self.job.handle_outline(self.now, source, ordinal, part, Ok(())).unwrap();
                    queue.extend(self.drain());
                }
                other => rest.push(other),
            }
        }
        rest
    }

    /// The end of a job whose store does as it is told.
    #[track_caller]
    pub(crate) fn published(&mut self, sealing: &[Action]) -> Outcome {
        assert!(matches!(sealing, [Action::Seal { .. }]), "{sealing:?}");
        self.job.handle_sealed(self.now, Ok(())).unwrap();
        assert_eq!(self.drain().last(), Some(&Action::Publish));
        self.job.handle_published(self.now, Ok(7)).unwrap();
        done(&self.drain())
    }
}

/// Whose manifest an action asks for.
pub(crate) fn asked_of(action: &Action) -> Option<SourceId> {
    match action {
        Action::List { source, .. } => Some(*source),
        _ => None,
    }
}

/// A manifest of entries of 100 bytes, each with its content; all with the same state.
pub(crate) fn keyed(mark: u8, entries: &[(&str, u8)]) -> Manifest {
    let entry = |(ordinal, (key, content)): (usize, &(&str, u8))| {
        let like = entry(ordinal as u64, 100, *content);
        let digest = Some(Digest::Blake3([*content; 32]));
        Arc::new(Entry { key: EntryKey::from_path(key).unwrap(), digest, ..(*like).clone() })
    };
    let mut manifest = Manifest::of(mark, entries.iter().enumerate().map(entry).collect());
    manifest.header.state = Vec::new();
    manifest
}

/// The fetches among some actions.
pub(crate) fn fetches(actions: &[Action]) -> Vec<(FetchId, Vec<Span>)> {
    let fetch = |action: &Action| match action {
        Action::Fetch { fetch, spans, .. } => Some((*fetch, spans.clone())),
        _ => None,
    };
    actions.iter().filter_map(fetch).collect()
}

/// The only fetch among some actions.
#[track_caller]
pub(crate) fn only_fetch(actions: &[Action]) -> (FetchId, Vec<Span>) {
    let all = fetches(actions);
    assert_eq!(all.len(), 1, "{actions:?}");
    all[0].clone()
}

/// Why sources were closed.
pub(crate) fn closes(actions: &[Action]) -> Vec<CloseReason> {
    let close = |action: &Action| match action {
        Action::Close { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    actions.iter().filter_map(close).collect()
}

/// The outcome, which must be the last action.
#[track_caller]
pub(crate) fn done(actions: &[Action]) -> Outcome {
    match actions.last() {
        Some(Action::Done(outcome)) => outcome.clone(),
        other => panic!("not done: {other:?}"),
    }
}
