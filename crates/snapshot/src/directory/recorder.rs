//! Records of where entries lie, gathered and written many at a time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerstream_types::Ordinal;

use super::journal::Moment;
use super::slots::{Slot, SlotReader, Slots};
use crate::DiskError;
use crate::content::ContentId;
use crate::limits::RECORD_STANDS_FOR_MIN;

/// What a record says: where the content of an entry lies.
pub(super) type Said = (Ordinal, ContentId, Slot);

/// The records of one attempt. Those that are not in the file yet stand for less than the lag, but for
/// those of calls that have not returned.
#[derive(Debug)]
pub(super) struct Recorder {
    attempt: u32,
    /// The checkpoint that will make durable what is stored now.
    checkpoint: AtomicU32,
    slots: Slots,
    lag: u64,
    gathered: Mutex<Gathered>,
    /// What is being written, or could not be.
    writing: tokio::sync::Mutex<Vec<Said>>,
}

#[derive(Debug, Default)]
struct Gathered {
    records: Vec<Said>,
    stand_for: u64,
}

impl Recorder {
    pub(super) fn new(attempt: u32, slots: Slots, lag: u64) -> Self {
        Self {
            attempt,
            checkpoint: AtomicU32::new(1),
            slots,
            lag,
            gathered: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Of which attempt they are.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When something is stored whose bytes are written by now.
    pub(super) fn now(&self) -> Moment {
        Moment { attempt: self.attempt, checkpoint: self.checkpoint.load(Ordering::SeqCst) }
    }

    /// What is stored from now on is for the next checkpoint. Says which one that before is.
    pub(super) fn close_checkpoint(&self) -> Moment {
        Moment { attempt: self.attempt, checkpoint: self.checkpoint.fetch_add(1, Ordering::SeqCst) }
    }

    /// Takes records, and writes them if too many wait. After an error they still wait.
    pub(super) async fn record(&self, records: &[Said]) -> Result<(), DiskError> {
        if self.gather(records) < self.lag {
            return Ok(());
        }
        self.flush().await
    }

    /// Says how many bytes what was gathered stands for.
    fn gather(&self, records: &[Said]) -> u64 {
        let mut gathered = self.gathered();
        gathered.records.extend_from_slice(records);
        gathered.stand_for += records.iter().map(stands_for).sum::<u64>();
        gathered.stand_for
    }

    /// Writes what was gathered. Ready when everything that was taken before is in the file. If it fails
    /// or is abandoned, it is written with the next ones.
    pub(super) async fn flush(&self) -> Result<(), DiskError> {
        let mut writing = self.writing.lock().await;
        let stand_for = {
            let mut gathered = self.gathered();
            writing.append(&mut gathered.records);
            gathered.stand_for
        };
        // Stable: of several records of one entry, the last one stays.
        writing.sort_by_key(|(ordinal, ..)| *ordinal);
        self.slots.write(&writing).await?;
        writing.clear();
        // Counted until now, so that no more is taken meanwhile without waiting for this.
        self.gathered().stand_for -= stand_for;
        Ok(())
    }

    /// Reads what is in the file.
    pub(super) fn reader(&self) -> SlotReader {
        self.slots.reader()
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stands_for((_, id, _): &Said) -> u64 {
    id.len.max(RECORD_STANDS_FOR_MIN)
}
