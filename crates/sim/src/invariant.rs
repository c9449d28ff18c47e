//! What holds in every run, one file each: the promises of the project as far as they can be seen
//! from outside. Each of them is shown to fail on a bug made for it: see [`planted`](crate::planted).

pub mod agreed;
pub mod all_or_nothing;
pub mod bounded;
pub mod closed;
pub mod ends;
pub mod foreground;
pub mod merged;
pub mod position;
pub mod progress;
pub mod repeatable;
pub mod small_faults;
pub mod truth;
pub mod verified;

use std::fmt;

use peerstream_types::{NodeId, ShardId, Timestamp};

use crate::watch::View;

/// Something that holds at every moment of every run.
pub trait Invariant: Send + Sync {
    /// A short name.
    fn name(&self) -> &'static str;

    /// What holds, in a sentence or two.
    fn statement(&self) -> &'static str;

    /// What does not hold at this moment. Called with one moment after another; it may remember what
    /// it saw before.
    fn check(&mut self, view: &View<'_>) -> Vec<Finding>;
}

/// Something that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub node: Option<NodeId>,
    /// Of what.
    pub shard: Option<ShardId>,
    /// What was seen.
    pub seen: String,
}

impl Finding {
    /// Something at a node.
    pub fn at(node: &NodeId, seen: impl fmt::Display) -> Self {
        Self { node: Some(node.clone()), shard: None, seen: seen.to_string() }
    }

    /// Something of a shard at a node.
    pub fn of(node: &NodeId, shard: &ShardId, seen: impl fmt::Display) -> Self {
        Self { shard: Some(shard.clone()), ..Self::at(node, seen) }
    }
}

/// What every violation says, so that it is found in a trace.
pub(crate) const VIOLATED: &str = " is violated";

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one, by its name.
    pub invariant: &'static str,
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen.
    pub finding: Finding,
}

impl Violation {
    /// Whether it is the same bug at the same place, seen at another time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let place = |of: &Self| (of.invariant, of.finding.node.clone(), of.finding.shard.clone());
        place(self) == place(other)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { node, shard, seen } = &self.finding;
        write!(f, "{} {}{VIOLATED}", self.at, self.invariant)?;
        node.as_ref().map_or(Ok(()), |node| write!(f, " at {node}"))?;
        shard.as_ref().map_or(Ok(()), |shard| write!(f, ", shard {shard}"))?;
        write!(f, ": {seen}")
    }
}

/// Every invariant that one run can be held against, fresh. [`repeatable`] needs two runs.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(verified::Verified),
        Box::new(progress::ProgressKept),
        Box::new(all_or_nothing::AllOrNothing),
        Box::new(position::PositionNotAhead),
        Box::new(foreground::ForegroundFirst),
        Box::new(bounded::Bounded),
        Box::new(truth::TellsTheTruth::default()),
        Box::new(ends::Ends),
        Box::new(small_faults::FaultsStaySmall),
        Box::new(agreed::Agreed::default()),
        Box::new(merged::Merged::default()),
        Box::new(closed::Closed),
    ]
}
