//! What is staged for one generation of a shard: packs, larger contents, the journal, and what is
//! known to be durable of them. Outlives the writers, and the manifests that they begin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Seams;
use super::attempt::{entries_in, slots_in};
use super::contents::{Contents, Partial};
use super::journal::{Journal, Moment, Record};
use super::layout::{ShardDir, StagingDir};
use super::packs::Packs;
use super::recorder::Recorder;
use super::slots::Slots;
use super::sweep::list;
use super::sync::sync_those_there;
use crate::chunk_set::ChunkSet;
use crate::content::ContentId;
use crate::disk::DiskErrorKind;
use crate::limits::{SYNC_EACH_MAX, SYNC_JOBS};
use crate::{DiskError, Generation};

/// The staging for one generation.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) seams: Seams,
    pub(super) dir: StagingDir,
    /// The generation that it is staged for.
    pub(super) target: Generation,
    pub(super) packs: Packs,
    pub(super) contents: Contents,
    trust: Mutex<Trust>,
    next_attempt: AtomicU32,
    lag: u64,
    /// The records of the last attempt, which outlive it.
    recorder: Mutex<Option<Arc<Recorder>>>,
    unsynced: Mutex<Unsynced>,
    checkpoint: tokio::sync::Mutex<()>,
}

/// How far something that was stored can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It has to be hashed before it counts.
    Unsure,
    /// This process wrote it: it is there, though maybe not after a power loss.
    Written,
    /// A checkpoint covers it.
    Durable,
}

#[derive(Debug, Default)]
struct Trust {
    /// The last checkpoint of each attempt.
    covered: BTreeMap<u32, u32>,
    /// What was stored up to this attempt may have been changed since.
    doubt: u32,
    /// The first attempt of this process.
    own: u32,
}

/// Files with writes after their last sync, each with the number of its last write. Beyond
/// [`SYNC_EACH_MAX`] files it is only known that there are many.
#[derive(Debug, Default)]
struct Unsynced {
    writes: u64,
    synced: u64,
    files: BTreeMap<Written, u64>,
    /// The last write to a file that did not fit.
    beyond: u64,
}

/// A file that was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Written {
    Pack(u32),
    Content(ContentId),
    /// The manifest and the records of an attempt.
    Attempt(u32),
}

impl Written {
    /// Of which attempt it is, if of one alone.
    fn attempt(self) -> Option<u32> {
        match self {
            Self::Attempt(number) => Some(number),
            Self::Pack(_) | Self::Content(_) => None,
        }
    }
}

impl Area {
    /// Opens the staging for `target` with what an earlier process left in it.
    pub(super) async fn open(
        seams: &Seams,
        shard: &ShardDir,
        target: Generation,
        lag: u64,
    ) -> Result<Self, DiskError> {
        let (disk, dir) = (&*seams.disk, shard.staging(target));
        disk.remove_dir_all(&dir.locals()).await?;
        let dirs =
            [dir.contents(), dir.partials(), dir.locals(), dir.outlines(), dir.packs(), dir.attempts()];
        for made in dirs {
            disk.create_dir_all(&made).await?;
        }
        let mut replayed = Replayed::default();
        let journal = Journal::open(disk, &dir.journal(), lag, |record| replayed.take(record)).await?;
        for made in [dir.path(), &shard.stagings()].into_iter().chain(shard.ancestors()) {
            disk.sync_dir(made).await?;
        }
        let names = list(disk, &dir.attempts()).await?;
        let numbers = names.iter().filter_map(|entry| entry.name.to_str()?.parse::<u32>().ok());
        let last = numbers.max().unwrap_or(0).max(replayed.last);
        let own = last.checked_add(1).ok_or_else(|| DiskError::corrupt(dir.path(), "no attempt is left"))?;
        let trust = Trust { covered: replayed.covered, doubt: replayed.doubt, own };
        let partial = replayed.claims.into_iter().map(|(id, claims)| (id, trust.partial(claims))).collect();
        Ok(Self {
            seams: seams.clone(),
            packs: Packs::open(seams.disk.clone(), dir.packs()).await?,
            contents: Contents::new(seams.clone(), dir.clone(), journal, partial),
            dir,
            target,
            trust: Mutex::new(trust),
            next_attempt: AtomicU32::new(own),
            lag,
            recorder: Mutex::default(),
            unsynced: Mutex::default(),
            checkpoint: tokio::sync::Mutex::default(),
        })
    }

