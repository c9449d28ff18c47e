//! Mergeable datasets: blocks of time series that go on being written while they are replicated.
//!
//! A dataset is *mergeable* when replicas may have unequal copies of one block and a rule makes one of
//! them: the last write, the union of the points. A [`BlockStore`] keeps such blocks, serves frozen images
//! of them, and merges what other replicas have into what is here, while its host goes on writing.
//!
//! # Example
//!
//! ```
//! use peerstream_blocks::{BlockKey, BlockOptions, BlockStore, LastWriter, Stamp, Tags};
//! use peerstream_snapshot::Source;
//! use peerstream_types::{PageToken, Selector, ShardId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shard: ShardId = "metrics@1/0".parse()?;
//! let store = BlockStore::in_memory(BlockOptions::new(LastWriter));
//! store.create(&shard).await?;
//!
//! let key = BlockKey::new("cpu", Tags::new([("host", "a")])?, 0)?;
//! store.write(&shard, &key, &LastWriter::encode(Stamp(7), b"0.3 0.4 0.2")).await?;
//!
//! // What a peer is shown is frozen; a write after that goes to a newer version.
//! let snapshot = store.open(&shard, &Selector::All).await?;
//! store.delete(&shard, &key, Stamp(8)).await?;
//! let page = snapshot.page(&PageToken::START, 100).await?;
//! assert_eq!(BlockKey::from_entry(&page.entries[0].key, &page.entries[0].metadata)?, key);
//! assert_eq!(store.read(&shard, &key).await?.expect("a tombstone").payload, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | [`BlockKey`], [`Tags`]: which series, which block of it, as an entry's key and metadata |
//! | [`merge`] | [`MergeHook`], and the two that come with it: [`LastWriter`], [`SeriesUnion`] |
//! | `cell`, `horizon` | what there is under a key, deletes included, and when deletes may be forgotten |
//! | `store`, `frozen`, `staging` | [`BlockStore`]; it as a source; it as a sink |
//! | `memory`, `disk`, `fjall` | the blocks in memory; in logs on the `Disk` seam; in a tree on disk (feature `fjall`) |
//! | [`limits`] | what is bounded, and why |
//!
//! # Invariants
//!
//! - **A write is never lost to a merge**: what a copy of a peer is merged with is what is there at that
//!   moment, and no change of a block overtakes another.
//! - **Tags are never lost**: a copy whose metadata is not what its key was made of is refused.
//! - **A delete is never undone**: a replica and a source that may have missed a delete which the other
//!   has forgotten are not merged. What a source says of that is believed, as nobody can check it.
//! - **Position never ahead of data**: it is committed by `publish`, after all data is durable, and stays
//!   where it was if something was left out.
//!
//! # Not here
//!
//! Which copies are fetched from whom (`peerstream-recovery`), how bytes travel (`peerstream-engine`).

mod cell;
mod disk;
#[cfg(feature = "fjall")]
mod fjall;
mod frozen;
mod horizon;
pub mod key;
pub mod limits;
mod medium;
mod memory;
pub mod merge;
mod partial;
mod staging;
mod stamp;
mod store;
mod union;
mod writers;

pub use key::{BlockKey, BlockKeyError, Tags};
pub use merge::{LastWriter, MergeError, MergeHook, Point, SeriesUnion};
pub use stamp::Stamp;
pub use store::{Block, BlockError, BlockOptions, BlockStore};
