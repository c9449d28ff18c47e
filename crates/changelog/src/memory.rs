//! A log in memory, for tests of stores and for simulation.
//!
//! Runtime-free and deterministic: nothing waits, and a run with the same calls gives the same
//! answers. Its tokens are ordinals of records, eight bytes, big-endian, from zero in each epoch.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use peerstream_types::position::POSITION_PART_LEN_MAX;
use peerstream_types::{ByteCount, Position};

use crate::limits::{RECORD_LEN_MAX, RECORD_OVERHEAD, RETAINED_DEFAULT};
use crate::{Batch, BoxFuture, ChangeLog, Incomparable, ReadError, ReadLimits, Unavailable, token_of};

/// A log in memory. Clones share it. See the [module](self).
#[derive(Debug, Clone)]
pub struct MemoryLog {
    id: Arc<str>,
    retained_max: ByteCount,
    inner: Arc<Mutex<Inner>>,
}

/// One life of the log.
#[derive(Debug, Default)]
struct Inner {
    epoch: u64,
    /// Ordinal of the first record that is kept.
    first: u64,
    records: VecDeque<Bytes>,
    /// What `records` is charged.
    retained: ByteCount,
}

/// Why a log was not made: its id is longer than a position can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log id has {0} bytes, at most {POSITION_PART_LEN_MAX} are allowed")]
pub struct LogIdError(pub usize);

/// Why a record was not appended: it is longer than a reader has to take. The log is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record has {0}, at most {RECORD_LEN_MAX} are allowed")]
pub struct AppendError(pub ByteCount);

impl MemoryLog {
    /// An empty log that keeps [`RETAINED_DEFAULT`] of records.
    ///
    /// # Errors
    ///
    /// [`LogIdError`] for an id over [`POSITION_PART_LEN_MAX`] bytes.
    pub fn new(id: &str) -> Result<Self, LogIdError> {
        Self::with_retention(id, RETAINED_DEFAULT)
    }

    /// An empty log that keeps at most `retained_max`, each record being charged its bytes and
    /// [`RECORD_OVERHEAD`]. An append drops as many of the oldest records as do not fit.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_retention(id: &str, retained_max: ByteCount) -> Result<Self, LogIdError> {
        if id.len() > POSITION_PART_LEN_MAX {
            return Err(LogIdError(id.len()));
        }
        Ok(Self { id: id.into(), retained_max, inner: Arc::default() })
    }

    /// Appends a record and returns the position after it.
    ///
    /// # Errors
    ///
    /// [`AppendError`] for a record over [`RECORD_LEN_MAX`].
    pub fn append(&self, record: impl Into<Bytes>) -> Result<Position, AppendError> {
        let record = record.into();
        let len = ByteCount(record.len() as u64);
        if len > RECORD_LEN_MAX {
            return Err(AppendError(len));
        }
        let mut inner = self.inner();
        inner.retained += charge(&record);
        inner.records.push_back(record);
        while inner.retained > self.retained_max && inner.drop_first() {}
        Ok(self.at(&inner, inner.end()))
    }

    /// Drops the records before a position, as retention does. One that is gone already drops
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError::Ahead`] or [`ReadError::WrongLog`]; the log is as it was.
    pub fn truncate_before(&self, position: &Position) -> Result<(), ReadError> {
        let mut inner = self.inner();
        let ordinal = self.ordinal(&inner, position)?;
        if ordinal > inner.end() {
            return Err(ReadError::Ahead { latest: self.at(&inner, inner.end()) });
        }
        while inner.first < ordinal && inner.drop_first() {}
        Ok(())
    }

    /// Begins a new life of the log, empty: positions of the old one are refused from now on.
    /// Returns its only position.
    pub fn bump_epoch(&self) -> Position {
        let mut inner = self.inner();
        *inner = Inner { epoch: inner.epoch + 1, ..Inner::default() };
        self.at(&inner, 0)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, inner: &Inner, ordinal: u64) -> Position {
        Position { log: self.id.to_string(), epoch: inner.epoch, token: ordinal.to_be_bytes().to_vec() }
    }

    fn ordinal(&self, inner: &Inner, position: &Position) -> Result<u64, Incomparable> {
        let token = token_of(position, &self.id, inner.epoch)?;
        let bad = |_| Incomparable::BadToken { position: position.clone(), log: self.id.to_string() };
        token.try_into().map(u64::from_be_bytes).map_err(bad)
    }

    fn read_now(&self, from: &Position, limits: ReadLimits) -> Result<Batch, ReadError> {
        let inner = self.inner();
        let ordinal = self.ordinal(&inner, from)?;
        if ordinal > inner.end() {
            return Err(ReadError::Ahead { latest: self.at(&inner, inner.end()) });
        }
        let truncated = || ReadError::Truncated { earliest: self.at(&inner, inner.first) };
        let skip = ordinal.checked_sub(inner.first).ok_or_else(truncated)?;
        let records = inner.batch(skip, limits);
        let next = self.at(&inner, ordinal + records.len() as u64);
        Ok(Batch { records, next })
    }
}

impl ChangeLog for MemoryLog {
    fn log_id(&self) -> &str {
        &self.id
    }

    fn earliest(&self) -> BoxFuture<'_, Result<Position, Unavailable>> {
        let inner = self.inner();
        let earliest = self.at(&inner, inner.first);
        Box::pin(async { Ok(earliest) })
    }

    fn latest(&self) -> BoxFuture<'_, Result<Position, Unavailable>> {
        let inner = self.inner();
        let latest = self.at(&inner, inner.end());
        Box::pin(async { Ok(latest) })
    }

    fn compare(&self, a: &Position, b: &Position) -> Result<Ordering, Incomparable> {
        let inner = self.inner();
        Ok(self.ordinal(&inner, a)?.cmp(&self.ordinal(&inner, b)?))
    }

    fn read<'a>(&'a self, from: &'a Position, limits: ReadLimits) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(async move { self.read_now(from, limits) })
    }
}

impl Inner {
    fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Whether there was one to drop.
    fn drop_first(&mut self) -> bool {
        let Some(record) = self.records.pop_front() else { return false };
        self.retained = ByteCount(self.retained.0 - charge(&record).0);
        self.first += 1;
        true
    }

    fn batch(&self, skip: u64, limits: ReadLimits) -> Vec<Bytes> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let skip = usize::try_from(skip).expect("it is at most the number of records");
        for record in self.records.iter().skip(skip) {
            let len = record.len() as u64;
            if !limits.admit(records.len(), bytes, len) {
                break;
            }
            bytes += len;
            records.push(record.clone());
        }
        records
    }
}

fn charge(record: &Bytes) -> ByteCount {
    ByteCount(record.len() as u64) + RECORD_OVERHEAD
}

#[cfg(test)]
mod tests;
