//! What both ends have offered, and what of it was acknowledged and released.

use std::collections::BTreeMap;

use peerstream_types::{ChunkIndex, ChunkRange, OfferId, Ordinal, Span};

use crate::config::ACK_RUNS_MAX;
use crate::error::CommandError;
use crate::runs::Runs;

/// The offers of both ends of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    /// Own offers; `None` once released.
    own: BTreeMap<OfferId, Option<Acks>>,
    /// The peer's offers and whether this end still needs them.
    peer: BTreeMap<OfferId, bool>,
    /// Runs in all `Acks` together.
    runs: usize,
}

/// What the peer has acknowledged of one offer.
#[derive(Debug, Clone, Default)]
struct Acks {
    entries: Runs,
    chunks: BTreeMap<Ordinal, Runs>,
}

/// What is new in an acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) spans: Vec<Span>,
    /// Parts that could not be remembered and so are not reported.
    pub(crate) forgotten: u64,
}

/// Whether an own offer may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnOffer {
    Held,
    Released,
    Unknown,
}

impl Offers {
    pub(crate) fn add_own(&mut self, offer: OfferId) {
        self.own.insert(offer, Some(Acks::default()));
    }

    pub(crate) fn add_peer(&mut self, offer: OfferId) {
        self.peer.insert(offer, true);
    }

    /// Whether no end needs anything of the other any longer.
    pub(crate) fn all_released(&self) -> bool {
        self.own_released() && self.peer.values().all(|needed| !needed)
    }

    /// Whether the peer needs nothing any longer.
    pub(crate) fn own_released(&self) -> bool {
        self.own.values().all(Option::is_none)
    }

    pub(crate) fn own(&self, offer: OfferId) -> OwnOffer {
        match self.own.get(&offer) {
            Some(Some(_)) => OwnOffer::Held,
            Some(None) => OwnOffer::Released,
            None => OwnOffer::Unknown,
        }
    }

    /// Marks an own offer as released; `false` if it was or never existed.
    pub(crate) fn release_own(&mut self, offer: OfferId) -> bool {
        let Some(acks) = self.own.get_mut(&offer).and_then(Option::take) else { return false };
        self.runs -= acks.count();
        true
    }

    /// Checks that the peer's offer is there and still needed.
    pub(crate) fn peer(&self, offer: OfferId) -> Result<(), CommandError> {
        match self.peer.get(&offer) {
            Some(true) => Ok(()),
            Some(false) => Err(CommandError::OfferReleased(offer)),
            None => Err(CommandError::UnknownOffer(offer)),
        }
    }

    pub(crate) fn release_peer(&mut self, offer: OfferId) {
        self.peer.insert(offer, false);
    }

    /// Takes an acknowledgement and says what of it is new: each part once (rows C11 and C17d).
    pub(crate) fn acknowledge(&mut self, offer: OfferId, spans: &[Span]) -> Fresh {
        let mut fresh = Fresh::default();
        let Some(Some(acks)) = self.own.get_mut(&offer) else { return fresh };
        for span in spans {
            acks.add(*span, &mut self.runs, &mut fresh);
        }
        fresh
    }
}

impl Acks {
    fn count(&self) -> usize {
        self.entries.count() + self.chunks.values().map(Runs::count).sum::<usize>()
    }

    fn add(&mut self, span: Span, total: &mut usize, fresh: &mut Fresh) {
        match span {
            Span::Entries { first, count } => self.add_entries(first.0, count, total, fresh),
            Span::Chunks { ordinal, range } => self.add_chunks(ordinal, range, total, fresh),
        }
    }

