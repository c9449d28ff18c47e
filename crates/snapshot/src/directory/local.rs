//! What the visible generation has already is not received again: entries with equal key, digest
//! and length, whose files are really what its manifest says.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{ChunkRange, Entry, GroupIndex, Ordinal};

use super::area::{Area, Written};
use super::attempt::is_packed;
use super::catalog::{Catalog, Cursor};
use super::recheck::{good_in, is_good};
use super::slots::Place;
use crate::content::ContentId;
use crate::disk::{FileKind, ReadFile};
use crate::limits::{BUILD_FILES, BUILD_JOBS, PACK_READ_MAX};
use crate::offload::run_for;
use crate::{SinkError, VerifiedOutline, VerifiedTop};

/// The visible generation, read once from front to back.
#[derive(Debug)]
pub(super) struct Local {
    catalog: Arc<Catalog>,
    cursor: Cursor,
    data: PathBuf,
    /// Whether a published file may get a second name.
    link: bool,
}

/// An entry whose content the visible generation should have.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) entry: Arc<Entry>,
    pub(super) id: ContentId,
    path: PathBuf,
    /// Its place there.
    theirs: Ordinal,
}

/// Where the content of an entry lies now.
pub(super) type Taken = (Ordinal, ContentId, Place);

impl Local {
    pub(super) fn new(catalog: Arc<Catalog>, data: PathBuf, link: bool) -> Self {
        let cursor = catalog.cursor(Ordinal(0));
        Self { catalog, cursor, data, link }
    }

    /// Whether the generation should have an entry. Keys come in ascending order. What cannot be read
    /// is not there.
    pub(super) async fn find(&mut self, entry: &Arc<Entry>, id: ContentId) -> Option<Candidate> {
        loop {
            let next = self.cursor.peek().await.ok().flatten()?;
            match next.key.cmp(&entry.key) {
                Ordering::Greater => return None,
                Ordering::Equal => {
                    let path = self.data.join(entry.key.as_path().ok()?);
                    let same = (next.digest, next.len) == (entry.digest, entry.len);
                    return same.then(|| Candidate { entry: entry.clone(), id, path, theirs: next.ordinal });
                }
                Ordering::Less => drop(self.cursor.next().await.ok()?),
            }
        }
    }

    /// Takes what is really there into the staging, and says where it lies now.
    pub(super) async fn take(
        &self,
        area: &Area,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Taken>, SinkError> {
        let (small, large): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| is_packed(&c.id));
        let mut taken: Vec<_> = stream::iter(batches(small))
            .map(|batch| take_small(area, batch))
            .buffer_unordered(BUILD_JOBS)
            .try_concat()
            .await?;
        let mut whole = BTreeSet::new();
        for candidate in large {
            // Equal content is taken once, whatever its keys.
            if whole.contains(&candidate.id) || self.take_large(area, &candidate).await? {
                whole.insert(candidate.id);
                taken.push((candidate.entry.ordinal, candidate.id, Place::File));
            }
        }
        Ok(taken)
    }

    /// The file gets a name in the staging, or is copied there, and is hashed under that name: what
    /// happens to the published one afterwards does not matter.
    async fn take_large(&self, area: &Area, candidate: &Candidate) -> Result<bool, SinkError> {
        let Candidate { entry, id, path, .. } = candidate;
        let disk = &*area.seams.disk;
        let found = disk.metadata(path).await.ok().flatten();
        if !found.is_some_and(|found| found.kind == FileKind::File && found.len == id.len) {
            return Ok(false);
        }
        if id.chunks() > 1 && !self.take_outline(area, candidate).await? {
            return Ok(false);
        }
        let beside = area.dir.local(id);
        disk.remove_file(&beside).await?;
        let linked = self.link && disk.hard_link(path, &beside).await.is_ok();
        let taken = linked || disk.clone_file(path, &beside).await.is_ok();
        let good = match good_in(&area.contents, &beside, entry, *id).await {
            // The generation keeps it, and peers have it too.
            Err(SinkError::Disk(_)) => 0,
            good => good?.len(),
        };
        if !taken || good < id.chunks() {
            disk.remove_file(&beside).await?;
            return Ok(false);
        }
        disk.rename(&beside, &area.dir.content(id)).await?;
        area.contents.adopt(*id).await?;
        area.note_write(Written::Content(*id));
        Ok(true)
    }

    async fn take_outline(&self, area: &Area, candidate: &Candidate) -> Result<bool, SinkError> {
        let Candidate { entry, id, theirs, .. } = candidate;
        let size = id.chunk_size;
        if self.catalog.header().chunk_size != size {
            return Ok(false);
        }
        let groups = size.groups_in(id.len);
        let mut top = None;
        if groups > 1 {
            let all = ChunkRange {
                count: u32::try_from(groups).unwrap_or(u32::MAX),
                ..size.chunks_of(GroupIndex(0), 0)
            };
            let values = self.catalog.outline(*theirs, 1, all).await.ok().flatten();
            let Some(values) = values else { return Ok(false) };
            top = VerifiedTop::check(entry, size, values).ok();
        }
        for group in (0..groups).map(GroupIndex) {
            let run = size.chunks_of(group, id.len);
            let values = self.catalog.outline(*theirs, 0, run).await.ok().flatten();
            let Some(values) = values else { return Ok(false) };
            let outline = match &top {
                Some(top) => VerifiedOutline::check_group(entry, size, top, group, values),
                None => VerifiedOutline::check(entry, size, values),
            };
            let Ok(outline) = outline else { return Ok(false) };
            area.contents.write_outline(*id, &outline).await?;
        }
        Ok(true)
    }
}

/// Few enough to be read at once.
fn batches(small: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut batches: Vec<Vec<Candidate>> = Vec::new();
    let mut room = 0;
    for candidate in small {
        let len = candidate.id.len;
        match batches.last_mut().filter(|batch| batch.len() < BUILD_FILES && len <= room) {
            Some(batch) => batch.push(candidate),
            None => {
                room = PACK_READ_MAX;
                batches.push(vec![candidate]);
            }
        }
        room = room.saturating_sub(len);
    }
    batches
}

async fn take_small(area: &Area, batch: Vec<Candidate>) -> Result<Vec<Taken>, SinkError> {
    // One byte more than it should have tells a longer file.
    let limit = |len: u64| usize::try_from(len).unwrap_or(usize::MAX).saturating_add(1);
    let files = batch.iter().map(|c| ReadFile { path: c.path.clone(), limit: limit(c.id.len) }).collect();
    let read = area.seams.disk.read_files(files).await;
    let pairs: Vec<_> =
        batch.into_iter().zip(read).filter_map(|(c, file)| Some((c, file.ok()?.bytes))).collect();
    let check = move || {
        let good = |(c, bytes): (Candidate, Bytes)| {
            is_good(&c.entry, c.id, bytes.clone()).then_some((c.entry.ordinal, c.id, bytes))
        };
        pairs.into_iter().filter_map(good).collect::<Vec<_>>()
    };
    let good = run_for(&*area.seams.offload, check).await?;
    if good.is_empty() {
        return Ok(Vec::new());
    }
    let extent = area.packs.append(&good.iter().map(|(.., bytes)| bytes).collect::<Vec<_>>()).await?;
    area.note_write(Written::Pack(extent.pack));
    let mut after = 0;
    let place = |(ordinal, id, bytes): (Ordinal, ContentId, Bytes)| {
        let place = extent.place(after);
        after += bytes.len() as u64;
        (ordinal, id, place)
    };
    Ok(good.into_iter().map(place).collect())
}
