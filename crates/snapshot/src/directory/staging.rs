//! A writer of a shard.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{Entry, EntryKind, ManifestHeader};
use tokio::sync::{RwLockReadGuard as Staged, RwLockWriteGuard as StagedAlone};

use super::contents::Contents;
use super::recheck::recheck;
use super::seal::build;
use super::shard::Shard;
use super::sweep::sweep;
use crate::incoming::{Incoming, not_begun};
use crate::limits::HASH_JOBS;
use crate::writer::Ticket;
use crate::{BoxFuture, Generation, Held, SinkError, Staging, VerifiedChunk};

/// The content belongs to the shard and outlives the writer; the manifest is the writer's.
#[derive(Debug)]
pub(super) struct DirectoryStaging {
    shard: Arc<Shard>,
    ticket: Ticket,
    incoming: RwLock<Option<Incoming>>,
    /// Pages are admitted one after the other.
    admitting: tokio::sync::Mutex<()>,
}

impl DirectoryStaging {
    pub(super) fn new(shard: Arc<Shard>, ticket: Ticket) -> Self {
        Self { shard, ticket, incoming: RwLock::default(), admitting: tokio::sync::Mutex::default() }
    }

    /// For what may go on beside other additions.
    async fn shared(&self) -> Result<Staged<'_, Option<Arc<Contents>>>, SinkError> {
        let staged = self.shard.staging.read().await;
        self.shard.check(self.ticket)?;
        Ok(staged)
    }

    /// For what goes on alone.
    async fn alone(&self) -> Result<StagedAlone<'_, Option<Arc<Contents>>>, SinkError> {
        let staged = self.shard.staging.write().await;
        self.shard.check(self.ticket)?;
        Ok(staged)
    }

    fn incoming(&self) -> RwLockReadGuard<'_, Option<Incoming>> {
        self.incoming.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming_mut(&self) -> RwLockWriteGuard<'_, Option<Incoming>> {
        self.incoming.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin_with(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let mut staged = self.alone().await?;
        let incoming = Incoming::begin(header)?;
        let next = self.shard.next().await?;
        if staged.as_ref().is_none_or(|contents| contents.target != next) {
            *staged = Some(Arc::new(Contents::open(&self.shard.seams, &self.shard.dir, next).await?));
        }
        *self.incoming_mut() = Some(incoming);
        Ok(())
    }

    async fn admit_page(&self, page: Vec<Arc<Entry>>) -> Result<Vec<Held>, SinkError> {
        let staged = self.shared().await?;
        let _one_at_a_time = self.admitting.lock().await;
        let contents = staged.as_ref().ok_or_else(not_begun)?;
        let (admission, ids) = {
            let incoming = self.incoming();
            let incoming = incoming.as_ref().ok_or_else(not_begun)?;
            page.iter().try_for_each(|entry| only_files(entry))?;
            let admission = incoming.check(&page)?;
            (admission, page.iter().map(|entry| incoming.content_of(entry)).collect::<Vec<_>>())
        };
        let claims: Vec<_> = page.iter().cloned().zip(ids.iter().copied()).collect();
        stream::iter(claims)
            .map(|(entry, id)| recheck(contents.clone(), entry, id))
            .buffer_unordered(HASH_JOBS)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        let held = page.iter().zip(&ids).filter_map(|(entry, id)| {
            let chunks = contents.held_ranges(*id);
            (!chunks.is_empty()).then_some(Held { ordinal: entry.ordinal, chunks })
        });
        let held = held.collect();
        let mut incoming = self.incoming_mut();
        incoming.as_mut().ok_or_else(not_begun)?.admit(admission, page);
        Ok(held)
    }

    async fn store_chunk(&self, chunk: &VerifiedChunk) -> Result<(), SinkError> {
        let staged = self.shared().await?;
        let none = || SinkError::NotAdmitted(chunk.entry().key.clone());
        let content = self.incoming().as_ref().ok_or_else(none)?.owner(chunk)?;
        Ok(staged.as_ref().ok_or_else(none)?.store(content, chunk).await?)
    }

    async fn sync_staged(&self) -> Result<(), SinkError> {
        match &*self.shared().await? {
            Some(contents) => Ok(contents.checkpoint().await?),
            None => Ok(()),
        }
    }

    async fn seal_with(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let staged = self.alone().await?;
        let contents = staged.as_ref().ok_or_else(not_begun)?;
        let entries: Vec<_> = {
            let incoming = self.incoming();
            let incoming = incoming.as_ref().ok_or_else(not_begun)?;
            incoming.check_seal(header, |content| contents.held(content))?;
            incoming.entries().map(|(entry, content)| (entry.clone(), content)).collect()
        };
        if contents.target != self.shard.next().await? {
            return Err(SinkError::BadManifest("it was published already".into()));
        }
        contents.checkpoint().await?;
        build(&self.shard.dir, contents, header, &entries).await?;
        self.incoming_mut().as_mut().ok_or_else(not_begun)?.set_sealed(header.clone());
        Ok(())
    }

    async fn publish_sealed(&self) -> Result<Generation, SinkError> {
        let mut staged = self.alone().await?;
        let header = self.incoming().as_ref().ok_or(SinkError::NotSealed)?.sealed()?.clone();
        let target = staged.as_ref().ok_or(SinkError::NotSealed)?.target;
        let (shard, disk) = (&*self.shard, &*self.shard.seams.disk);
        // An earlier call may have come as far as the pointer, or as far as the name.
        if shard.visible().await? != Some((target, header.clone())) {
            let (half, whole) = (shard.dir.half_made(target), shard.dir.generation(target));
            if disk.metadata(whole.path()).await?.is_none() {
                disk.rename(half.path(), whole.path()).await?;
            }
            disk.sync_dir(&shard.dir.generations()).await?;
            shard.show(target, header).await?;
        }
        *staged = None;
        *self.incoming_mut() = None;
        // It is visible whatever becomes of the rest: the next sweep takes what this one leaves.
        sweep(disk, &shard.dir, &shard.in_use()).await.ok();
        Ok(target)
    }

    async fn discard_staged(&self) -> Result<(), SinkError> {
        let mut staged = self.alone().await?;
        *self.incoming_mut() = None;
        *staged = None;
        let (disk, dir) = (&*self.shard.seams.disk, &self.shard.dir);
        disk.remove_dir_all(&dir.stagings()).await?;
        Ok(sweep(disk, dir, &self.shard.in_use()).await?)
    }
}

fn only_files(entry: &Entry) -> Result<(), SinkError> {
    if entry.kind == EntryKind::File {
        return Ok(());
    }
    let why = "a directory holds files only".into();
    Err(SinkError::BadEntry { key: entry.key.clone(), why })
}

impl Staging for DirectoryStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.begin_with(header))
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(self.admit_page(entries))
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            for chunk in &chunks {
                self.store_chunk(chunk).await?;
            }
            Ok(())
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.sync_staged())
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.seal_with(header))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(self.publish_sealed())
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.discard_staged())
    }
}
