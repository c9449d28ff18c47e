//! The store contract: where bytes come from, where they wait, and how they become visible.
//!
//! A store author implements [`Source`] to serve a shard and [`Sink`] to receive one, or uses the
//! stores of this crate: [`MemoryStore`], and `DirectoryStore` for directories of files. Between the
//! two stands [`verify`]: a [`Staging`] accepts only a [`VerifiedChunk`], and only the verifier can
//! make one.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use peerstream_snapshot::{Fence, MemoryStore, Sink, Source, VerifiedChunk};
//! use peerstream_types::{ChunkIndex, EntryKey, PageToken, Selector, ShardId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shard: ShardId = "metrics@1/0".parse()?;
//! let (peer, mine) = (MemoryStore::new(), MemoryStore::new());
//! peer.put(&shard, EntryKey::from_path("000001.sst")?, "some rows", Vec::new());
//!
//! // What the peer has: an immutable image, listed page by page.
//! let snapshot = peer.open(&shard, &Selector::All).await?;
//! let page = snapshot.page(&PageToken::START, 100).await?;
//!
//! // Chunks wait in a staging; only verified ones get in.
//! let staging = mine.stage(&shard, &Selector::All, Fence(1)).await?;
//! staging.begin(&snapshot.header()).await?;
//! let entry = Arc::new(page.entries[0].clone());
//! staging.admit(vec![entry.clone()]).await?;
//! let bytes = snapshot.read(entry.ordinal, 0, 9).await?;
//! let size = snapshot.header().chunk_size;
//! staging.store(vec![VerifiedChunk::check(&entry, size, None, ChunkIndex(0), bytes)?]).await?;
//!
//! // Nothing is visible before publish; then all of it is, with position and state.
//! staging.seal(&page.sealed.expect("this was the last page")).await?;
//! assert!(mine.published(&shard).is_none());
//! staging.publish().await?;
//! assert_eq!(mine.open(&shard, &Selector::All).await?.header(), snapshot.header());
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | [`Source`], [`Snapshot`]: list and read an immutable image of a shard |
//! | `overlay` | [`Overlay`]: a snapshot that changes some of what another one answers |
//! | [`sink`] | [`Sink`], [`Staging`]: stage, seal, publish |
//! | [`verify`] | [`VerifiedTop`], [`VerifiedOutline`], [`VerifiedChunk`]: the only way into a staging |
//! | [`manifest`] | [`ManifestHasher`], [`ManifestCheck`]: the digest of a manifest, page by page, and whether a listing is it |
//! | [`disk`] | the [`Disk`] seam: files and directories |
//! | [`offload`] | the [`Offload`] seam: hashing away from the reactor |
//! | [`pace`] | the [`ReadPacer`] seam: what is read for hashing is charged |
//! | [`memory`] | [`MemoryStore`]: source and sink in memory |
//! | `directory` | `DirectorySource` and `DirectoryStore`: directories of files |
//! | `checkpoint` | `CheckpointSource`: snapshots of a live store, made when someone asks |
//! | [`conformance`] | facts that hold for every source and sink; run them on your own |
//! | [`listing`], [`content`], [`admission`] | parts for authors of stores: a sealed manifest, digests, the checks at the door |
//! | `watch` | a value that many wait for, in an order that comes again |
//! | [`limits`] | what is bounded, and why |
//!
//! # Features
//!
//! `tokio` (default): the real disk, the blocking pool and the directory store. Without it, the
//! contract and the memory store know no runtime.
//!
//! # Not here
//!
//! Who is asked for what (`peerstream-recovery`), how bytes travel (`peerstream-engine`).

pub mod admission;
#[cfg(feature = "tokio")]
pub mod checkpoint;
mod chunk_set;
pub mod conformance;
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
mod overlay;
pub mod pace;
pub mod sink;
pub mod source;
pub mod verify;
#[cfg(feature = "tokio")]
pub mod watch;
mod writer;

use std::future::Future;
use std::pin::Pin;

pub use admission::Admission;
#[cfg(feature = "tokio")]
pub use checkpoint::{CheckpointSource, Checkpointer, TreeCheckpointer};
#[cfg(feature = "tokio")]
pub use directory::{DirectorySource, DirectoryStore};
#[cfg(feature = "tokio")]
pub use disk::RealDisk;
pub use disk::{Disk, DiskError, DiskFile};
pub use listing::Listing;
pub use manifest::{ManifestCheck, ManifestFault, ManifestHasher};
pub use memory::MemoryStore;
#[cfg(feature = "tokio")]
pub use offload::BlockingPool;
pub use offload::{Offload, OffloadGone, run_for};
pub use overlay::Overlay;
pub use pace::ReadPacer;
pub use sink::{Fence, Generation, Held, Sink, SinkError, Staging};
pub use source::{Content, Page, Snapshot, Source, SourceError};
pub use verify::{VerifiedChunk, VerifiedOutline, VerifiedTop, VerifyError};

/// A boxed future. Boxed per page, batch or chunk, never per packet.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
