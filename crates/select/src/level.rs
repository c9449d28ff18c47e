//! Consistency levels: how many replicas have to answer, how many are waited for, and what that
//! makes of the counts at any moment.
//!
//! Nothing here remembers a level. Every question takes it as an argument and answers from counts,
//! so a level that changes while a decision is under way counts from the next look on (row F-20).
//!
//! | level | enough, of n that vote | waits until | wants |
//! |---|---|---|---|
//! | `none` | 0 | the first success, or all are done | 0 |
//! | `one` | 1 | the first success, or all are done | 1 |
//! | `unstrict_majority` | 1 | a majority, or all are done | a majority |
//! | `majority` (default) | a majority | a majority, or all are done | a majority |
//! | `unstrict_all` | 1 | all are done | n |
//! | `all` | n | all are done | n |
//!
//! A majority of R replicas is `ceil((R + 1) / 2)` (row F-17), counted from the replication factor;
//! n is the number of replicas whose word counts, which during a move is another number.

use std::fmt;
use std::str::FromStr;

use peerstream_types::Operation;

mod ballot;
mod own_vote;

pub use ballot::{Ballot, Standing};
pub use own_vote::OwnVote;

/// How many replicas have to agree, answer or succeed. The order is that of demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// Best effort: what fails everywhere is dropped, and reported.
    None,
    /// One success is enough, and nothing more is waited for.
    One,
    /// Waits for a majority and takes one success if there is no more to be had.
    UnstrictMajority,
    /// A majority of the replication factor.
    #[default]
    Majority,
    /// Waits for all and takes one success if there is no more to be had.
    UnstrictAll,
    /// Every replica whose word counts.
    All,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Self; 6] =
        [Self::None, Self::One, Self::UnstrictMajority, Self::Majority, Self::UnstrictAll, Self::All];

    /// What a repair asks for unless it is told otherwise.
    pub const REPAIR_DEFAULT: Self = Self::UnstrictMajority;

    /// What an operation asks for unless it is told otherwise (row F-16). A repair finds data in place: it
    /// does better with what can be had than not at all.
    pub fn default_of(operation: Operation) -> Self {
        match operation {
            Operation::Repair => Self::REPAIR_DEFAULT,
            Operation::Bootstrap
            | Operation::Rebuild
            | Operation::Move
            | Operation::Decommission
            | Operation::BulkLoad
            | Operation::Replicate
            | Operation::Other => Self::default(),
        }
    }

    /// The level's name, as it stands in configs, commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::One => "one",
            Self::UnstrictMajority => "unstrict_majority",
            Self::Majority => "majority",
            Self::UnstrictAll => "unstrict_all",
            Self::All => "all",
        }
    }

    /// How many successes are enough once nothing more is waited for.
    pub fn required(self, replicas: u32, voters: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::One | Self::UnstrictMajority | Self::UnstrictAll => 1,
            Self::Majority => majority(replicas),
            Self::All => voters,
        }
    }

    /// How many successes there should be if all goes well.
    pub fn desired(self, replicas: u32, voters: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::UnstrictMajority | Self::Majority => majority(replicas),
            Self::UnstrictAll | Self::All => voters,
        }
    }

    /// Whether so many successes are enough.
    pub fn is_achieved(self, replicas: u32, voters: u32, succeeded: u32) -> bool {
        succeeded >= self.required(replicas, voters)
    }

    /// Whether waiting may end: enough of what the level wants is there, or all are done.
    pub fn may_stop(self, replicas: u32, succeeded: u32, all_done: bool) -> bool {
        all_done
            || match self {
                Self::None | Self::One => succeeded > 0,
                Self::UnstrictMajority | Self::Majority => succeeded >= majority(replicas),
                Self::UnstrictAll | Self::All => false,
            }
    }
}

/// A majority of so many replicas: `ceil((replicas + 1) / 2)`.
pub fn majority(replicas: u32) -> u32 {
    replicas / 2 + 1
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no level. Nothing was changed; the level before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no consistency level; there are none, one, unstrict_majority, majority, unstrict_all and all"
)]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|level| level.name() == text);
        named.ok_or_else(|| ParseLevelError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests;
