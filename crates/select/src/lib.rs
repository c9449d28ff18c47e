//! Which sources serve what, when several peers hold a shard: who has to answer, and what their
//! answers make of it. No I/O, no clock, no randomness.
//!
//! # Example
//!
//! ```
//! use peerstream_select::{Ballot, Level, Standing};
//!
//! // Three replicas, this node lacks the data, one of its two peers failed.
//! let ballot = Ballot { replicas: 3, others: 2, eligible: 2, asked: 2, succeeded: 1, failed: 1, own_vote: false };
//! assert_eq!(ballot.judge(Level::Majority), Standing::Missed { required: 2, got: 1 });
//! assert_eq!(ballot.judge(Level::UnstrictMajority), Standing::Met);
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`level`] | [`Level`], [`Ballot`], [`Standing`], [`OwnVote`]: the truth tables |
//! | [`availability`] | [`Availability`], [`Birth`]: what the placement of a shard allows |
//! | [`roster`] | [`Roster`], [`Slot`], [`Slots`]: the replicas of one decision, and sets of them |
//! | [`join`] | [`Join`]: the merge join of the inventories of several replicas |
//! | [`agree`] | [`Verdict`]: whether they say the same of an entry |
//! | [`choice`] | [`Pursuit`], [`Loads`]: whom to fetch an entry from, until the level has enough |
//! | [`penalty`] | [`Penalties`]: who is avoided, why, and until when |
//! | [`filter`] | [`SourceRules`]: who may be a source at all |
//! | [`mod@assign`] | [`assign()`]: many shards over several sources, evenly |
//!
//! # Not here
//!
//! The job of a shard (`peerstream-recovery`), placements (`peerstream-placement`).

pub mod agree;
pub mod assign;
pub mod availability;
pub mod choice;
pub mod filter;
pub mod join;
pub mod level;
pub mod penalty;
pub mod roster;

pub use agree::{Difference, Verdict};
pub use assign::{Assignment, ShardSources, SourceCapacity, Unassigned, assign};
pub use availability::{Availability, Birth, NoSource, Replica, ReplicaState, UnknownState};
pub use choice::{Failure, Loads, Next, Pursuit, View};
pub use filter::{Candidate, Exclusion, NoSourceLeft, Screened, SourceFilter, SourceRules};
pub use join::{Join, JoinConfig, Joined, Page, PageError, PageFault, PageRequest, Step};
pub use level::{Ballot, Level, OwnVote, ParseLevelError, Standing};
pub use penalty::{Offence, Penalties, Penalty, PenaltyConfig};
pub use roster::{Roster, Slot, Slots, TooManyReplicas};
