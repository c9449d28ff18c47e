//! An engine with the settings of the node.

use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_engine::placement::{Holder, StaticPlacement};
use peerstream_engine::shape::Shaper;
use peerstream_engine::snapshot::BlockingPool;
use peerstream_engine::transport::{AccessRules, SharedAccess};
use peerstream_engine::types::{DatasetName, Incarnation, ShardId, WallClock};
use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, Parts};
use peerstream_quic::{QuicConfig, QuicTransport};

use crate::Result;
use crate::identity::{self, SystemClock};
use crate::options::Options;

const DATASET: &str = "bench";
/// Fixed, so that runs differ in nothing that we choose.
const SEED: u64 = 3;

/// The shards `0..count` of the one dataset.
pub(crate) fn shards(count: u32) -> Result<Vec<ShardId>> {
    let dataset = dataset_name()?;
    Ok((0..count).map(|index| ShardId::new(dataset.clone(), 1, index)).collect())
}

fn dataset_name() -> Result<DatasetName> {
    Ok(DatasetName::new(DATASET)?)
}

/// The transport as the node sets it up, at another MTU where asked.
pub(crate) fn transport(options: &Options, name: &str, listen: SocketAddr) -> Result<QuicTransport> {
    let mut config = QuicConfig { own_thread: false, ..QuicConfig::default() };
    if let Some(mtu) = options.optional("mtu")? {
        config.mtu_max = mtu;
    }
    let credentials = identity::credentials(&options.path("cert-dir")?, name)?;
    Ok(QuicTransport::bind(listen, &config, &credentials, Arc::new(SystemClock))?)
}

/// Starts an engine around a store; `donors` is where to ask.
pub(crate) fn start(
    name: &str,
    transport: QuicTransport,
    pool: BlockingPool,
    store: Dataset,
    shaper: Arc<dyn Shaper>,
    donors: &[SocketAddr],
) -> Result<Engine> {
    let datasets = Datasets::new();
    datasets.insert(dataset_name()?, store);
    let mut holders = Vec::new();
    for (name, addr) in identity::DONORS.into_iter().zip(donors) {
        holders.push(Holder::everything(identity::node(name)?, *addr));
    }
    let parts = Parts {
        node: identity::node(name)?,
        cluster: identity::cluster()?,
        incarnation: Incarnation(SystemClock.unix_ms()),
        transport: Arc::new(transport),
        datasets,
        placement: Arc::new(StaticPlacement::new(holders)?),
        access: SharedAccess::new(AccessRules::members_may_read()),
        shaper,
        offload: Arc::new(pool),
        levels: Default::default(),
        wall_clock: Arc::new(SystemClock),
        seed: SEED,
    };
    Ok(Engine::start(EngineConfig::default(), parts))
}
