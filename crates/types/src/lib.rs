//! The words of peerstream as types: ids, units, selectors, digests, positions and time.
//!
//! Every other crate speaks in these. They hold checked values only: a name is built by a
//! constructor that refuses what a hostile peer may send, a chunk index cannot be mistaken for a
//! byte offset, and a [`Timestamp`] is handed in, never read.
//!
//! # Example
//!
//! ```
//! use peerstream_types::{ChunkSize, DatasetName, EntryKey, ShardId};
//!
//! let shard = ShardId::new(DatasetName::new("metrics")?, 3, 17);
//! assert_eq!(shard.to_string(), "metrics@3/17");
//!
//! // A file of 600 KiB is three chunks of 256 KiB, the last one short.
//! let size = ChunkSize::DEFAULT;
//! assert_eq!(size.chunks_in(600 * 1024), 3);
//!
//! // Names that come from a peer are checked before anything else sees them.
//! assert!(EntryKey::from_path("../../etc/passwd").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | checked names: [`NodeId`], [`ClusterName`], [`DatasetName`] |
//! | [`id`] | [`PlanId`], [`SessionId`], [`Incarnation`], [`FetchId`], [`OfferId`] |
//! | [`shard`] | [`ShardId`], the unit of placement |
//! | [`selector`] | [`Selector`]: which part of a shard |
//! | [`entry`] | [`Entry`]: one keyed byte sequence, its [`EntryKey`], kind and codec |
//! | [`dataset_kind`] | [`DatasetKind`]: how the replicas of a dataset are related |
//! | [`digest`] | [`Digest`] of an entry or a manifest, [`ChainingValue`] of a chunk |
//! | [`chunk`] | [`ChunkSize`], [`ChunkIndex`] and [`ChunkRange`] |
//! | [`span`] | [`Span`]: what is asked for, acknowledged, released |
//! | [`manifest`] | [`ManifestHeader`]: what a snapshot is, in one value |
//! | [`page`] | [`PageToken`]: where a listing continues |
//! | [`position`] | [`Position`] of a change log |
//! | [`operation`] | [`Operation`]: why bytes move |
//! | [`mod@unit`] | [`ByteCount`], [`ByteRate`] |
//! | [`time`] | [`Timestamp`] and the [`WallClock`] seam |
//!
//! # Not here
//!
//! Hashing (`peerstream-snapshot`), encoding and limits of messages (`peerstream-wire`).

pub mod chunk;
pub mod dataset_kind;
pub mod digest;
pub mod entry;
pub mod id;
pub mod manifest;
pub mod name;
pub mod operation;
pub mod page;
pub mod position;
pub mod selector;
pub mod shard;
pub mod span;
pub mod time;
pub mod unit;

pub use chunk::{ChunkIndex, ChunkRange, ChunkSize, GROUP_CHUNKS, GROUPS_MAX, GroupIndex};
pub use dataset_kind::{DatasetKind, ParseDatasetKindError};
pub use digest::{ChainingValue, Digest};
pub use entry::{Codec, Entry, EntryKey, EntryKind, KeyError, Ordinal};
pub use id::{FetchId, Incarnation, OfferId, PlanId, Role, SessionId};
pub use manifest::{EntryCounts, ManifestHeader};
pub use name::{ClusterName, DatasetName, NameError, NodeId};
pub use operation::Operation;
pub use page::PageToken;
pub use position::Position;
pub use selector::Selector;
pub use shard::ShardId;
pub use span::Span;
pub use time::{Timestamp, WallClock};
pub use unit::{ByteCount, ByteRate};
