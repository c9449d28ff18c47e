//! Records of where entries lie, gathered and written many at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peerstream_types::Ordinal;

use super::slots::{Slot, SlotReader, Slots};
use crate::DiskError;
use crate::content::ContentId;
use crate::limits::RECORD_STANDS_FOR_MIN;

/// What a record says: where the content of an entry lies.
pub(super) type Said = (Ordinal, ContentId, Slot);

/// The records of one attempt. Those that stand for less than the lag of the staging may not be in the
/// file yet.
#[derive(Debug)]
pub(super) struct Recorder {
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
    pub(super) fn new(slots: Slots, lag: u64) -> Self {
        Self { slots, lag, gathered: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Takes records. If they, or those before, could not be written, they go in with the next ones.
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

    /// Writes what was gathered. Ready when everything that was taken before is in the file.
    pub(super) async fn flush(&self) -> Result<(), DiskError> {
        let mut writing = self.writing.lock().await;
        let Gathered { mut records, .. } = std::mem::take(&mut *self.gathered());
        writing.append(&mut records);
        // Stable: of several records of one entry, the last one stays.
        writing.sort_by_key(|(ordinal, ..)| *ordinal);
        self.slots.write(&writing).await?;
        writing.clear();
        Ok(())
    }

    /// Makes everything that was taken durable.
    pub(super) async fn sync(&self) -> Result<(), DiskError> {
        self.flush().await?;
        self.slots.sync().await
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
