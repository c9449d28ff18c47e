//! Two generations of a shard, as a peer offers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::verify::{Scheme, scheme};
use peerstream_snapshot::{Held, MemoryStore, Snapshot, Source, VerifiedChunk, VerifiedOutline};
use peerstream_types::{
    ChunkIndex, ChunkRange, ChunkSize, Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Position,
    Selector, ShardId,
};

/// Small, so that entries of many chunks are cheap.
const CHUNK: u64 = 1024;

/// A chunk of an entry. Whether equal content is kept once is the store's business.
pub(crate) type Piece = (Ordinal, u64);

/// A generation with everything that is to be stored for it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) header: ManifestHeader,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) chunks: BTreeMap<EntryKey, Vec<VerifiedChunk>>,
    pub(crate) content: BTreeMap<EntryKey, Bytes>,
}

pub(crate) fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

fn content(len: usize, salt: usize) -> Bytes {
    (0..len).map(|i| ((i / 241 + i + salt * 29) % 241) as u8).collect()
}

impl Offer {
    /// What is visible before the transfer. Some of it is in the next generation too.
    pub(crate) async fn first() -> Self {
        let files = [("a/old", 700, 1), ("empty", 0, 0), ("kept", 2500, 2), ("old", 3000, 3)];
        Self::of(&files, 1).await
    }

    /// What is received: entries of many chunks and of one, small ones, empty ones, some with the same
    /// content, some that are here already, one of them under another name.
    pub(crate) async fn second() -> Self {
        let files = [
            ("a/empty", 0, 0),
            ("a/small-1", 30, 11),
            ("a/small-2", 200, 12),
            ("a/small-3", 1, 13),
            ("b/copy", 3 * 1024 + 1, 14),
            ("b/deep/er/large", 6 * 1024 - 5, 15),
            ("b/original", 3 * 1024 + 1, 14),
            ("kept", 2500, 2),
            ("one", 1024, 16),
            ("renamed", 700, 1),
            ("z/small-1", 30, 11),
            ("z/two", 2048, 17),
        ];
        Self::of(&files, 2).await
    }

    async fn of(files: &[(&str, usize, usize)], number: u64) -> Self {
        let (peer, shard) = (MemoryStore::with_chunk_size(ChunkSize::new(CHUNK).unwrap()), shard());
        peer.create(&shard);
        for (path, len, salt) in files {
            let key = EntryKey::from_path(path).unwrap();
            peer.put(&shard, key, content(*len, *salt), Vec::new());
        }
        let token = number.to_le_bytes().to_vec();
        peer.set_position(&shard, Some(Position { log: "wal".into(), epoch: number, token }));
        peer.set_state(&shard, format!("schema {number}").into_bytes());
        let snapshot = peer.open(&shard, &Selector::All).await.unwrap();
        let (header, entries) = listed(&*snapshot).await;
        let mut offer = Self { header, entries, chunks: BTreeMap::new(), content: BTreeMap::new() };
        for entry in &offer.entries {
            let bytes = snapshot.read(entry.ordinal, 0, entry.len as usize).await.unwrap();
            offer.chunks.insert(entry.key.clone(), chunks(&*snapshot, &offer.header, entry, &bytes).await);
            offer.content.insert(entry.key.clone(), bytes);
        }
        offer
    }

    /// Every piece that the generation needs.
    pub(crate) fn pieces(&self) -> BTreeSet<Piece> {
        self.chunks.values().flatten().map(piece).collect()
    }

    /// The pieces that a staging says it holds.
    pub(crate) fn held(&self, held: &[Held]) -> BTreeSet<Piece> {
        let pieces = |held: &Held| {
            let entry = &self.entries[usize::try_from(held.ordinal.0).unwrap()];
            let indexes = held.chunks.iter().flat_map(|range| range.iter());
            let pieces: Vec<_> = indexes.map(|index| (entry.ordinal, index.0)).collect();
            assert!(pieces.iter().all(|(_, index)| *index < entry.chunks(self.header.chunk_size)));
            pieces
        };
        held.iter().flat_map(pieces).collect()
    }
}

/// Which chunk it is.
pub(crate) fn piece(chunk: &VerifiedChunk) -> Piece {
    (chunk.entry().ordinal, chunk.index().0)
}

/// The header and all entries of a snapshot.
pub(crate) async fn listed(snapshot: &dyn Snapshot) -> (ManifestHeader, Vec<Arc<Entry>>) {
    let (mut entries, mut token) = (Vec::new(), PageToken::START);
    loop {
        let page = snapshot.page(&token, 5).await.unwrap();
        entries.extend(page.entries.into_iter().map(Arc::new));
        match page.next {
            Some(next) => token = next,
            None => return (page.sealed.unwrap(), entries),
        }
    }
}

async fn chunks(
    snapshot: &dyn Snapshot,
    header: &ManifestHeader,
    entry: &Arc<Entry>,
    bytes: &Bytes,
) -> Vec<VerifiedChunk> {
    let (size, count) = (header.chunk_size, entry.chunks(header.chunk_size));
    let mut outline = None;
    if scheme(entry, size).unwrap() == Scheme::Outline {
        let range = ChunkRange { first: ChunkIndex(0), count: u32::try_from(count).unwrap() };
        let values = snapshot.outline(entry.ordinal, 0, range).await.unwrap();
        outline = Some(VerifiedOutline::check(entry, size, values).unwrap());
    }
    let chunk = |index: u64| {
        let start = (index * CHUNK) as usize;
        let part = bytes.slice(start..bytes.len().min(start + CHUNK as usize));
        VerifiedChunk::check(entry, size, outline.as_ref(), ChunkIndex(index), part).unwrap()
    };
    (0..count).map(chunk).collect()
}
