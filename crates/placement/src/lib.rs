//! Who holds which shard, and where to reach them.
//!
//! peerstream keeps no membership of its own: it asks a [`Placement`], which a host implements over
//! whatever it has. [`StaticPlacement`] is a fixed list.
//!
//! # Example
//!
//! ```
//! use peerstream_placement::{Holder, Placement, ShardState, StaticPlacement};
//! use peerstream_types::{DatasetName, NodeId, ShardId};
//!
//! let donor = NodeId::new("store-1")?;
//! let placement = StaticPlacement::new([Holder::everything(donor.clone(), "10.0.0.1:7400".parse()?)])?;
//! let shard = ShardId::new(DatasetName::new("metrics")?, 1, 0);
//! let holders = placement.holders(&shard);
//! assert_eq!((&holders[0].node, holders[0].state), (&Some(donor), ShardState::Available));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`holder`] | [`Holder`], [`ShardState`] |
//! | [`placement`] | the [`Placement`] seam |
//! | [`fixed`] | [`StaticPlacement`] |
//!
//! # Not here
//!
//! Which holder is asked first (`peerstream-recovery`).

pub mod fixed;
pub mod holder;
pub mod placement;

pub use fixed::{StaticPlacement, StaticPlacementError};
pub use holder::{Holder, ShardState};
pub use placement::Placement;
