//! A page is admitted: what is there of it already is found, checked and counted; for the rest, room
//! is reserved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{ChunkSize, Entry, EntryKind, Ordinal};

use super::area::{Area, Standing, Written};
use super::attempt::{Attempt, Pending, is_packed};
use super::contents::Partial;
use super::join::Joins;
use super::local::Candidate;
use super::packs::Extent;
use super::recheck::{Said, all_chunks, recheck, recheck_packed, recheck_whole};
use super::shard::Shard;
use super::slots::{Place, Slot};
use crate::content::ContentId;
use crate::limits::{BUILD_FILES, HASH_JOBS};
use crate::{BoxFuture, DiskError, Held, SinkError};

/// An entry of the page and what is known of its content.
#[derive(Debug)]
struct Line {
    entry: Arc<Entry>,
    id: ContentId,
    /// Where it is said to lie.
    said: Option<(Slot, Standing)>,
    local: Option<Candidate>,
    found: Found,
}

/// What is there of a content.
#[derive(Debug)]
enum Found {
    /// Nothing is needed.
    Empty,
    Nothing,
    /// All of it, and whether a checkpoint covers it.
    All(Place, Standing),
    Some(Arc<Partial>),
}

/// Admits a page of files to an attempt.
pub(super) async fn admit(
    shard: &Shard,
    area: &Area,
    attempt: &Attempt,
    page: Vec<Arc<Entry>>,
) -> Result<Vec<Held>, SinkError> {
    let mut admitting = attempt.admitting.lock().await;
    page.iter().map(Arc::as_ref).try_for_each(only_files)?;
    let checked = attempt.check(&page)?;
    // Taken away until all has gone well: the cursors are past this page by then.
    let mut joined = match admitting.joins.take() {
        Some(joined) => joined,
        None => Joins::open(area, attempt.number, shard.local().await).await?,
    };
    let mut lines = Vec::with_capacity(page.len());
    for entry in &page {
        lines.push(look(area, attempt, &mut joined, entry).await?);
    }
    check_packed(area, &mut lines).await?;
    let mut lines = check_large(area, attempt, lines).await?;
    let (taken, reserved) = reserve(attempt, &lines).await?;
    let done = keep(area, attempt, &mut admitting.log, &joined, &page, &mut lines).await;
    if let Err(error) = done {
        attempt.reservation.give_back(reserved);
        attempt.announce_again(taken);
        return Err(error);
    }
    admitting.log.keep();
    admitting.joins = Some(joined);
    attempt.admit(checked, page.len(), lines.iter().filter_map(Line::pending).collect());
    for line in &lines {
        match &line.found {
            // It may have been completed for another entry since it was looked at.
            Found::Some(content) if content.held() == line.id.chunks() => {
                attempt.finish(area, line.id, content).await?;
            }
            // Others may wait for what was found here.
            Found::All(Place::File, _) => attempt.complete_waiting(area, line.id).await?,
            Found::Empty | Found::Nothing | Found::All(..) | Found::Some(_) => {}
        }
    }
    Ok(lines.iter().filter_map(Line::held).collect())
}

fn only_files(entry: &Entry) -> Result<(), SinkError> {
    if entry.kind == EntryKind::File {
        return Ok(());
    }
    let why = "a directory holds files only".into();
    Err(SinkError::BadEntry { key: entry.key.clone(), why })
}

async fn look(
    area: &Area,
    attempt: &Attempt,
    joins: &mut Joins,
    entry: &Arc<Entry>,
) -> Result<Line, DiskError> {
    let id = attempt.content_of(entry);
    let found = if id.len == 0 { Found::Empty } else { Found::Nothing };
    let (mut said, mut local) = (None, None);
    if id.len > 0 {
        said = joins.find(area, entry, &id).await?;
        local = joins.find_local(entry, id).await;
    }
    Ok(Line { entry: entry.clone(), id, said, local, found })
}

