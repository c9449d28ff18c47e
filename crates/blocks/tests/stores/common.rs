//! Moves blocks between stores as the engine does, without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use peerstream_blocks::{Block, BlockKey, BlockStore, MergeHook, Point, SeriesUnion, Stamp, Tags};
use peerstream_snapshot::verify::{Scheme, scheme};
use peerstream_snapshot::{
    BoxFuture, Fence, Generation, Sink, SinkError, Snapshot, Source, Staging, VerifiedChunk, VerifiedOutline,
    VerifiedTop,
};
use peerstream_types::{
    ChunkIndex, ChunkRange, Entry, GroupIndex, ManifestHeader, Ordinal, PageToken, Position, Selector,
    ShardId,
};

pub(crate) fn shard() -> ShardId {
    "metrics@1/0".parse().unwrap()
}

pub(crate) fn key(series: &str, start_ms: i64) -> BlockKey {
    BlockKey::new(series, Tags::new([("host", "a"), ("zone", series)]).unwrap(), start_ms).unwrap()
}

/// A payload of points, all written at `stamp`.
pub(crate) fn points(stamp: u64, values: &[(i64, &'static str)]) -> Bytes {
    let point = |(at_ms, value): &(i64, &'static str)| Point {
        at_ms: *at_ms,
        stamp: Stamp(stamp),
        value: Bytes::from_static(value.as_bytes()),
    };
    SeriesUnion::encode(&values.iter().map(point).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn position(token: u64) -> Position {
    Position { log: "wal".into(), epoch: 1, token: token.to_be_bytes().to_vec() }
}

/// Everything that a store has under its keys.
pub(crate) async fn all_of(store: &BlockStore) -> BTreeMap<BlockKey, Block> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.scan(&shard(), after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        all.extend(page.into_iter().map(|block| (block.key.clone(), block)));
    }
}

/// The payload of a block as points, moment and value.
pub(crate) async fn read(store: &BlockStore, key: &BlockKey) -> Option<Vec<(i64, Bytes)>> {
    let payload = store.read(&shard(), key).await.unwrap()?.payload?;
    let points = SeriesUnion::decode(&payload).unwrap();
    Some(points.into_iter().map(|point| (point.at_ms, point.value)).collect())
}

/// What the merge of stores is, by the rules alone.
pub(crate) fn merged(stores: &[BTreeMap<BlockKey, Block>]) -> BTreeMap<BlockKey, Block> {
    let mut all: BTreeMap<BlockKey, Block> = BTreeMap::new();
    for block in stores.iter().flat_map(BTreeMap::values) {
        let ours = all.entry(block.key.clone()).or_insert_with(|| block.clone());
        ours.deleted = ours.deleted.max(block.deleted);
        let payload = match (&ours.payload, &block.payload) {
            (Some(a), Some(b)) => Some(SeriesUnion.merge(Some(a), b).unwrap()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        ours.payload = match (payload, ours.deleted) {
            (Some(payload), Some(stamp)) => SeriesUnion.after_delete(&payload, stamp).unwrap(),
            (payload, _) => payload,
        };
    }
    all
}

/// A snapshot and all that it lists.
pub(crate) struct Offer {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) header: ManifestHeader,
    pub(crate) entries: Vec<Arc<Entry>>,
}

impl Offer {
    pub(crate) async fn of(source: &dyn Source) -> Self {
        Self::list(source.open(&shard(), &Selector::All).await.unwrap()).await
    }

    pub(crate) async fn list(snapshot: Arc<dyn Snapshot>) -> Self {
        let (mut entries, mut token) = (Vec::new(), PageToken::START);
        loop {
            let page = snapshot.page(&token, 2).await.unwrap();
            entries.extend(page.entries.into_iter().map(Arc::new));
            if let Some(header) = page.sealed {
                return Self { snapshot, header, entries };
            }
            token = page.next.unwrap();
        }
    }

    /// The chunks of one of its entries, checked against `as_entry`, which has its own ordinal.
    pub(crate) async fn chunks(&self, entry: &Entry, as_entry: &Arc<Entry>) -> Vec<VerifiedChunk> {
        let size = self.header.chunk_size;
        let outlines = self.outlines(entry).await;
        let mut chunks = Vec::new();
        for index in (0..entry.chunks(size)).map(ChunkIndex) {
            let len = size.len_of(index, entry.len) as usize;
            let bytes = self.snapshot.read(entry.ordinal, index.0 * size.bytes(), len).await.unwrap();
            let outline = outlines.get(index.group().0 as usize);
            chunks.push(VerifiedChunk::check(as_entry, size, outline, index, bytes).unwrap());
        }
        chunks
    }

    async fn outlines(&self, entry: &Entry) -> Vec<VerifiedOutline> {
        let size = self.header.chunk_size;
        let values = async |level, range| self.snapshot.outline(entry.ordinal, level, range).await.unwrap();
        match scheme(entry, size).unwrap() {
            Scheme::Empty | Scheme::Whole => Vec::new(),
            Scheme::Outline => {
                let chunks = values(0, size.chunks_of(GroupIndex(0), entry.len)).await;
                vec![VerifiedOutline::check(entry, size, chunks).unwrap()]
            }
            Scheme::Groups => {
                let groups = entry.groups(size);
                let all = ChunkRange { first: ChunkIndex(0), count: groups as u32 };
                let top = VerifiedTop::check(entry, size, values(1, all).await).unwrap();
                let mut outlines = Vec::new();
                for group in (0..groups).map(GroupIndex) {
                    let chunks = values(0, size.chunks_of(group, entry.len)).await;
                    outlines.push(VerifiedOutline::check_group(entry, size, &top, group, chunks).unwrap());
                }
                outlines
            }
        }
    }
}

/// The union of what sources list: every copy that differs is a variant.
pub(crate) struct Union<'a> {
    pub(crate) offers: &'a [Offer],
    /// Entries numbered through the union, and where each comes from.
    pub(crate) entries: Vec<(Arc<Entry>, usize, Arc<Entry>)>,
}

impl<'a> Union<'a> {
    pub(crate) fn of(offers: &'a [Offer]) -> Self {
        let mut all: Vec<_> =
            offers.iter().enumerate().flat_map(|(i, o)| o.entries.iter().map(move |e| (i, e))).collect();
        all.sort_by(|(_, a), (_, b)| (&a.key, a.digest).cmp(&(&b.key, b.digest)));
        all.dedup_by(|(_, a), (_, b)| a.key == b.key && a.digest == b.digest);
        let number = |(ordinal, (source, entry)): (usize, (usize, &Arc<Entry>))| {
            let numbered = Entry { ordinal: Ordinal(ordinal as u64), ..(**entry).clone() };
            (Arc::new(numbered), source, entry.clone())
        };
        Self { offers, entries: all.into_iter().enumerate().map(number).collect() }
    }

    /// What the union is sealed with: the header of the one source, or a union's own.
    pub(crate) fn header(&self) -> ManifestHeader {
        let [first, others @ ..] = self.offers else { panic!("a union has a source") };
        if others.is_empty() {
            return first.header.clone();
        }
        let tokens = self.offers.iter().filter_map(|offer| offer.header.position.clone());
        let position = tokens.min_by(|a, b| a.token.cmp(&b.token));
        ManifestHeader { position, digest: None, state: Vec::new(), ..first.header.clone() }
    }
}

/// What happens between the steps of a transfer.
pub(crate) type Between<'a> = Box<dyn FnMut(usize) -> BoxFuture<'a, ()> + 'a>;

/// One transfer, step by step.
pub(crate) struct Transfer<'a> {
    pub(crate) between: Option<Between<'a>>,
    pub(crate) steps: usize,
    /// Of what was fetched, what was there at the last checkpoint.
    pub(crate) synced: BTreeSet<(peerstream_types::EntryKey, Option<peerstream_types::Digest>)>,
    /// Entries whose content was stored, by key and digest.
    pub(crate) fetched: BTreeSet<(peerstream_types::EntryKey, Option<peerstream_types::Digest>)>,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new() -> Self {
        Self { between: None, steps: 0, synced: BTreeSet::new(), fetched: BTreeSet::new() }
    }

    pub(crate) fn with(between: Between<'a>) -> Self {
        Self { between: Some(between), ..Self::new() }
    }

    async fn step(&mut self) {
        if let Some(between) = &mut self.between {
            between(self.steps).await;
        }
        self.steps += 1;
    }

    /// Brings a store up from some sources.
    pub(crate) async fn run(
        &mut self,
        store: &BlockStore,
        offers: &[Offer],
    ) -> Result<Generation, SinkError> {
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await?;
        self.fill(&*staging, offers).await?;
        staging.publish().await
    }

    /// Everything up to publish.
    pub(crate) async fn fill(&mut self, staging: &dyn Staging, offers: &[Offer]) -> Result<(), SinkError> {
        let union = Union::of(offers);
        self.step().await;
        staging.begin(&offers[0].header).await?;
        for offer in &offers[1..] {
            self.step().await;
            staging.contribute(&offer.header).await?;
        }
        for page in union.entries.chunks(2) {
            self.step().await;
            let entries = page.iter().map(|(numbered, ..)| numbered.clone()).collect();
            let held = staging.admit(entries).await?;
            for (numbered, source, entry) in page {
                let chunks = offers[*source].chunks(entry, numbered).await;
                let held = held.iter().find(|held| held.ordinal == numbered.ordinal);
                let has = |chunk: &VerifiedChunk| {
                    held.is_some_and(|held| {
                        held.chunks.iter().any(|range| range.iter().any(|c| c == chunk.index()))
                    })
                };
                // The last chunk first: order is nothing that a staging may count on.
                for chunk in chunks.into_iter().rev().filter(|chunk| !has(chunk)) {
                    self.step().await;
                    staging.store(vec![chunk]).await?;
                    self.fetched.insert((numbered.key.clone(), numbered.digest));
                }
            }
        }
        self.step().await;
        staging.checkpoint().await?;
        self.synced.clone_from(&self.fetched);
        self.step().await;
        staging.seal(&union.header()).await?;
        self.step().await;
        Ok(())
    }
}

/// Brings a store up from some others as they are now.
pub(crate) async fn bring_up(store: &BlockStore, sources: &[&BlockStore]) -> Result<Generation, SinkError> {
    let mut offers = Vec::new();
    for source in sources {
        offers.push(Offer::of(*source).await);
    }
    Transfer::new().run(store, &offers).await
}
