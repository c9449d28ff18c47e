//! What is said to lie on disk is hashed before it counts.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, Entry, GroupIndex};

use super::area::{Area, Written};
use super::attempt::Attempt;
use super::contents::{Contents, Partial, VALUE_LEN, tops_of};
use super::packs::Extent;
use crate::chunk_set::ChunkSet;
use crate::content::ContentId;
use crate::disk::{DiskErrorKind, OpenMode};
use crate::limits::HASH_JOBS;
use crate::offload::run_for;
use crate::verify::{Scheme, chaining_value, scheme};
use crate::{BoxFuture, DiskError, DiskFile, SinkError, VerifiedChunk, VerifiedOutline, VerifiedTop};

/// Checks what is claimed of the content of `entry` and makes what is really there count. Chunks that
/// are not there, or are not what they should be, are simply not held: they are fetched again.
///
/// # Errors
///
/// What is there cannot be read: nothing is decided about it, and nothing is lost.
pub(super) async fn recheck(
    area: &Area,
    attempt: &Attempt,
    entry: &Arc<Entry>,
    id: ContentId,
    content: &Arc<Partial>,
) -> Result<(), SinkError> {
    let _one_at_a_time = content.recheck.lock().await;
    if content.is_checked() {
        return Ok(());
    }
    let claims = content.claims();
    let mut file = if_there(area.contents.partial_file(id).await)?;
    if let Some(found) = &file
        && found.len().await? < end_of(id, &content.held_ranges())
    {
        file = None;
    }
    let Some(file) = file else {
        area.contents.disclaim(id).await?;
        content.lose();
        return Ok(());
    };
    let good = good_chunks(&area.contents, &*file, entry, id, &claims).await?;
    confirm(area, attempt, id, content, &good).await
}

/// Makes chunks count that were found on disk: here, and for the next process, which would otherwise
/// know only of those that are stored from now on.
async fn confirm(
    area: &Area,
    attempt: &Attempt,
    id: ContentId,
    content: &Arc<Partial>,
    good: &ChunkSet,
) -> Result<(), SinkError> {
    if good.len() > 0 {
        area.note_write(Written::Content(id));
        let found: Vec<_> = good.ranges().into_iter().map(|run| (id, content.clone(), run)).collect();
        let bytes = good.ranges().iter().map(|run| id.chunk_size.bytes_in(*run, id.len)).sum();
        area.contents.claim(attempt.now(), &found, bytes).await?;
        area.note_write(Written::Content(id));
    }
    content.checked();
    Ok(())
}

/// Where the last of some chunks ends.
fn end_of(id: ContentId, runs: &[ChunkRange]) -> u64 {
    runs.last().map_or(0, |run| (run.end() * id.chunk_size.bytes()).min(id.len))
}

/// Whether a file that is complete by its name holds the content. If not, what is right of it is kept
/// as a content with missing chunks. The file itself may be shared, so it is not written to.
pub(super) async fn recheck_whole(
    area: &Area,
    attempt: &Attempt,
    entry: &Arc<Entry>,
    id: ContentId,
) -> Result<bool, SinkError> {
    let (contents, disk) = (&area.contents, &*area.seams.disk);
    let (path, partial) = (area.dir.content(&id), area.dir.partial(&id));
    // A file that cannot be opened is not one with other content: it stays.
    let file = disk.open(&path, OpenMode::Read).await?;
    let good = good_chunks(contents, &*file, entry, id, &all_chunks(id)).await?;
    if good.len() == id.chunks() {
        area.note_write(Written::Content(id));
        contents.note_whole(id);
        return Ok(true);
    }
    contents.disclaim(id).await?;
    disk.remove_file(&partial).await?;
    if good.len() > 0 {
        disk.clone_file(&path, &partial).await?;
        // Some of it was durable, and is not to go with the file.
        disk.open(&partial, OpenMode::Write).await?.sync().await?;
        disk.sync_dir(&area.dir.partials()).await?;
    }
    disk.remove_file(&path).await?;
    contents.forget(id);
    confirm(area, attempt, id, &contents.fill(id), &good).await?;
    Ok(false)
}