/// Small entries that are said to lie in packs.
async fn check_packed(area: &Area, lines: &mut [Line]) -> Result<(), SinkError> {
    let mut unsure = Vec::new();
    for (at, line) in lines.iter_mut().enumerate().filter(|(_, line)| is_packed(&line.id)) {
        match line.said {
            Some((Slot { place: Place::Packed { pack, offset }, .. }, Standing::Unsure)) => {
                let len = usize::try_from(line.id.len).expect("a packed entry is small");
                unsure.push((at, (line.entry.clone(), line.id, Extent { pack, offset, len })));
            }
            Some((slot, standing)) => line.found = Found::All(slot.place, standing),
            None => {}
        }
    }
    let batches: Vec<Vec<_>> = unsure.chunks(BUILD_FILES).map(<[_]>::to_vec).collect();
    let checks: Vec<BoxFuture<'_, _>> =
        batches.into_iter().map(|batch| Box::pin(good_ones(area, batch)) as _).collect();
    let checked: Vec<(usize, Extent)> = stream::iter(checks).buffer_unordered(HASH_JOBS).try_concat().await?;
    for (at, extent) in checked {
        area.note_write(Written::Pack(extent.pack));
        lines[at].found = Found::All(extent.place(0), Standing::Written);
    }
    Ok(())
}

/// Which of some entries lie where they are said to lie.
async fn good_ones(area: &Area, batch: Vec<(usize, Said)>) -> Result<Vec<(usize, Extent)>, SinkError> {
    let (places, said): (Vec<usize>, Vec<_>) = batch.into_iter().unzip();
    let good = recheck_packed(area, &said).await?;
    let good = places.into_iter().zip(said).zip(good).filter(|(_, good)| *good);
    Ok(good.map(|((at, (_, _, extent)), _)| (at, extent)).collect())
}

/// Larger contents, found by their digests. Equal ones are looked at once.
async fn check_large(area: &Area, attempt: &Attempt, lines: Vec<Line>) -> Result<Vec<Line>, SinkError> {
    let mut first: BTreeMap<ContentId, (Arc<Entry>, Standing)> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.id.len > 0 && !is_packed(&line.id)) {
        let said = line.said.map_or(Standing::Unsure, |(_, standing)| standing);
        let known = first.entry(line.id).or_insert_with(|| (line.entry.clone(), said));
        known.1 = said.max(known.1);
    }
    let looks: Vec<BoxFuture<'_, _>> = first
        .into_iter()
        .map(|(id, (entry, said))| Box::pin(large(area, attempt, entry, id, said)) as _)
        .collect();
    let found: BTreeMap<ContentId, Large> =
        stream::iter(looks).buffer_unordered(HASH_JOBS).try_collect().await?;
    let with = |mut line: Line| {
        match found.get(&line.id) {
            Some(Large::Whole(standing)) => line.found = Found::All(Place::File, *standing),
            Some(Large::Partial(content)) => line.found = Found::Some(content.clone()),
            None => {}
        }
        line
    };
    Ok(lines.into_iter().map(with).collect())
}

/// What is there of a larger content.
enum Large {
    Whole(Standing),
    Partial(Arc<Partial>),
}

async fn large(
    area: &Area,
    attempt: &Attempt,
    entry: Arc<Entry>,
    id: ContentId,
    said: Standing,
) -> Result<(ContentId, Large), SinkError> {
    let contents = &area.contents;
    if let Some(content) = contents.partial(id).filter(|content| content.is_checked()) {
        return Ok((id, Large::Partial(content)));
    }
    // The name says more than the journal, which may have had claims after the last chunk came.
    if let Some(len) = contents.named_len(id).await? {
        contents.forget(id);
        let known = len == id.len && (said > Standing::Unsure || contents.is_whole(id));
        let there = known || recheck_whole(area, attempt, &entry, id).await?;
        let found =
            if there { Large::Whole(said.max(Standing::Written)) } else { Large::Partial(contents.fill(id)) };
        return Ok((id, found));
    }
    let claimed = contents.partial(id);
    let left = area.seams.disk.metadata(&area.dir.partial(&id)).await?.is_some();
    let content = contents.fill(id);
    if left && claimed.is_none() {
        // It had its name, and a power loss has taken it away again.
        content.claim(all_chunks(id));
    }
    recheck(area, attempt, &entry, id, &content).await?;
    Ok((id, Large::Partial(content)))
}

