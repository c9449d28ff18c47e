//! Several donors serve one shard at once, over the in-memory transport: work is shared, and a donor that
//! dies, lies or has something else costs what it had under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::snapshot::{BoxFuture, MemoryStore, Overlay, Snapshot, Source, SourceError};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{ByteCount, ChunkSize, EntryKey, Operation, Ordinal, Selector, ShardId};
use peerstream_engine::{
    Dataset, Engine, EngineConfig, PlanEvent, PlanHandle, PlanOutcome, SourceProgress, StreamPlan,
};

use crate::pair::{REPLICA, content, engine_among, key, shard, within};

const CHUNK: usize = 1024;
/// One large entry of 192 chunks, and small ones.
const LARGE: usize = 192 * CHUNK;
const SMALL: usize = 40;
/// What a donor owes at the most.
const WINDOW: usize = 8 * CHUNK;
const DONORS: [(&str, ([u8; 4], u16)); 3] =
    [("donor-1", ([10, 0, 1, 1], 1)), ("donor-2", ([10, 0, 1, 2], 1)), ("donor-3", ([10, 0, 1, 3], 1))];

fn size() -> ChunkSize {
    ChunkSize::new(CHUNK as u64).unwrap()
}

/// A small window for each donor, and even a small shard is worth a session. Nothing is asked of two
/// donors because one is slow, so that every byte can be counted.
fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(WINDOW as u64);
    config.recovery.fetch_bytes = ByteCount(2 * CHUNK as u64);
    config.recovery.entry_fetch_bytes = ByteCount(2 * CHUNK as u64);
    config.recovery.join_from = ByteCount(1);
    config.recovery.twice_per_mille = 0;
    config
}

/// A donor whose reads take a millisecond each, so that nobody is done before others have joined.
#[derive(Debug, Clone)]
struct Donor {
    store: MemoryStore,
    read: Arc<AtomicU64>,
    /// Reads of this entry have a wrong bit.
    spoiled: Arc<Mutex<Option<EntryKey>>>,
}

#[derive(Debug)]
struct DonorSnapshot {
    inner: Arc<dyn Snapshot>,
    donor: Donor,
}

impl Donor {
    fn new(large_starts_at: usize) -> Self {
        let store = MemoryStore::with_chunk_size(size());
        let bytes = content(LARGE + large_starts_at);
        store.put(&shard(), key("large"), bytes[large_starts_at..].to_vec(), Vec::new());
        for at in 0..SMALL {
            store.put(&shard(), key(&format!("small/{at:02}")), content(100 + at), Vec::new());
        }
        Self { store, read: Arc::default(), spoiled: Arc::default() }
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Source for Donor {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let (inner, donor) = (self.store.open(shard, selector).await?, self.clone());
            Ok(Arc::new(DonorSnapshot { inner, donor }) as Arc<dyn Snapshot>)
        })
    }
}

impl Overlay for DonorSnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let bytes = self.inner.read(ordinal, offset, len).await?;
            self.donor.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let key = self.inner.entries(ordinal, 1).await?.remove(0).key;
            if self.donor.spoiled.lock().unwrap().as_ref() != Some(&key) {
                return Ok(bytes);
            }
            let mut spoiled = bytes.to_vec();
            spoiled[0] ^= 1;
            Ok(spoiled.into())
        })
    }
}

/// Three donors and a replica.
struct Group {
    network: MemoryNetwork,
    donors: [Donor; 3],
    sink: MemoryStore,
    _engines: Vec<Engine>,
    replica: Engine,
}

impl Group {
    fn new(donors: [Donor; 3], config: &EngineConfig) -> Self {
        let (network, sink) = (MemoryNetwork::new(), MemoryStore::with_chunk_size(size()));
        let start =
            |name, addr, dataset| engine_among(&network, name, addr, dataset, config.clone(), &DONORS);
        let engines = DONORS.iter().zip(&donors);
        let engines = engines.map(|((name, addr), donor)| {
            start(
                name,
                *addr,
                Dataset { source: Some(Arc::new(donor.clone())), sink: None, ..Dataset::default() },
            )
        });
        let engines = engines.collect();
        let replica = start(
            "replica",
            REPLICA,
            Dataset { source: None, sink: Some(Arc::new(sink.clone())), ..Dataset::default() },
        );
        Self { network, donors, sink, _engines: engines, replica }
    }

