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
//!     generations/<n>/catalog/    header (position, state, digest), entries, outlines
//!     generations/<n>.tmp/        a generation while it is sealed
//!     staging/<n>/                received for generation n
//!         packs/<i>               small entries, back to back
//!         partial/                larger contents while chunks are missing, one file per digest
//!         content/                the same once they are complete
//!         outlines/               what vouches for their chunks
//!         local/                  files of the visible generation while they are hashed
//!         journal                 which chunks of larger contents were stored, and what is durable
//!         attempts/<k>/entries    a manifest that was begun
//!         attempts/<k>/slots      where each of its entries lies, if it is complete
//! ```
//!
//! # What is in memory
//!
//! Of a shard that is received: the entries that were admitted and are not complete, and a few
//! buffers. Nothing for an entry that is complete, however many there are.
//!
//! # What survives
//!
//! Bytes are written before a record says so. After `kill -9`, all but the chunks under way is found
//! again; after a power loss, all up to the last checkpoint. What a checkpoint covers counts at once;
//! what lies beyond the last one is hashed before it counts, and so is everything after a host has
//! refused a generation, because it may have written to files that the staging shares with it.
//!
//! What was staged for one manifest is found again for another: small entries by key and digest, in
//! the last few manifests that were begun; larger contents by their digest, whatever the key. What
//! the visible generation has under the same key is hashed and taken from there.
//!
//! Publish renames the sealed generation and then replaces `CURRENT`, which shows data, position and
//! state together. The generation before stays until the next publish, and can be gone back to; older
//! ones stay as long as a snapshot holds them. Opening a store removes what was half made; the staged
//! content stays, so that nothing is received twice, until [`DirectoryStore::clean`] finds it too old
//! or too much.
//!
//! # Not here
//!
//! Empty directories, modes, owners and times: a shard is its files. A lock against a second process
//! on the same root.

mod admit;
mod area;
mod attempt;
mod budget;
mod catalog;
mod contents;
mod entry_log;
mod hash_cache;
mod hook;
mod join;
mod journal;
mod keep;
mod layout;
mod local;
mod open_files;
mod options;
mod packs;
mod pointer;
mod reading;
mod recheck;
mod recorder;
mod records;
mod room;
mod scratch;
mod seal;
mod shard;
mod slots;
mod source;
mod staging;
mod store;
mod sweep;
mod sync;
mod tree;
mod walk;

use std::sync::Arc;

use crate::{Disk, Offload};

pub use budget::{Cleaned, Excess};
pub use hook::{HookError, PublishHook};
pub use options::{Budget, StoreOptions};
pub use room::Room;
pub use source::DirectorySource;
pub use store::DirectoryStore;

/// What every part does its work with.
#[derive(Debug, Clone)]
struct Seams {
    disk: Arc<dyn Disk>,
    offload: Arc<dyn Offload>,
}
