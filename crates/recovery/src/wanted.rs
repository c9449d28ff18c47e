//! The unfinished entries of the pages in flight, and what of them is to be asked for next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, Ordinal};

use crate::chunks::ChunkQueue;

/// The unit of asking and retrying: one chunk of an entry. A small entry is its chunk 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) ordinal: Ordinal,
    pub(crate) chunk: ChunkIndex,
}

impl Item {
    pub(crate) const FIRST: Self = Self { ordinal: Ordinal(0), chunk: ChunkIndex(0) };
    /// After every item: an entry has less than `u64::MAX` chunks.
    pub(crate) const END: Self = Self { ordinal: Ordinal(u64::MAX), chunk: ChunkIndex(u64::MAX) };

    /// Every item that an entry can have.
    pub(crate) fn all_of(ordinal: Ordinal) -> std::ops::RangeInclusive<Self> {
        let at = |chunk| Self { ordinal, chunk: ChunkIndex(chunk) };
        at(0)..=at(u64::MAX)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outline {
    /// One chunk is checked against the digest itself.
    Needless,
    Due,
    Asked,
    Had,
}

#[derive(Debug)]
struct Unfinished {
    entry: Arc<Entry>,
    outline: Outline,
    /// Not asked for yet.
    fresh: ChunkQueue,
    /// Chunks that are neither stored, held nor set aside.
    open: u64,
    /// Something was set aside.
    short: bool,
    /// All that is not in flight was set aside, and what comes back from there is.
    left: bool,
}

/// An entry that needs nothing more from this source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) ordinal: Ordinal,
    pub(crate) complete: bool,
}

/// What an admitted entry had already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) held_bytes: u64,
    /// Nothing is to be fetched.
    pub(crate) complete: bool,
}

/// What is wanted of one source, in manifest order. Finished entries are dropped, so its size is
/// that of the pages in flight, never that of the shard.
#[derive(Debug)]
pub(crate) struct Wanted {
    size: ChunkSize,
    entries: BTreeMap<Ordinal, Unfinished>,
    /// Entries whose fresh chunks can be asked for now.
    askable: BTreeSet<Ordinal>,
    outlines_due: BTreeSet<Ordinal>,
    outlines_asked: BTreeSet<Ordinal>,
    /// Chunks of the entries whose outlines are asked or kept.
    outline_chunks: u64,
    /// Fresh bytes that can be asked for now, or when an asked outline is there.
    ahead_bytes: u64,
    /// Items to ask again: before anything fresh.
    again: BTreeSet<Item>,
}

