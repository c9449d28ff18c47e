//! Where the content of a page may lie already: in what was staged for earlier manifests, found by a
//! merge join over their keys.

use std::cmp::Ordering;
use std::sync::Arc;

use peerstream_types::Entry;

use super::area::{Area, Standing};
use super::attempt::{entries_in, is_packed, slots_in};
use super::entry_log::EntryReader;
use super::journal::Moment;
use super::local::{Candidate, Local, Taken};
use super::slots::{Slot, SlotReader, Slots};
use super::sweep::list;
use crate::content::ContentId;
use crate::disk::DiskErrorKind;
use crate::limits::ATTEMPTS_MAX;
use crate::{DiskError, SinkError};

/// The manifests that were begun before, the newest first, and the visible generation, each read once
/// from front to back.
#[derive(Debug)]
pub(super) struct Joins {
    earlier: Vec<Earlier>,
    local: Option<Local>,
}

#[derive(Debug)]
struct Earlier {
    number: u32,
    entries: EntryReader,
    slots: SlotReader,
    next: Option<Entry>,
}

impl Joins {
    /// Opens the manifests before `attempt`. One that was never really begun counts for nothing.
    pub(super) async fn open(area: &Area, attempt: u32, local: Option<Local>) -> Result<Self, DiskError> {
        let mut earlier = Vec::new();
        for number in numbers(area).await?.into_iter().rev().filter(|number| *number < attempt) {
            match Earlier::open(area, number).await {
                Ok(opened) => earlier.extend(opened),
                Err(error) if error.kind == DiskErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { earlier, local })
    }

    /// Where the content of an entry lies, as far as earlier manifests know. Keys come in ascending
    /// order.
    pub(super) async fn find(
        &mut self,
        area: &Area,
        entry: &Entry,
        id: &ContentId,
    ) -> Result<Option<(Slot, Standing)>, DiskError> {
        let mut best: Option<(Slot, Standing)> = None;
        for earlier in &mut self.earlier {
            let Some(slot) = earlier.find(entry, id).await? else { continue };
            let moment = Moment { attempt: earlier.number, checkpoint: slot.checkpoint };
            let standing = area.standing(moment);
            if best.is_none_or(|(_, known)| standing > known) {
                best = Some((slot, standing));
            }
        }
        Ok(best)
    }

    /// Whether the visible generation should have the content of an entry. Keys come in ascending
    /// order.
    pub(super) async fn find_local(&mut self, entry: &Arc<Entry>, id: ContentId) -> Option<Candidate> {
        self.local.as_mut()?.find(entry, id).await
    }

    /// Takes what the visible generation really has into the staging.
    pub(super) async fn take_local(
        &self,
        area: &Area,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Taken>, SinkError> {
        match &self.local {
            Some(local) => local.take(area, candidates).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Earlier {
    async fn open(area: &Area, number: u32) -> Result<Option<Self>, DiskError> {
        let (disk, dir) = (&*area.seams.disk, area.dir.attempt(number));
        let entries = EntryReader::open(disk, &entries_in(&dir)).await?;
        let slots = Slots::open(disk, &slots_in(&dir), number).await?;
        let both = entries.zip(slots);
        Ok(both.map(|(entries, slots)| Self { number, entries, slots: slots.reader(), next: None }))
    }

    async fn find(&mut self, entry: &Entry, id: &ContentId) -> Result<Option<Slot>, DiskError> {
        loop {
            if self.next.is_none() {
                self.next = self.entries.next().await?;
            }
            let Some(next) = &self.next else { return Ok(None) };
            match next.key.cmp(&entry.key) {
                Ordering::Less => self.next = None,
                Ordering::Greater => return Ok(None),
                Ordering::Equal => {
                    let theirs = ContentId::of(next, self.entries.chunk_size());
                    let same = theirs.filter(|theirs| (theirs.digest, theirs.len) == (id.digest, id.len));
                    // Cut in another way, it lies where it is not looked for.
                    let same = same.filter(|theirs| theirs == id || is_packed(theirs) && is_packed(id));
                    return match same {
                        Some(theirs) => self.slots.get(next.ordinal, &theirs).await,
                        None => Ok(None),
                    };
                }
            }
        }
    }
}

/// Removes all but [`ATTEMPTS_MAX`] of the manifests that were begun. A newer one that got further
/// has what an older one had; of those that remain, the one that got furthest beyond the next has
/// most to lose, so the others go first.
pub(super) async fn prune(area: &Area) -> Result<(), DiskError> {
    let mut reach = Vec::new();
    for number in numbers(area).await? {
        let path = entries_in(&area.dir.attempt(number));
        reach.push((number, area.seams.disk.metadata(&path).await?.map_or(0, |found| found.len)));
    }
    while reach.len() > ATTEMPTS_MAX {
        let ahead = |pair: &[(u32, u64)]| pair[0].1.saturating_sub(pair[1].1);
        let least = (0..reach.len() - 1).min_by_key(|at| ahead(&reach[*at..]));
        let (number, _) = reach.remove(least.unwrap_or(0));
        area.seams.disk.remove_dir_all(&area.dir.attempt(number)).await?;
    }
    Ok(())
}

/// The manifests that were begun, the oldest first.
async fn numbers(area: &Area) -> Result<Vec<u32>, DiskError> {
    let names = list(&*area.seams.disk, &area.dir.attempts()).await?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|entry| entry.name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
