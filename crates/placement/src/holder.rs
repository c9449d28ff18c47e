//! A node that holds a shard.

use std::net::SocketAddr;

use peerstream_types::{DatasetName, NodeId};
use serde::{Deserialize, Serialize};

/// In which state a replica is (row F-21 uses it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardState {
    /// It is being brought up and cannot serve.
    Initializing,
    /// It has the data.
    Available,
    /// It has the data and will go.
    Leaving,
}

/// A node that holds shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which node; `None` where discovery knows an address only, and any member of the cluster that
    /// answers there will do.
    pub node: Option<NodeId>,
    /// Where.
    pub addr: SocketAddr,
    /// In which state its replica is.
    pub state: ShardState,
    /// Which datasets it holds; empty means every one.
    pub datasets: Vec<DatasetName>,
}

impl Holder {
    /// A node that holds every shard and is available.
    pub fn everything(node: NodeId, addr: SocketAddr) -> Self {
        Self { node: Some(node), addr, state: ShardState::Available, datasets: Vec::new() }
    }
}
