//! Moves a shard as the engine does, without a network.

use std::sync::Arc;

use peerstream_types::{
    ChainingValue, ChunkIndex, ChunkRange, Entry, GroupIndex, ManifestHeader, PageToken, Selector,
};

use super::{Harness, Seed, Subject};
use crate::verify::{Scheme, scheme};
use crate::{Fence, Held, Snapshot, Staging, VerifiedChunk, VerifiedOutline, VerifiedTop};

/// A snapshot and all that it lists.
pub(super) struct Offer {
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) header: ManifestHeader,
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Offer {
    /// Opens a shard that was seeded.
    pub(super) async fn of(harness: &dyn Harness, seed: &Seed) -> Self {
        let source = harness.source(seed).await;
        let snapshot = source.open(&seed.shard, &Selector::All).await;
        Self::list(snapshot.expect("a seeded shard opens"), 3).await
    }

    /// Lists a snapshot in pages of at most `limit` entries.
    pub(super) async fn list(snapshot: Arc<dyn Snapshot>, limit: usize) -> Self {
        let mut entries = Vec::new();
        let mut token = PageToken::START;
        loop {
            let page = snapshot.page(&token, limit).await.expect("a token of its own is good");
            assert!(page.entries.len() <= limit, "a page is longer than its limit");
            assert_eq!(page.next.is_none(), page.sealed.is_some(), "the last page, and only it, is sealed");
            entries.extend(page.entries.into_iter().map(Arc::new));
            if let Some(header) = page.sealed {
                return Self { snapshot, header, entries };
            }
            token = page.next.expect("a page that is not the last has a next");
        }
    }

    /// The chunks of an entry, read and verified.
    pub(super) async fn chunks(&self, entry: &Arc<Entry>) -> Vec<VerifiedChunk> {
        let size = self.header.chunk_size;
        let outlines = self.outlines(entry).await;
        let mut chunks = Vec::new();
        for index in (0..entry.chunks(size)).map(ChunkIndex) {
            let len = usize::try_from(size.len_of(index, entry.len)).expect("a chunk is small");
            let bytes = self.snapshot.read(entry.ordinal, index.0 * size.bytes(), len).await;
            let bytes = bytes.expect("a listed entry can be read");
            let outline = usize::try_from(index.group().0).ok().and_then(|group| outlines.get(group));
            let chunk = VerifiedChunk::check(entry, size, outline, index, bytes);
            chunks.push(chunk.expect("a chunk fits its manifest"));
        }
        chunks
    }

    /// The outlines of the groups of an entry, in order; none for an entry of at most one chunk.
    pub(super) async fn outlines(&self, entry: &Arc<Entry>) -> Vec<VerifiedOutline> {
        let size = self.header.chunk_size;
        match scheme(entry, size).expect("an entry can be verified") {
            Scheme::Empty | Scheme::Whole => Vec::new(),
            Scheme::Outline => {
                let values = self.values(entry, 0, size.chunks_of(GroupIndex(0), entry.len)).await;
                vec![VerifiedOutline::check(entry, size, values).expect("an outline fits its digest")]
            }
            Scheme::Groups => {
                let groups = u32::try_from(entry.groups(size)).expect("entries are small");
                let all = ChunkRange { first: ChunkIndex(0), count: groups };
                let top = VerifiedTop::check(entry, size, self.values(entry, 1, all).await);
                let top = top.expect("a top fits its digest");
                let mut outlines = Vec::new();
                for group in (0..entry.groups(size)).map(GroupIndex) {
                    let values = self.values(entry, 0, size.chunks_of(group, entry.len)).await;
                    let outline = VerifiedOutline::check_group(entry, size, &top, group, values);
                    outlines.push(outline.expect("the outline of a group fits the top"));
                }
                outlines
            }
        }
    }

    /// Chaining values that the entry has.
    pub(super) async fn values(&self, entry: &Entry, level: u8, range: ChunkRange) -> Vec<ChainingValue> {
        let values = self.snapshot.outline(entry.ordinal, level, range).await;
        values.expect("an entry of several chunks has an outline")
    }

    /// Begins and admits everything, and says what is held.
    pub(super) async fn admit(&self, staging: &dyn Staging) -> Vec<Held> {
        staging.begin(&self.begun()).await.expect("a manifest begins");
        let mut held = Vec::new();
        for page in self.entries.chunks(2) {
            held.extend(staging.admit(page.to_vec()).await.expect("a good page is admitted"));
        }
        held
    }

    /// The header as it is before the manifest is sealed.
    pub(super) fn begun(&self) -> ManifestHeader {
        ManifestHeader { digest: None, counts: Default::default(), ..self.header.clone() }
    }

    /// Stores all chunks, the last one of every entry first.
    pub(super) async fn store_all(&self, staging: &dyn Staging) {
        for entry in &self.entries {
            for chunk in self.chunks(entry).await.into_iter().rev() {
                staging.store(vec![chunk]).await.expect("a verified chunk is stored");
            }
        }
    }

    /// Everything but publish.
    pub(super) async fn seal(&self, staging: &dyn Staging) {
        self.admit(staging).await;
        self.store_all(staging).await;
        staging.seal(&self.header).await.expect("a complete shard is sealed");
    }

    pub(super) fn entry(&self, key: &str) -> &Arc<Entry> {
        let entry = self.entries.iter().find(|entry| entry.key.as_bytes() == key.as_bytes());
        entry.unwrap_or_else(|| panic!("{key} is not listed"))
    }
}

/// A writer of a seeded shard.
pub(super) async fn writer(subject: &dyn Subject, seed: &Seed, fence: u64) -> Arc<dyn Staging> {
    let staging = subject.sink().stage(&seed.shard, &Selector::All, Fence(fence)).await;
    staging.expect("a writer with the largest fence is let in")
}

/// Checks that a store serves just what was seeded.
pub(super) async fn assert_serves(subject: &dyn Subject, seed: &Seed, header: &ManifestHeader) {
    let snapshot = subject.source().open(&seed.shard, &Selector::All).await;
    let offer = Offer::list(snapshot.expect("what was published is served"), 100).await;
    assert_eq!(offer.header, *header, "what is served has the header that was published");
    assert_content(&offer, seed).await;
    let current = subject.sink().current(&seed.shard).await.expect("the visible generation is known");
    assert_eq!(current.expect("something is visible").1, *header);
}

/// Checks that a snapshot has just the content of a seed.
pub(super) async fn assert_content(offer: &Offer, seed: &Seed) {
    assert_eq!(offer.entries.len(), seed.entries.len());
    for entry in &offer.entries {
        let len = usize::try_from(entry.len).expect("entries are small");
        let content = offer.snapshot.read(entry.ordinal, 0, len).await.expect("an entry can be read");
        assert_eq!(content, *seed.content(&entry.key), "{}", entry.key);
        offer.chunks(entry).await;
    }
}

/// Checks that nothing is served and nothing is visible.
pub(super) async fn assert_nothing_visible(subject: &dyn Subject, seed: &Seed) {
    assert!(subject.source().open(&seed.shard, &Selector::All).await.is_err(), "it is served");
    assert_eq!(subject.sink().current(&seed.shard).await, Ok(None));
}
