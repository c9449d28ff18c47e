//! Whether this node's own replica is a voter.

use crate::availability::ReplicaState;

/// Whether this node counts itself among the successes of a question that it puts to its peers.
///
/// The original counts itself as soon as its placement says Available, also for data that it has
/// lost, which lets a level be met by nobody who has the data (row F-18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OwnVote {
    /// Only for data that this node has.
    #[default]
    WhereHeld,
    /// Also for data that it lacks, as long as its placement says Available.
    WhereAvailable,
}

impl OwnVote {
    /// Whether the own vote counts, for a replica in `state` (`None`: the placement does not name this
    /// node) that holds what is asked for, or not.
    pub fn counts(self, state: Option<ReplicaState>, held: bool) -> bool {
        state == Some(ReplicaState::Available)
            && match self {
                Self::WhereHeld => held,
                Self::WhereAvailable => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-18: off for data that this node lacks; the option counts it; neither counts a replica that is
    /// not Available.
    #[test]
    fn the_own_vote_is_off_for_data_that_is_lacking_unless_the_option_is_set() {
        let available = Some(ReplicaState::Available);
        assert!(!OwnVote::default().counts(available, false));
        assert!(OwnVote::default().counts(available, true));
        assert!(OwnVote::WhereAvailable.counts(available, false));
        for state in [None, Some(ReplicaState::Initializing), Some(ReplicaState::Leaving)] {
            assert!(!OwnVote::WhereHeld.counts(state, true), "{state:?}");
            assert!(!OwnVote::WhereAvailable.counts(state, true), "{state:?}");
        }
    }
}
