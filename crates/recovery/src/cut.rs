//! Cuts what is wanted into fetches.

use std::collections::BTreeMap;

use peerstream_types::{ChunkRange, Ordinal, Span};

use crate::Config;
use crate::link::Link;
use crate::wanted::{Askable, Item, Wanted};

/// One fetch.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    pub(crate) spans: Vec<Span>,
    /// What the source calls the first entry of each of them.
    pub(crate) there: Vec<Ordinal>,
    /// What the spans name, with lengths in bytes.
    pub(crate) items: BTreeMap<Item, u64>,
    /// The most often that any of it was asked, this time included.
    pub(crate) attempt: u32,
    bytes: u64,
}

impl Cut {
    /// Takes the next fetch out of what is wanted, if `outstanding` bytes leave room for a whole one,
    /// so that requests do not become tiny; or if nothing is outstanding. At least one item, also if
    /// it is larger than the window.
    pub(crate) fn next(wanted: &mut Wanted, link: &Link, config: &Config) -> Option<Self> {
        let (window, outstanding) = (config.window.0, link.flights.bytes());
        let room = window.saturating_sub(outstanding);
        let fetch = config.fetch_bytes.0.min(window);
        let has_room = |fetch: u64| outstanding == 0 || room >= fetch;
        if !has_room(fetch.min(config.entry_fetch_bytes.0)) {
            return None;
        }
        let is_small = wanted.peek(link)?.is_single;
        let fetch = if is_small { fetch.min(config.entry_fetch_bytes.0) } else { fetch };
        if !has_room(fetch) {
            return None;
        }
        let mut cut = Self::default();
        while let Some(next) = wanted.peek(link) {
            let most = if cut.items.is_empty() { room } else { fetch };
            let alone = outstanding == 0 && cut.items.is_empty();
            if !alone && cut.bytes.saturating_add(next.len) > most {
                break;
            }
            if !cut.add(&next, link, config.fetch_spans) {
                break;
            }
            wanted.take(next.item);
        }
        (!cut.items.is_empty()).then_some(cut)
    }

    /// Names these items once more, though another source was asked for them already.
    pub(crate) fn twice(
        items: BTreeMap<Item, u64>,
        wanted: &Wanted,
        link: &Link,
        config: &Config,
    ) -> Option<Self> {
        let mut cut = Self::default();
        for item in items.into_keys() {
            let Some(next) = wanted.show(item, link.column) else { break };
            if !cut.add(&next, link, config.fetch_spans) {
                break;
            }
        }
        (!cut.items.is_empty()).then_some(cut)
    }

    fn add(&mut self, next: &Askable, link: &Link, spans_max: u32) -> bool {
        let Askable { item, len, there, is_single } = *next;
        if !self.push(item, there, is_single, spans_max) {
            return false;
        }
        self.items.insert(item, len);
        self.bytes += len;
        self.attempt = self.attempt.max(link.tries.used(item) + 1);
        true
    }

    /// Names the item, as part of the last span if it follows it, here and at the source.
    fn push(&mut self, item: Item, there: Ordinal, single: bool, spans_max: u32) -> bool {
        let first_there = self.there.last().map_or(0, |first| first.0);
        match self.spans.last_mut() {
            Some(Span::Entries { first, count })
                if single
                    && first.0 + u64::from(*count) == item.ordinal.0
                    && first_there + u64::from(*count) == there.0 =>
            {
                *count += 1;
                return true;
            }
            Some(Span::Chunks { ordinal, range })
                if !single && *ordinal == item.ordinal && range.end() == item.chunk.0 =>
            {
                range.count += 1;
                return true;
            }
            Some(Span::Entries { .. } | Span::Chunks { .. }) | None => {}
        }
        if self.spans.len() as u64 >= u64::from(spans_max) {
            return false;
        }
        self.there.push(there);
        self.spans.push(if single {
            Span::entry(item.ordinal)
        } else {
            Span::Chunks { ordinal: item.ordinal, range: ChunkRange::one(item.chunk) }
        });
        true
    }
}
