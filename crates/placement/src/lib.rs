//! Who holds which shard, in which state, and where to reach them.
//!
//! peerstream keeps no membership of its own: it asks a [`Placement`], which a host implements over
//! whatever it has. [`StaticPlacement`] is a fixed list, [`ReplaceablePlacement`] one that changes as a
//! whole, and with the feature `file`, `WatchedFile` one that a file says.
//!
//! # Example
//!
//! ```
//! use peerstream_placement::{Holder, Placement, ReplaceablePlacement, ShardState, StaticPlacement};
//! use peerstream_types::{NodeId, ShardId};
//!
//! let (one, two) = (NodeId::new("store-1")?, NodeId::new("store-2")?);
//! let shard: ShardId = "metrics@1/0".parse()?;
//! let mut list = StaticPlacement::new([
//!     Holder::everything(one.clone(), "10.0.0.1:7400".parse()?).in_zone("a"),
//!     Holder::everything(two.clone(), "10.0.0.2:7400".parse()?).in_zone("b"),
//! ])?;
//! let placement = ReplaceablePlacement::new(list.clone());
//! let mut changes = placement.changes();
//!
//! list.place(shard.clone(), [(one, ShardState::Available), (two, ShardState::Initializing)], None)?;
//! placement.replace(list);
//! assert!(changes.take());
//! let states: Vec<_> = placement.holders(&shard).iter().map(|holder| holder.state).collect();
//! assert_eq!(states, [ShardState::Available, ShardState::Initializing]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`placement`] | the [`Placement`] seam |
//! | [`holder`] | [`Holder`], [`ShardState`] |
//! | [`changes`] | [`ChangeSource`], [`Changes`]: that something has changed |
//! | [`fixed`] | [`StaticPlacement`] |
//! | [`replaceable`] | [`ReplaceablePlacement`] |
//! | `document`, `watched` | with the feature `file`: the format of a file, and `WatchedFile` |
//!
//! # Not here
//!
//! What the states allow at a level (`peerstream-select`), which holder is asked first
//! (`peerstream-recovery`), when a file is looked at (whoever uses it).

pub mod changes;
#[cfg(feature = "file")]
pub mod document;
pub mod fixed;
pub mod holder;
pub mod placement;
pub mod replaceable;
#[cfg(feature = "file")]
pub mod watched;

pub use changes::{ChangeSource, Changes};
#[cfg(feature = "file")]
pub use document::DocumentError;
pub use fixed::{StaticPlacement, StaticPlacementError};
pub use holder::{Holder, ShardState};
pub use placement::Placement;
pub use replaceable::ReplaceablePlacement;
#[cfg(feature = "file")]
pub use watched::{FileError, FileFault, Look, WatchedFile};
