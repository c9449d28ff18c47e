//! The unfinished entries of the pages in flight, and what of them is to be asked for next.

mod askable;
mod outlines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, GroupIndex, Ordinal};

use self::askable::Places;
use crate::OutlinePart;
use crate::chunks::ChunkQueue;
use crate::link::Link;
use crate::row::{Columns, Holders, Row};

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

    fn place(self) -> Place {
        (self.ordinal, self.chunk.group())
    }

    /// Every item that an entry can have.
    pub(crate) fn all_of(ordinal: Ordinal) -> std::ops::RangeInclusive<Self> {
        let at = |chunk| Self { ordinal, chunk: ChunkIndex(chunk) };
        at(0)..=at(u64::MAX)
    }
}

/// An item that a source can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Askable {
    pub(crate) item: Item,
    /// In bytes.
    pub(crate) len: u64,
    /// What the source calls its entry.
    pub(crate) there: Ordinal,
    /// It is all of its entry.
    pub(crate) is_single: bool,
}

/// A group of an entry. An entry of one chunk is its group 0.
type Place = (Ordinal, GroupIndex);

/// The top of an entry, which is needed before the outline of any of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Top {
    /// One group is checked against the digest itself.
    Needless,
    Due,
    Asked,
    Had,
}

#[derive(Debug, Clone)]
struct Unfinished {
    entry: Arc<Entry>,
    holders: Holders,
    top: Top,
    /// Not asked for yet, and in none of the groups under way.
    rest: ChunkQueue,
    /// Chunks that are neither stored, held nor set aside.
    open: u64,
    /// Something was set aside.
    short: bool,
    /// All that is not in flight was set aside, and what comes back from there is.
    left: bool,
}

impl Unfinished {
    fn show(&self, item: Item, column: usize, size: ChunkSize) -> Option<Askable> {
        let there = self.holders.there(column, item.ordinal)?;
        let len = size.len_of(item.chunk, self.entry.len);
        Some(Askable { item, len, there, is_single: self.entry.chunks(size) == 1 })
    }
}

/// A group whose outline is asked or kept.
#[derive(Debug, Clone)]
struct Group {
    /// Not asked for yet.
    fresh: ChunkQueue,
    /// Chunks that are neither stored, held nor set aside.
    open: u64,
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

/// What is wanted of one source, in manifest order. Finished entries and groups are dropped, so its
/// size is that of the pages in flight and of the outlines that are kept, never that of the shard or
/// of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    size: ChunkSize,
    entries: BTreeMap<Ordinal, Unfinished>,
    /// Of entries of more than one chunk.
    groups: BTreeMap<Place, Group>,
    /// Where fresh chunks can be asked for now, by who has them.
    askable: Places,
    /// Entries with a part of their outline to ask for.
    outlines_due: BTreeSet<Ordinal>,
    outlines_asked: BTreeSet<(Ordinal, OutlinePart)>,
    /// Chaining values of the outlines that are asked or kept.
    outline_values: u64,
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
            groups: BTreeMap::new(),
            askable: Places::default(),
            outlines_due: BTreeSet::new(),
            outlines_asked: BTreeSet::new(),
            outline_values: 0,
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
    pub(crate) fn admit(&mut self, row: Row, held: Vec<ChunkRange>) -> Admitted {
        let Row { entry, holders } = row;
        let chunks = entry.chunks(self.size);
        let rest = ChunkQueue::without(chunks, held);
        let fresh_bytes = rest.bytes(self.size, entry.len);
        let admitted = Admitted { held_bytes: entry.len - fresh_bytes, complete: rest.is_empty() };
        if admitted.complete {
            return admitted;
        }
        let (ordinal, open) = (entry.ordinal, rest.count());
        let columns = holders.columns();
        if chunks == 1 {
            self.askable.insert(columns, (ordinal, GroupIndex(0)));
            self.ahead_bytes = self.ahead_bytes.saturating_add(fresh_bytes);
        } else {
            self.outlines_due.insert(ordinal);
        }
        let top = if entry.groups(self.size) == 1 { Top::Needless } else { Top::Due };
        self.entries
            .insert(ordinal, Unfinished { entry, holders, top, rest, open, short: false, left: false });
        admitted
    }

