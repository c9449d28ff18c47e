//! What the entries of a fetch are called here, and at its source.

use peerstream_types::{Ordinal, Span};

/// The ordinals of a fetch's entries in the shard that is put together here, and in the manifest of the
/// source, which are others if several manifests are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    /// The same.
    Same,
    /// By runs of entries that count on at both ends.
    Runs(Vec<Run>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    here: u64,
    there: u64,
    count: u64,
}

impl Names {
    /// Of spans, and of what the source calls the first entry of each of them.
    pub(crate) fn new(spans: &[Span], there: &[Ordinal]) -> Self {
        let run = |(span, there): (&Span, &Ordinal)| {
            let count = match span {
                Span::Entries { count, .. } => u64::from(*count),
                Span::Chunks { .. } => 1,
            };
            Run { here: span.first_ordinal().0, there: there.0, count }
        };
        let runs: Vec<Run> = spans.iter().zip(there).map(run).collect();
        if runs.iter().all(|run| run.here == run.there) { Self::Same } else { Self::Runs(runs) }
    }

    /// What an entry of the source is called here; `None` if it was not asked for.
    pub(crate) fn here(&self, there: Ordinal) -> Option<Ordinal> {
        let Self::Runs(runs) = self else { return Some(there) };
        let run = runs.iter().find(|run| (run.there..run.there + run.count).contains(&there.0))?;
        Some(Ordinal(run.here + (there.0 - run.there)))
    }

    /// A span as the source calls it, in the pieces that count on there.
    pub(crate) fn there(&self, span: Span) -> Vec<Span> {
        let Self::Runs(runs) = self else { return vec![span] };
        let (first, count) = match span {
            Span::Entries { first, count } => (first.0, u64::from(count)),
            Span::Chunks { ordinal, .. } => (ordinal.0, 1),
        };
        let mut pieces = Vec::new();
        let mut at = first;
        while at < first + count {
            let Some(run) = runs.iter().find(|run| (run.here..run.here + run.count).contains(&at)) else {
                break;
            };
            let len = (run.here + run.count).min(first + count) - at;
            let there = Ordinal(run.there + (at - run.here));
            pieces.push(match span {
                Span::Entries { .. } => {
                    Span::Entries { first: there, count: u32::try_from(len).unwrap_or(u32::MAX) }
                }
                Span::Chunks { range, .. } => Span::Chunks { ordinal: there, range },
            });
            at += len;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkIndex, ChunkRange};

    use super::*;

    fn entries(first: u64, count: u32) -> Span {
        Span::Entries { first: Ordinal(first), count }
    }

    #[test]
    fn equal_names_cost_nothing() {
        let names = Names::new(&[entries(4, 3), entries(9, 1)], &[Ordinal(4), Ordinal(9)]);
        assert_eq!(names, Names::Same);
        assert_eq!(names.here(Ordinal(77)), Some(Ordinal(77)));
    }

    #[test]
    fn names_lead_there_and_back() {
        let chunks =
            Span::Chunks { ordinal: Ordinal(9), range: ChunkRange { first: ChunkIndex(3), count: 2 } };
        let names =
            Names::new(&[entries(4, 3), entries(7, 1), chunks], &[Ordinal(1), Ordinal(20), Ordinal(21)]);
        assert_eq!(names.there(entries(5, 3)), [entries(2, 2), entries(20, 1)]);
        assert_eq!(names.there(chunks)[0].first_ordinal(), Ordinal(21));
        assert_eq!(names.here(Ordinal(3)), Some(Ordinal(6)));
        assert_eq!(names.here(Ordinal(21)), Some(Ordinal(9)));
        assert_eq!(names.here(Ordinal(4)), None, "that was not asked for");
    }
}
