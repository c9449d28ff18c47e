//! Content that is too large for a pack: a file per digest, written chunk by chunk in any order.
//!
//! A file has the name of its digest below `partial` while chunks are missing, and below `content`
//! once it is complete. What is complete is never written to again: a published generation may
//! share it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use peerstream_types::{ChainingValue, ChunkRange, GroupIndex};

use super::Seams;
use super::journal::{Journal, Moment, Record};
use super::layout::StagingDir;
use super::open_files::OpenFiles;
use super::recheck::all_chunks;
use super::sync::sync_those_there;
use crate::chunk_set::ChunkSet;
use crate::content::ContentId;
use crate::disk::{FileKind, OpenMode};
use crate::limits::{HASH_JOBS, KNOWN_WHOLE_MAX, RECORD_STANDS_FOR_MIN};
use crate::{DiskError, DiskFile, VerifiedChunk, VerifiedOutline};

/// The larger contents of a staging.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) seams: Seams,
    pub(super) dir: StagingDir,
    pub(super) journal: Journal,
    partial: Mutex<BTreeMap<ContentId, Arc<Partial>>>,
    /// Some that are known to be complete, so that another key with the same content costs nothing.
    whole: Mutex<BTreeSet<ContentId>>,
    files: OpenFiles<ContentId>,
    /// Chunks that are read back and hashed at once.
    pub(super) rechecks: tokio::sync::Semaphore,
}

/// A content of which chunks are missing.
#[derive(Debug, Default)]
pub(super) struct Partial {
    chunks: Mutex<Chunks>,
    /// The groups whose outline is on disk.
    outlined: Mutex<BTreeSet<GroupIndex>>,
    /// Locked while what is claimed is checked.
    pub(super) recheck: tokio::sync::Mutex<()>,
    /// Whether it has its final name.
    finished: tokio::sync::Mutex<bool>,
}

#[derive(Debug, Default)]
struct Chunks {
    /// Verified, and on disk.
    held: ChunkSet,
    /// What is said of an earlier process: counts for nothing before it is checked.
    claimed: ChunkSet,
    /// Whether it was looked for the file since an earlier process wrote it.
    unseen: bool,
}

impl Contents {
    /// With what the journal of an earlier process claims.
    pub(super) fn new(
        seams: Seams,
        dir: StagingDir,
        journal: Journal,
        partial: BTreeMap<ContentId, Partial>,
    ) -> Self {
        let partial = partial.into_iter().map(|(id, partial)| (id, Arc::new(partial))).collect();
        Self {
            seams,
            dir,
            journal,
            partial: Mutex::new(partial),
            whole: Mutex::default(),
            files: OpenFiles::new(),
            rechecks: tokio::sync::Semaphore::new(HASH_JOBS),
        }
    }

    /// The content if it is known and chunks of it are missing.
    pub(super) fn partial(&self, id: ContentId) -> Option<Arc<Partial>> {
        lock(&self.partial).get(&id).cloned()
    }

    /// The content, to be filled.
    pub(super) fn fill(&self, id: ContentId) -> Arc<Partial> {
        lock(&self.partial).entry(id).or_default().clone()
    }

    /// What is said of a content with missing chunks does not count.
    pub(super) fn forget(&self, id: ContentId) {
        lock(&self.partial).remove(&id);
        self.files.forget(&id);
    }

    /// Whether it is known, without a look, that the content is complete.
    pub(super) fn is_whole(&self, id: ContentId) -> bool {
        lock(&self.whole).contains(&id)
    }

    /// Remembers that a content is complete.
    pub(super) fn note_whole(&self, id: ContentId) {
        let mut whole = lock(&self.whole);
        if whole.len() >= KNOWN_WHOLE_MAX {
            whole.clear();
        }
        whole.insert(id);
    }

    /// Forgets what is known to be complete.
    pub(super) fn doubt(&self) {
        lock(&self.whole).clear();
    }

    /// Keeps the bytes of a chunk and its outline. It counts once it is claimed. Returns whether
    /// anything was written: a chunk that is held already costs nothing.
    pub(super) async fn write(
        &self,
        id: ContentId,
        content: &Partial,
        chunk: &VerifiedChunk,
    ) -> Result<bool, DiskError> {
        if lock(&content.chunks).held.contains(chunk.index()) {
            return Ok(false);
        }
        if let Some(outline) = chunk.outline()
            && !lock(&content.outlined).contains(&outline.group())
        {
            self.write_outline(id, outline).await?;
            lock(&content.outlined).insert(outline.group());
        }
        let path = self.dir.partial(&id);
        let file = self.files.open(&*self.seams.disk, id, &path, OpenMode::Create).await?;
        file.write_at(chunk.offset(), chunk.bytes().clone()).await?;
        Ok(true)
    }

    /// Makes written chunks count.
    pub(super) async fn claim(
        &self,
        moment: Moment,
        written: &[(ContentId, Arc<Partial>, ChunkRange)],
        bytes: u64,
    ) -> Result<(), DiskError> {
        let records: Vec<_> = written.iter().map(|(id, _, run)| Record::Claim(moment, *id, *run)).collect();
        let stand_for = bytes.max(records.len() as u64 * RECORD_STANDS_FOR_MIN);
        self.journal.claim(&records, stand_for).await?;
        for (_, content, run) in written {
            lock(&content.chunks).held.extend(run.iter());
        }
        Ok(())
    }

