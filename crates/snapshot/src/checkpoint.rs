//! Snapshots that are made when someone asks: checkpoints of a live store, over the [`Disk`] seam.
//!
//! A [`Checkpointer`] is the host: it says where its log stands, and freezes a shard into a directory.
//! [`TreeCheckpointer`] does that for directories of plain files. [`CheckpointSource`] decides when:
//!
//! - The first `open` of a shard makes a checkpoint, however many ask at once; those that follow share
//!   it, with its position and its state, until it is stale ([`CheckpointSettings::ttl`]).
//! - The position is asked for **before** the checkpoint is begun, so it is never ahead of the content.
//! - A checkpoint is neither changed nor removed while a snapshot of it is held. A stale one in use gets
//!   the next one beside it; beyond [`CheckpointSettings::beside_max`], `open` fails with
//!   [`SourceError::NotReady`].
//! - A lease is an `Arc` inside the snapshot. It ends with the snapshot, however that ends.
//! - [`CheckpointSource::clean`] removes what nobody uses. The host calls it now and then.
//!
//! # What lies where
//!
//! ```text
//! <root>/<dataset>@<version>/<index>/<n>/...    the n-th checkpoint, as the host made it
//! ```
//!
//! All of it is made anew after a restart: opening the source removes what the last process left.

mod checkpointer;
mod layout;
mod lease;
mod limits;
mod pattern;
mod shelf;
mod source;
mod tree;

pub use checkpointer::{CheckpointError, Checkpointer};
pub use pattern::{FilePattern, ParseFilePatternError};
pub use source::{CheckpointParts, CheckpointSettings, CheckpointSource, CheckpointStatus};
pub use tree::{TreeCheckpointer, TreeRules};

#[cfg(doc)]
use crate::{Disk, SourceError};

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