/// The chunks of a content that are in a file; none if there is no file.
///
/// # Errors
///
/// It cannot be read.
pub(super) async fn good_in(
    contents: &Contents,
    path: &Path,
    entry: &Arc<Entry>,
    id: ContentId,
) -> Result<ChunkSet, SinkError> {
    match if_there(contents.seams.disk.open(path, OpenMode::Read).await)? {
        Some(file) => good_chunks(contents, &*file, entry, id, &all_chunks(id)).await,
        None => Ok(ChunkSet::default()),
    }
}

/// What is not there, or not what was written, counts for nothing. What cannot be read for another
/// reason may be right: it is not to be thrown away for that.
fn if_there<T>(found: Result<T, DiskError>) -> Result<Option<T>, DiskError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind, DiskErrorKind::NotFound | DiskErrorKind::Corrupt) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All chunks of a content.
pub(super) fn all_chunks(id: ContentId) -> Vec<ChunkRange> {
    let step = u64::from(u32::MAX);
    let run = |first: u64| {
        let count = u32::try_from(step.min(id.chunks() - first)).expect("a run is at most that long");
        ChunkRange { first: ChunkIndex(first), count }
    };
    (0..id.chunks().div_ceil(step)).map(|part| run(part * step)).collect()
}

async fn good_chunks(
    contents: &Contents,
    file: &dyn DiskFile,
    entry: &Arc<Entry>,
    id: ContentId,
    claims: &[ChunkRange],
) -> Result<ChunkSet, SinkError> {
    let mut good = ChunkSet::default();
    let mut indexes = claims.iter().copied().flat_map(indexes_of).peekable();
    let outlines = Outlines::open(contents, entry, id).await?;
    while let Some(first) = indexes.peek().copied() {
        // A group at a time: claims of a large content are many.
        let group = first.group();
        let mut of_group = Vec::new();
        while let Some(index) = indexes.next_if(|index| index.group() == group) {
            of_group.push(index);
        }
        let Some(outline) = outlines.group(group).await? else { continue };
        let checks: Vec<BoxFuture<'_, _>> = of_group
            .into_iter()
            .map(|index| Box::pin(holds(contents, file, entry, id, outline.clone(), index)) as _)
            .collect();
        let found: Vec<Option<ChunkIndex>> =
            stream::iter(checks).buffer_unordered(HASH_JOBS).try_collect().await?;
        good.extend(found.into_iter().flatten());
    }
    Ok(good)
}

/// Named, because a closure would not live across the waits.
fn indexes_of(run: ChunkRange) -> impl Iterator<Item = ChunkIndex> + Send {
    run.iter()
}

async fn holds(
    contents: &Contents,
    file: &dyn DiskFile,
    entry: &Arc<Entry>,
    id: ContentId,
    outline: Option<VerifiedOutline>,
    index: ChunkIndex,
) -> Result<Option<ChunkIndex>, SinkError> {
    let _slot = contents.rechecks.acquire().await;
    let size = id.chunk_size;
    let len = usize::try_from(size.len_of(index, id.len)).expect("a chunk fits in memory");
    let read = file.read_at(index.0 * size.bytes(), len).await;
    let Some(bytes) = if_there(read)? else { return Ok(None) };
    let entry = entry.clone();
    let check = move || VerifiedChunk::check(&entry, size, outline.as_ref(), index, bytes).is_ok();
    Ok(run_for(&*contents.seams.offload, check).await?.then_some(index))
}

/// The outlines of a content, as they were staged.
pub(super) struct Outlines<'a> {
    entry: &'a Entry,
    id: ContentId,
    scheme: Option<Scheme>,
    file: Option<Arc<dyn DiskFile>>,
    top: Option<VerifiedTop>,
}

impl<'a> Outlines<'a> {
    pub(super) async fn open(
        contents: &Contents,
        entry: &'a Entry,
        id: ContentId,
    ) -> Result<Self, DiskError> {
        let scheme = scheme(entry, id.chunk_size).ok();
        let (mut file, mut top) = (None, None);
        if id.chunks() > 1 {
            file = if_there(contents.seams.disk.open(&contents.dir.outline(&id), OpenMode::Read).await)?;
        }
        if let (Some(file), Some(Scheme::Groups)) = (&file, scheme)
            && let Some(values) = read_values(&**file, 0, tops_of(id)).await?
        {
            top = VerifiedTop::check(entry, id.chunk_size, values).ok();
        }
        Ok(Self { entry, id, scheme, file, top })
    }

