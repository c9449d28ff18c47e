//! Acknowledgements that wait to be sent, joined into runs: one message for many chunks.

use std::collections::BTreeMap;

use peerstream_types::{OfferId, Span};

/// Runs of one offer beyond which they are sent even while more commands wait.
const RUNS_LARGE: usize = 256;

/// What was stored and not yet acknowledged, by offer.
#[derive(Debug, Default)]
pub(super) struct Acks(BTreeMap<OfferId, (Vec<Span>, u64)>);

impl Acks {
    /// Adds a span; joined to the last one where it continues it.
    pub(super) fn add(&mut self, offer: OfferId, span: Span, bytes: u64) {
        let (spans, sum) = self.0.entry(offer).or_default();
        *sum += bytes;
        match spans.last_mut() {
            Some(last) if continues(last, span) => extend(last, span),
            _ => spans.push(span),
        }
    }

    pub(super) fn is_large(&self) -> bool {
        self.0.values().any(|(spans, _)| spans.len() >= RUNS_LARGE)
    }

    /// The spans of one offer, and their bytes.
    pub(super) fn take(&mut self) -> Option<(OfferId, Vec<Span>, u64)> {
        self.0.pop_first().map(|(offer, (spans, bytes))| (offer, spans, bytes))
    }

    /// Spans that could not be sent now.
    pub(super) fn put_back(&mut self, offer: OfferId, spans: Vec<Span>, bytes: u64) {
        self.0.insert(offer, (spans, bytes));
    }
}

fn continues(last: &Span, next: Span) -> bool {
    match (*last, next) {
        (Span::Entries { first, count }, Span::Entries { first: next, .. }) => {
            first.0 + u64::from(count) == next.0
        }
        (Span::Chunks { ordinal, range }, Span::Chunks { ordinal: next, range: more }) => {
            ordinal == next && range.end() == more.first.0
        }
        (Span::Entries { .. }, Span::Chunks { .. }) | (Span::Chunks { .. }, Span::Entries { .. }) => false,
    }
}

fn extend(last: &mut Span, next: Span) {
    match (last, next) {
        (Span::Entries { count, .. }, Span::Entries { count: more, .. }) => *count += more,
        (Span::Chunks { range, .. }, Span::Chunks { range: more, .. }) => range.count += more.count,
        (Span::Entries { .. }, Span::Chunks { .. }) | (Span::Chunks { .. }, Span::Entries { .. }) => {}
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkIndex, Ordinal};

    use super::*;

    #[test]
    fn neighbours_are_acknowledged_as_one_run() {
        let mut acks = Acks::default();
        for ordinal in [4, 5, 6, 9] {
            acks.add(OfferId(1), Span::entry(Ordinal(ordinal)), 10);
        }
        acks.add(OfferId(1), Span::chunk(Ordinal(12), ChunkIndex(0)), 1);
        acks.add(OfferId(1), Span::chunk(Ordinal(12), ChunkIndex(1)), 1);
        let (offer, spans, bytes) = acks.take().unwrap();
        assert_eq!((offer, bytes), (OfferId(1), 42));
        let shown: Vec<String> = spans.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["entries #4+3", "entries #9+1", "entry #12 chunks 0+2"]);
        assert!(acks.take().is_none());
    }
}