    /// The number of the next attempt.
    pub(super) fn next_attempt(&self) -> u32 {
        self.next_attempt.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the records of a new attempt.
    pub(super) fn recorder(&self, attempt: u32, slots: Slots) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder::new(attempt, slots, self.lag));
        *lock(&self.recorder) = Some(recorder.clone());
        recorder
    }

    /// Writes what the last attempt has not written yet, for the next one to find. If there is no room, it
    /// still waits. What cannot be written for another reason is lost, and must not be in the way of
    /// another attempt.
    pub(super) async fn end_attempt(&self) -> Result<(), DiskError> {
        let Some(recorder) = self.last_recorder() else { return Ok(()) };
        let flushed = recorder.flush().await;
        self.note_write(Written::Attempt(recorder.attempt()));
        if flushed.as_ref().is_err_and(|error| error.kind != DiskErrorKind::Full) {
            *lock(&self.recorder) = None;
        }
        flushed
    }

    fn last_recorder(&self) -> Option<Arc<Recorder>> {
        lock(&self.recorder).clone()
    }

    /// How far what was stored at a moment can be relied on.
    pub(super) fn standing(&self, moment: Moment) -> Standing {
        lock(&self.trust).standing(moment)
    }

    /// Nothing that was stored so far is relied on any more.
    pub(super) async fn doubt(&self) -> Result<(), DiskError> {
        let last = self.next_attempt.load(Ordering::Relaxed).saturating_sub(1);
        lock(&self.trust).doubt = last;
        self.contents.doubt();
        self.contents.journal.append(&[Record::Doubt(last)]).await?;
        self.contents.journal.sync().await
    }

    /// Whether what was stored in an attempt is in doubt.
    pub(super) fn is_doubtful(&self, attempt: u32) -> bool {
        attempt <= lock(&self.trust).doubt
    }

    /// Passes on what became of a sync. One that failed may have dropped what it was to write, and the
    /// next one knows nothing of it: only hashing tells what is there.
    pub(super) async fn synced(&self, result: Result<(), DiskError>) -> Result<(), DiskError> {
        if result.is_err() {
            // Where it cannot be written down now, it comes before the next record.
            self.doubt().await.ok();
        }
        result
    }

    /// Something was written to a file.
    pub(super) fn note_write(&self, file: Written) {
        let mut unsynced = lock(&self.unsynced);
        unsynced.writes += 1;
        let write = unsynced.writes;
        if unsynced.files.len() < SYNC_EACH_MAX || unsynced.files.contains_key(&file) {
            unsynced.files.insert(file, write);
        } else {
            unsynced.beyond = write;
        }
    }

    /// Makes everything stored so far durable, whether or not its attempt goes on: the files, their
    /// names, and last the records that say so. With `all`, also everything else on the file system.
    pub(super) async fn checkpoint(&self, all: bool) -> Result<(), DiskError> {
        let _one_at_a_time = self.checkpoint.lock().await;
        let recorder = self.last_recorder();
        let last = recorder.as_ref().map(|recorder| recorder.close_checkpoint());
        let (writes, many, files) = {
            let unsynced = lock(&self.unsynced);
            if unsynced.synced == unsynced.writes && !all {
                return Ok(());
            }
            let files: Vec<_> = unsynced.files.iter().map(|(file, write)| (*file, *write)).collect();
            (unsynced.writes, all || unsynced.beyond > unsynced.synced, files)
        };
        if let Some(recorder) = &recorder {
            recorder.flush().await?;
        }
        let synced = match many {
            true => self.seams.disk.sync_fs(self.dir.path()).await,
            false => self.sync_each(files.iter().map(|(file, _)| *file).collect()).await,
        };
        self.synced(synced).await?;
        self.cover(last, files.iter().map(|(file, _)| *file)).await?;
        let mut unsynced = lock(&self.unsynced);
        unsynced.synced = writes;
        for (file, write) in files {
            if unsynced.files.get(&file) == Some(&write) {
                unsynced.files.remove(&file);
            }
        }
        Ok(())
    }

    /// Writes down that everything up to this moment is durable, and all of the earlier attempts among
    /// these files.
    async fn cover(
        &self,
        last: Option<Moment>,
        files: impl Iterator<Item = Written>,
    ) -> Result<(), DiskError> {
        let ended = files.filter_map(Written::attempt);
        let ended = ended.filter(|attempt| last.is_none_or(|last| *attempt < last.attempt));
        let ended = ended.map(|attempt| Moment { attempt, checkpoint: u32::MAX });
        let covered: Vec<Moment> = ended.chain(last).collect();
        let records: Vec<Record> = covered.iter().copied().map(Record::Checkpoint).collect();
        self.contents.journal.append(&records).await?;
        let synced = self.contents.journal.sync().await;
        self.synced(synced).await?;
        lock(&self.trust).covered.extend(covered.iter().map(|moment| (moment.attempt, moment.checkpoint)));
        Ok(())
    }

    async fn sync_each(&self, files: Vec<Written>) -> Result<(), DiskError> {
        let disk = &*self.seams.disk;
        let attempts = files.iter().filter_map(|file| file.attempt());
        let attempts: Vec<_> = attempts.map(|number| self.dir.attempt(number)).collect();
        stream::iter(files)
            .map(|file| async move {
                match file {
                    Written::Pack(pack) => self.packs.sync(pack).await,
                    Written::Content(id) => self.contents.sync(id).await,
                    Written::Attempt(number) => {
                        let dir = self.dir.attempt(number);
                        sync_those_there(disk, &[entries_in(&dir), slots_in(&dir)]).await
                    }
                }
            })
            .buffer_unordered(SYNC_JOBS)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        let dirs = [self.dir.contents(), self.dir.partials(), self.dir.outlines(), self.dir.packs()];
        for dir in dirs.iter().chain(&attempts).chain([&self.dir.attempts()]) {
            match disk.sync_dir(dir).await {
                // An attempt may have been pruned.
                Err(error) if error.kind == DiskErrorKind::NotFound && attempts.contains(dir) => {}
                synced => synced?,
            }
        }
        Ok(())
    }
}

