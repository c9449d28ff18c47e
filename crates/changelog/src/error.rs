//! What goes wrong with positions and reads, who is at fault, and what to do next.

use peerstream_types::Position;

/// A position means nothing to this log. Nothing was changed. Whoever brought the position has data
/// of another history: it cannot be continued from this log, and another source or a newer snapshot
/// is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomparable {
    /// It belongs to another log. A wrong configuration, or a snapshot of another shard.
    #[error("position {position} belongs to another log than {log:?}")]
    OtherLog {
        /// The position.
        position: Position,
        /// The log that was asked.
        log: String,
    },
    /// It belongs to another life of this log, whose tokens say nothing about this one.
    #[error("position {position} is of another epoch than {epoch}, in which log {log:?} is now")]
    OtherEpoch {
        /// The position.
        position: Position,
        /// The log that was asked.
        log: String,
        /// Its epoch.
        epoch: u64,
    },
    /// This log never gave out such a token.
    #[error("position {position} has a token that log {log:?} does not know")]
    BadToken {
        /// The position.
        position: Position,
        /// The log that was asked.
        log: String,
    },
    /// A part of it is longer than any position's, and is not repeated here.
    #[error("a position with a part over its limit was given to log {log:?}")]
    Malformed {
        /// The log that was asked.
        log: String,
    },
}

/// The log cannot be asked at present. Nothing was changed; try again later, or through another
/// replica of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("change log {log:?} cannot be asked: {why}")]
pub struct Unavailable {
    /// The log.
    pub log: String,
    /// What stands in the way, for an operator.
    pub why: String,
}

/// Why a log was not read. Nothing was changed, and the position that was asked for is still the
/// replica's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Retention has passed the position: records between it and `earliest` are gone. The replica
    /// cannot catch up from here; it needs a snapshot whose position is at or after `earliest`.
    #[error("the log is kept from {earliest} on, and the wanted position is before that")]
    Truncated {
        /// Where the log begins now.
        earliest: Position,
    },
    /// The position is beyond the end of the log. Its data comes from somewhere that knew more of
    /// the log than this replica of it does: wait for it to catch up, or ask another. If it stays,
    /// the log has lost records.
    #[error("the log ends at {latest}, and the wanted position is after that")]
    Ahead {
        /// Where the log ends now.
        latest: Position,
    },
    /// The position means nothing to this log.
    #[error(transparent)]
    WrongLog(#[from] Incomparable),
    /// The log cannot be asked at present.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
