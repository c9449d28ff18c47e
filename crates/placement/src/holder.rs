//! A node that holds a shard.

use std::net::SocketAddr;

use peerstream_types::{DatasetName, NodeId};
use serde::{Deserialize, Serialize};

/// In which state a replica of a shard is (row F-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardState {
    /// It is being brought up and cannot serve.
    Initializing,
    /// It has the data.
    Available,
    /// It has the data and will go.
    Leaving,
    /// The host says something that this release does not know. Such a replica is not asked, and
    /// whether a level can be met is not guessed. Cannot be written in a file.
    #[serde(skip_deserializing)]
    Unknown,
}

impl ShardState {
    /// Whether a replica in this state has the data.
    pub fn can_serve(self) -> bool {
        match self {
            Self::Available | Self::Leaving => true,
            Self::Initializing | Self::Unknown => false,
        }
    }
}

/// A node that holds a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which node; `None` where discovery knows an address only, and any member of the cluster that
    /// answers there will do.
    pub node: Option<NodeId>,
    /// Where.
    pub addr: SocketAddr,
    /// In which state its replica is: in an answer, that of the shard which was asked for.
    pub state: ShardState,
    /// Which datasets it holds; empty means every one.
    pub datasets: Vec<DatasetName>,
    /// What fails together with it: a rack, a room, a region. `None` where nothing is known.
    pub zone: Option<String>,
}

impl Holder {
    /// A node that holds every shard and is available.
    pub fn everything(node: NodeId, addr: SocketAddr) -> Self {
        Self { node: Some(node), addr, state: ShardState::Available, datasets: Vec::new(), zone: None }
    }

    /// The same in a zone.
    #[must_use]
    pub fn in_zone(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }
}
