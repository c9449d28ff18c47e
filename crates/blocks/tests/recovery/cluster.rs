//! Donors with block stores that can be made to fail, and a replica to bring up.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_blocks::{Block, BlockKey, BlockOptions, BlockStore, Point, SeriesUnion, Stamp, Tags};
use peerstream_engine::placement::{Holder, StaticPlacement};
use peerstream_engine::select::{Level, LevelScope};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{BoxFuture, Overlay, Snapshot, Source, SourceError, offload::Inline};
use peerstream_engine::transport::PeerIdentity;
use peerstream_engine::transport::access::{AccessRules, SharedAccess};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{
    ClusterName, DatasetKind, Incarnation, NodeId, Operation, Ordinal, Selector, ShardId, WallClock,
};
use peerstream_engine::{
    Dataset, Datasets, Engine, EngineConfig, Levels, Parts, PlanHandle, PlanOutcome, StreamPlan,
};

/// Longest that a test may take: what hangs fails at once in virtual time.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn shard() -> ShardId {
    "metrics@1/0".parse().unwrap()
}

/// A block of a series, which has tags of its own.
pub(crate) fn key(series: &str, start_ms: i64) -> BlockKey {
    BlockKey::new(series, Tags::new([("host", "a"), ("series", series)]).unwrap(), start_ms).unwrap()
}

/// A payload of one point for each moment, all written at `stamp`.
pub(crate) fn points(stamp: u64, moments: impl IntoIterator<Item = i64>) -> Bytes {
    let point =
        |at_ms: i64| Point { at_ms, stamp: Stamp(stamp), value: format!("{at_ms} at {stamp}").into() };
    SeriesUnion::encode(&moments.into_iter().map(point).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn store() -> BlockStore {
    BlockStore::in_memory(BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) })
}

/// Everything that a store has.
pub(crate) async fn all_of(store: &BlockStore) -> BTreeMap<BlockKey, Block> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.scan(&shard(), after.as_ref(), 100).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        all.extend(page.into_iter().map(|block| (block.key.clone(), block)));
    }
}

/// The moments of the points of a block; `None` if there is no payload.
pub(crate) async fn moments(store: &BlockStore, key: &BlockKey) -> Option<Vec<i64>> {
    let payload = store.read(&shard(), key).await.unwrap()?.payload?;
    Some(SeriesUnion::decode(&payload).unwrap().into_iter().map(|point| point.at_ms).collect())
}

/// What goes wrong when a donor is read.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// How often reads of a block still have a wrong bit.
    pub(crate) spoiled: BTreeMap<BlockKey, u32>,
    /// Blocks that cannot be read.
    pub(crate) unreadable: BTreeSet<BlockKey>,
    /// How long a read takes.
    pub(crate) takes: Duration,
    /// Blocks that were read.
    pub(crate) reads: Vec<BlockKey>,
}

/// A store that is read through switches.
#[derive(Debug, Clone)]
pub(crate) struct Donor {
    pub(crate) store: BlockStore,
    pub(crate) switches: Arc<Mutex<Switches>>,
}

impl Donor {
    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches.lock().unwrap());
    }

    /// How often a block was read.
    pub(crate) fn reads(&self, key: &BlockKey) -> usize {
        self.switches.lock().unwrap().reads.iter().filter(|read| *read == key).count()
    }

    pub(crate) async fn write(&self, key: &BlockKey, payload: &[u8]) {
        self.store.write(&shard(), key, payload).await.unwrap();
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

#[derive(Debug)]
struct DonorSnapshot {
    inner: Arc<dyn Snapshot>,
    donor: Donor,
}

impl Overlay for DonorSnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let takes = self.donor.switches.lock().unwrap().takes;
            tokio::time::sleep(takes).await;
            let bytes = self.inner.read(ordinal, offset, len).await?;
            let entry = self.inner.entries(ordinal, 1).await?.remove(0);
            let key = BlockKey::from_entry(&entry.key, &entry.metadata).unwrap();
            let mut switches = self.donor.switches.lock().unwrap();
            switches.reads.push(key.clone());
            if switches.unreadable.contains(&key) {
                return Err(SourceError::Changed { ordinal, key: entry.key, why: "told to".into() });
            }
            match switches.spoiled.get_mut(&key).filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    let mut spoiled = bytes.to_vec();
                    spoiled[0] ^= 1;
                    Ok(spoiled.into())
                }
                None => Ok(bytes),
            }
        })
    }
}

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

