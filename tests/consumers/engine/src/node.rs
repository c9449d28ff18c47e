//! A node of the demo, put together from its parts.

use std::error::Error;
use std::sync::Arc;

use peerstream_engine::placement::{Holder, StaticPlacement};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::offload::Inline;
use peerstream_engine::transport::{AccessRules, PeerIdentity, SharedAccess, memory::MemoryNetwork};
use peerstream_engine::types::{ClusterName, Incarnation, NodeId, WallClock};
use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, Levels, Parts};

/// A clock that stands still: ids of plans are made from it, and one run has one plan.
#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

/// Starts a node that serves or receives `orders`, and knows that the donor has them.
pub fn start(
    network: &MemoryNetwork,
    name: &str,
    port: u16,
    orders: Dataset,
) -> Result<Engine, Box<dyn Error>> {
    let (node, cluster) = (NodeId::new(name)?, ClusterName::new("demo.internal")?);
    let datasets = Datasets::new();
    datasets.insert("orders".parse()?, orders);
    let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
    let transport = Arc::new(network.node(identity, ([10, 0, 0, 1], port).into()));
    let donor = Holder::everything(NodeId::new("donor")?, ([10, 0, 0, 1], 1).into());
    let placement = Arc::new(StaticPlacement::new([donor])?);
    let access = SharedAccess::new(AccessRules::members_may_read());
    let (shaper, offload, wall_clock) =
        (Arc::new(PassThrough::default()), Arc::new(Inline), Arc::new(Stopped));
    let (incarnation, levels, seed) = (Incarnation(1), Levels::default(), 7);
    let parts = Parts {
        node,
        cluster,
        incarnation,
        transport,
        datasets,
        placement,
        levels,
        access,
        shaper,
        offload,
        wall_clock,
        seed,
    };
    Ok(Engine::start(EngineConfig::default(), parts))
}
