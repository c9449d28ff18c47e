//! The seam.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use peerstream_types::{ByteCount, Position};

use crate::limits::{BATCH_BYTES_DEFAULT, BATCH_RECORDS_DEFAULT};
use crate::{BoxFuture, Incomparable, ReadError, Unavailable};

/// The change log of one shard: an ordered sequence of records, of which the oldest may be gone.
///
/// A [`Position`] lies between two records. It names this log, and the **epoch**: the life of the
/// log in which its token was given out. A log that cannot promise that its old tokens still mean
/// the same (it was restored, or lost its tail) begins a new epoch.
///
/// # Cancel safety
///
/// Every future may be dropped at any point: asking and reading change nothing, and the same
/// question may be put again.
pub trait ChangeLog: Send + Sync + fmt::Debug {
    /// Which log this is: [`Position::log`] of all its positions. Stays for the life of the value.
    fn log_id(&self) -> &str;

    /// Where the log begins now: the earliest position that can be read from. Only moves forward
    /// within an epoch. A donor's position before it is lost; a forecast compares against it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] while the log cannot be asked.
    fn earliest(&self) -> BoxFuture<'_, Result<Position, Unavailable>>;

    /// Where the log ends now, after the last record. A snapshot's position is captured with this
    /// **before** the snapshot is taken, so that no change falls between the two.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] while the log cannot be asked.
    fn latest(&self) -> BoxFuture<'_, Result<Position, Unavailable>>;

    /// Which of two positions comes first. Only the log can tell. Says nothing about whether either
    /// can still be read, and never waits.
    ///
    /// # Errors
    ///
    /// [`Incomparable`] if either is of another log, of another epoch than the log is in, or has a
    /// token that the log does not know.
    fn compare(&self, a: &Position, b: &Position) -> Result<Ordering, Incomparable>;

    /// The first of several positions: where to continue after data of several snapshots was put
    /// together, since what is after it may be missing from one of them. `None` of no positions.
    ///
    /// # Errors
    ///
    /// [`Incomparable`] for the first position that means nothing to this log, also if it is the
    /// only one.
    fn minimum(&self, positions: &[Position]) -> Result<Option<Position>, Incomparable> {
        let Some((first, rest)) = positions.split_first() else { return Ok(None) };
        self.compare(first, first)?; // a single position is checked as well
        let earlier = |least, position| match self.compare(position, least)? {
            Ordering::Less => Ok(position),
            Ordering::Equal | Ordering::Greater => Ok(least),
        };
        rest.iter().try_fold(first, earlier).map(|least| Some(least.clone()))
    }

    /// Reads records in order, beginning at `from`. Does not wait for new ones: an empty batch says
    /// that `from` is the end of the log, and its `next` is `from`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] says whether a newer snapshot, another log or a later try is needed.
    fn read<'a>(&'a self, from: &'a Position, limits: ReadLimits) -> BoxFuture<'a, Result<Batch, ReadError>>;
}

/// Consecutive records of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The records, oldest first, each at most
    /// [`RECORD_LEN_MAX`](crate::limits::RECORD_LEN_MAX) long. Their meaning is the store's.
    pub records: Vec<Bytes>,
    /// Where to read on. A store commits it in the same step as the effects of the records: never
    /// before them, and if it is later, records come twice.
    pub next: Position,
}

/// How much one read may return. Whichever is reached first ends the batch, but a record at the
/// position is always returned, however long: reading makes progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Most records. Default [`BATCH_RECORDS_DEFAULT`].
    pub records: NonZeroU32,
    /// Most bytes of all records together. Default [`BATCH_BYTES_DEFAULT`].
    pub bytes: ByteCount,
}

impl ReadLimits {
    /// Whether one more record of `next` bytes fits after `records` with `bytes` in all. For authors
    /// of logs.
    pub fn admit(&self, records: usize, bytes: u64, next: u64) -> bool {
        let count_fits = u32::try_from(records).is_ok_and(|records| records < self.records.get());
        let bytes_fit = bytes.saturating_add(next) <= self.bytes.0;
        records == 0 || (count_fits && bytes_fit)
    }
}

impl Default for ReadLimits {
    fn default() -> Self {
        let records = NonZeroU32::new(BATCH_RECORDS_DEFAULT).expect("the default is not zero");
        Self { records, bytes: BATCH_BYTES_DEFAULT }
    }
}