impl Wanted {
    pub(crate) fn new(size: ChunkSize) -> Self {
        Self {
            size,
            entries: BTreeMap::new(),
            askable: BTreeSet::new(),
            outlines_due: BTreeSet::new(),
            outlines_asked: BTreeSet::new(),
            outline_chunks: 0,
            ahead_bytes: 0,
            again: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entry(&self, ordinal: Ordinal) -> Option<&Arc<Entry>> {
        self.entries.get(&ordinal).map(|unfinished| &unfinished.entry)
    }

    /// Takes an entry in, less what is held of it.
    pub(crate) fn admit(&mut self, entry: Arc<Entry>, held: Vec<ChunkRange>) -> Admitted {
        let chunks = entry.chunks(self.size);
        let fresh = ChunkQueue::without(chunks, held);
        let fresh_bytes = fresh.bytes(self.size, entry.len);
        let admitted = Admitted { held_bytes: entry.len - fresh_bytes, complete: fresh.is_empty() };
        if admitted.complete {
            return admitted;
        }
        let (ordinal, open) = (entry.ordinal, fresh.count());
        let outline = if chunks == 1 { Outline::Needless } else { Outline::Due };
        if chunks == 1 {
            self.askable.insert(ordinal);
            self.ahead_bytes = self.ahead_bytes.saturating_add(fresh_bytes);
        } else {
            self.outlines_due.insert(ordinal);
        }
        self.entries.insert(ordinal, Unfinished { entry, outline, fresh, open, short: false, left: false });
        admitted
    }

    /// The next outline to ask for, with its number of chunks, while less than `ahead_bytes` can be
    /// asked for without it, and at most `chunks_max` chunks have outlines.
    pub(crate) fn ask_outline(&mut self, ahead_bytes: u64, chunks_max: u64) -> Option<(Ordinal, u64)> {
        let ordinal = *self.outlines_due.first()?;
        let unfinished = self.entries.get_mut(&ordinal)?;
        let chunks = unfinished.entry.chunks(self.size);
        let after = self.outline_chunks.saturating_add(chunks);
        if self.ahead_bytes >= ahead_bytes || (self.outline_chunks > 0 && after > chunks_max) {
            return None;
        }
        unfinished.outline = Outline::Asked;
        let fresh = unfinished.fresh.bytes(self.size, unfinished.entry.len);
        self.ahead_bytes = self.ahead_bytes.saturating_add(fresh);
        self.outline_chunks = after;
        self.outlines_due.remove(&ordinal);
        self.outlines_asked.insert(ordinal);
        Some((ordinal, chunks))
    }

    pub(crate) fn awaits_outlines(&self) -> bool {
        !self.outlines_asked.is_empty()
    }

    /// The outline of the entry was answered; `false` if it was not asked for.
    pub(crate) fn outline_answered(&mut self, ordinal: Ordinal, good: bool) -> bool {
        if !self.outlines_asked.remove(&ordinal) {
            return false;
        }
        let Some(unfinished) = self.entries.get_mut(&ordinal) else {
            return false;
        };
        if good {
            unfinished.outline = Outline::Had;
            self.askable.insert(ordinal);
        } else {
            unfinished.outline = Outline::Due;
            self.outlines_due.insert(ordinal);
            let entry = &unfinished.entry;
            self.ahead_bytes = self.ahead_bytes.saturating_sub(unfinished.fresh.bytes(self.size, entry.len));
            self.outline_chunks = self.outline_chunks.saturating_sub(entry.chunks(self.size));
        }
        true
    }

    /// The next item to ask for, with its length in bytes.
    pub(crate) fn peek(&self) -> Option<(Item, u64)> {
        let item = match self.again.first() {
            Some(item) => *item,
            None => {
                let ordinal = *self.askable.first()?;
                Item { ordinal, chunk: self.entries.get(&ordinal)?.fresh.peek()? }
            }
        };
        Some((item, self.size.len_of(item.chunk, self.entry(item.ordinal)?.len)))
    }

    /// Takes the item that [`Wanted::peek`] showed.
    pub(crate) fn take(&mut self) {
        if self.again.pop_first().is_some() {
            return;
        }
        let Some((item, len)) = self.peek() else {
            return;
        };
        if let Some(unfinished) = self.entries.get_mut(&item.ordinal) {
            unfinished.fresh.pop();
            self.ahead_bytes = self.ahead_bytes.saturating_sub(len);
            if unfinished.fresh.is_empty() {
                self.askable.remove(&item.ordinal);
            }
        }
    }

    /// Whether the entry is one chunk.
    pub(crate) fn is_single(&self, ordinal: Ordinal) -> bool {
        self.entries.get(&ordinal).is_some_and(|unfinished| unfinished.outline == Outline::Needless)
    }

    /// Whether nothing more of the entry is asked of this source.
    pub(crate) fn is_left(&self, ordinal: Ordinal) -> bool {
        self.entries.get(&ordinal).is_none_or(|unfinished| unfinished.left)
    }

    /// An item that was taken did not come: it is asked for again.
    pub(crate) fn give_back(&mut self, item: Item) {
        self.again.insert(item);
    }

    /// An item that was taken is stored.
    pub(crate) fn stored(&mut self, item: Item) -> Option<Finished> {
        self.close(item.ordinal, 1)
    }

    /// An item that was taken is left to another source.
    pub(crate) fn set_aside(&mut self, item: Item) -> Option<Finished> {
        self.entries.get_mut(&item.ordinal)?.short = true;
        self.close(item.ordinal, 1)
    }

    /// All of an entry that is not in flight is left to another source.
    pub(crate) fn set_aside_rest(&mut self, ordinal: Ordinal) -> Option<Finished> {
        let unfinished = self.entries.get_mut(&ordinal)?;
        if self.askable.remove(&ordinal) {
            let fresh = unfinished.fresh.bytes(self.size, unfinished.entry.len);
            self.ahead_bytes = self.ahead_bytes.saturating_sub(fresh);
        }
        self.outlines_due.remove(&ordinal);
        let again: Vec<Item> = self.again.range(Item::all_of(ordinal)).copied().collect();
        for item in &again {
            self.again.remove(item);
        }
        let rest = unfinished.fresh.count() + again.len() as u64;
        unfinished.fresh.clear();
        (unfinished.short, unfinished.left) = (true, true);
        self.close(ordinal, rest)
    }

    fn close(&mut self, ordinal: Ordinal, chunks: u64) -> Option<Finished> {
        let unfinished = self.entries.get_mut(&ordinal)?;
        unfinished.open = unfinished.open.saturating_sub(chunks);
        if unfinished.open > 0 {
            return None;
        }
        let unfinished = self.entries.remove(&ordinal)?;
        if unfinished.outline == Outline::Had {
            let chunks = unfinished.entry.chunks(self.size);
            self.outline_chunks = self.outline_chunks.saturating_sub(chunks);
        }
        Some(Finished { ordinal, complete: !unfinished.short })
    }
}