    /// What was claimed of a content counts no more, not even after a power loss. It comes before
    /// whatever is done to the file: chunks that come again make a file of the right length, with
    /// holes where the old claims would be believed.
    pub(super) async fn disclaim(&self, id: ContentId) -> Result<(), DiskError> {
        self.files.forget(&id);
        self.journal.append(&[Record::Settled(id)]).await?;
        self.journal.sync().await
    }

    /// Gives a content that has all chunks its final name.
    pub(super) async fn finish(&self, id: ContentId, content: &Partial) -> Result<(), DiskError> {
        let mut finished = content.finished.lock().await;
        if *finished {
            return Ok(());
        }
        let renamed = self.seams.disk.rename(&self.dir.partial(&id), &self.dir.content(&id)).await;
        // An earlier call that failed may have come as far as this.
        if renamed.is_err() && self.named_len(id).await? != Some(id.len) {
            return renamed;
        }
        *finished = true;
        self.note_whole(id);
        lock(&self.partial).remove(&id);
        self.journal.append(&[Record::Settled(id)]).await
    }

    /// A content got its final name without being filled.
    pub(super) async fn adopt(&self, id: ContentId) -> Result<(), DiskError> {
        self.note_whole(id);
        let Some(content) = self.partial(id) else { return Ok(()) };
        let mut finished = content.finished.lock().await;
        *finished = true;
        content.fill(id);
        lock(&self.partial).remove(&id);
        self.files.forget(&id);
        self.seams.disk.remove_file(&self.dir.partial(&id)).await?;
        self.journal.append(&[Record::Settled(id)]).await
    }

    /// Makes the bytes of a content durable.
    pub(super) async fn sync(&self, id: ContentId) -> Result<(), DiskError> {
        // Both names: one that was left over may stand beside the one that is filled. It may get its
        // final name while this looks for it, so that one is looked for last.
        let paths = [self.dir.partial(&id), self.dir.content(&id), self.dir.outline(&id)];
        sync_those_there(&*self.seams.disk, &paths).await
    }

    /// How long the file is that has the final name of the content, if there is one. A power loss
    /// may have kept the name and not the length.
    pub(super) async fn named_len(&self, id: ContentId) -> Result<Option<u64>, DiskError> {
        let found = self.seams.disk.metadata(&self.dir.content(&id)).await?;
        Ok(found.filter(|found| found.kind == FileKind::File).map(|found| found.len))
    }

    /// The file of a content that may have chunks.
    pub(super) async fn partial_file(&self, id: ContentId) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.files.open(&*self.seams.disk, id, &self.dir.partial(&id), OpenMode::Write).await
    }

    /// An outline needs no care in writing: it is checked against the digest when it is read. The
    /// values of the groups come first, if there are several.
    pub(super) async fn write_outline(
        &self,
        id: ContentId,
        outline: &VerifiedOutline,
    ) -> Result<(), DiskError> {
        let file = self.seams.disk.open(&self.dir.outline(&id), OpenMode::Create).await?;
        if let Some(top) = outline.top() {
            file.write_at(0, raw(top.values())).await?;
        }
        let first = tops_of(id) + outline.first().0;
        file.write_at(first * VALUE_LEN, raw(outline.values())).await
    }
}

/// Length of a chaining value.
pub(super) const VALUE_LEN: u64 = 32;

/// How many values of groups come before those of the chunks.
pub(super) fn tops_of(id: ContentId) -> u64 {
    Some(id.chunk_size.groups_in(id.len)).filter(|groups| *groups > 1).unwrap_or(0)
}

fn raw(values: &[ChainingValue]) -> bytes::Bytes {
    let mut bytes = BytesMut::with_capacity(values.len() * 32);
    values.iter().for_each(|value| bytes.extend_from_slice(&value.0));
    bytes.freeze()
}

impl Partial {
    /// A content with claims: some that are known to hold, others that are not.
    pub(super) fn claimed(held: ChunkSet, claimed: ChunkSet) -> Self {
        Self { chunks: Mutex::new(Chunks { held, claimed, unseen: true }), ..Self::default() }
    }

    /// How many chunks are held.
    pub(super) fn held(&self) -> u64 {
        lock(&self.chunks).held.len()
    }

    /// Which chunks are held.
    pub(super) fn held_ranges(&self) -> Vec<ChunkRange> {
        lock(&self.chunks).held.ranges()
    }

    /// Which chunks are claimed and have to be checked.
    pub(super) fn claims(&self) -> Vec<ChunkRange> {
        lock(&self.chunks).claimed.ranges()
    }

    /// Says that chunks may be there.
    pub(super) fn claim(&self, runs: Vec<ChunkRange>) {
        let mut chunks = lock(&self.chunks);
        chunks.unseen = true;
        chunks.claimed.extend(runs.iter().flat_map(|run| run.iter()));
    }

    /// Whether nothing of it is left to be checked.
    pub(super) fn is_checked(&self) -> bool {
        let chunks = lock(&self.chunks);
        !chunks.unseen && chunks.claimed.len() == 0
    }

    /// Nothing that is said of it is there.
    pub(super) fn lose(&self) {
        *lock(&self.chunks) = Chunks::default();
    }

    /// The claims were checked: what is not held by now is not there.
    pub(super) fn checked(&self) {
        let mut chunks = lock(&self.chunks);
        chunks.claimed = ChunkSet::default();
        chunks.unseen = false;
    }

    /// All of it is there.
    fn fill(&self, id: ContentId) {
        lock(&self.chunks).held.extend(all_chunks(id).iter().flat_map(|run| run.iter()));
        self.checked();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