    /// What vouches for the chunks of a group; `None` if nothing does, and in that nothing if the
    /// digest itself does.
    pub(super) async fn group(
        &self,
        group: GroupIndex,
    ) -> Result<Option<Option<VerifiedOutline>>, DiskError> {
        let file = match (&self.file, self.scheme) {
            (_, Some(Scheme::Whole)) => return Ok(Some(None)),
            (Some(file), Some(Scheme::Empty | Scheme::Outline | Scheme::Groups)) => file,
            (None, _) | (_, None) => return Ok(None),
        };
        let (size, chunks) = (self.id.chunk_size, self.id.chunk_size.chunks_of(group, self.id.len));
        let first = tops_of(self.id) + chunks.first.0;
        let Some(values) = read_values(&**file, first, u64::from(chunks.count)).await? else {
            return Ok(None);
        };
        let outline = match &self.top {
            Some(top) => VerifiedOutline::check_group(self.entry, size, top, group, values),
            None => VerifiedOutline::check(self.entry, size, values),
        };
        Ok(outline.ok().map(Some))
    }
}

/// The chaining values of a group of a complete content.
pub(super) async fn hash_group(
    contents: &Contents,
    id: ContentId,
    group: GroupIndex,
) -> Result<Vec<ChainingValue>, SinkError> {
    let (path, size) = (contents.dir.content(&id), id.chunk_size);
    let file = contents.seams.disk.open(&path, OpenMode::Read).await?;
    let mut values = Vec::new();
    for index in size.chunks_of(group, id.len).iter() {
        let len = usize::try_from(size.len_of(index, id.len)).expect("a chunk fits in memory");
        let bytes = file.read_at(index.0 * size.bytes(), len).await?;
        values.push(run_for(&*contents.seams.offload, move || chaining_value(size, index, &bytes)).await?);
    }
    Ok(values)
}

async fn read_values(
    file: &dyn DiskFile,
    first: u64,
    count: u64,
) -> Result<Option<Vec<ChainingValue>>, DiskError> {
    let Ok(len) = usize::try_from(count * VALUE_LEN) else { return Ok(None) };
    let Some(bytes) = if_there(file.read_at(first * VALUE_LEN, len).await)? else { return Ok(None) };
    let (values, _) = bytes.as_chunks::<32>();
    Ok((bytes.len() == len).then(|| values.iter().copied().map(ChainingValue).collect()))
}

/// An entry that is said to lie in a pack.
pub(super) type Said = (Arc<Entry>, ContentId, Extent);

/// Which of these entries really lie where they are said to.
///
/// # Errors
///
/// What is there cannot be read.
pub(super) async fn recheck_packed(area: &Area, said: &[Said]) -> Result<Vec<bool>, SinkError> {
    let extents: Vec<Extent> = said.iter().map(|(_, _, extent)| *extent).collect();
    let mut found: Vec<Option<Bytes>> = vec![None; said.len()];
    if_there(area.packs.read(&extents, |at, bytes| found[at] = Some(bytes)).await)?;
    let entries: Vec<_> = said.iter().map(|(entry, id, _)| (entry.clone(), *id)).collect();
    let check = move || {
        let good = |((entry, id), bytes): ((Arc<Entry>, ContentId), Option<Bytes>)| {
            bytes.is_some_and(|bytes| is_good(&entry, id, bytes))
        };
        entries.into_iter().zip(found).map(good).collect()
    };
    Ok(run_for(&*area.seams.offload, check).await?)
}

/// Whether these are the bytes of an entry of one chunk.
pub(super) fn is_good(entry: &Arc<Entry>, id: ContentId, bytes: Bytes) -> bool {
    VerifiedChunk::check(entry, id.chunk_size, None, ChunkIndex(0), bytes).is_ok()
}
