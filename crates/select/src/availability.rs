//! Whether a shard can be brought up from its replicas at a level, and if not, what is missing.
//!
//! Available and Leaving replicas have the data and count, Initializing ones do not, and a state that
//! is not known is an error, not a guess (row F-21).

use peerstream_types::NodeId;

use crate::Level;
use crate::level::{Ballot, OwnVote};

/// In which state a replica is, as the placement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaState {
    /// It has the data.
    Available,
    /// It has the data and will go.
    Leaving,
    /// It is being brought up and cannot serve.
    Initializing,
    /// The placement does not say, or says something that this release does not know.
    Unknown,
}

impl ReplicaState {
    /// Whether a replica in this state can serve.
    pub fn is_eligible(self) -> bool {
        match self {
            Self::Available | Self::Leaving => true,
            Self::Initializing | Self::Unknown => false,
        }
    }
}

/// One replica of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Where.
    pub node: NodeId,
    /// In which state.
    pub state: ReplicaState,
}

/// A replica is in a state that is not known: nothing about the shard can be said. The placement is
/// at fault; ask again when it has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the placement says no known state for the replica at {0}")]
pub struct UnknownState(pub NodeId);

/// What the replicas of a shard allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// The level can be met now.
    Fulfillable {
        /// Who can serve, in order of their ids.
        sources: Vec<NodeId>,
    },
    /// Some can serve, but fewer than the level asks for.
    Short {
        /// Who can serve, in order of their ids.
        sources: Vec<NodeId>,
        /// How many votes the level asks for.
        required: u32,
        /// How many votes there could be.
        possible: u32,
        /// Who would have to become available, in order of their ids.
        initializing: Vec<NodeId>,
    },
    /// Nobody can serve: not attempted at any level.
    NoSource(NoSource),
}

/// Why nobody can serve a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSource {
    /// The placement does not name the shard.
    NotPlaced,
    /// This node is the only replica.
    OnlySelf,
    /// All replicas are being brought up at once, this node among them or not: each waits for the
    /// others, or the shard is new (rows F-22 and F-23). In order of their ids.
    AllInitializing(Vec<NodeId>),
    /// This node's replica is said to be there, and all others are being brought up.
    OthersInitializing(Vec<NodeId>),
}

impl Availability {
    /// What the replicas of one shard allow at `level`, seen from the node `own`. `factor` is the
    /// replication factor; the own vote counts as for data that this node lacks.
    ///
    /// # Errors
    ///
    /// [`UnknownState`] if another replica's state is not known.
    pub fn of(
        replicas: &[Replica],
        own: &NodeId,
        factor: u32,
        level: Level,
        vote: OwnVote,
    ) -> Result<Self, UnknownState> {
        let mut others: Vec<&Replica> = replicas.iter().filter(|replica| replica.node != *own).collect();
        others.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        others.dedup_by(|a, b| a.node == b.node);
        if let Some(unknown) = others.iter().find(|replica| replica.state == ReplicaState::Unknown) {
            return Err(UnknownState(unknown.node.clone()));
        }
        let named = |eligible: bool| {
            let these = others.iter().filter(|replica| replica.state.is_eligible() == eligible);
            these.map(|replica| replica.node.clone()).collect::<Vec<_>>()
        };
        let (sources, initializing) = (named(true), named(false));
        let own_state = replicas.iter().find(|replica| replica.node == *own).map(|replica| replica.state);
        if sources.is_empty() {
            return Ok(Self::NoSource(NoSource::why(own_state, own, initializing)));
        }
        let eligible = count(sources.len());
        let ballot = Ballot {
            replicas: factor,
            others: count(others.len()),
            own_vote: vote.counts(own_state, false),
            eligible,
            asked: eligible,
            succeeded: eligible,
            failed: 0,
        };
        if ballot.is_reachable(level) {
            return Ok(Self::Fulfillable { sources });
        }
        let (required, possible) = (level.required(factor, ballot.voters()), ballot.votes());
        Ok(Self::Short { sources, required, possible, initializing })
    }
}

impl NoSource {
    fn why(own_state: Option<ReplicaState>, own: &NodeId, mut initializing: Vec<NodeId>) -> Self {
        match own_state {
            None if initializing.is_empty() => Self::NotPlaced,
            Some(_) if initializing.is_empty() => Self::OnlySelf,
            Some(ReplicaState::Initializing) => {
                initializing.push(own.clone());
                initializing.sort_unstable();
                Self::AllInitializing(initializing)
            }
            None => Self::AllInitializing(initializing),
            Some(ReplicaState::Available | ReplicaState::Leaving | ReplicaState::Unknown) => {
                Self::OthersInitializing(initializing)
            }
        }
    }
}

/// Whether a shard ever had data anywhere (row F-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Birth {
    /// No replica ever became available: there is no data to wait for.
    Never,
    /// More replicas are being brought up than leave, and some are available: a shard that is new
    /// or grows. Whether it may begin empty is the host's decision, because those that are available
    /// may have data.
    Growing,
    /// The shard has data, or had.
    Initialized,
}

impl Birth {
    /// What the states of all replicas of a shard, this node's included, say.
    ///
    /// # Errors
    ///
    /// [`UnknownState`] if a state is not known.
    pub fn of(replicas: &[Replica]) -> Result<Self, UnknownState> {
        let (mut initializing, mut leaving, mut available) = (0u32, 0u32, 0u32);
        for replica in replicas {
            match replica.state {
                ReplicaState::Initializing => initializing += 1,
                ReplicaState::Leaving => leaving += 1,
                ReplicaState::Available => available += 1,
                ReplicaState::Unknown => return Err(UnknownState(replica.node.clone())),
            }
        }
        Ok(match (initializing > leaving, available + leaving) {
            (false, _) => Self::Initialized,
            (true, 0) => Self::Never,
            (true, _) => Self::Growing,
        })
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
