//! Moves shards between nodes.
//!
//! An [`Engine`] serves its peers and executes plans. A [`StreamPlan`] says what is to move; its
//! [`PlanHandle`] is a future of the outcome, shows the current state, gives events, and can call the
//! plan off. Any transport and any store will do: see [`Parts`].
//!
//! # Example
//!
//! An empty node is brought up from a peer, over the in-memory transport:
//!
//! ```
//! use std::sync::Arc;
//! use peerstream_engine::{Dataset, Datasets, Engine, EngineConfig, Levels, Parts, StreamPlan};
//! use peerstream_placement::{Holder, StaticPlacement};
//! use peerstream_shape::PassThrough;
//! use peerstream_snapshot::{MemoryStore, offload::Inline};
//! use peerstream_transport::access::{AccessRules, SharedAccess};
//! use peerstream_transport::memory::MemoryNetwork;
//! use peerstream_transport::PeerIdentity;
//! use peerstream_types::{ClusterName, EntryKey, Incarnation, NodeId, Operation, ShardId, WallClock};
//!
//! #[derive(Debug)]
//! struct Stopped;
//! impl WallClock for Stopped {
//!     fn unix_ms(&self) -> u64 { 1_790_000_000_000 }
//! }
//!
//! fn node(network: &MemoryNetwork, name: &str, port: u16, store: &MemoryStore) -> Engine {
//!     let (node, cluster) = (NodeId::new(name).unwrap(), ClusterName::new("demo.internal").unwrap());
//!     let datasets = Datasets::new();
//!     let both = Dataset { source: Some(Arc::new(store.clone())), sink: Some(Arc::new(store.clone())), ..Dataset::default() };
//!     datasets.insert("metrics".parse().unwrap(), both);
//!     let donor = Holder::everything(NodeId::new("donor").unwrap(), ([10, 0, 0, 1], 1).into());
//!     let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
//!     let transport = Arc::new(network.node(identity, ([10, 0, 0, 1], port).into()));
//!     Engine::start(EngineConfig::default(), Parts {
//!         node, cluster, transport, datasets,
//!         incarnation: Incarnation(1),
//!         placement: Arc::new(StaticPlacement::new([donor]).unwrap()),
//!         levels: Levels::default(),
//!         access: SharedAccess::new(AccessRules::members_may_read()),
//!         shaper: Arc::new(PassThrough::default()),
//!         offload: Arc::new(Inline),
//!         wall_clock: Arc::new(Stopped),
//!         seed: 7,
//!     })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (network, full, empty) = (MemoryNetwork::new(), MemoryStore::new(), MemoryStore::new());
//! let shard: ShardId = "metrics@1/0".parse().unwrap();
//! full.put(&shard, EntryKey::from_path("000001.sst").unwrap(), "rows", Vec::new());
//!
//! let _donor = node(&network, "donor", 1, &full);
//! let replica = node(&network, "replica", 2, &empty);
//! let plan = replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard.clone())).unwrap();
//! let outcome = plan.await;
//! assert!(outcome.is_completed(), "{outcome:?}");
//! assert!(empty.published(&shard).is_some());
//! # }
//! ```
//!
//! # Map
//!
//! | module | what happens there |
//! |---|---|
//! | `engine`, `execute`, `discover`, `known`, `spread`, `transfer` | a plan becomes jobs and offers |
//! | `regards` | what is outstanding with each peer, and what is held against it |
//! | `levels` | [`Levels`]: how many replicas have to agree, while recoveries run |
//! | `job` | one shard is brought here, from all sources that have it: drives `peerstream-recovery` |
//! | `receive` | pages, outlines and content are read and **verified** |
//! | `session` | one task per session: drives `peerstream-session` |
//! | `follow`, `serve` | a peer's requests are checked and answered |
//! | `peers` | connections are dialled, accepted, greeted and kept |
//! | `io` | streams as kinds, frames and raw bytes |
//! | `visited` | what sessions and jobs came across, for simulations |
//!
//! The contracts that [`Parts`] are made of are here under short names, so that an author of a store
//! names one crate: [`placement`], [`select`], [`shape`], [`snapshot`], [`transport`], [`types`].
//!
//! # Not here
//!
//! Which source is chosen (`peerstream-recovery`), what may come when (`peerstream-session`), sockets
//! (`peerstream-quic`), files (`peerstream-snapshot`).

mod clock;
mod config;
mod discover;
mod engine;
mod execute;
mod follow;
mod io;
mod job;
mod known;
mod levels;
mod parts;
mod peers;
mod plan;
mod plans;
mod receive;
mod regards;
mod serve;
mod session;
mod shared;
mod spread;
mod transfer;
mod visited;

// Under its own name in all modules: tokio's wakes in an order that does not come again.
use peerstream_snapshot::watch;

pub use {
    peerstream_placement as placement, peerstream_select as select, peerstream_shape as shape,
    peerstream_snapshot as snapshot, peerstream_transport as transport, peerstream_types as types,
};

/// What a recovery says of the replicas, and of what it took: [`ShardProgress`] shows it.
pub use peerstream_recovery::{Findings, Found, Gap, Replica, ReplicaStanding, Standing};

pub use config::EngineConfig;
pub use engine::Engine;
pub use levels::Levels;
pub use parts::{Dataset, Datasets, Parts};
pub use peers::PeerStatus;
pub use plan::{
    BadChunk, PlanError, PlanEvent, PlanHandle, PlanOutcome, PlanResult, PlanState, ShardOutcome,
    ShardProgress, ShardResult, SourceProgress, Stage, StreamPlan, Task, TaskDirection,
};
pub use visited::Visited;
