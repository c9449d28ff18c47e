//! Facts that hold for every block store: in memory, in logs on a disk, in a tree on disk.

use std::sync::Arc;

use peerstream_blocks::limits::VARIANTS_MAX;
use peerstream_blocks::{
    BlockError, BlockKey, BlockOptions, BlockStore, LastWriter, MergeError, SeriesUnion, Stamp,
};
use peerstream_snapshot::disk::crash::CrashDisk;
#[cfg(feature = "fjall")]
use peerstream_snapshot::offload::Inline;
use peerstream_snapshot::{BoxFuture, Fence, Sink, SinkError, Source, SourceError, VerifiedChunk};
use peerstream_types::{
    ChunkIndex, ChunkSize, Digest, Entry, EntryKey, EntryKind, ManifestHeader, Ordinal, PageToken, Selector,
};

use crate::common::{Offer, Transfer, Union, all_of, bring_up, key, merged, points, position, read, shard};

/// A kind of store.
trait Kind: Sync {
    /// An empty store.
    fn store(&self, options: BlockOptions) -> BlockStore;
}

struct InMemory;

impl Kind for InMemory {
    fn store(&self, options: BlockOptions) -> BlockStore {
        BlockStore::in_memory(options)
    }
}

struct OnDisk;

impl Kind for OnDisk {
    fn store(&self, options: BlockOptions) -> BlockStore {
        BlockStore::on_disk(Arc::new(CrashDisk::new()), "blocks", options)
    }
}

#[cfg(feature = "fjall")]
struct OnFjall(tempfile::TempDir, std::sync::atomic::AtomicUsize);

#[cfg(feature = "fjall")]
impl OnFjall {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), Default::default())
    }
}

#[cfg(feature = "fjall")]
impl Kind for OnFjall {
    fn store(&self, options: BlockOptions) -> BlockStore {
        let number = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        BlockStore::on_fjall(self.0.path().join(number.to_string()), Arc::new(Inline), options).unwrap()
    }
}

