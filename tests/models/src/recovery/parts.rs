//! Manifests of two entries, one of two chunks and a small one, and what their sources say of them.

use std::sync::Arc;
use std::time::Duration;

use peerstream_recovery::{BackOff, Config, Job, PageIn};
use peerstream_types::{
    ByteCount, ChunkIndex, ChunkRange, ChunkSize, Codec, DatasetName, Digest, Entry, EntryCounts, EntryKey,
    EntryKind, ManifestHeader, NodeId, Ordinal, PageToken, Selector, ShardId, Span,
};

use super::RecoveryWorld;

const CHUNK: u64 = 1024;

/// A candidate, and how it says what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Which content it has: equal marks are equal manifests.
    pub mark: u8,
    /// Whether its offer has the sealed header, or only its last page.
    pub sealed: bool,
    /// Whether it lists an entry to a page, or all of them.
    pub paged: bool,
}

impl Peer {
    /// The usual one.
    pub const PLAIN: Self = Self { mark: 0, sealed: true, paged: false };
    /// One that hashes while it is asked, an entry at a time.
    pub const SLOW: Self = Self { mark: 0, sealed: false, paged: true };
    /// One with other content.
    pub const OTHER: Self = Self { mark: 1, sealed: true, paged: false };

    /// Its entries: with mark 1 the large one is another, and shorter.
    pub(super) fn entries(self) -> Vec<Arc<Entry>> {
        let large = CHUNK + 500 - u64::from(self.mark) * 100;
        vec![entry(0, large, self.mark), entry(1, 10, 0)]
    }

    pub(super) fn header(self) -> ManifestHeader {
        let entries = self.entries();
        let bytes = entries.iter().map(|entry| entry.len).sum();
        ManifestHeader {
            chunk_size: ChunkSize::new(CHUNK).expect("a power of two"),
            counts: EntryCounts { entries: entries.len() as u64, bytes },
            digest: Some(Digest::Blake3([self.mark; 32])),
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

    /// The page at a token, with what is staged of it.
    pub(super) fn page(self, token: &PageToken, is_staged: impl Fn(Content) -> bool) -> PageIn {
        let all = self.entries();
        let first = token.as_bytes().first().map_or(0, |at| usize::from(*at));
        let last = if self.paged { first + 1 } else { all.len() };
        let entries = all[first..last].to_vec();
        let held = entries.iter().map(|entry| (entry.ordinal, self.held(entry, &is_staged))).collect();
        let next = (last < all.len()).then(|| token_of(last));
        let sealed = next.is_none().then(|| self.header());
        PageIn { entries, held, next, sealed, ..PageIn::default() }
    }

    fn held(self, entry: &Entry, is_staged: &impl Fn(Content) -> bool) -> Vec<ChunkRange> {
        let chunks = (0..entry.len.div_ceil(CHUNK)).map(ChunkIndex);
        chunks.filter(|at| is_staged(self.content(entry.ordinal, *at))).map(ChunkRange::one).collect()
    }

    /// What a chunk is: its entry's key and digest, which two manifests may share.
    pub(super) fn content(self, ordinal: Ordinal, chunk: ChunkIndex) -> Content {
        (if ordinal.0 == 0 { self.mark } else { 0 }, ordinal.0, chunk.0)
    }

    /// Every chunk of its manifest.
    pub(super) fn all(self) -> Vec<Content> {
        vec![(self.mark, 0, 0), (self.mark, 0, 1), (0, 1, 0)]
    }
}

/// A chunk: whose content, which entry, which chunk of it.
pub(super) type Content = (u8, u64, u64);

fn entry(ordinal: u64, len: u64, mark: u8) -> Arc<Entry> {
    Arc::new(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("f{ordinal}")).expect("a good path"),
        len,
        digest: Some(Digest::Blake3([10 + mark + ordinal as u8 * 10; 32])),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    })
}

fn token_of(at: usize) -> PageToken {
    PageToken::new([at as u8]).expect("a short token")
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

pub(super) fn job(peers: usize) -> Job {
    let name = |at: usize| NodeId::new(format!("p{at}")).expect("a good name");
    Job {
        shard: ShardId::new(DatasetName::new("metrics").expect("a good name"), 1, 0),
        selector: Selector::All,
        candidates: (0..peers).map(name).collect(),
    }
}

/// Which candidate a name is.
pub(super) fn index_of(peer: &NodeId) -> usize {
    peer.as_str()[1..].parse().expect("one of the names above")
}

/// The chunks that a span names; a small entry is its chunk 0.
pub(super) fn items(span: Span) -> Vec<(Ordinal, ChunkIndex)> {
    match span {
        Span::Entries { first, count } => {
            (first.0..first.0 + u64::from(count)).map(|at| (Ordinal(at), ChunkIndex(0))).collect()
        }
        Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal, chunk)).collect(),
    }
}

/// The span of one chunk, as the job names it.
pub(super) fn span_of(ordinal: Ordinal, chunk: ChunkIndex) -> Span {
    if ordinal.0 == 1 { Span::entry(ordinal) } else { Span::chunk(ordinal, chunk) }
}
