//! Verified chunks are kept: small entries in packs, with one write for many of them; chunks of
//! larger contents at their places.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChunkRange, Ordinal};

use super::area::{Area, Written};
use super::attempt::Attempt;
use super::contents::Partial;
use crate::content::ContentId;
use crate::limits::PACK_READ_MAX;
use crate::{DiskError, SinkError, VerifiedChunk};

/// Keeps chunks of admitted entries.
pub(super) async fn keep(area: &Area, attempt: &Attempt, chunks: &[VerifiedChunk]) -> Result<(), SinkError> {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let Some(pending) = attempt.pending(chunk)? else { continue };
        let id = attempt.content_of(chunk.entry());
        match pending.content {
            None => small.push((chunk.entry().ordinal, id, chunk.bytes())),
            Some(content) => large.push((id, content, chunk)),
        }
    }
    small.sort_by_key(|(ordinal, ..)| *ordinal);
    small.dedup_by_key(|(ordinal, ..)| *ordinal);
    let mut rest = &small[..];
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_of(rest));
        pack(area, attempt, batch).await?;
        rest = later;
    }
    Ok(write(area, attempt, &large).await?)
}

type Small<'a> = (Ordinal, ContentId, &'a Bytes);

/// How many of these go into one write; at least one.
fn batch_of(small: &[Small<'_>]) -> usize {
    let mut sum = 0;
    let fits = small.iter().take_while(|(_, id, _)| {
        sum += id.len;
        sum <= PACK_READ_MAX
    });
    fits.count().max(1)
}

async fn pack(area: &Area, attempt: &Attempt, batch: &[Small<'_>]) -> Result<(), DiskError> {
    let extent = area.packs.append(&batch.iter().map(|(.., bytes)| *bytes).collect::<Vec<_>>()).await?;
    area.note_write(Written::Pack(extent.pack));
    let mut after = 0;
    let place = |(ordinal, id, _): &Small<'_>| {
        let place = extent.place(after);
        after += id.len;
        (*ordinal, *id, place)
    };
    let places: Vec<_> = batch.iter().map(place).collect();
    attempt.complete(area, &places).await
}

type Large<'a> = (ContentId, Arc<Partial>, &'a VerifiedChunk);

async fn write(area: &Area, attempt: &Attempt, large: &[Large<'_>]) -> Result<(), DiskError> {
    let mut written: Vec<(ContentId, Arc<Partial>, ChunkRange)> = Vec::new();
    let mut bytes = 0;
    for (id, content, chunk) in large {
        if !area.contents.write(*id, content, chunk).await? {
            continue;
        }
        area.note_write(Written::Content(*id));
        bytes += chunk.bytes().len() as u64;
        match written.last_mut() {
            Some((last, _, run)) if last == id && run.end() == chunk.index().0 => run.count += 1,
            _ => written.push((*id, content.clone(), ChunkRange::one(chunk.index()))),
        }
    }
    if !written.is_empty() {
        // The moment is taken last: everything that it stands for was written before.
        area.contents.claim(attempt.now(), &written, bytes).await?;
        // A checkpoint may have come between the bytes and the record: the next one has to see it.
        written.iter().for_each(|(id, ..)| area.note_write(Written::Content(*id)));
        attempt.reservation.give_back(bytes);
    }
    for (id, content, _) in large {
        if content.held() == id.chunks() {
            attempt.finish(area, *id, content).await?;
        }
    }
    Ok(())
}
