//! How many replicas have to say the same, and what follows when they do not.

use std::cmp::Ordering;
use std::fmt;

use peerstream_select::{Ballot, Level};
use peerstream_types::{DatasetKind, Position};

/// What a job asks of the replicas before it believes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// How the replicas are related.
    pub kind: DatasetKind,
    /// How many have to answer and to agree (rows F-15, F-16). Of no meaning for
    /// [`DatasetKind::Local`].
    pub level: Level,
    /// Whose word counts.
    pub voters: Voters,
}

/// Whose word counts, as the placement says: that of the candidates, and of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voters {
    /// The replication factor, from which a majority is counted (row F-17).
    pub replicas: u32,
    /// Other replicas that cannot be asked, because they do not have the data yet or are in a state that is
    /// not known (row F-21). A level that needs them waits until the placement says otherwise; one that is
    /// met without them does not.
    pub absent: u32,
    /// Other replicas that have the data and cannot be asked, because nobody knows yet who they are. Like
    /// `absent`, and waited for also if there is nobody else.
    pub unknown: u32,
    /// Whether this node counts itself among those who agree (row F-18).
    pub own_vote: bool,
}

impl Voters {
    /// The candidates, of so many replicas.
    pub fn of(replicas: u32) -> Self {
        Self { replicas, absent: 0, unknown: 0, own_vote: false }
    }

    /// How many replicas there are besides this node, with so many candidates.
    pub(crate) fn others(&self, candidates: u32) -> u32 {
        candidates.saturating_add(self.absent).saturating_add(self.unknown)
    }
}

impl Default for Agreement {
    /// The word of one source.
    fn default() -> Self {
        Self { kind: DatasetKind::Local, level: Level::One, voters: Voters::of(1) }
    }
}

impl Agreement {
    /// Whether several replicas are heard before anything is taken from one.
    pub(crate) fn compares(&self) -> bool {
        self.kind != DatasetKind::Local && self.level != Level::One
    }

    /// Whether what nobody gives is done without (row F-19).
    pub(crate) fn is_best_effort(&self) -> bool {
        self.compares() && self.level == Level::None
    }

    /// Whether the level asks to try again for as long as it is not met (rows F-09, F-11).
    pub(crate) fn is_patient(&self) -> bool {
        self.compares() && !self.is_best_effort()
    }

    /// The counts of a question put to `others` replicas, of which so many succeeded and failed.
    pub(crate) fn ballot(&self, others: u32, succeeded: u32, failed: u32) -> Ballot {
        Ballot {
            replicas: self.voters.replicas,
            others,
            own_vote: self.voters.own_vote,
            eligible: others,
            asked: others,
            succeeded,
            failed,
        }
    }

    /// Whether this many votes for one manifest settle it, without a word of the others.
    pub(crate) fn is_settled(&self, others: u32, votes: u32) -> bool {
        let ballot = self.ballot(others, votes, 0);
        votes > 0
            && self.level.may_stop(self.voters.replicas, ballot.votes(), votes == others)
            && self.level.is_achieved(self.voters.replicas, ballot.voters(), ballot.votes())
    }

    /// Whether `votes` of the `reporters` of an entry are enough for it. An entry that fewer replicas
    /// report than the level asks for is judged among those who report it (row F-10).
    pub(crate) fn is_enough(&self, reporters: u32, votes: u32) -> bool {
        let factor = self.voters.replicas.min(reporters.saturating_mul(2).saturating_sub(1));
        votes > 0 && self.level.is_achieved(factor, reporters, votes)
    }
}

/// Compares positions in the change log, for shards that are put together from several snapshots. Only
/// the log can: a host that has one implements this over it.
pub trait PositionOrder: fmt::Debug + Send + Sync {
    /// Which comes first; `None` if they cannot be compared.
    fn compare(&self, a: &Position, b: &Position) -> Option<Ordering>;
}

/// Knows that equal positions are equal, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EqualPositions;

impl PositionOrder for EqualPositions {
    fn compare(&self, a: &Position, b: &Position) -> Option<Ordering> {
        (a == b).then_some(Ordering::Equal)
    }
}

/// The position from which nothing of either snapshot is skipped: the earlier one, and none if one of
/// them has none.
///
/// # Errors
///
/// They cannot be compared.
pub(crate) fn earlier(
    order: &dyn PositionOrder,
    a: Option<&Position>,
    b: Option<&Position>,
) -> Result<Option<Position>, ()> {
    match (a, b) {
        (None, None) => Ok(None),
        (Some(a), Some(b)) => match order.compare(a, b) {
            Some(Ordering::Less | Ordering::Equal) => Ok(Some(a.clone())),
            Some(Ordering::Greater) => Ok(Some(b.clone())),
            None => Err(()),
        },
        (Some(_), None) | (None, Some(_)) => Err(()),
    }
}