/// Donors and a replica. With its own, the shard has a replica more than there are donors.
pub(crate) struct Cluster {
    pub(crate) donors: Vec<Donor>,
    pub(crate) engines: Vec<Engine>,
    pub(crate) replica: Engine,
    pub(crate) store: BlockStore,
    pub(crate) levels: Levels,
}

impl Cluster {
    /// Donors that each have an empty shard, and a replica that has none.
    pub(crate) async fn new(donors: usize) -> Self {
        Self::with(donors, EngineConfig::default(), store()).await
    }

    pub(crate) async fn with(donors: usize, config: EngineConfig, store: BlockStore) -> Self {
        Self::of((0..donors).map(|_| self::store()).collect(), config, store).await
    }

    /// Donors that have these stores.
    pub(crate) async fn of(stores: Vec<BlockStore>, config: EngineConfig, store: BlockStore) -> Self {
        let donors = stores.len();
        let (network, levels) = (MemoryNetwork::new(), Levels::default());
        let holders = (0..donors).map(|place| Holder::everything(name(place), addr(place)));
        let placement = Arc::new(StaticPlacement::new(holders).unwrap());
        let engine = |place: usize, node: NodeId, levels: &Levels, dataset: Dataset| {
            let (cluster, datasets) = (ClusterName::new("demo.internal").unwrap(), Datasets::new());
            datasets.insert(shard().dataset, dataset);
            let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
            let parts = Parts {
                transport: Arc::new(network.node(identity, addr(place))),
                node,
                cluster,
                incarnation: Incarnation(1),
                datasets,
                placement: placement.clone(),
                levels: levels.clone(),
                access: SharedAccess::new(AccessRules::members_may_read()),
                shaper: Arc::new(PassThrough::default()),
                offload: Arc::new(Inline),
                wall_clock: Arc::new(Stopped),
                seed: 7,
            };
            Engine::start(config.clone(), parts)
        };
        let (mut engines, mut all) = (Vec::new(), Vec::new());
        for (place, store) in stores.into_iter().enumerate() {
            let donor = Donor { store, switches: Arc::default() };
            donor.store.create(&shard()).await.unwrap();
            let source = Some(Arc::new(donor.clone()) as Arc<dyn Source>);
            let dataset = Dataset { source, kind: DatasetKind::Mergeable, ..Dataset::default() };
            engines.push(engine(place, name(place), &Levels::default(), dataset));
            all.push(donor);
        }
        let sink = Dataset {
            source: Some(Arc::new(store.clone())),
            sink: Some(Arc::new(store.clone())),
            kind: DatasetKind::Mergeable,
            positions: None,
        };
        let replica = engine(donors, NodeId::new("replica").unwrap(), &levels, sink);
        Self { donors: all, engines, replica, store, levels }
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.levels.set(LevelScope::Node, level).unwrap();
    }

    pub(crate) fn bring_up(&self) -> PlanHandle {
        self.replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard())).unwrap()
    }

    /// Brings the replica up, whatever else there is.
    pub(crate) async fn recover(&self) -> PlanOutcome {
        let outcome = self.bring_up().await;
        assert!(outcome.is_completed(), "{outcome:?}");
        outcome
    }

    /// What a donor has.
    pub(crate) async fn donor(&self, place: usize) -> BTreeMap<BlockKey, Block> {
        all_of(&self.donors[place].store).await
    }

    /// What the replica has.
    pub(crate) async fn recovered(&self) -> BTreeMap<BlockKey, Block> {
        assert!(self.store.is_ready(&shard()).await.unwrap());
        all_of(&self.store).await
    }
}

pub(crate) fn name(place: usize) -> NodeId {
    NodeId::new(format!("donor-{place}")).unwrap()
}

fn addr(place: usize) -> std::net::SocketAddr {
    ([10, 0, 0, u8::try_from(place).unwrap()], 1).into()
}

/// Runs a test with its deadline.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}

/// Until a plan says that it waits for something with these words.
pub(crate) async fn until_it_waits_for(plan: &PlanHandle, words: &str) {
    within(async {
        while !plan.state().shards[0].waiting.as_ref().is_some_and(|why| why.contains(words)) {
            assert!(plan.state().result.is_none(), "it has ended: {:?}", plan.state());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
