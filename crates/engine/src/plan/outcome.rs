//! How plans and shards end.

use std::fmt;

use peerstream_recovery::Findings;
use peerstream_types::{EntryKey, NodeId, PlanId, ShardId};

use super::TaskDirection;

/// A chunk that did not fit its digest, that its source could not give, or that the store could not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadChunk {
    /// The entry.
    pub key: EntryKey,
    /// The chunk, where one is to blame.
    pub chunk: Option<u64>,
    /// Who served it.
    pub peer: NodeId,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for BadChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.key)?;
        if let Some(chunk) = self.chunk {
            write!(f, " chunk {chunk}")?;
        }
        write!(f, " from {}: {}", self.peer, self.why)
    }
}

/// How one shard of a plan ended. The first outcome sticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardOutcome {
    /// Everything is verified and published.
    Published {
        /// The generation at the receiving node, where it is this one.
        generation: Option<u64>,
    },
    /// Some entries could not be had from anyone. Everything else is staged and kept; nothing was
    /// published. Run the plan again once a good source is there.
    Incomplete {
        /// The entries that are missing, at most 64 of them.
        bad: Vec<BadChunk>,
        /// How many there are in all.
        count: u64,
    },
    /// It failed; what is verified is staged and kept, nothing was published.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
    /// Someone called it off; what is verified is staged and kept, nothing was published.
    Aborted {
        /// Who and why.
        reason: String,
    },
}

impl fmt::Display for ShardOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { generation: Some(generation) } => {
                write!(f, "published as generation {generation}")
            }
            Self::Published { generation: None } => f.write_str("published by the peer"),
            Self::Incomplete { bad, count } => {
                write!(f, "{count} entries could not be had, the rest is staged")?;
                bad.iter().take(3).try_for_each(|bad| write!(f, "; {bad}"))
            }
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::Aborted { reason } => write!(f, "aborted: {reason}"),
        }
    }
}

/// One shard's outcome with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardResult {
    /// The shard.
    pub shard: ShardId,
    /// Which way it went.
    pub direction: TaskDirection,
    /// How it ended.
    pub outcome: ShardOutcome,
    /// What was taken from one replica alone, and what was done without (rows F-10, F-19).
    pub findings: Findings,
}

/// How a plan ended. Aborted is an outcome of its own, not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanResult {
    /// Every shard was published.
    Completed,
    /// At least one shard was not.
    Failed,
    /// It was called off.
    Aborted,
}

impl PlanResult {
    /// The result of a plan whose shards have all ended: failed if one failed, aborted if one was.
    pub(crate) fn of<'a>(outcomes: impl Iterator<Item = &'a ShardOutcome>) -> Self {
        let mut result = Self::Completed;
        for outcome in outcomes {
            match outcome {
                ShardOutcome::Published { .. } => {}
                ShardOutcome::Aborted { .. } => result = Self::Aborted,
                ShardOutcome::Incomplete { .. } | ShardOutcome::Failed { .. } => return Self::Failed,
            }
        }
        result
    }
}

impl fmt::Display for PlanResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        })
    }
}

/// The end of a plan: every shard with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOutcome {
    /// The plan.
    pub plan: PlanId,
    /// How it ended.
    pub result: PlanResult,
    /// Its shards, in the order of the plan's tasks.
    pub shards: Vec<ShardResult>,
}

impl PlanOutcome {
    /// Whether every shard was published.
    pub fn is_completed(&self) -> bool {
        self.result == PlanResult::Completed
    }
}
