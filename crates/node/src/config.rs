//! The configuration file: what it may say, what is assumed where it says nothing.
//!
//! Every field with its unit and its default stands in `docs/config.example.toml`, which a test
//! holds against these types. Unknown fields are refused, so that a slip is an error and never a
//! default. Paths are relative to the directory of the file.

mod consistency;
mod dataset;
mod limits;
mod load;
mod overrides;
mod placement;
mod quantity;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use peerstream_engine::EngineConfig;
use peerstream_select::SourceRules;
use peerstream_transport::AccessRules;
use peerstream_types::{ClusterName, DatasetKind, DatasetName, NodeId};
use serde::{Deserialize, Serialize};

pub use consistency::Consistency;
pub use dataset::{Dataset, Pattern, SnapshotMode, SnapshotRules};
pub use limits::{Limits, QuicLimits};
pub use load::{load, parse};
pub use overrides::{LogFormat, Overrides};
pub use placement::PlacementConfig;
pub use quantity::{Size, Wait};

/// Most shards of one dataset: what one status can show and one plan can hold.
pub const SHARDS_MAX: u32 = 4096;
/// Most versions of datasets in one file: beyond that, it is no longer a file for people.
pub const DATASETS_MAX: usize = 256;
/// Why no level is set for a dataset.
pub(crate) const CANNOT_BE_COMPARED: &str =
    "its replicas have other files for the same data and cannot be compared";
/// UDP port of a node unless it says otherwise.
pub const DEFAULT_PORT: u16 = 7400;

/// The configuration of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This node's id: a DNS label, and the one that its certificate names.
    pub node: NodeId,
    /// The cluster, as its certificates name it.
    pub cluster: ClusterName,
    /// UDP address to listen on; port 0 picks one. Default `[::]:7400`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where received shards, the boot counter and the lock are kept. Default `data`.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// What is logged, as a filter of `tracing`: `info`, `debug`, `info,peerstream_engine=debug`.
    /// Default `info`.
    #[serde(default = "default_log")]
    pub log: String,
    /// How it is logged: `text` or `json`. Default `text`.
    #[serde(default)]
    pub log_format: LogFormat,
    /// The admin socket.
    #[serde(default)]
    pub admin: Admin,
    /// Certificate, key and CA.
    pub tls: Tls,
    /// Whom to ask.
    #[serde(default, rename = "peer", skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Who holds what, if it is not the peers that say it.
    #[serde(default)]
    pub placement: PlacementConfig,
    /// How many replicas have to agree.
    #[serde(default)]
    pub consistency: Consistency,
    /// Who may be asked for data at all. Default: everybody who has it.
    #[serde(default)]
    pub sources: SourceRules,
    /// What is held here.
    #[serde(default, rename = "dataset", skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<Dataset>,
    /// Who may do what here. Default: nobody anything.
    #[serde(default)]
    pub access: AccessRules,
    /// What is bounded.
    #[serde(default)]
    pub limits: Limits,
}

/// The admin socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Path of the Unix socket. Whoever may open it may do everything, so only the node's user may.
    /// Default `<data_dir>/admin.sock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

/// What the node proves itself with, and whom it trusts. PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// CAs that vouch for members of the cluster.
    pub ca: PathBuf,
    /// This node's certificate, then its intermediates.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// A node that can be asked for data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its id. Without it, any member of the cluster that answers at the address will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Its UDP address.
    pub addr: SocketAddr,
    /// What it holds; empty means everything.
    #[serde(default)]
    pub datasets: Vec<DatasetName>,
    /// What fails together with it: a rack, a room, a region. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Config {
    /// The settings of the engine.
    pub fn engine(&self) -> EngineConfig {
        let mut config = self.limits.engine();
        self.consistency.apply(&mut config);
        config.sources = self.sources.clone();
        config
    }

    /// Whether replicas of a dataset can be compared, so that a level means anything for it.
    pub(crate) fn compares(&self, name: &DatasetName) -> bool {
        let compares = |dataset: &Dataset| dataset.name == *name && dataset.kind != DatasetKind::Local;
        self.datasets.iter().any(compares)
    }

    /// Where the admin socket is.
    pub fn admin_socket(&self) -> PathBuf {
        self.admin.socket.clone().unwrap_or_else(|| self.data_dir.join("admin.sock"))
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT)
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("data")
}

fn default_log() -> String {
    "info".to_owned()
}

#[cfg(test)]
mod tests;
