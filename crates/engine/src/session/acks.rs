//! Acknowledgements that wait to be sent, joined into runs: one message for many chunks.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstream_types::{OfferId, Span, Timestamp};

/// Runs of one offer beyond which they are sent at once.
const RUNS_LARGE: usize = 256;
/// Bytes of one offer beyond which they are sent at once: a message for every few requests, so that
/// acknowledging costs nothing beside the data.
const BYTES_LARGE: u64 = 4 << 20;
/// Longest that an acknowledgement waits for others to go with it.
const DELAY: Duration = Duration::from_millis(100);

/// What was stored and not yet acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acks {
    offers: BTreeMap<OfferId, Unsent>,
    /// When the first of them has to go.
    due: Option<Timestamp>,
}

/// What waits of one offer.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) spans: Vec<Span>,
    pub(super) bytes: u64,
}

impl Acks {
    /// Adds spans, each joined to the last one where it continues it.
    pub(super) fn add(&mut self, now: Timestamp, offer: OfferId, spans: Vec<Span>, bytes: u64) {
        let unsent = self.offers.entry(offer).or_default();
        unsent.bytes += bytes;
        spans.into_iter().for_each(|span| join_span(&mut unsent.spans, span));
        let is_large = unsent.spans.len() >= RUNS_LARGE || unsent.bytes >= BYTES_LARGE;
        let due = if is_large { now } else { now + DELAY };
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// When they have to be sent; `None` if there are none.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// What waits of one offer.
    pub(super) fn take(&mut self) -> Option<(OfferId, Unsent)> {
        let first = self.offers.pop_first();
        if self.offers.is_empty() {
            self.due = None;
        }
        first
    }

    /// What could not be sent now; it is tried again at `retry`.
    pub(super) fn put_back(&mut self, retry: Timestamp, offer: OfferId, unsent: Unsent) {
        self.offers.insert(offer, unsent);
        self.due = Some(retry + DELAY);
    }
}

/// Adds a span to a list, joined to the last one where it continues it.
pub(crate) fn join_span(spans: &mut Vec<Span>, next: Span) {
    let joined = spans.last().and_then(|last| joined(*last, next));
    match (spans.last_mut(), joined) {
        (Some(last), Some(joined)) => *last = joined,
        _ => spans.push(next),
    }
}

/// Both spans as one, if the second continues the first.
fn joined(last: Span, next: Span) -> Option<Span> {
    match (last, next) {
        (Span::Entries { first, count }, Span::Entries { first: next, count: more }) => {
            let follows = first.0 + u64::from(count) == next.0;
            let count = count.checked_add(more).filter(|_| follows)?;
            Some(Span::Entries { first, count })
        }
        (Span::Chunks { ordinal, mut range }, Span::Chunks { ordinal: next, range: more }) => {
            let follows = ordinal == next && range.end() == more.first.0;
            range.count = range.count.checked_add(more.count).filter(|_| follows)?;
            Some(Span::Chunks { ordinal, range })
        }
        (Span::Entries { .. }, Span::Chunks { .. }) | (Span::Chunks { .. }, Span::Entries { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkIndex, Ordinal};

    use super::*;

    const OFFER: OfferId = OfferId(1);
    const NOW: Timestamp = Timestamp::ZERO;

    #[test]
    fn neighbours_are_acknowledged_as_one_run() {
        let mut acks = Acks::default();
        let entries = [4, 5, 6, 9].map(|ordinal| Span::entry(Ordinal(ordinal)));
        acks.add(NOW, OFFER, entries.into(), 40);
        let chunks = [0, 1].map(|chunk| Span::chunk(Ordinal(12), ChunkIndex(chunk)));
        acks.add(NOW, OFFER, chunks.into(), 2);
        let (offer, Unsent { spans, bytes }) = acks.take().unwrap();
        assert_eq!((offer, bytes), (OFFER, 42));
        let shown: Vec<String> = spans.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["entries #4+3", "entries #9+1", "entry #12 chunks 0+2"]);
        assert!(acks.take().is_none() && acks.due().is_none());
    }

    #[test]
    fn a_run_is_never_longer_than_can_be_counted() {
        let mut spans = vec![Span::Entries { first: Ordinal(0), count: u32::MAX }];
        join_span(&mut spans, Span::entry(Ordinal(u64::from(u32::MAX))));
        assert_eq!(spans.len(), 2);
    }

    #[test]
    fn few_acknowledgements_wait_and_many_do_not() {
        let mut acks = Acks::default();
        acks.add(NOW, OFFER, vec![Span::entry(Ordinal(0))], 1);
        assert_eq!(acks.due(), Some(NOW + DELAY));
        acks.add(NOW + DELAY / 2, OFFER, vec![Span::entry(Ordinal(1))], 1);
        assert_eq!(acks.due(), Some(NOW + DELAY), "the first one counts");
        acks.add(NOW, OFFER, vec![Span::entry(Ordinal(2))], BYTES_LARGE);
        assert_eq!(acks.due(), Some(NOW));
        let (offer, unsent) = acks.take().unwrap();
        acks.put_back(NOW, offer, unsent);
        assert_eq!(acks.due(), Some(NOW + DELAY));
    }
}
