//! What was asked of the source and is not answered yet.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_types::{ChunkIndex, FetchId, Ordinal, Span};

use crate::wanted::Item;

/// Outstanding fetches, by id: answers are matched by id and content, never by order (row F-35).
///
/// Bounded by the window: a fetch with nothing outstanding is forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights {
    fetches: BTreeMap<FetchId, BTreeMap<Item, u64>>,
    /// Those of them of which something has come.
    begun: BTreeSet<FetchId>,
    bytes: u64,
}

impl Flights {
    pub(crate) fn is_empty(&self) -> bool {
        self.fetches.is_empty()
    }

    /// Bytes that were asked for and did not come.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = FetchId> {
        self.fetches.keys().copied()
    }

    pub(crate) fn contains(&self, fetch: FetchId) -> bool {
        self.fetches.contains_key(&fetch)
    }

    pub(crate) fn expects(&self, fetch: FetchId, item: Item) -> bool {
        self.fetches.get(&fetch).is_some_and(|items| items.contains_key(&item))
    }

    /// Items with their lengths in bytes.
    pub(crate) fn send(&mut self, fetch: FetchId, items: BTreeMap<Item, u64>) {
        self.bytes += items.values().sum::<u64>();
        self.fetches.insert(fetch, items);
    }

    /// Takes what of `span` is outstanding in `fetch`; the work is bounded by the fetch, whatever
    /// the span says.
    pub(crate) fn take(&mut self, fetch: FetchId, span: Span) -> Vec<(Item, u64)> {
        let (from, to) = bounds(span);
        self.take_between(fetch, from, to)
    }

    /// Something of a fetch has come.
    pub(crate) fn begun(&mut self, fetch: FetchId) {
        self.begun.insert(fetch);
    }

    /// The fetch that was sent last, if nothing of it has come and another one is under way before it.
    pub(crate) fn last_untouched(&self) -> Option<FetchId> {
        let last = *self.fetches.keys().next_back()?;
        (self.fetches.len() > 1 && !self.begun.contains(&last)).then_some(last)
    }

    /// Everything that is outstanding, the last first.
    pub(crate) fn the_last_first(&self) -> impl Iterator<Item = (Item, u64)> {
        self.fetches.values().rev().flat_map(|items| items.iter().rev().map(|(item, len)| (*item, *len)))
    }

    /// Bytes of the fetch that was sent first.
    pub(crate) fn next_bytes(&self) -> u64 {
        self.fetches.values().next().map_or(0, |items| items.values().sum())
    }

    /// What of a fetch is outstanding.
    pub(crate) fn items_of(&self, fetch: FetchId) -> impl Iterator<Item = Item> {
        self.fetches.get(&fetch).into_iter().flat_map(|items| items.keys().copied())
    }

    /// Whether an item is outstanding in any fetch.
    pub(crate) fn has(&self, item: Item) -> bool {
        self.fetches.values().any(|items| items.contains_key(&item))
    }

    /// Takes an item out of whatever fetch it is outstanding in; the fetch, if that was the last of it.
    pub(crate) fn drop_item(&mut self, item: Item) -> Option<FetchId> {
        let (fetch, items) = self.fetches.iter_mut().find(|(_, items)| items.contains_key(&item))?;
        let (fetch, len) = (*fetch, items.remove(&item)?);
        self.bytes -= len;
        if !items.is_empty() {
            return None;
        }
        self.forget(fetch);
        Some(fetch)
    }

    fn forget(&mut self, fetch: FetchId) {
        self.fetches.remove(&fetch);
        self.begun.remove(&fetch);
    }

    /// Takes all of a fetch.
    pub(crate) fn take_all(&mut self, fetch: FetchId) -> Vec<(Item, u64)> {
        self.take_between(fetch, Item::FIRST, Item::END)
    }

    fn take_between(&mut self, fetch: FetchId, from: Item, to: Item) -> Vec<(Item, u64)> {
        let Some(items) = self.fetches.get_mut(&fetch) else {
            return Vec::new();
        };
        let taken: Vec<(Item, u64)> = if from < to {
            items.range(from..to).map(|(item, len)| (*item, *len)).collect()
        } else {
            Vec::new()
        };
        for (item, _) in &taken {
            items.remove(item);
        }
        if items.is_empty() {
            self.forget(fetch);
        }
        self.bytes -= taken.iter().map(|(_, len)| len).sum::<u64>();
        taken
    }
}

fn bounds(span: Span) -> (Item, Item) {
    let item = |ordinal, chunk| Item { ordinal: Ordinal(ordinal), chunk: ChunkIndex(chunk) };
    match span {
        Span::Entries { first, count } => {
            (item(first.0, 0), item(first.0.saturating_add(u64::from(count)), 0))
        }
        Span::Chunks { ordinal, range } => (item(ordinal.0, range.first.0), item(ordinal.0, range.end())),
    }
}

/// How many things a span names: entries or chunks.
pub(crate) fn named(span: Span) -> u64 {
    match span {
        Span::Entries { count, .. } => u64::from(count),
        Span::Chunks { range, .. } => u64::from(range.count),
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::ChunkRange;

    use super::*;

    fn item(ordinal: u64, chunk: u64) -> Item {
        Item { ordinal: Ordinal(ordinal), chunk: ChunkIndex(chunk) }
    }

    /// F-35: an answer settles what it names in its own fetch, and nothing else.
    #[test]
    fn an_answer_settles_only_what_it_names() {
        let mut flights = Flights::default();
        let (a, b) = (FetchId(1), FetchId(2));
        flights.send(a, BTreeMap::from([(item(1, 0), 10), (item(2, 0), 20), (item(5, 3), 40)]));
        flights.send(b, BTreeMap::from([(item(5, 4), 80)]));
        let chunk_4 = Span::chunk(Ordinal(5), ChunkIndex(4));
        assert_eq!(flights.take(a, chunk_4), [], "it was asked in the other fetch");
        let all = Span::Entries { first: Ordinal(0), count: u32::MAX };
        assert_eq!(flights.take(b, all), [(item(5, 4), 80)]);
        assert_eq!(flights.take(a, Span::entry(Ordinal(2))), [(item(2, 0), 20)]);
        assert_eq!(flights.take(a, Span::entry(Ordinal(2))), [], "twice");
        assert_eq!(flights.bytes(), 50);
        let range = ChunkRange { first: ChunkIndex(0), count: u32::MAX };
        assert_eq!(flights.take(a, Span::Chunks { ordinal: Ordinal(5), range }), [(item(5, 3), 40)]);
        assert_eq!(flights.take_all(a), [(item(1, 0), 10)]);
        assert!(flights.is_empty() && flights.bytes() == 0);
    }
}
