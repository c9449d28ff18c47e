//! Manifests of a few entries, the first of two chunks and the others small, and what their sources say
//! of them.

use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{Agreement, BackOff, Config, Job, PageIn};
use peerstream_select::Level;
use peerstream_types::{
    ByteCount, ChunkIndex, ChunkSize, Codec, DatasetName, Digest, Entry, EntryCounts, EntryKey, EntryKind,
    ManifestHeader, NodeId, Ordinal, PageToken, Selector, ShardId, Span,
};

use super::{Plant, RecoveryWorld};

const CHUNK: u64 = 1024;

/// What an entry is: its key, and which of the contents that are seen under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u8, pub u8);

impl Mark {
    /// Key `f0` has two chunks, every other one.
    pub(super) fn chunks(self) -> u64 {
        if self.0 == 0 { 2 } else { 1 }
    }

    /// No two of them have the same, so that no two manifests have as much in all.
    fn len(self) -> u64 {
        let (key, version) = (u64::from(self.0), u64::from(self.1));
        if key == 0 { CHUNK + 500 - version * 100 } else { 10 * key + version }
    }

    fn digest(self) -> Digest {
        let mut bytes = [7; 32];
        (bytes[0], bytes[1]) = (self.0, self.1);
        Digest::Blake3(bytes)
    }

    /// What an entry is that one of the candidates lists.
    pub(super) fn of(entry: &Entry) -> Self {
        match entry.digest {
            Some(Digest::Blake3(bytes)) => Self(bytes[0], bytes[1]),
            Some(_) | None => Self(u8::MAX, u8::MAX),
        }
    }

    /// Its chunks.
    pub(super) fn contents(self) -> impl Iterator<Item = Content> {
        (0..self.chunks()).map(move |chunk| (self, ChunkIndex(chunk)))
    }

    fn entry(self, ordinal: u64) -> Arc<Entry> {
        Arc::new(Entry {
            ordinal: Ordinal(ordinal),
            key: EntryKey::from_path(&format!("f{}", self.0)).expect("a good path"),
            len: self.len(),
            digest: Some(self.digest()),
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: Vec::new(),
        })
    }
}

/// A chunk of an entry.
pub(super) type Content = (Mark, ChunkIndex);

/// What such entries come to.
pub(super) fn counts(marks: &[Mark]) -> EntryCounts {
    EntryCounts { entries: marks.len() as u64, bytes: marks.iter().map(|mark| mark.len()).sum() }
}

/// A candidate, and how it says what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its entries in order of their keys. Equal ones are equal manifests.
    pub has: &'static [Mark],
    /// Whether its offer has the sealed header, or only its last page.
    pub sealed: bool,
    /// Whether it lists an entry to a page, or all of them.
    pub paged: bool,
}

impl Peer {
    /// The usual one.
    pub const PLAIN: Self = Self::with(&[Mark(0, 0), Mark(1, 0)]);
    /// One that hashes while it is asked, an entry at a time.
    pub const SLOW: Self = Self { sealed: false, paged: true, ..Self::PLAIN };
    /// One whose large entry is another, and shorter.
    pub const OTHER: Self = Self::with(&[Mark(0, 1), Mark(1, 0)]);

    /// One that has these, and lists them at once.
    pub const fn with(has: &'static [Mark]) -> Self {
        Self { has, sealed: true, paged: false }
    }

    /// The same, an entry to a page.
    pub const fn paged(self) -> Self {
        Self { paged: true, ..self }
    }

    pub(super) fn header(self) -> ManifestHeader {
        let mut digest = [9; 32];
        for (at, mark) in self.has.iter().enumerate() {
            (digest[2 * at], digest[2 * at + 1]) = (mark.0, mark.1);
        }
        ManifestHeader {
            chunk_size: ChunkSize::new(CHUNK).expect("a power of two"),
            counts: counts(self.has),
            digest: Some(Digest::Blake3(digest)),
            position: None,
            state: Vec::new(),
        }
    }

    pub(super) fn offer(self) -> ManifestHeader {
        if self.sealed {
            return self.header();
        }
        ManifestHeader { counts: EntryCounts::default(), digest: None, ..self.header() }
    }

    /// The page at a token.
    pub(super) fn page(self, token: &PageToken) -> PageIn {
        let first = token.as_bytes().first().map_or(0, |at| usize::from(*at));
        let last = if self.paged { first + 1 } else { self.has.len() };
        let listed = self.has.iter().zip(0..).skip(first).take(last - first);
        let entries = listed.map(|(mark, ordinal)| mark.entry(ordinal)).collect();
        let next = (last < self.has.len()).then(|| PageToken::new([last as u8]).expect("a short token"));
        let sealed = next.is_none().then(|| self.header());
        PageIn { entries, next, sealed }
    }
}

/// Room for everything in flight, in fetches of so many chunks. Nothing is asked of two sources at once, so
/// that every chunk has one place to come from.
pub(super) fn config(model: &RecoveryWorld) -> Config {
    let mut config = Config {
        window: ByteCount(3 * CHUNK),
        fetch_bytes: ByteCount(model.fetch_chunks * CHUNK),
        entry_fetch_bytes: ByteCount(CHUNK),
        opens_per_peer: model.opens_per_peer,
        attempts_per_source: model.attempts_per_source,
        back_off: BackOff { first: Duration::from_secs(2), cap: Duration::from_secs(2) },
        twice_per_mille: 0,
        ..Config::default()
    };
    if model.joins {
        config.join_from = ByteCount(1);
    }
    config
}

pub(super) fn job(model: &RecoveryWorld) -> Job {
    let name = |at: usize| NodeId::new(format!("p{at}")).expect("a good name");
    let shard = ShardId::new(DatasetName::new("metrics").expect("a good name"), 1, 0);
    let candidates = (0..model.peers.len()).map(name).collect();
    let level =
        if model.plant == Some(Plant::Slack) { Level::UnstrictMajority } else { model.agreement.level };
    Job { agreement: Agreement { level, ..model.agreement }, ..Job::new(shard, Selector::All, candidates) }
}

/// Which candidate a name is.
pub(super) fn index_of(peer: &NodeId) -> usize {
    peer.as_str()[1..].parse().expect("one of the names above")
}

/// The chunks that a span names, each with the ordinal that the source has for its entry, if that of the
/// first is `there`; a small entry is its chunk 0.
pub(super) fn items(span: Span, there: Ordinal) -> Vec<(Ordinal, ChunkIndex, Ordinal)> {
    match span {
        Span::Entries { first, count } => {
            let at = |n| (Ordinal(first.0 + n), ChunkIndex(0), Ordinal(there.0 + n));
            (0..u64::from(count)).map(at).collect()
        }
        Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal, chunk, there)).collect(),
    }
}
