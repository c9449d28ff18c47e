//! The store contract: where bytes come from, where they wait, and how they become visible.
//!
//! A store author implements [`Source`] to serve a shard and [`Sink`] to receive one, or uses the
//! stores of this crate. Between the two stands [`verify`]: a [`Staging`] accepts only a
//! [`VerifiedChunk`], and only the verifier can make one.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | [`Source`], [`Snapshot`]: list and read an immutable image of a shard |
//! | [`sink`] | [`Sink`], [`Staging`]: stage, seal, publish |
//! | [`verify`] | [`VerifiedOutline`], [`VerifiedChunk`]: the only way into a staging |
//! | [`manifest`] | [`ManifestHasher`]: the digest of a manifest, page by page |
//! | [`disk`] | the [`Disk`] seam: files and directories |
//! | [`offload`] | the [`Offload`] seam: hashing away from the reactor |
//!
//! # Not here
//!
//! Who is asked for what (`peerstream-recovery`), how bytes travel (`peerstream-engine`).

pub mod admission;
mod chunk_set;
pub mod content;
#[cfg(feature = "tokio")]
pub mod directory;
pub mod disk;
mod incoming;
pub mod limits;
pub mod listing;
pub mod manifest;
pub mod memory;
pub mod offload;
pub mod sink;
pub mod source;
pub mod verify;
mod writer;

use std::future::Future;
use std::pin::Pin;

pub use admission::Admission;
#[cfg(feature = "tokio")]
pub use directory::{DirectorySource, DirectoryStore};
#[cfg(feature = "tokio")]
pub use disk::RealDisk;
pub use disk::{Disk, DiskError, DiskFile};
pub use listing::Listing;
pub use manifest::ManifestHasher;
pub use memory::MemoryStore;
#[cfg(feature = "tokio")]
pub use offload::BlockingPool;
pub use offload::{Offload, OffloadGone, run_for};
pub use sink::{Fence, Generation, Held, Sink, SinkError, Staging};
pub use source::{Page, Snapshot, Source, SourceError};
pub use verify::{VerifiedChunk, VerifiedOutline, VerifyError};

/// A boxed future. Boxed per page, batch or chunk, never per packet.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
