//! Which sources serve what, when several peers hold a shard: who has to answer, what their
//! inventories say together, who is avoided, and when it is enough. No I/O, no clock, no randomness:
//! counts, pages and time are handed in, and equal inputs give equal answers.
//!
//! # Example
//!
//! Two peers list a shard. One entry is the same at both; of the other they have different copies.
//!
//! ```
//! use std::sync::Arc;
//! use peerstream_select::*;
//! use peerstream_types::*;
//!
//! let roster = Roster::new([NodeId::new("node-b")?, NodeId::new("node-c")?])?;
//! let entry = |key: &str, digest| -> Result<Arc<Entry>, KeyError> {
//!     let (key, digest) = (EntryKey::new(key)?, Some(Digest::Blake3([digest; 32])));
//!     let (kind, codec) = (EntryKind::Block, Codec::Plain);
//!     Ok(Arc::new(Entry { ordinal: Ordinal(0), key, len: 9, digest, kind, codec, metadata: vec![] }))
//! };
//!
//! let mut join = Join::new(roster, JoinConfig::default());
//! while let Some(PageRequest { slot, token }) = join.poll_request() {
//!     let entries = vec![entry("same", 1)?, entry("split", 1 + slot.index() as u8)?];
//!     join.handle_page(slot, Page { token, entries, next: None })?;
//! }
//! let mut wanted = vec![];
//! while let Step::Entry(joined) = join.poll() {
//!     wanted.push(match Verdict::of(&joined) {
//!         Verdict::AnyOf { .. } => 1,
//!         Verdict::FanOut { reporters, .. } => reporters.len(),
//!     });
//! }
//! assert_eq!(wanted, [1, 2], "one copy of the same content, both of unequal ones");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`level`] | [`Level`], [`Ballot`], [`Standing`], [`OwnVote`]: the truth tables |
//! | [`policy`] | [`LevelPolicy`], [`LevelSettings`]: which level counts where |
//! | [`availability`] | [`Availability`], [`Birth`]: what the placement of a shard allows |
//! | [`filter`] | [`SourceRules`]: who may be a source at all |
//! | [`mod@assign`] | [`assign()`]: many shards over several sources, evenly |
//! | [`roster`] | [`Roster`], [`Slot`], [`Slots`]: the replicas of one decision, and sets of them |
//! | [`digest_tree`] | [`DigestTree`], [`Comparison`]: where two inventories differ, without listing them |
//! | [`join`] | [`Join`]: the merge join of the inventories of several replicas |
//! | [`agree`] | [`Verdict`]: whether they say the same of an entry |
//! | [`loads`] | [`Loads`]: how much is outstanding at each peer, over all shards |
//! | [`penalty`] | [`Penalties`]: who is avoided, why, and until when |
//!
//! # Not here
//!
//! The job of a shard: whom to ask next, back-off, chunks, publish (`peerstream-recovery`); where replicas are
//! (`peerstream-placement`); what is made of unequal copies (a merge hook of the store).

pub mod agree;
pub mod assign;
pub mod availability;
pub mod digest_tree;
pub mod filter;
pub mod join;
pub mod level;
pub mod loads;
pub mod penalty;
pub mod policy;
pub mod roster;

pub use agree::{Difference, Verdict};
pub use assign::{AssignError, Assignment, ShardSources, SourceCapacity, Unassigned, assign};
pub use availability::{Availability, Birth, NoSource, Replica, ReplicaState, UnknownState};
pub use digest_tree::{
    Comparison, DigestTree, KeyRange, NodesFault, NodesRequest, Part, TreeBuilder, TreeError, TreeNode,
};
pub use filter::{Candidate, Exclusion, NoSourceLeft, Screened, SourceFilter, SourceRules};
pub use join::{Join, JoinConfig, JoinStats, Joined, Page, PageError, PageFault, PageRequest, Step};
pub use level::{Ballot, Level, OwnVote, ParseLevelError, Standing};
pub use loads::Loads;
pub use penalty::{Offence, Penalties, Penalty, PenaltyConfig};
pub use policy::{InForce, LevelPolicy, LevelScope, LevelSettings, LevelSettingsError, LevelSource};
pub use roster::{Roster, Slot, Slots, TooManyReplicas};