    fn add_entries(&mut self, first: u64, count: u32, total: &mut usize, fresh: &mut Fresh) {
        let end = first.saturating_add(u64::from(count));
        let Some(gaps) = remember(&mut self.entries, first, end, total) else {
            fresh.forgotten += 1;
            return;
        };
        let whole = gaps.iter().map(|(first, end)| Span::Entries {
            first: Ordinal(*first),
            count: u32::try_from(end - first).expect("a gap is no longer than its span"),
        });
        fresh.spans.extend(whole);
        // The whole entry is acknowledged: its chunks need no memory any longer.
        let covered: Vec<Ordinal> =
            self.chunks.range(Ordinal(first)..Ordinal(end)).map(|(ordinal, _)| *ordinal).collect();
        for ordinal in covered {
            *total -= self.chunks.remove(&ordinal).map_or(0, |runs| runs.count());
        }
    }

    fn add_chunks(&mut self, ordinal: Ordinal, range: ChunkRange, total: &mut usize, fresh: &mut Fresh) {
        if self.entries.contains(ordinal.0) {
            return;
        }
        let room = *total < ACK_RUNS_MAX || self.chunks.contains_key(&ordinal);
        let gaps = room
            .then(|| self.chunks.entry(ordinal).or_default())
            .and_then(|runs| remember(runs, range.first.0, range.end(), total));
        let Some(gaps) = gaps else {
            fresh.forgotten += 1;
            return;
        };
        fresh.spans.extend(gaps.iter().map(|(first, end)| {
            let count = u32::try_from(end - first).expect("a gap is no longer than its span");
            Span::Chunks { ordinal, range: ChunkRange { first: ChunkIndex(*first), count } }
        }));
    }
}

/// Adds a run and returns what was missing of it, or `None` if there is no room for one more run.
fn remember(runs: &mut Runs, start: u64, end: u64, total: &mut usize) -> Option<Vec<(u64, u64)>> {
    let gaps = runs.missing(start, end);
    if gaps.is_empty() {
        return Some(gaps);
    }
    if *total >= ACK_RUNS_MAX && !runs.touches(start, end) {
        return None;
    }
    *total -= runs.count();
    runs.insert(start, end);
    *total += runs.count();
    Some(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: OfferId = OfferId(1);

    fn offered() -> Offers {
        let mut offers = Offers::default();
        offers.add_own(OFFER);
        offers
    }

    fn entries(first: u64, count: u32) -> Span {
        Span::Entries { first: Ordinal(first), count }
    }

    fn chunks(entry: u64, first: u64, count: u32) -> Span {
        Span::Chunks { ordinal: Ordinal(entry), range: ChunkRange { first: ChunkIndex(first), count } }
    }

    #[test]
    fn only_what_is_new_is_reported() {
        let mut offers = offered();
        let mut fresh = |span| offers.acknowledge(OFFER, &[span]).spans;
        assert_eq!(fresh(entries(4, 2)), [entries(4, 2)]);
        assert_eq!(fresh(entries(3, 4)), [entries(3, 1), entries(6, 1)]);
        assert_eq!(fresh(chunks(9, 5, 5)), [chunks(9, 5, 5)]);
        assert_eq!(fresh(chunks(9, 0, 20)), [chunks(9, 0, 5), chunks(9, 10, 10)]);
        assert_eq!(fresh(chunks(9, 0, 20)), []);
        assert_eq!(fresh(entries(9, 1)), [entries(9, 1)], "the last chunk may be followed by the entry");
        assert_eq!(fresh(chunks(9, 30, 1)), [], "but not the entry by a chunk");
    }

    #[test]
    fn a_peer_cannot_make_the_memory_of_acknowledgements_grow() {
        let mut offers = offered();
        let mut forgotten = 0;
        for ordinal in 0..(ACK_RUNS_MAX as u64 + 10) {
            forgotten += offers.acknowledge(OFFER, &[chunks(ordinal * 2, 7, 1)]).forgotten;
        }
        assert_eq!((offers.runs, forgotten), (ACK_RUNS_MAX, 10));
        assert!(offers.release_own(OFFER));
        assert_eq!(offers.runs, 0);
    }
}