    /// The next item to ask a source for that it does not refuse.
    pub(crate) fn peek(&self, link: &Link) -> Option<Askable> {
        let gives = |item: &&Item| self.has(item.ordinal, link.column) && link.takes(**item);
        if let Some(item) = self.again.iter().find(gives) {
            return self.show(*item, link.column);
        }
        let place = self.askable.first(link.column, |(ordinal, _)| !link.refuses_entry(*ordinal))?;
        let unfinished = self.entries.get(&place.0)?;
        let fresh = self.groups.get(&place).map_or(&unfinished.rest, |group| &group.fresh);
        unfinished.show(Item { ordinal: place.0, chunk: fresh.peek()? }, link.column, self.size)
    }

    /// An item of an unfinished entry as a column has it, if it does.
    pub(crate) fn show(&self, item: Item, column: usize) -> Option<Askable> {
        self.entries.get(&item.ordinal)?.show(item, column, self.size)
    }

    /// Takes the item that [`Wanted::peek`] showed.
    pub(crate) fn take(&mut self, item: Item) {
        if self.again.remove(&item) {
            return;
        }
        let Some(unfinished) = self.entries.get_mut(&item.ordinal) else { return };
        let len = self.size.len_of(item.chunk, unfinished.entry.len);
        let columns = unfinished.holders.columns();
        let group = self.groups.get_mut(&item.place());
        let fresh = group.map_or(&mut unfinished.rest, |group| &mut group.fresh);
        fresh.pop();
        self.ahead_bytes = self.ahead_bytes.saturating_sub(len);
        if fresh.is_empty() {
            self.askable.remove(columns, item.place());
        }
    }

    /// Which columns have an unfinished entry.
    fn columns(&self, ordinal: Ordinal) -> Columns {
        self.entries.get(&ordinal).map_or(Columns::ALL, |unfinished| unfinished.holders.columns())
    }

    /// Under which ordinal a column has an unfinished entry, if it does.
    pub(crate) fn there(&self, ordinal: Ordinal, column: usize) -> Option<Ordinal> {
        self.entries.get(&ordinal)?.holders.there(column, ordinal)
    }

    /// Whether a column has an unfinished entry.
    pub(crate) fn has(&self, ordinal: Ordinal, column: usize) -> bool {
        self.there(ordinal, column).is_some()
    }

    /// Unfinished entries, in order.
    pub(crate) fn ordinals(&self) -> impl Iterator<Item = Ordinal> {
        self.entries.keys().copied()
    }

    /// Items that came from no source that was asked, and wait for another one.
    pub(crate) fn again(&self) -> impl Iterator<Item = Item> {
        self.again.iter().copied()
    }

    /// Whether the entry is one chunk.
    pub(crate) fn is_single(&self, ordinal: Ordinal) -> bool {
        self.entry(ordinal).is_some_and(|entry| entry.chunks(self.size) == 1)
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
        self.close_in_group(item.place(), 1);
        self.close(item.ordinal, 1)
    }

    /// An item that was taken is left to another source.
    pub(crate) fn set_aside(&mut self, item: Item) -> Option<Finished> {
        self.entries.get_mut(&item.ordinal)?.short = true;
        self.stored(item)
    }

    /// All of an entry that is not in flight is left to another source.
    pub(crate) fn set_aside_rest(&mut self, ordinal: Ordinal) -> Option<Finished> {
        let unfinished = self.entries.get_mut(&ordinal)?;
        (unfinished.short, unfinished.left) = (true, true);
        let mut left = unfinished.rest.count();
        if self.askable.remove(unfinished.holders.columns(), (ordinal, GroupIndex(0)))
            && unfinished.entry.chunks(self.size) == 1
        {
            let bytes = unfinished.rest.bytes(self.size, unfinished.entry.len);
            self.ahead_bytes = self.ahead_bytes.saturating_sub(bytes);
        }
        left += self.leave_groups(ordinal);
        self.forget_top(ordinal);
        if let Some(unfinished) = self.entries.get_mut(&ordinal) {
            unfinished.rest.clear();
        }
        let again: Vec<Item> = self.again.range(Item::all_of(ordinal)).copied().collect();
        for item in &again {
            self.again.remove(item);
            self.close_in_group(item.place(), 1);
        }
        self.close(ordinal, left + again.len() as u64)
    }

    fn close(&mut self, ordinal: Ordinal, chunks: u64) -> Option<Finished> {
        let unfinished = self.entries.get_mut(&ordinal)?;
        unfinished.open = unfinished.open.saturating_sub(chunks);
        if unfinished.open > 0 {
            return None;
        }
        let unfinished = self.entries.remove(&ordinal)?;
        if unfinished.top == Top::Had {
            self.release(&unfinished.entry, OutlinePart::Top);
        }
        Some(Finished { ordinal, complete: !unfinished.short })
    }
}