/// Runs each fact with each kind of store.
macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident;)*) => {
        mod in_memory { $($(#[$doc])* #[tokio::test] async fn $fact() { super::$fact(&super::InMemory).await; })* }
        mod on_disk { $($(#[$doc])* #[tokio::test] async fn $fact() { super::$fact(&super::OnDisk).await; })* }
        #[cfg(feature = "fjall")]
        mod on_fjall {
            $($(#[$doc])* #[tokio::test] async fn $fact() { super::$fact(&super::OnFjall::new()).await; })*
        }
    };
}

facts! {
    /// F-02, F-04: a block that changes while it is listed neither repeats nor vanishes: it is listed as it was.
    a_snapshot_stays_as_it_was;
    /// F-30: writes and deletes at any step of a bootstrap are there in the end, with all that sources had.
    writes_during_bootstrap_are_merged;
    /// F-30: sources that each have a half, and other points of the same block, make a whole.
    sources_that_differ_are_merged;
    /// F-36: tags survive a transfer that was given up and repeated; lost ones are refused.
    tags_survive_every_retry;
    /// Promise 3, 4: nothing is served before publish, and no position is known.
    nothing_is_ready_before_publish;
    /// Promise 2: what was merged is not asked for again, whatever was written to the block since.
    what_was_merged_is_not_fetched_again;
    /// A delete reaches a replica that has the block, and stays deleted when an old copy comes again.
    a_delete_is_not_undone_by_an_old_copy;
    /// A replica that was away longer than deletes are remembered is refused, and whole once emptied.
    a_replica_beyond_the_horizon_is_refused;
    /// Of several sources the one that missed a forgotten delete is refused; the others go on.
    a_source_beyond_the_horizon_is_refused;
    /// A source that was announced, and of which nothing came, leaves no trace.
    a_source_that_gives_nothing_leaves_no_trace;
    /// A delete that is forgotten while sources are begun with counts before any of their data is in.
    a_delete_forgotten_meanwhile_counts;
    /// A delete that may be in what was left out is not taken for seen.
    what_was_left_out_is_not_taken_for_seen;
    /// A variant that cannot be had, and may be missing, is not asked for by seal.
    a_variant_may_be_left_out;
    /// Manifests that no honest source has are refused, with what is here unchanged.
    hostile_manifests_are_refused;
    /// A payload that cannot be merged costs its own entry only.
    a_bad_payload_costs_its_own_entry;
    /// Blocks of many chunks come in any order and are verified level by level.
    long_blocks_travel_in_chunks;
    /// One recovery per shard: the newer one fences the older.
    a_newer_recovery_fences_the_older;
    /// Ranges of keys and of time are manifests of their own.
    parts_are_served;
    /// Deletes are forgotten after the horizon, and a write that could be under one is refused.
    deletes_are_forgotten_after_the_horizon;
    /// A shard that was emptied is as if it had never been, but generations count on.
    an_emptied_shard_is_new;
    /// Peers that ask for what is not here leave nothing behind.
    unknown_shards_are_not_made;
}

fn options() -> BlockOptions {
    BlockOptions { horizon: 100, chunk_size: ChunkSize::new(1024).unwrap(), ..BlockOptions::new(SeriesUnion) }
}

/// A store that is ready, with some blocks, one of which was deleted.
async fn seeded(kind: &dyn Kind) -> BlockStore {
    let store = kind.store(options());
    store.create(&shard()).await.unwrap();
    for (series, start) in [("cpu", 0), ("cpu", 10), ("disk", 0), ("mem", -10)] {
        store
            .write(&shard(), &key(series, start), &points(100, &[(start, "a"), (start + 1, "b")]))
            .await
            .unwrap();
    }
    store.delete(&shard(), &key("disk", 0), Stamp(101)).await.unwrap();
    store.set_position(&shard(), Some(position(7))).await.unwrap();
    store
}

async fn a_snapshot_stays_as_it_was(kind: &dyn Kind) {
    let store = seeded(kind).await;
    let before = all_of(&store).await;
    let snapshot = store.open(&shard(), &Selector::All).await.unwrap();
    let held = snapshot.clone();
    let (mut entries, mut token, mut stamp) = (Vec::new(), PageToken::START, 200);
    let sealed = loop {
        let page = snapshot.page(&token, 1).await.unwrap();
        // Between two pages each block changes, one goes, one comes.
        for block in before.keys() {
            store.write(&shard(), block, &points(stamp, &[(stamp as i64, "new")])).await.unwrap();
        }
        store.delete(&shard(), &key("cpu", 0), Stamp(stamp + 1)).await.unwrap();
        store.write(&shard(), &key("aaa", stamp as i64), &points(stamp, &[(0, "x")])).await.unwrap();
        stamp += 2;
        entries.extend(page.entries);
        match page.next {
            Some(next) => token = next,
            None => break page.sealed.unwrap(),
        }
    };
    let listed: Vec<_> = entries.iter().map(|e| BlockKey::from_entry(&e.key, &e.metadata).unwrap()).collect();
    let mut keys: Vec<_> = before.keys().cloned().collect();
    keys.sort_by_key(BlockKey::to_entry_key);
    assert_eq!(listed, keys, "each once, in the order of keys");
    assert!(entries.iter().all(|entry| entry.digest.is_some()), "each with the digest of what is frozen");

    // What is read is what was listed: a store that is brought up from it has just that.
    let offer =
        Offer { snapshot, header: sealed.clone(), entries: entries.into_iter().map(Arc::new).collect() };
    let other = kind.store(options());
    Transfer::new().run(&other, &[offer]).await.unwrap();
    assert_eq!(all_of(&other).await, before);
    let newer = store.open(&shard(), &Selector::All).await.unwrap();
    assert_ne!(newer.header().digest, sealed.digest);
    assert!(newer.header().counts.entries > sealed.counts.entries);
    assert_eq!(held.header(), sealed, "who holds the older one still has it");
}

/// What the host of the receiver writes at one step of a transfer.
async fn host_writes(store: &BlockStore) {
    store.write(&shard(), &key("cpu", 0), &points(300, &[(1, "late"), (5, "c")])).await.unwrap();
    store.write(&shard(), &key("new", 0), &points(300, &[(0, "n")])).await.unwrap();
    store.delete(&shard(), &key("mem", -10), Stamp(300)).await.unwrap();
}

async fn writes_during_bootstrap_are_merged(kind: &dyn Kind) {
    let one = seeded(kind).await;
    let other = seeded(kind).await;
    other.write(&shard(), &key("cpu", 0), &points(150, &[(1, "b2"), (2, "c")])).await.unwrap();
    let offers = [Offer::of(&one).await, Offer::of(&other).await];
    let written = kind.store(options());
    host_writes(&written).await;
    let expected = merged(&[all_of(&one).await, all_of(&other).await, all_of(&written).await]);

    let mut steps = Transfer::new();
    steps.run(&kind.store(options()), &offers).await.unwrap();
    for at in 0..steps.steps {
        let store = kind.store(options());
        let writer = store.clone();
        let between = move |step: usize| {
            let writer = writer.clone();
            let write = async move {
                if step == at {
                    host_writes(&writer).await;
                }
            };
            Box::pin(write) as BoxFuture<'static, ()>
        };
        Transfer::with(Box::new(between)).run(&store, &offers).await.unwrap();
        assert_eq!(all_of(&store).await, expected, "written at step {at} of {}", steps.steps);
        let cpu = read(&store, &key("cpu", 0)).await.unwrap();
        assert_eq!(cpu, [(0, "a".into()), (1, "late".into()), (2, "c".into()), (5, "c".into())]);
    }
}

async fn sources_that_differ_are_merged(kind: &dyn Kind) {
    let sources = [kind.store(options()), kind.store(options()), kind.store(options())];
    for (index, source) in (0u64..).zip(&sources) {
        source.create(&shard()).await.unwrap();
        for start in 0..6 {
            if start % 3 == index as i64 || start == 4 {
                let values = [(start, "x"), (start + 10 + index as i64, "own")];
                source.write(&shard(), &key("cpu", start), &points(100 + index, &values)).await.unwrap();
            }
        }
        source.set_position(&shard(), Some(position(20 + index))).await.unwrap();
    }
    let store = kind.store(options());
    let [a, b, c] = &sources;
    bring_up(&store, &[a, b, c]).await.unwrap();
    assert_eq!(all_of(&store).await, merged(&[all_of(a).await, all_of(b).await, all_of(c).await]));
    assert_eq!(read(&store, &key("cpu", 4)).await.unwrap().len(), 4);
    assert_eq!(store.position(&shard()).await.unwrap(), Some(position(20)), "the least of theirs");

    // Each of them repaired from another: all end equal.
    bring_up(a, &[&store]).await.unwrap();
    assert_eq!(all_of(a).await, all_of(&store).await);
    let (ours, theirs) = (Offer::of(a).await, Offer::of(&store).await);
    let digests = |offer: &Offer| offer.entries.iter().map(|entry| entry.digest).collect::<Vec<_>>();
    assert_eq!(digests(&ours), digests(&theirs));
}

async fn tags_survive_every_retry(kind: &dyn Kind) {
    let source = seeded(kind).await;
    let offers = [Offer::of(&source).await];
    let store = kind.store(options());
    // Given up half way, twice.
    for given_up in [2, 5] {
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
        staging.begin(&offers[0].header).await.unwrap();
        staging.admit(offers[0].entries[..2].to_vec()).await.unwrap();
        let entry = &offers[0].entries[given_up % 2];
        staging.store(offers[0].chunks(entry, entry).await).await.unwrap();
    }
    Transfer::new().run(&store, &offers).await.unwrap();
    for block in all_of(&store).await.keys() {
        assert_eq!(block.tags().iter().next(), Some((&b"host"[..], &b"a"[..])), "{block:?}");
    }
    assert_eq!(all_of(&store).await, all_of(&source).await);

    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offers[0].header).await.unwrap();
    let lost = Entry { metadata: Vec::new(), ..(*offers[0].entries[0]).clone() };
    let refused = staging.admit(vec![Arc::new(lost)]).await;
    assert!(matches!(refused, Err(SinkError::BadEntry { .. })), "{refused:?}");
}

async fn nothing_is_ready_before_publish(kind: &dyn Kind) {
    let source = seeded(kind).await;
    let offers = [Offer::of(&source).await];
    let store = kind.store(options());
    assert!(store.merges(&shard()));
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    Transfer::new().fill(&*staging, &offers).await.unwrap();
    let opened = store.open(&shard(), &Selector::All).await;
    assert!(matches!(opened, Err(SourceError::NotReady { .. })), "{opened:?}");
    assert_eq!(store.current(&shard()).await, Ok(None));
    assert_eq!(store.position(&shard()).await, Ok(None));
    let generation = staging.publish().await.unwrap();
    assert_eq!(store.current(&shard()).await, Ok(Some((generation, offers[0].header.clone()))));
    assert_eq!(store.position(&shard()).await, Ok(Some(position(7))));
    assert!(store.is_ready(&shard()).await.unwrap());
    assert_eq!(Offer::of(&store).await.entries, offers[0].entries);
}

async fn what_was_merged_is_not_fetched_again(kind: &dyn Kind) {
    let source = seeded(kind).await;
    let offers = [Offer::of(&source).await];
    let store = kind.store(options());
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    Transfer::new().fill(&*staging, &offers).await.unwrap();
    drop(staging);
    host_writes(&store).await;
    let mut again = Transfer::new();
    again.run(&store, &offers).await.unwrap();
    assert!(again.fetched.is_empty(), "{:?}", again.fetched);
    let cpu = read(&store, &key("cpu", 0)).await.unwrap();
    assert_eq!(cpu, [(0, "a".into()), (1, "late".into()), (5, "c".into())]);
}

async fn a_delete_is_not_undone_by_an_old_copy(kind: &dyn Kind) {
    let (one, other) = (seeded(kind).await, seeded(kind).await);
    one.delete(&shard(), &key("cpu", 0), Stamp(200)).await.unwrap();
    bring_up(&other, &[&one]).await.unwrap();
    assert_eq!(read(&other, &key("cpu", 0)).await, None);
    // An old copy comes late, the delete first or last.
    let late = seeded(kind).await;
    bring_up(&other, &[&late]).await.unwrap();
    bring_up(&late, &[&other]).await.unwrap();
    for store in [&other, &late] {
        assert_eq!(read(store, &key("cpu", 0)).await, None);
        let block = store.read(&shard(), &key("cpu", 0)).await.unwrap().unwrap();
        assert_eq!(block.deleted, Some(Stamp(200)));
    }
    // What is written after it stays.
    late.write(&shard(), &key("cpu", 0), &points(201, &[(0, "again")])).await.unwrap();
    bring_up(&other, &[&late]).await.unwrap();
    assert_eq!(read(&other, &key("cpu", 0)).await.unwrap(), [(0, "again".into())]);
}

/// A replica, and another that has forgotten a delete which the first has missed.
async fn forgetful(kind: &dyn Kind) -> (BlockStore, BlockStore) {
    let (away, ahead) = (seeded(kind).await, seeded(kind).await);
    for store in [&away, &ahead] {
        store.mark_synced(&shard(), Stamp(150)).await.unwrap();
    }
    ahead.delete(&shard(), &key("cpu", 0), Stamp(200)).await.unwrap();
    ahead.mark_synced(&shard(), Stamp(1000)).await.unwrap();
    assert_eq!(ahead.purge(&shard(), Stamp(1000)).await.unwrap(), 2);
    assert!(ahead.read(&shard(), &key("cpu", 0)).await.unwrap().is_none());
    (away, ahead)
}

async fn a_replica_beyond_the_horizon_is_refused(kind: &dyn Kind) {
    let (away, ahead) = forgetful(kind).await;
    let before = all_of(&away).await;
    let refused = bring_up(&away, &[&ahead]).await;
    assert!(matches!(refused, Err(SinkError::BeyondHorizon { synced: 150, purged: 200, .. })), "{refused:?}");
    assert_eq!(all_of(&away).await, before);
    away.clear(&shard()).await.unwrap();
    bring_up(&away, &[&ahead]).await.unwrap();
    assert_eq!(all_of(&away).await, all_of(&ahead).await);
    assert_eq!(read(&away, &key("cpu", 0)).await, None);
    // Whole again, it may be repaired in place.
    bring_up(&away, &[&ahead]).await.unwrap();
    bring_up(&ahead, &[&away]).await.unwrap();
}

async fn a_source_beyond_the_horizon_is_refused(kind: &dyn Kind) {
    let (away, ahead) = forgetful(kind).await;
    let refused = bring_up(&ahead, &[&away]).await;
    assert!(
        matches!(refused, Err(SinkError::SourceBeyondHorizon { synced: 150, purged: 200, .. })),
        "{refused:?}"
    );

    let (stale, good) = (Offer::of(&away).await, Offer::of(&ahead).await);
    let empty = kind.store(options());
    let staging = empty.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&good.header).await.unwrap();
    let refused = staging.contribute(&stale.header).await;
    assert!(matches!(refused, Err(SinkError::SourceBeyondHorizon { .. })), "{refused:?}");
    Transfer::new().run(&empty, &[good]).await.unwrap();
    assert_eq!(all_of(&empty).await, all_of(&ahead).await);

    // The stale one first, and some of it merged: then this replica is as stale, restart or not.
    let half = kind.store(options());
    let staging = half.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    Transfer::new().fill(&*staging, &[stale]).await.unwrap();
    drop(staging);
    let staging = half.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let refused = staging.begin(&Offer::of(&ahead).await.header).await;
    assert!(matches!(refused, Err(SinkError::BeyondHorizon { synced: 150, .. })), "{refused:?}");
}

async fn a_source_that_gives_nothing_leaves_no_trace(kind: &dyn Kind) {
    let (away, ahead) = forgetful(kind).await;
    let empty = kind.store(options());
    let staging = empty.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&Offer::of(&away).await.header).await.unwrap();
    let refused = staging.contribute(&Offer::of(&ahead).await.header).await;
    assert!(matches!(refused, Err(SinkError::BeyondHorizon { synced: 150, .. })), "{refused:?}");
    drop(staging);
    bring_up(&empty, &[&ahead]).await.unwrap();
    assert_eq!(all_of(&empty).await, all_of(&ahead).await);
}

async fn a_delete_forgotten_meanwhile_counts(kind: &dyn Kind) {
    let (away, store) = (seeded(kind).await, kind.store(options()));
    away.mark_synced(&shard(), Stamp(150)).await.unwrap();
    let offers = [Offer::of(&away).await];
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offers[0].header).await.unwrap();
    staging.admit(offers[0].entries.clone()).await.unwrap();
    store.delete(&shard(), &key("cpu", 0), Stamp(200)).await.unwrap();
    assert_eq!(store.purge(&shard(), Stamp(1000)).await.unwrap(), 1);
    let entry = &offers[0].entries[0];
    let refused = staging.store(offers[0].chunks(entry, entry).await).await;
    assert!(
        matches!(refused, Err(SinkError::SourceBeyondHorizon { synced: 150, purged: 200, .. })),
        "{refused:?}"
    );
    assert_eq!(all_of(&store).await, Default::default());
}

async fn what_was_left_out_is_not_taken_for_seen(kind: &dyn Kind) {
    for left_out in [false, true] {
        let (source, store) = (seeded(kind).await, seeded(kind).await);
        source.delete(&shard(), &key("cpu", 0), Stamp(200)).await.unwrap();
        source.mark_synced(&shard(), Stamp(1000)).await.unwrap();
        let offers = [Offer::of(&source).await];
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
        staging.begin(&offers[0].header).await.unwrap();
        staging.admit(offers[0].entries.clone()).await.unwrap();
        for entry in &offers[0].entries {
            if left_out && entry.key == key("cpu", 0).to_entry_key() {
                staging.leave_out(entry.ordinal).await.unwrap();
            } else {
                staging.store(offers[0].chunks(entry, entry).await).await.unwrap();
            }
        }
        staging.seal(&offers[0].header).await.unwrap();
        staging.publish().await.unwrap();
        // It may forget what it was synced to, and nothing else.
        let forgets = store.purge(&shard(), Stamp(10_000)).await.unwrap();
        assert_eq!(forgets, if left_out { 0 } else { 2 }, "left out: {left_out}");
    }
}

async fn a_variant_may_be_left_out(kind: &dyn Kind) {
    let (one, other) = (seeded(kind).await, seeded(kind).await);
    other.write(&shard(), &key("cpu", 0), &points(150, &[(2, "c")])).await.unwrap();
    let offers = [Offer::of(&one).await, Offer::of(&other).await];
    let union = Union::of(&offers);
    let store = kind.store(options());
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offers[0].header).await.unwrap();
    staging.contribute(&offers[1].header).await.unwrap();
    staging.admit(union.entries.iter().map(|(numbered, ..)| numbered.clone()).collect()).await.unwrap();
    let mut lost = None;
    for (numbered, source, entry) in &union.entries {
        if numbered.key == key("cpu", 0).to_entry_key() && *source == 1 {
            lost = Some(numbered.ordinal);
        } else {
            staging.store(offers[*source].chunks(entry, numbered).await).await.unwrap();
        }
    }
    let incomplete = staging.seal(&union.header()).await;
    assert!(matches!(incomplete, Err(SinkError::Incomplete { missing: 1, .. })), "{incomplete:?}");
    assert!(staging.leave_out(Ordinal(99)).await.is_err());
    staging.leave_out(lost.unwrap()).await.unwrap();
    staging.seal(&union.header()).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(all_of(&store).await, all_of(&one).await);
}

async fn hostile_manifests_are_refused(kind: &dyn Kind) {
    let source = seeded(kind).await;
    let offer = Offer::of(&source).await;
    let store = seeded(kind).await;
    let before = all_of(&store).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let good = &offer.entries;
    assert!(staging.admit(good[..1].to_vec()).await.is_err(), "nothing was begun");
    let begin = |change: fn(&mut ManifestHeader)| {
        let mut header = offer.header.clone();
        change(&mut header);
        header
    };
    for bad in [
        begin(|header| header.state = vec![9]),
        begin(|header| header.state = vec![1; 60_000]),
        begin(|header| header.state.extend_from_slice(b"/2")),
    ] {
        let refused = staging.begin(&bad).await;
        assert!(matches!(refused, Err(SinkError::BadManifest(_))), "{refused:?}");
    }
    let changed = |place: usize, change: fn(&mut Entry)| {
        let mut entry = (*good[place]).clone();
        change(&mut entry);
        Arc::new(entry)
    };
    let bad_pages = [
        vec![changed(0, |entry| entry.kind = EntryKind::File)],
        vec![changed(0, |entry| entry.len = 0)],
        vec![changed(0, |entry| entry.len = 1 << 40)],
        vec![changed(0, |entry| entry.digest = None)],
        vec![changed(0, |entry| entry.key = EntryKey::from_path("a/file").unwrap())],
        vec![changed(0, |entry| entry.ordinal = Ordinal(1))],
        vec![good[0].clone(), changed(0, |entry| entry.ordinal = Ordinal(1))],
        vec![changed(1, |entry| entry.ordinal = Ordinal(0)), changed(0, |entry| entry.ordinal = Ordinal(1))],
    ];
    for page in bad_pages {
        staging.begin(&offer.header).await.unwrap();
        assert!(staging.admit(page.clone()).await.is_err(), "{page:?}");
        staging.admit(good.clone()).await.unwrap();
    }
    // One block in more copies than there are sources.
    let variant = |number: u64| {
        let digest = Some(Digest::Blake3([number as u8; 32]));
        Arc::new(Entry { ordinal: Ordinal(number), digest, ..(*good[0]).clone() })
    };
    staging.begin(&offer.header).await.unwrap();
    staging.admit((0..VARIANTS_MAX as u64).map(variant).collect()).await.unwrap();
    let last = Entry { digest: good[0].digest, ..(*variant(VARIANTS_MAX as u64)).clone() };
    assert!(matches!(staging.admit(vec![Arc::new(last)]).await, Err(SinkError::DuplicateKey(_))));
    staging.begin(&offer.header).await.unwrap();
    staging.admit(good.clone()).await.unwrap();
    let other_counts = begin(|header| header.counts.entries += 1);
    for bad in [begin(|header| header.position = None), other_counts] {
        let refused = staging.seal(&bad).await;
        assert!(matches!(refused, Err(SinkError::BadManifest(_))), "{refused:?}");
    }
    assert_eq!(all_of(&store).await, before);
}

async fn a_bad_payload_costs_its_own_entry(kind: &dyn Kind) {
    // Well hashed, and not what a series is: from a replica that merges otherwise and does not say so.
    let other =
        kind.store(BlockOptions { chunk_size: options().chunk_size, ..BlockOptions::new(LastWriter) });
    other.create(&shard()).await.unwrap();
    other.write(&shard(), &key("bad", 0), &LastWriter::encode(Stamp(1), b"x")).await.unwrap();
    let mut bad = Offer::of(&other).await;
    let good = Offer::of(&seeded(kind).await).await;
    let store = kind.store(options());
    let refused = Transfer::new().run(&store, &[Offer::of(&other).await]).await;
    assert!(matches!(refused, Err(SinkError::BadManifest(_))), "it says so: {refused:?}");

    bad.header.state.clone_from(&good.header.state);
    let offers = [good, bad];
    let union = Union::of(&offers);
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offers[0].header).await.unwrap();
    staging.contribute(&offers[1].header).await.unwrap();
    staging.admit(union.entries.iter().map(|(numbered, ..)| numbered.clone()).collect()).await.unwrap();
    let mut chunks = Vec::new();
    for (numbered, source, entry) in &union.entries {
        chunks.extend(offers[*source].chunks(entry, numbered).await);
    }
    let refused = staging.store(chunks).await;
    let Err(SinkError::BadEntry { key: named, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(named, key("bad", 0).to_entry_key());
    let place = union.entries.iter().find(|(numbered, ..)| numbered.key == named).unwrap().0.ordinal;
    staging.leave_out(place).await.unwrap();
    staging.seal(&union.header()).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(read(&store, &key("cpu", 0)).await.unwrap().len(), 2);
    let wrong = store.write(&shard(), &key("cpu", 0), b"short").await;
    assert!(matches!(wrong, Err(BlockError::Merge(MergeError::Malformed { .. }))), "{wrong:?}");
}

async fn long_blocks_travel_in_chunks(kind: &dyn Kind) {
    let source = kind.store(options());
    source.create(&shard()).await.unwrap();
    // One outline; more than one group of them; both beside a short one.
    let long: &'static str = "x".repeat(5_000).leak();
    let longer: &'static str = "y".repeat(1_500_000).leak();
    for (start, value) in [(0, long), (10, longer), (20, "z")] {
        source.write(&shard(), &key("cpu", start), &points(100, &[(start, value)])).await.unwrap();
    }
    let store = kind.store(options());
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let offer = Offer::of(&source).await;
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let mut chunks = offer.chunks(&offer.entries[0], &offer.entries[0]).await;
    assert!(chunks.len() > 2);
    chunks.remove(1);
    staging.store(chunks).await.unwrap();
    assert_eq!(store.read(&shard(), &key("cpu", 0)).await.unwrap(), None, "it is not whole");
    // Begun again, only what is missing is asked for.
    staging.begin(&offer.header).await.unwrap();
    let held = staging.admit(offer.entries.clone()).await.unwrap();
    assert_eq!(held.len(), 1);
    assert!(held[0].chunks.iter().all(|range| !range.iter().any(|chunk| chunk == ChunkIndex(1))));
    Transfer::new().fill(&*staging, &[offer]).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(all_of(&store).await, all_of(&source).await);
}

async fn a_newer_recovery_fences_the_older(kind: &dyn Kind) {
    let source = seeded(kind).await;
    let offer = Offer::of(&source).await;
    let store = kind.store(options());
    let old = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    old.begin(&offer.header).await.unwrap();
    old.admit(offer.entries.clone()).await.unwrap();
    let new = store.stage(&shard(), &Selector::All, Fence(2)).await.unwrap();
    let chunks: Vec<VerifiedChunk> = offer.chunks(&offer.entries[0], &offer.entries[0]).await;
    let results = [
        old.store(chunks).await,
        old.begin(&offer.header).await,
        old.contribute(&offer.header).await,
        old.leave_out(Ordinal(0)).await,
        old.checkpoint().await,
        old.seal(&offer.header).await,
        old.publish().await.map(drop),
        old.discard().await,
        store.stage(&shard(), &Selector::All, Fence(1)).await.map(drop),
    ];
    for result in results {
        assert!(matches!(result, Err(SinkError::Fenced { newer: 2, .. })), "{result:?}");
    }
    Transfer::new().fill(&*new, &[offer]).await.unwrap();
    new.publish().await.unwrap();
    let part = Selector::Keys { start: None, end: None };
    assert!(matches!(store.stage(&shard(), &part, Fence(3)).await, Err(SinkError::UnsupportedSelector(_))));
}

async fn parts_are_served(kind: &dyn Kind) {
    let store = kind.store(BlockOptions { block_len_ms: 10, ..options() });
    store.create(&shard()).await.unwrap();
    for start in [-10, 0, 10, 20] {
        store.write(&shard(), &key("cpu", start), &points(1, &[(start, "a")])).await.unwrap();
    }
    let starts = async |selector: Selector| {
        let offer = Offer::list(store.open(&shard(), &selector).await.unwrap()).await;
        let mut starts = Vec::new();
        for entry in &offer.entries {
            offer.chunks(entry, entry).await;
            starts.push(BlockKey::from_entry(&entry.key, &entry.metadata).unwrap().start_ms());
        }
        starts
    };
    assert_eq!(starts(Selector::Time { start_ms: -1, end_ms: 11 }).await, [-10, 0, 10]);
    assert_eq!(starts(Selector::Time { start_ms: 0, end_ms: 10 }).await, [0]);
    let from = key("cpu", 10).to_entry_key();
    assert_eq!(starts(Selector::Keys { start: Some(from.clone()), end: None }).await, [10, 20]);
    assert_eq!(starts(Selector::Entries(vec![from])).await, [10]);
}

async fn deletes_are_forgotten_after_the_horizon(kind: &dyn Kind) {
    let store = seeded(kind).await;
    store.write(&shard(), &key("disk", 0), &points(120, &[(0, "again")])).await.unwrap();
    store.delete(&shard(), &key("mem", -10), Stamp(130)).await.unwrap();
    // Nothing says that all deletes have come: the first write was at 100, so up to 99 there is none.
    assert_eq!(store.purge(&shard(), Stamp(10_000)).await.unwrap(), 0);
    store.mark_synced(&shard(), Stamp(10_000)).await.unwrap();
    assert_eq!(store.purge(&shard(), Stamp(200)).await.unwrap(), 0, "they are younger than the horizon");
    assert_eq!(store.purge(&shard(), Stamp(10_000)).await.unwrap(), 2);
    assert_eq!(store.read(&shard(), &key("mem", -10)).await.unwrap(), None);
    let again = store.read(&shard(), &key("disk", 0)).await.unwrap().unwrap();
    assert_eq!((again.deleted, again.payload), (None, Some(points(120, &[(0, "again")]))));
    let old = store.write(&shard(), &key("mem", -10), &points(130, &[(0, "back")])).await;
    assert!(matches!(old, Err(BlockError::BeyondHorizon { stamp: Stamp(130), .. })), "{old:?}");
    store.write(&shard(), &key("mem", -10), &points(131, &[(0, "new")])).await.unwrap();
}

async fn an_emptied_shard_is_new(kind: &dyn Kind) {
    let (source, store) = (seeded(kind).await, kind.store(options()));
    let first = bring_up(&store, &[&source]).await.unwrap();
    let held = store.open(&shard(), &Selector::All).await.unwrap();
    store.clear(&shard()).await.unwrap();
    assert!(all_of(&store).await.is_empty());
    assert_eq!(store.position(&shard()).await, Ok(None));
    assert!(matches!(store.open(&shard(), &Selector::All).await, Err(SourceError::NotReady { .. })));
    assert!(held.read(Ordinal(0), 0, 1).await.is_ok(), "who holds an image may go on");
    let second = bring_up(&store, &[&source]).await.unwrap();
    assert!(second > first);
    assert_eq!(all_of(&store).await, all_of(&source).await);
}

async fn unknown_shards_are_not_made(kind: &dyn Kind) {
    let store = kind.store(options());
    for _ in 0..2 {
        let opened = store.open(&shard(), &Selector::All).await;
        assert!(matches!(opened, Err(SourceError::NoSuchShard(_))), "{opened:?}");
        assert_eq!(store.current(&shard()).await, Ok(None));
        assert_eq!(store.read(&shard(), &key("cpu", 0)).await, Ok(None));
        assert!(matches!(store.scan(&shard(), None, 9).await, Err(BlockError::NoSuchShard(_))));
        assert!(!store.is_ready(&shard()).await.unwrap());
    }
}
