//! Shards that are directories of files, over the [`Disk`] and [`Offload`] seams.
//!
//! [`DirectorySource`] serves directories as they are. [`DirectoryStore`] receives shards, shows
//! each generation whole or not at all, and serves what it shows.
//!
//! # What lies where
//!
//! ```text
//! <root>/<dataset>@<version>/<index>/
//!     CURRENT                     names the visible generation; replaced in one step
//!     generations/<n>/data/...    the entries, by their keys
//!     generations/<n>/manifest    header (position, state, digest) and entries
//!     generations/<n>.tmp/        a generation while it is sealed
//!     staging/<n>/content/        received for generation n, one file per digest
//!     staging/<n>/outlines/       what vouches for the chunks of the larger ones
//!     staging/<n>/journal         which chunks were stored
//! ```
//!
//! # What survives
//!
//! A chunk is written before the journal says so. After `kill -9`, all but the chunks under way is
//! found again; after a power loss, all up to the last checkpoint. What the journal claims is hashed
//! before it counts.
//!
//! Publish renames the sealed generation and then replaces `CURRENT`, which shows data, position and
//! state together. The generation before stays until the next publish, older ones as long as a
//! snapshot holds them. Opening a store removes what was half made; the staged content stays, so
//! that nothing is received twice.
//!
//! # Not here
//!
//! Empty directories, modes, owners and times: a shard is its files. Budgets for staged content. A
//! lock against a second process on the same root.

#[allow(dead_code, unused_imports, reason = "until generations have moved to it")]
mod catalog;
mod contents;
mod hash;
mod hash_cache;
mod image;
mod journal;
mod layout;
mod manifest_file;
mod open_files;
mod pointer;
mod reading;
mod recheck;
mod records;
mod scratch;
mod seal;
mod shard;
mod snapshot;
mod source;
mod staging;
mod store;
mod sweep;
#[allow(dead_code, reason = "until generations have moved to it")]
mod tree;
mod walk;

use std::sync::Arc;

use crate::{Disk, Offload};

pub use source::DirectorySource;
pub use store::DirectoryStore;

/// What every part does its work with.
#[derive(Debug, Clone)]
struct Seams {
    disk: Arc<dyn Disk>,
    offload: Arc<dyn Offload>,
}
