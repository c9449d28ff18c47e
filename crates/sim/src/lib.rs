//! A peerstream cluster in virtual time.
//!
//! Real engines, any number of them, in one thread: the clock stands still while there is work and
//! jumps when there is none, so minutes of timeouts cost milliseconds. Every choice comes from one
//! seed, and the same seed gives the same [`Trace`]. Between the nodes is one of two networks,
//! [`Network::Memory`] or real QUIC with mutual TLS over simulated links, [`Network::Quic`].
//!
//! # Example
//!
//! A replica is brought up although its first donor dies half way:
//!
//! ```
//! use std::time::Duration;
//! use peerstream_sim::{Content, Network, Sim, shard};
//!
//! Sim::new(Network::Quic, 7).run(async |world| {
//!     let donors = [world.donor("donor-1"), world.donor("donor-2")];
//!     for donor in &donors {
//!         Content::large(2, 1024 * 1024).fill(&donor.store, &shard(0), 1);
//!         donor.faults.delay_reads(Duration::from_millis(10));
//!     }
//!     let replica = world.replica("replica");
//!
//!     let plan = replica.bring_up(&[shard(0)]);
//!     world.until(|| plan.state().bytes_done() > 512 * 1024).await;
//!     world.crash(&donors[0]);
//!
//!     assert!(plan.await.is_completed());
//!     assert_eq!(replica.digest(&shard(0)).await, donors[1].digest(&shard(0)).await);
//! });
//! ```
//!
//! Your own store goes in with [`NodeSpec::with_store`] and [`OwnStore`]: it is opened each time its
//! node starts, has the same switches, and is held against the same invariants. The example `retention`
//! tests when a store may delete what it serves.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`sim`] | [`Sim`]: seed, network, limit; runs a scenario and ends it in any case |
//! | [`world`] | [`SimWorld`]: starts, crashes and restarts nodes, cuts links, breaks disks and clocks |
//! | [`node`] | [`SimNode`], [`NodeSpec`], [`shard`] |
//! | [`disk`] | [`DiskSpec`]: a disk that takes time and loses what a disk may lose |
//! | [`network`] | [`Network`], [`LinkSpec`] |
//! | [`store_faults`] | [`StoreFaults`]: switches of a store, which stalls, lies, is slow or full |
//! | [`content`] | [`Content`]: what shards are filled with |
//! | [`workload`] | [`Writer`]: keeps a shard moving while others bring it up |
//! | [`placement`] | [`SimPlacement`]: who holds what |
//! | [`seam`] | [`Seam`](seam::Seam): stands between an engine and its parts |
//! | [`watch`] | [`Watch`](watch::Watch): counts, looks, and holds a run against the invariants |
//! | [`invariant`], [`planted`] | what holds in every run, one file each; a bug for each that breaks it |
//! | [`oracle`] | equal bytes, an account of every byte, the least time that it could take |
//! | [`reach`] | [`Reach`](reach::Reach): was everything visited? |
//! | [`fault`] | [`Fault`](fault::Fault): faults as data, listed or drawn from a seed |
//! | [`scenario`] | [`Scenario`](scenario::Scenario): a whole run as data; narrows failures down |
//! | [`flows`], [`report`] | who fed whom; a run as an HTML page |
//! | [`trace`] | [`Trace`]: what happened, line by line |
//! | [`clock`], [`random`] | wall time over virtual time; chance from a seed |
//! | `fabric`, `net` | datagrams over FIFO links; either network behind one face |
//!
//! # Not here
//!
//! What a disk loses and how: that model is the store's own, `peerstream_snapshot::disk::crash`.

pub mod clock;
pub mod content;
pub mod disk;
mod fabric;
pub mod fault;
pub mod flows;
pub mod invariant;
mod net;
pub mod network;
pub mod node;
pub mod oracle;
mod panics;
pub mod placement;
pub mod planted;
pub mod random;
pub mod reach;
pub mod report;
pub mod scenario;
pub mod seam;
pub mod sim;
pub mod store_faults;
pub mod trace;
pub mod watch;
pub mod workload;
pub mod world;

pub use content::Content;
pub use disk::DiskSpec;
pub use fabric::FabricStats;
#[doc(no_inline)]
pub use peerstream_engine::Dataset;

pub use network::{LinkSpec, Network, UNLIMITED};
pub use node::{BlockSpec, NodeSpec, OwnStore, SimNode, SimStore, StoreSpec, shard};
pub use placement::SimPlacement;
pub use sim::Sim;
pub use store_faults::{Lie, SinkStep, StoreFaults};
pub use trace::Trace;
pub use workload::{BlockHistory, History, Writer};
pub use world::{Place, SimWorld};