impl Trust {
    fn standing(&self, moment: Moment) -> Standing {
        let Moment { attempt, checkpoint } = moment;
        if attempt <= self.doubt {
            return Standing::Unsure;
        }
        if self.covered.get(&attempt).is_some_and(|covered| checkpoint <= *covered) || checkpoint == 0 {
            return Standing::Durable;
        }
        if attempt >= self.own { Standing::Written } else { Standing::Unsure }
    }

    fn partial(&self, claims: BTreeMap<Moment, ChunkSet>) -> Partial {
        let (mut held, mut claimed) = (ChunkSet::default(), ChunkSet::default());
        for (moment, chunks) in claims {
            let known = self.standing(moment) == Standing::Durable;
            let into = if known { &mut held } else { &mut claimed };
            into.extend(chunks.ranges().iter().flat_map(|run| run.iter()));
        }
        Partial::claimed(held, claimed)
    }
}

/// What a journal says, read from its beginning.
#[derive(Debug, Default)]
struct Replayed {
    claims: BTreeMap<ContentId, BTreeMap<Moment, ChunkSet>>,
    covered: BTreeMap<u32, u32>,
    doubt: u32,
    last: u32,
}

impl Replayed {
    fn take(&mut self, record: Record) {
        match record {
            Record::Claim(moment, id, run) => {
                let chunks = self.claims.entry(id).or_default().entry(moment).or_default();
                chunks.extend(run.iter());
                self.last = self.last.max(moment.attempt);
            }
            Record::Settled(id) => {
                self.claims.remove(&id);
            }
            Record::Checkpoint(Moment { attempt, checkpoint }) => {
                let covered = self.covered.entry(attempt).or_default();
                *covered = checkpoint.max(*covered);
                self.last = self.last.max(attempt);
            }
            Record::Doubt(attempt) => {
                self.doubt = attempt.max(self.doubt);
                self.last = self.last.max(attempt);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
