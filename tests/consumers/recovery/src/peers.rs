//! Peers by script. In the order in which they are asked: one refuses, one sends a chunk that does
//! not fit its digest, one has everything.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;

use peerstream_recovery::{Admitted, Misuse, PageIn, Recovery, Refusal, SourceId};
use peerstream_types::{
    ChunkIndex, ChunkRange, ChunkSize, Codec, Digest, Entry, EntryCounts, EntryKey, EntryKind, FetchId,
    ManifestHeader, NodeId, Ordinal, Span, Timestamp,
};

/// The peers, in the order in which the job tries candidates that it knows nothing about.
pub const NAMES: [&str; 3] = ["a-refuses", "b-lies", "c-serves"];
/// All bytes of the shard: one entry of one chunk, one of three.
pub const BYTES: u64 = 900 + 3 * 1024;

/// What the liar gets wrong.
const BAD: (Ordinal, ChunkIndex) = (Ordinal(1), ChunkIndex(1));

pub struct Peers {
    header: ManifestHeader,
    entries: Vec<Arc<Entry>>,
    /// Who stands behind a source.
    opened: BTreeMap<SourceId, &'static str>,
    /// The store: chunks that were verified and kept.
    staged: BTreeSet<(Ordinal, ChunkIndex)>,
    /// Good chunks by the peer that they came from.
    pub taken: BTreeMap<&'static str, u32>,
}

impl Peers {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let header = ManifestHeader {
            chunk_size: ChunkSize::new(1024)?,
            counts: EntryCounts { entries: 2, bytes: BYTES },
            digest: Some(Digest::Blake3([9; 32])),
            position: None,
            state: vec![],
        };
        let entries = vec![entry(0, 900)?, entry(1, BYTES - 900)?];
        let (opened, staged, taken) = Default::default();
        Ok(Self { header, entries, opened, staged, taken })
    }

    pub fn open(
        &mut self,
        job: &mut Recovery,
        now: Timestamp,
        source: SourceId,
        peer: &NodeId,
    ) -> Result<(), Misuse> {
        let name = NAMES.into_iter().find(|name| *name == peer.as_str()).expect("only candidates are opened");
        self.opened.insert(source, name);
        if name == NAMES[0] {
            let refusal = Refusal { reason: "not held here".into(), retry_after: None, permanent: true };
            return job.handle_refusal(now, source, refusal);
        }
        job.handle_offer(now, source, self.header.clone())
    }

    /// The whole manifest.
    pub fn page(&self) -> PageIn {
        PageIn::last(self.entries.clone(), self.header.clone())
    }

    /// What of it the store keeps already, whoever it came from.
    pub fn admitted(&self) -> Admitted {
        let held = self.staged.iter().map(|(ordinal, chunk)| (*ordinal, vec![ChunkRange::one(*chunk)]));
        Admitted { held: held.collect(), unusable: vec![] }
    }

    pub fn fetch(
        &mut self,
        job: &mut Recovery,
        now: Timestamp,
        source: SourceId,
        fetch: FetchId,
        spans: &[Span],
    ) -> Result<(), Misuse> {
        let peer = self.opened[&source];
        for (ordinal, chunk) in spans.iter().flat_map(|span| chunks(*span)) {
            if peer == NAMES[1] && (ordinal, chunk) == BAD {
                job.handle_bad(now, fetch, ordinal, chunk, "digest mismatch")?;
                continue;
            }
            self.staged.insert((ordinal, chunk));
            *self.taken.entry(peer).or_default() += 1;
            job.handle_stored(now, fetch, Span::chunk(ordinal, chunk))?;
        }
        job.handle_fetch_ended(now, fetch)
    }
}

fn entry(ordinal: u64, len: u64) -> Result<Arc<Entry>, Box<dyn Error>> {
    Ok(Arc::new(Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::from_path(&format!("{ordinal:06}.sst"))?,
        len,
        digest: Some(Digest::Blake3([ordinal as u8; 32])),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: vec![],
    }))
}

/// The chunks of a span. Runs of whole entries are asked for only where an entry is one chunk.
fn chunks(span: Span) -> Vec<(Ordinal, ChunkIndex)> {
    match span {
        Span::Entries { first, count } => {
            (first.0..).take(count as usize).map(|n| (Ordinal(n), ChunkIndex(0))).collect()
        }
        Span::Chunks { ordinal, range } => range.iter().map(|chunk| (ordinal, chunk)).collect(),
    }
}