/// Reserves room for what is missing of a page: entries that go to packs need it twice. Says what
/// of the announced bytes that takes the place of, and what is reserved.
async fn reserve(attempt: &Attempt, lines: &[Line]) -> Result<(u64, u64), SinkError> {
    let need = lines.iter().fold(0u64, |sum, line| sum.saturating_add(line.need(attempt.chunk_size)));
    let bytes = lines.iter().fold(0u64, |sum, line| sum.saturating_add(line.id.len));
    let taken = attempt.take_announced(bytes);
    match attempt.reservation.exchange(taken, need).await {
        Ok(()) => Ok((taken, need)),
        Err(error) => {
            attempt.announce_again(taken);
            Err(error)
        }
    }
}

/// Takes what the visible generation has, and writes the page down.
async fn keep(
    area: &Area,
    attempt: &Attempt,
    log: &mut super::entry_log::EntryLog,
    joins: &Joins,
    page: &[Arc<Entry>],
    lines: &mut [Line],
) -> Result<(), SinkError> {
    let wanted = |line: &Line| match &line.found {
        Found::Nothing => true,
        Found::Some(content) => content.held() == 0,
        Found::Empty | Found::All(..) => false,
    };
    let candidates =
        lines.iter_mut().filter(|line| wanted(line)).filter_map(|line| line.local.take()).collect();
    let taken = joins.take_local(area, candidates).await?;
    let large: BTreeSet<_> =
        taken.iter().filter(|(.., at)| *at == Place::File).map(|(_, id, _)| *id).collect();
    let taken: BTreeMap<Ordinal, Place> = taken.into_iter().map(|(o, _, place)| (o, place)).collect();
    for line in lines.iter_mut() {
        // Equal content is there whatever its key.
        let equal = large.contains(&line.id).then_some(&Place::File);
        if let Some(place) = taken.get(&line.entry.ordinal).or(equal) {
            attempt.reservation.give_back(line.id.len);
            line.found = Found::All(*place, Standing::Written);
        }
    }
    log.append(page).await?;
    // Taken last: everything that this says is there was written before.
    let checkpoint = attempt.now().checkpoint;
    let record = |line: &Line| match line.found {
        Found::All(place, Standing::Durable) => {
            Some((line.entry.ordinal, line.id, Slot { place, checkpoint: 0 }))
        }
        Found::All(place, _) => Some((line.entry.ordinal, line.id, Slot { place, checkpoint })),
        Found::Empty | Found::Nothing | Found::Some(_) => None,
    };
    let records: Vec<_> = lines.iter().filter_map(record).collect();
    area.note_write(Written::Attempt(attempt.number));
    Ok(attempt.record(area, &records).await?)
}

impl Line {
    /// Bytes that have to be written before it is published.
    fn need(&self, size: ChunkSize) -> u64 {
        let held = |content: &Partial| {
            let runs = content.held_ranges();
            runs.iter().fold(0u64, |sum, run| sum.saturating_add(size.bytes_in(*run, self.id.len)))
        };
        match &self.found {
            Found::Empty | Found::All(Place::File, _) => 0,
            Found::All(Place::Packed { .. }, _) => self.id.len,
            Found::Some(content) => self.id.len.saturating_sub(held(content)),
            Found::Nothing => self.id.len.saturating_mul(2),
        }
    }

    fn pending(&self) -> Option<Pending> {
        let content = match &self.found {
            Found::Empty | Found::All(..) => return None,
            Found::Nothing => None,
            Found::Some(content) => Some(content.clone()),
        };
        Some(Pending { entry: self.entry.clone(), content })
    }

    fn held(&self) -> Option<Held> {
        let chunks = match &self.found {
            Found::Empty | Found::Nothing => return None,
            Found::All(..) => all_chunks(self.id),
            Found::Some(content) => content.held_ranges(),
        };
        (!chunks.is_empty()).then_some(Held { ordinal: self.entry.ordinal, chunks })
    }
}
