//! A manifest that was begun: its entries and where they lie, on disk; the entries that are not
//! complete, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::{ChunkSize, Entry, ManifestHeader, Ordinal};

use super::area::{Area, Written};
use super::contents::Partial;
use super::entry_log::{EntryLog, EntryReader};
use super::join::Joins;
use super::journal::Moment;
use super::recorder::{Recorder, Said};
use super::room::Reservation;
use super::slots::{Place, Slot, SlotReader, Slots};
use crate::content::ContentId;
use crate::limits::{CATALOG_ENTRIES_MAX, PACKED_LEN_MAX};
use crate::{Admission, DiskError, SinkError, VerifiedChunk};

/// A manifest on its way in.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) dir: PathBuf,
    pub(super) chunk_size: ChunkSize,
    records: Arc<Recorder>,
    progress: Mutex<Progress>,
    /// Pages are admitted one after the other.
    pub(super) admitting: tokio::sync::Mutex<Admitting>,
    pub(super) reservation: Reservation,
    /// Bytes that the header announces and that were not admitted yet.
    announced: AtomicU64,
}

/// What admitting a page needs.
#[derive(Debug)]
pub(super) struct Admitting {
    pub(super) log: EntryLog,
    /// Where the content of earlier manifests lies; `None` if it has to be opened again.
    pub(super) joins: Option<Joins>,
}

#[derive(Debug)]
struct Progress {
    admission: Admission,
    admitted: u64,
    sealed: Option<ManifestHeader>,
    /// Admitted, not complete.
    pending: BTreeMap<u64, Pending>,
    /// Those of them that wait for a larger content.
    waiting: BTreeMap<ContentId, Vec<u64>>,
}

/// An entry that is not complete.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) entry: Arc<Entry>,
    /// `None` if it goes to a pack.
    pub(super) content: Option<Arc<Partial>>,
}

