//! A writer of a shard.

use std::sync::{Arc, PoisonError, RwLock};

use peerstream_types::{Entry, ManifestHeader};
use tokio::sync::{RwLockReadGuard as Staged, RwLockWriteGuard as StagedAlone};

use super::admit::admit;
use super::area::Area;
use super::attempt::Attempt;
use super::budget::size_of;
use super::join::prune;
use super::keep::keep;
use super::layout::{Numbered, StagingDir};
use super::room::Reservation;
use super::seal::build;
use super::shard::{Live, Shard};
use super::sweep::{list, sweep};
use crate::disk::DiskErrorKind;
use crate::incoming::not_begun;
use crate::writer::Ticket;
use crate::{BoxFuture, Disk, DiskError, Fence, Generation, Held, SinkError, Staging, VerifiedChunk};

/// The content belongs to the shard and outlives the writer; the manifest is the writer's.
#[derive(Debug)]
pub(super) struct DirectoryStaging {
    shard: Arc<Shard>,
    ticket: Ticket,
    attempt: RwLock<Option<Arc<Attempt>>>,
    /// Keeps the staged content from being cleaned away.
    _live: Arc<Live>,
}

impl DirectoryStaging {
    /// Becomes the shard's writer.
    pub(super) async fn enter(shard: Arc<Shard>, fence: Fence) -> Result<Self, SinkError> {
        let (ticket, live) = shard.enter(fence).await?;
        Ok(Self { shard, ticket, attempt: RwLock::default(), _live: live })
    }

