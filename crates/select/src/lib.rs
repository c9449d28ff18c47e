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
//!
//! # Not here
//!
//! The job of a shard (`peerstream-recovery`), placements (`peerstream-placement`).

pub mod availability;
pub mod level;

pub use availability::{Availability, Birth, NoSource, Replica, ReplicaState, UnknownState};
pub use level::{Ballot, Level, OwnVote, ParseLevelError, Standing};