    fn bring_up(&self) -> PlanHandle {
        self.replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard())).unwrap()
    }

    /// The plan went well, and the shard is the donors'.
    async fn assert_equal(&self, outcome: &PlanOutcome) {
        assert!(outcome.is_completed(), "{outcome:?}");
        let published = self.sink.published(&shard()).expect("it is published");
        let donor = self.donors[1].store.open(&shard(), &Selector::All).await.unwrap();
        assert_eq!(published.header.digest, donor.header().digest);
        assert_eq!(published.entries[&key("large")], content(LARGE));
    }

    fn total(&self) -> u64 {
        self.sink.published(&shard()).unwrap().header.counts.bytes
    }
}

fn sources(plan: &PlanHandle) -> Vec<SourceProgress> {
    plan.state().shards[0].sources.clone()
}

fn bytes_of(plan: &PlanHandle) -> BTreeMap<String, u64> {
    sources(plan).into_iter().map(|source| (source.peer.to_string(), source.bytes)).collect()
}

/// Until so much is there.
async fn until(plan: &PlanHandle, bytes: usize) {
    while plan.state().bytes_done() < bytes as u64 {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

/// All donors give some of one shard at the same time, every byte comes once, and the status says from
/// whom.
#[tokio::test(start_paused = true)]
async fn three_donors_serve_one_shard_at_once() {
    within(async {
        let group = Group::new([Donor::new(0), Donor::new(0), Donor::new(0)], &config());
        let mut plan = group.bring_up();
        until(&plan, LARGE / 2).await;
        let half = sources(&plan);
        assert_eq!(half.len(), 3, "{half:?}");
        assert!(half.iter().all(|source| source.in_use && source.bytes > (LARGE / 16) as u64), "{half:?}");
        let outcome = (&mut plan).await;
        group.assert_equal(&outcome).await;
        let given = bytes_of(&plan);
        assert_eq!(given.values().sum::<u64>(), group.total(), "{given:?}");
        assert!(given.values().all(|bytes| *bytes > group.total() / 8), "{given:?}");
        assert!(sources(&plan).iter().all(|source| !source.in_use), "{:?}", sources(&plan));
        assert_eq!(group.sink.stats().chunks_duplicate, 0);
    })
    .await;
}

/// D6: what a dead donor owed is asked of the others, and nothing else again.
#[tokio::test(start_paused = true)]
async fn a_donor_that_dies_costs_what_it_owed() {
    within(async {
        for (dead, addr) in DONORS {
            let group = Group::new([Donor::new(0), Donor::new(0), Donor::new(0)], &config());
            let mut plan = group.bring_up();
            until(&plan, LARGE / 2).await;
            group.network.crash(addr.into());
            let outcome = (&mut plan).await;
            group.assert_equal(&outcome).await;
            assert_eq!(group.sink.stats().chunks_duplicate, 0, "what was stored is not asked again");
            let read: u64 = group.donors.iter().map(Donor::read).sum();
            assert!(read <= group.total() + WINDOW as u64, "{read} were read for {}", group.total());
            let given = bytes_of(&plan);
            assert!(given.iter().all(|(peer, bytes)| peer == dead || given[dead] < *bytes), "{given:?}");
        }
    })
    .await;
}

/// D14: a donor whose bytes are wrong is named, and others give what it cannot.
#[tokio::test(start_paused = true)]
async fn a_donor_with_bad_bytes_is_named() {
    within(async {
        for liar in 0..3 {
            let donors = [Donor::new(0), Donor::new(0), Donor::new(0)];
            *donors[liar].spoiled.lock().unwrap() = Some(key("large"));
            let group = Group::new(donors, &config());
            let plan = group.bring_up();
            let mut events = plan.events();
            let outcome = plan.await;
            group.assert_equal(&outcome).await;
            let mut named = 0;
            while let Ok(event) = events.try_recv() {
                if let PlanEvent::BadChunk { bad, .. } = event {
                    assert_eq!((bad.peer.as_str(), bad.key), (DONORS[liar].0, key("large")));
                    named += 1;
                }
            }
            assert!(named > 0);
        }
    })
    .await;
}

/// Who has something else under the shard's name gives nothing, and keeps nobody from giving.
#[tokio::test(start_paused = true)]
async fn a_donor_with_another_manifest_is_left_out() {
    within(async {
        let group = Group::new([Donor::new(0), Donor::new(0), Donor::new(7)], &config());
        let mut plan = group.bring_up();
        let mut events = plan.events();
        let outcome = (&mut plan).await;
        group.assert_equal(&outcome).await;
        let given = bytes_of(&plan);
        assert_eq!(given.keys().map(String::as_str).collect::<Vec<_>>(), ["donor-1", "donor-2"]);
        assert_eq!(group.donors[2].read(), 0);
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, PlanEvent::SourceLost { .. }), "no fault of anybody's: {event:?}");
        }
    })
    .await;
}