    /// For what may go on beside other additions.
    async fn shared(&self) -> Result<Staged<'_, Option<Arc<Area>>>, SinkError> {
        let staged = self.shard.staging.read().await;
        self.shard.check(self.ticket)?;
        Ok(staged)
    }

    /// For what goes on alone.
    async fn alone(&self) -> Result<StagedAlone<'_, Option<Arc<Area>>>, SinkError> {
        let staged = self.shard.staging.write().await;
        self.shard.check(self.ticket)?;
        Ok(staged)
    }

    fn attempt(&self) -> Option<Arc<Attempt>> {
        self.attempt.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_attempt(&self, attempt: Option<Attempt>) {
        *self.attempt.write().unwrap_or_else(PoisonError::into_inner) = attempt.map(Arc::new);
    }

    async fn begin_with(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let mut staged = self.alone().await?;
        let next = self.shard.next().await?;
        let open = staged.clone().filter(|area| area.target == next);
        let area = match open {
            Some(area) => area,
            None => {
                Arc::new(Area::open(&self.shard.seams, &self.shard.dir, next, self.shard.options.lag).await?)
            }
        };
        area.end_attempt().await?;
        *staged = Some(area.clone());
        // What the manifest before has reserved is not needed beside this one.
        self.set_attempt(None);
        let reservation = self.shard.ledger.reservation(self.shard.id.clone());
        let announced = announce(&area, &reservation, header).await?;
        let attempt = Attempt::begin(&area, header, reservation, announced).await?;
        prune(&area).await?;
        self.set_attempt(Some(attempt));
        Ok(())
    }

    async fn admit_page(&self, page: Vec<Arc<Entry>>) -> Result<Vec<Held>, SinkError> {
        let staged = self.shared().await?;
        let area = staged.as_ref().ok_or_else(not_begun)?;
        let attempt = self.attempt().ok_or_else(not_begun)?;
        admit(&self.shard, area, &attempt, page).await
    }

    async fn store_chunks(&self, chunks: &[VerifiedChunk]) -> Result<(), SinkError> {
        let staged = self.shared().await?;
        let Some(first) = chunks.first() else { return Ok(()) };
        let none = || SinkError::NotAdmitted(first.entry().key.clone());
        let attempt = self.attempt().ok_or_else(none)?;
        keep(staged.as_ref().ok_or_else(none)?, &attempt, chunks).await
    }

    async fn sync_staged(&self) -> Result<(), SinkError> {
        let staged = self.shared().await?;
        match &*staged {
            Some(area) => Ok(area.checkpoint(false).await?),
            None => Ok(()),
        }
    }

    async fn seal_with(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let staged = self.alone().await?;
        let area = staged.as_ref().ok_or_else(not_begun)?;
        let attempt = self.attempt().ok_or_else(not_begun)?;
        attempt.check_seal(header)?;
        if area.target != self.shard.next().await? {
            return Err(SinkError::BadManifest("it was published already".into()));
        }
        let built = build(&self.shard.dir, area, &attempt, header, self.shard.options.immutable).await;
        if let Err(SinkError::Disk(DiskError {
            kind: DiskErrorKind::Corrupt | DiskErrorKind::NotFound,
            ..
        })) = &built
        {
            // The records vouch for what is not there: the next attempt has to look for itself.
            area.doubt().await?;
        }
        built?;
        attempt.set_sealed(header.clone());
        Ok(())
    }

    async fn publish_sealed(&self) -> Result<Generation, SinkError> {
        let mut staged = self.alone().await?;
        let header = self.attempt().ok_or(SinkError::NotSealed)?.sealed()?;
        let area = staged.clone().ok_or(SinkError::NotSealed)?;
        let (shard, disk, target) = (&*self.shard, &*self.shard.seams.disk, area.target);
        // An earlier call may have come as far as the pointer, or as far as the name.
        if shard.visible().await? != Some((target, header.clone())) {
            let (half, whole) = (shard.dir.half_made(target), shard.dir.generation(target));
            if disk.metadata(whole.path()).await?.is_none() {
                disk.rename(half.path(), whole.path()).await?;
            }
            disk.sync_dir(&shard.dir.generations()).await?;
            if shard.options.hook.is_some() {
                // The host may change files that the staging shares with the generation, and refuse
                // it then, or not come to an end.
                area.doubt().await?;
            }
            shard.prepare(target, &header).await?;
            shard.show(target, header.clone()).await?;
        }
        *staged = None;
        self.set_attempt(None);
        shard.shown(target, &header).await;
        // It is visible whatever becomes of the rest: the next sweep takes what this one leaves.
        sweep(disk, &shard.dir, &shard.in_use()).await.ok();
        Ok(target)
    }

    async fn discard_staged(&self) -> Result<(), SinkError> {
        let mut staged = self.alone().await?;
        self.set_attempt(None);
        *staged = None;
        let (disk, dir) = (&*self.shard.seams.disk, &self.shard.dir);
        for entry in list(disk, &dir.stagings()).await? {
            if let Some(Numbered::Whole(target)) = Numbered::parse(&entry.name) {
                remove_staging(disk, &dir.staging(target)).await?;
            }
        }
        Ok(sweep(disk, dir, &self.shard.in_use()).await?)
    }
}

/// Removes a staging, in one step for whoever opens it next: of one that is half gone, the records
/// would vouch for content that is not there any more.
pub(super) async fn remove_staging(disk: &dyn Disk, dir: &StagingDir) -> Result<(), DiskError> {
    let gone = dir.half_removed();
    disk.remove_dir_all(&gone).await?;
    if disk.metadata(dir.path()).await?.is_none() {
        return Ok(());
    }
    disk.rename(dir.path(), &gone).await?;
    if let Some(stagings) = gone.parent() {
        disk.sync_dir(stagings).await?;
    }
    disk.remove_dir_all(&gone).await
}

/// Reserves what the header announces, less what is staged already. Says how much that is.
async fn announce(area: &Area, reservation: &Reservation, header: &ManifestHeader) -> Result<u64, SinkError> {
    let announced = if header.is_sealed() { header.counts.bytes } else { 0 };
    let Err(refused) = reservation.exchange(0, announced).await else { return Ok(announced) };
    let staged = size_of(&*area.seams.disk, area.dir.path()).await.map_err(|_| refused)?;
    let missing = announced.saturating_sub(staged);
    reservation.exchange(0, missing).await?;
    Ok(missing)
}

impl Staging for DirectoryStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.begin_with(header))
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(self.admit_page(entries))
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { self.store_chunks(&chunks).await })
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
