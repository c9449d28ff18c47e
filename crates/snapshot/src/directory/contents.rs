//! What is staged, by content: a file per digest, written chunk by chunk in any order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{ChunkIndex, ChunkRange};
use tokio::sync::OnceCell;

use super::Seams;
use super::journal::{Claim, Journal};
use super::layout::{ShardDir, StagingDir};
use super::open_files::OpenFiles;
use crate::chunk_set::ChunkSet;
use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::limits::SYNC_JOBS;
use crate::{DiskError, DiskFile, Generation, VerifiedChunk, VerifiedOutline};

/// The staged content for one generation of a shard.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) seams: Seams,
    pub(super) dir: StagingDir,
    /// The generation that it is staged for.
    pub(super) target: Generation,
    journal: Journal,
    known: Mutex<BTreeMap<ContentId, Arc<Content>>>,
    unsynced: Mutex<Unsynced>,
    files: OpenFiles<ContentId>,
    checkpoint: tokio::sync::Mutex<()>,
}

/// One file of the staging.
#[derive(Debug, Default)]
pub(super) struct Content {
    chunks: Mutex<Chunks>,
    /// Set once the outline is on disk.
    outline: OnceCell<()>,
    /// Locked while what the journal claims is checked.
    pub(super) recheck: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Chunks {
    /// Verified, and on disk.
    held: ChunkSet,
    /// What the journal of an earlier process claims: counts for nothing before it is checked.
    claimed: ChunkSet,
}

/// Contents with writes after their last sync, each with the number of its last write.
#[derive(Debug, Default)]
struct Unsynced {
    writes: u64,
    last: BTreeMap<ContentId, u64>,
}

impl Contents {
    /// Opens the staging for `target` with what an earlier process left in it.
    pub(super) async fn open(seams: &Seams, shard: &ShardDir, target: Generation) -> Result<Self, DiskError> {
        let (disk, dir) = (&*seams.disk, shard.staging(target));
        disk.create_dir_all(&dir.contents()).await?;
        disk.create_dir_all(&dir.outlines()).await?;
        let mut known: BTreeMap<ContentId, Arc<Content>> = BTreeMap::new();
        let claim = |claim: Claim| {
            lock(&known.entry(claim.content).or_default().chunks).claimed.insert(claim.chunk);
        };
        let journal = Journal::open(disk, &dir.journal(), claim).await?;
        for made in [dir.path(), &shard.stagings()].into_iter().chain(shard.ancestors()) {
            disk.sync_dir(made).await?;
        }
        Ok(Self {
            seams: seams.clone(),
            dir,
            target,
            journal,
            known: Mutex::new(known),
            unsynced: Mutex::default(),
            files: OpenFiles::new(),
            checkpoint: tokio::sync::Mutex::default(),
        })
    }

    /// How many chunks are held.
    pub(super) fn held(&self, id: ContentId) -> u64 {
        lock(&self.known).get(&id).map_or(0, |content| lock(&content.chunks).held.len())
    }

    /// Which chunks are held.
    pub(super) fn held_ranges(&self, id: ContentId) -> Vec<ChunkRange> {
        lock(&self.known).get(&id).map_or(Vec::new(), |content| lock(&content.chunks).held.ranges())
    }

    pub(super) fn known(&self, id: ContentId) -> Option<Arc<Content>> {
        lock(&self.known).get(&id).cloned()
    }

    /// Keeps a chunk: first its bytes, then the record in the journal. A chunk that is held already
    /// costs nothing.
    pub(super) async fn store(&self, id: ContentId, chunk: &VerifiedChunk) -> Result<(), DiskError> {
        let content = lock(&self.known).entry(id).or_default().clone();
        if lock(&content.chunks).held.contains(chunk.index()) {
            return Ok(());
        }
        if let Some(outline) = chunk.outline() {
            content.outline.get_or_try_init(|| self.write_outline(id, outline)).await?;
        }
        let file = self.file(id, OpenMode::Create).await?;
        file.write_at(chunk.offset(), chunk.bytes().clone()).await?;
        self.note_write(id);
        self.journal.append(&Claim { content: id, chunk: chunk.index() }).await?;
        lock(&content.chunks).held.insert(chunk.index());
        Ok(())
    }

    /// The file of a content, which may be kept open.
    pub(super) async fn file(&self, id: ContentId, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.files.open(&*self.seams.disk, id, &self.dir.content(&id), mode).await
    }

    /// An outline needs no care in writing: it is checked against the digest when it is read.
    async fn write_outline(&self, id: ContentId, outline: &VerifiedOutline) -> Result<(), DiskError> {
        let mut bytes = BytesMut::with_capacity(outline.values().len() * 32);
        outline.values().iter().for_each(|value| bytes.extend_from_slice(&value.0));
        let file = self.seams.disk.open(&self.dir.outline(&id), OpenMode::Create).await?;
        file.write_at(0, bytes.freeze()).await
    }

    fn note_write(&self, id: ContentId) {
        let mut unsynced = lock(&self.unsynced);
        unsynced.writes += 1;
        let write = unsynced.writes;
        unsynced.last.insert(id, write);
    }

    /// The claims about a content were checked, and these chunks are really there. Whether the
    /// process that wrote them also synced them is not known, so they are synced again.
    pub(super) fn confirm(
        &self,
        id: ContentId,
        content: &Content,
        good: &[ChunkIndex],
        outline_is_good: bool,
    ) {
        if !good.is_empty() {
            self.note_write(id);
        }
        let mut chunks = lock(&content.chunks);
        chunks.claimed = ChunkSet::default();
        for index in good {
            chunks.held.insert(*index);
        }
        if outline_is_good {
            // Whoever was first has set it to the same.
            content.outline.set(()).ok();
        }
    }

    /// Makes everything stored so far durable: contents and outlines, then the journal.
    pub(super) async fn checkpoint(&self) -> Result<(), DiskError> {
        let _one_at_a_time = self.checkpoint.lock().await;
        let unsynced: Vec<ContentId> = lock(&self.unsynced).last.keys().copied().collect();
        stream::iter(unsynced)
            .map(|id| self.sync(id))
            .buffer_unordered(SYNC_JOBS)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        self.seams.disk.sync_dir(&self.dir.contents()).await?;
        self.seams.disk.sync_dir(&self.dir.outlines()).await?;
        self.journal.sync().await
    }

    /// Makes one content durable, unless it is.
    pub(super) async fn sync(&self, id: ContentId) -> Result<(), DiskError> {
        let Some(write) = lock(&self.unsynced).last.get(&id).copied() else { return Ok(()) };
        self.file(id, OpenMode::Write).await?.sync().await?;
        if id.chunks() > 1 {
            self.seams.disk.open(&self.dir.outline(&id), OpenMode::Write).await?.sync().await?;
        }
        let mut unsynced = lock(&self.unsynced);
        if unsynced.last.get(&id) == Some(&write) {
            unsynced.last.remove(&id);
        }
        Ok(())
    }
}

impl Content {
    /// What the journal claims, to be checked.
    pub(super) fn claimed(&self) -> Vec<ChunkRange> {
        lock(&self.chunks).claimed.ranges()
    }
}

/// The raw outline of a content, as an earlier process wrote it.
pub(super) async fn outline_bytes(contents: &Contents, id: ContentId) -> Result<Option<Bytes>, DiskError> {
    crate::disk::read_whole(&*contents.seams.disk, &contents.dir.outline(&id)).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
