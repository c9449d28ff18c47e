//! Two engines over the in-memory transport: a donor and a replica.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::placement::{Holder, StaticPlacement};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{Sink, Source, offload::Inline};
use peerstream_engine::transport::PeerIdentity;
use peerstream_engine::transport::access::{AccessRules, SharedAccess};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{ClusterName, EntryKey, Incarnation, NodeId, Operation, ShardId, WallClock};
use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, Parts, PlanHandle, StreamPlan};

/// Longest that a test may take: what hangs fails at once in virtual time.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);
pub(crate) const DONOR: ([u8; 4], u16) = ([10, 0, 0, 1], 1);
pub(crate) const REPLICA: ([u8; 4], u16) = ([10, 0, 0, 2], 1);

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

/// A donor and a replica.
pub(crate) struct Pair {
    donor: Engine,
    replica: Engine,
}

impl Pair {
    pub(crate) fn new(
        network: &MemoryNetwork,
        config: EngineConfig,
        source: Arc<dyn Source>,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let from = Dataset { source: Some(source), sink: None, ..Dataset::default() };
        let into = Dataset { source: None, sink: Some(sink), ..Dataset::default() };
        let donor = engine(network, "donor", DONOR, from, config.clone());
        let replica = engine(network, "replica", REPLICA, into, config);
        Self { donor, replica }
    }

    /// Sessions that run at the donor.
    pub(crate) fn donor_sessions(&self) -> usize {
        self.donor.sessions()
    }

    /// The replica brings the shard up.
    pub(crate) fn bring_up(&self) -> PlanHandle {
        self.replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard())).unwrap()
    }
}

pub(crate) fn engine(
    network: &MemoryNetwork,
    name: &str,
    addr: ([u8; 4], u16),
    dataset: Dataset,
    config: EngineConfig,
) -> Engine {
    engine_among(network, name, addr, dataset, config, &[("donor", DONOR)])
}

/// An engine whose placement names these holders.
pub(crate) fn engine_among(
    network: &MemoryNetwork,
    name: &str,
    addr: ([u8; 4], u16),
    dataset: Dataset,
    config: EngineConfig,
    holders: &[(&str, ([u8; 4], u16))],
) -> Engine {
    let (node, cluster) = (NodeId::new(name).unwrap(), ClusterName::new("demo.internal").unwrap());
    let datasets = Datasets::new();
    datasets.insert(shard().dataset, dataset);
    let everything = |(name, addr): &(&str, ([u8; 4], u16))| {
        Holder::everything(NodeId::new(*name).unwrap(), (*addr).into())
    };
    let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
    let parts = Parts {
        node,
        cluster,
        incarnation: Incarnation(1),
        transport: Arc::new(network.node(identity, addr.into())),
        datasets,
        placement: Arc::new(StaticPlacement::new(holders.iter().map(everything)).unwrap()),
        access: SharedAccess::new(AccessRules::members_may_read()),
        shaper: Arc::new(PassThrough::default()),
        offload: Arc::new(Inline),
        levels: Default::default(),
        wall_clock: Arc::new(Stopped),
        seed: 7,
    };
    Engine::start(config, parts)
}

pub(crate) fn shard() -> ShardId {
    "metrics@1/0".parse().unwrap()
}

pub(crate) fn key(path: &str) -> EntryKey {
    EntryKey::from_path(path).unwrap()
}

/// Bytes that differ from place to place.
pub(crate) fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// Runs a test with its deadline.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}
