//! The outlines that the driver of a world keeps: nothing is asked without them, and they stay few.

use std::collections::BTreeSet;

use peerstream_recovery::{Config, OutlinePart, Recovery, SourceId};
use peerstream_types::{ChunkIndex, ChunkSize, Entry, Ordinal};

use crate::support::CHUNK;

type Part = (SourceId, Ordinal, OutlinePart);

/// Parts of outlines with the number of their values.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    asked: BTreeSet<(Part, u64)>,
    kept: BTreeSet<(Part, u64)>,
}

impl Outlines {
    /// A part is asked for: it is one that the entry has, the top before any group, and either within
    /// the limit or the only one under way.
    pub(super) fn ask(&mut self, job: &Recovery, config: &Config, asked: (SourceId, &Entry, OutlinePart)) {
        let (source, entry, part) = asked;
        let size = ChunkSize::new(CHUNK).unwrap();
        let grouped = entry.groups(size) > 1;
        let values = match part {
            OutlinePart::Top => {
                if grouped {
                    entry.groups(size)
                } else {
                    0
                }
            }
            OutlinePart::Group(group) => u64::from(size.chunks_of(group, entry.len).count),
        };
        assert!(values > 0 && entry.chunks(size) > 1, "{part} of {} bytes", entry.len);
        if grouped && part != OutlinePart::Top {
            assert!(
                self.keeps(entry.ordinal, OutlinePart::Top)
                    && job.needs_outline(entry.ordinal, OutlinePart::Top)
            );
        }
        self.forget_needless(job);
        assert!(!self.keeps(entry.ordinal, part), "it is there");
        let part = (source, entry.ordinal, part);
        assert!(self.asked.insert((part, values)), "asked again");
        let all: u64 = self.asked.iter().chain(&self.kept).map(|(_, values)| values).sum();
        let groups = self.kept.iter().filter(|((_, _, part), _)| *part != OutlinePart::Top).count();
        assert!(all <= config.outline_values || (groups == 0 && self.asked.len() == 1), "{all} values");
    }

    pub(super) fn answered(&mut self, part: Part, good: bool) {
        let asked = self.asked.iter().find(|(asked, _)| *asked == part).copied();
        if let Some(asked) = asked {
            self.asked.remove(&asked);
            if good {
                self.kept.insert(asked);
            }
        }
    }

    /// As the driver does after every input.
    pub(super) fn forget_needless(&mut self, job: &Recovery) {
        let needed = |((_, ordinal, part), _): &(Part, u64)| job.needs_outline(*ordinal, *part);
        self.asked.retain(needed);
        self.kept.retain(needed);
    }

    /// What a closed source was asked for does not come.
    pub(super) fn closed(&mut self, source: SourceId) {
        self.asked.retain(|((of, ..), _)| *of != source);
    }

    fn keeps(&self, ordinal: Ordinal, part: OutlinePart) -> bool {
        self.kept.iter().any(|((_, of, kept), _)| (*of, *kept) == (ordinal, part))
    }

    /// Nothing is asked before what it is checked against is there.
    pub(super) fn assert_covers(&self, job: &Recovery, ordinal: Ordinal, chunk: ChunkIndex) {
        let part = OutlinePart::Group(chunk.group());
        assert!(self.keeps(ordinal, part), "{ordinal} {chunk} is asked without its outline");
        assert!(job.needs_outline(ordinal, part));
    }
}