impl Attempt {
    /// Begins a manifest, for which `announced` bytes are reserved.
    pub(super) async fn begin(
        area: &Area,
        header: &ManifestHeader,
        reservation: Reservation,
        announced: u64,
    ) -> Result<Self, SinkError> {
        let admission = Admission::begin_up_to(header, CATALOG_ENTRIES_MAX)?;
        let (disk, number) = (&*area.seams.disk, area.next_attempt());
        let dir = area.dir.attempt(number);
        disk.create_dir_all(&dir).await?;
        let log = EntryLog::create(disk, &entries_in(&dir), header.chunk_size).await?;
        let slots = Slots::create(disk, &slots_in(&dir), number).await?;
        let records = area.recorder(number, slots);
        area.note_write(Written::Attempt(number));
        let progress = Progress {
            admission,
            admitted: 0,
            sealed: None,
            pending: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        Ok(Self {
            number,
            dir,
            chunk_size: header.chunk_size,
            records,
            progress: Mutex::new(progress),
            admitting: tokio::sync::Mutex::new(Admitting { log, joins: None }),
            reservation,
            announced: AtomicU64::new(announced),
        })
    }

    /// How many of `bytes`, which are admitted now, the header had announced.
    pub(super) fn take_announced(&self, bytes: u64) -> u64 {
        let before = self.announced.load(Ordering::Relaxed);
        let taken = bytes.min(before);
        self.announced.store(before - taken, Ordering::Relaxed);
        taken
    }

    /// The content of an entry that was checked on admission.
    pub(super) fn content_of(&self, entry: &Entry) -> ContentId {
        ContentId::of(entry, self.chunk_size).expect("admitted entries have a digest")
    }

    /// When something is stored whose bytes are written by now.
    pub(super) fn now(&self) -> Moment {
        self.records.now()
    }

    /// What was taken of the announced bytes is not admitted after all.
    pub(super) fn announce_again(&self, bytes: u64) {
        self.announced.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Checks a page; the answer goes to [`Attempt::admit`].
    pub(super) fn check(&self, page: &[Arc<Entry>]) -> Result<Admission, SinkError> {
        let mut admission = {
            let progress = self.progress();
            if progress.sealed.is_some() {
                return Err(SinkError::BadManifest("it is sealed already".into()));
            }
            progress.admission.clone()
        };
        admission.admit(page)?;
        Ok(admission)
    }

    /// Admits a page, of which these entries are not complete.
    pub(super) fn admit(&self, checked: Admission, entries: usize, pending: Vec<Pending>) {
        let mut progress = self.progress();
        progress.admission = checked;
        progress.admitted += entries as u64;
        for pending in pending {
            let ordinal = pending.entry.ordinal.0;
            if pending.content.is_some() {
                let id = self.content_of(&pending.entry);
                progress.waiting.entry(id).or_default().push(ordinal);
            }
            progress.pending.insert(ordinal, pending);
        }
    }

    /// The entry of a chunk, if just that entry was admitted and is not complete; `None` if it is.
    pub(super) fn pending(&self, chunk: &VerifiedChunk) -> Result<Option<Pending>, SinkError> {
        let (entry, progress) = (chunk.entry(), self.progress());
        let none = || SinkError::NotAdmitted(entry.key.clone());
        if entry.ordinal.0 >= progress.admitted || chunk.chunk_size() != self.chunk_size {
            return Err(none());
        }
        match progress.pending.get(&entry.ordinal.0) {
            Some(pending) if pending.entry != *entry => Err(none()),
            pending => Ok(pending.cloned()),
        }
    }

    /// Says of entries where their content is complete: to the records first, then here.
    pub(super) async fn complete(
        &self,
        area: &Area,
        places: &[(Ordinal, ContentId, Place)],
    ) -> Result<(), DiskError> {
        let checkpoint = self.now().checkpoint;
        let slot = |place| Slot { place, checkpoint };
        let records: Vec<_> = places.iter().map(|(o, id, place)| (*o, *id, slot(*place))).collect();
        self.record(area, &records).await?;
        let mut progress = self.progress();
        for (ordinal, id, _) in places {
            if progress.pending.remove(&ordinal.0).is_some() && is_packed(id) {
                self.reservation.give_back(id.len);
            }
        }
        Ok(())
    }

    /// Takes records of entries.
    pub(super) async fn record(&self, area: &Area, records: &[Said]) -> Result<(), DiskError> {
        if records.is_empty() {
            return Ok(());
        }
        let taken = self.records.record(records).await;
        area.note_write(Written::Attempt(self.number));
        taken
    }

    /// Writes the records that wait.
    pub(super) async fn flush(&self) -> Result<(), DiskError> {
        self.records.flush().await
    }

    /// Gives a content that has all its chunks its name, and completes the entries that wait for it.
    pub(super) async fn finish(
        &self,
        area: &Area,
        id: ContentId,
        content: &Partial,
    ) -> Result<(), DiskError> {
        area.contents.finish(id, content).await?;
        area.note_write(Written::Content(id));
        self.complete_waiting(area, id).await
    }

    /// Completes the entries that wait for a content, which has its name by now.
    pub(super) async fn complete_waiting(&self, area: &Area, id: ContentId) -> Result<(), DiskError> {
        let Some(mut waiting) = self.progress().waiting.get(&id).cloned() else { return Ok(()) };
        waiting.sort_unstable();
        let places: Vec<_> = waiting.iter().map(|o| (Ordinal(*o), id, Place::File)).collect();
        self.complete(area, &places).await?;
        let mut progress = self.progress();
        if let Some(left) = progress.waiting.get_mut(&id) {
            left.retain(|ordinal| !waiting.contains(ordinal));
            if left.is_empty() {
                progress.waiting.remove(&id);
            }
        }
        Ok(())
    }

    /// Checks the sealed header and that nothing is missing.
    pub(super) fn check_seal(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let progress = self.progress();
        progress.admission.seal(header)?;
        let Some(first) = progress.pending.values().next() else { return Ok(()) };
        let (missing, first) = (progress.pending.len() as u64, first.entry.key.clone());
        Err(SinkError::Incomplete { missing, first })
    }

    pub(super) fn set_sealed(&self, header: ManifestHeader) {
        self.reservation.give_back_all();
        self.progress().sealed = Some(header);
    }

    pub(super) fn sealed(&self) -> Result<ManifestHeader, SinkError> {
        self.progress().sealed.clone().ok_or(SinkError::NotSealed)
    }

    /// The entries and where they lie, from the beginning.
    pub(super) async fn read(&self) -> Result<(EntryReader, SlotReader), DiskError> {
        self.flush().await?;
        Ok((self.admitting.lock().await.log.reader(self.chunk_size), self.records.reader()))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a content lies in a pack while it is staged.
pub(super) fn is_packed(id: &ContentId) -> bool {
    id.len > 0 && id.len <= PACKED_LEN_MAX && id.chunks() == 1
}

/// The entries of an attempt.
pub(super) fn entries_in(attempt: &std::path::Path) -> PathBuf {
    attempt.join("entries")
}

/// Where the entries of an attempt lie.
pub(super) fn slots_in(attempt: &std::path::Path) -> PathBuf {
    attempt.join("slots")
}
