//! The change-log seam: what happened to a shard after its snapshot was taken.
//!
//! A snapshot carries a [`Position`](peerstream_types::Position) that was captured before it was
//! taken, and publish commits it together with the data. From there a [`ChangeLog`] is read until the
//! replica is live. A position means something to its log only: the log compares, everybody else
//! carries.
//!
//! # Example
//!
//! A replica is brought up from two snapshots, and catches up from the older one.
//!
//! ```
//! use peerstream_changelog::{ChangeLog, MemoryLog, ReadLimits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let log = MemoryLog::new("metrics@1/0")?;
//! let at_node_b = log.append("put a=1")?;
//! let at_node_c = log.append("put b=2")?;
//! log.append("delete a")?;
//!
//! // Nothing may be skipped, so the earliest position counts.
//! let mut from = log.minimum(&[at_node_c, at_node_b])?.ok_or("no snapshot has a position")?;
//! let mut applied = Vec::new();
//! loop {
//!     let batch = log.read(&from, ReadLimits::default()).await?;
//!     if batch.records.is_empty() {
//!         break; // caught up
//!     }
//!     applied.extend(batch.records);
//!     from = batch.next; // a store commits this together with the records
//! }
//! assert_eq!(applied, ["put b=2", "delete a"]);
//!
//! // A position of another log is refused, whatever it looks like.
//! let other = MemoryLog::new("metrics@1/1")?;
//! assert!(other.read(&from, ReadLimits::default()).await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`log`] | the [`ChangeLog`] seam, [`Batch`], [`ReadLimits`] |
//! | [`error`] | [`Incomparable`], [`ReadError`], [`Unavailable`]: what went wrong, what to do |
//! | [`token`] | [`token_of`]: for authors of logs, the checks that every log makes |
//! | [`memory`] | [`MemoryLog`]: a log for tests of stores and for simulation |
//! | [`limits`] | what is bounded, and why |
//!
//! # Not here
//!
//! Following a log until the replica is live, and the forecast against retention (drivers above the
//! engine); what a record means (the store).

pub mod error;
pub mod limits;
pub mod log;
pub mod memory;
pub mod token;

use std::future::Future;
use std::pin::Pin;

pub use error::{Incomparable, ReadError, Unavailable};
pub use log::{Batch, ChangeLog, ReadLimits};
pub use memory::{AppendError, LogIdError, MemoryLog};
pub use token::token_of;

/// A boxed future. Boxed per batch or question, never per record.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
