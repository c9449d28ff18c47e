//! What the counts of a question make of it.

use crate::Level;

/// Counts of one question that was put to the replicas of a shard: an inventory, the content of an
/// entry whose copies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ballot {
    /// The replication factor, from which a majority is counted.
    pub replicas: u32,
    /// Replicas other than this node that the placement names, whatever their state.
    pub others: u32,
    /// Whether this node counts itself as a success ([`OwnVote`](crate::OwnVote)).
    pub own_vote: bool,
    /// Other replicas in a state to serve (row F-21).
    pub eligible: u32,
    /// Other replicas that are asked. One that cannot be reached is not, so that nobody waits for it.
    pub asked: u32,
    /// Those of them that gave what they were asked for.
    pub succeeded: u32,
    /// Those of them that failed for good.
    pub failed: u32,
}

/// What the counts of a question mean at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// No other replica could serve: not attempted, at any level (row F-21).
    NotAttempted,
    /// More answers are waited for.
    Open {
        /// How many more successes the level wants.
        wanted: u32,
    },
    /// Enough.
    Met,
    /// Level `none`, and not one peer succeeded: what was asked for is dropped, and has to be reported
    /// (row F-19).
    Dropped,
    /// Not enough, and nothing more will come.
    Missed {
        /// How many successes the level asks for.
        required: u32,
        /// How many there are, the own vote included.
        got: u32,
    },
}

impl Ballot {
    /// Replicas whose word counts: the others, and this node if it votes.
    pub fn voters(&self) -> u32 {
        self.others.saturating_add(u32::from(self.own_vote))
    }

    /// Successes, the own vote included.
    pub fn votes(&self) -> u32 {
        self.succeeded.saturating_add(u32::from(self.own_vote))
    }

    /// What the counts mean at `level`.
    ///
    /// The own vote may complete a level, but never makes one of nothing: without a single peer that
    /// succeeded, nothing is met.
    pub fn judge(&self, level: Level) -> Standing {
        if self.eligible == 0 {
            return Standing::NotAttempted;
        }
        let all_done = self.succeeded.saturating_add(self.failed) >= self.asked;
        let (votes, voters) = (self.votes(), self.voters());
        let something = self.succeeded > 0;
        let may_stop = something && level.may_stop(self.replicas, votes, false);
        if !(all_done || may_stop) {
            let wanted = level.desired(self.replicas, voters).saturating_sub(votes).max(1);
            return Standing::Open { wanted };
        }
        match (something, level) {
            (true, _) if level.is_achieved(self.replicas, voters, votes) => Standing::Met,
            (false, Level::None) => Standing::Dropped,
            _ => Standing::Missed { required: level.required(self.replicas, voters), got: votes },
        }
    }

    /// Whether the level can still be met if everyone who has not failed succeeds.
    pub fn is_reachable(&self, level: Level) -> bool {
        let at_best = Self { succeeded: self.asked.saturating_sub(self.failed), ..*self };
        matches!(at_best.judge(level), Standing::Met)
    }
}
