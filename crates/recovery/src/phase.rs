//! The phases of a job, and what may follow what.

use std::collections::BTreeMap;

use peerstream_types::{ManifestHeader, NodeId, Timestamp};

use crate::SourceId;
use crate::choice::Yield;
use crate::link::Link;
use crate::pass::Pass;
use crate::verdicts::Verdicts;

/// Where a job is.
///
/// ```text
///      +------ last source closed: lost, stalled, refused, worked through --+
///      |       or not enough for a level that was raised meanwhile          |
///      v                                                                    |
///  Choosing ----> Opening ----> Streaming ----> Sealing ----> Publishing ---|-> Done
///      |              |              |             |                        |    ^
///      |              +--------------+-------------+------------------------+    |
///      +---- no candidate left, aborted, failed ---+-----------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No source: the next attempt waits for its back-off.
    Choosing,
    /// Peers were dialled, and too few have offered yet.
    Opening,
    /// Pages and outlines come from a source, data from all that have the same.
    Streaming,
    /// Everything is stored; the store makes it durable.
    Sealing,
    /// The store makes it visible.
    Publishing,
    /// Ended.
    Done,
}

/// A source in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) id: SourceId,
    /// Its peer, as `choice` counts them.
    pub(crate) candidate: usize,
}

/// A source before it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) live: Live,
    pub(crate) since: Timestamp,
    pub(crate) offer: Option<ManifestHeader>,
}

/// A phase with what belongs to it.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Choosing {
        wait: Option<(NodeId, Timestamp)>,
        since: Timestamp,
    },
    Opening {
        asked: BTreeMap<SourceId, Asked>,
        /// When as many had offered as the level asks for.
        met_at: Option<Timestamp>,
        since: Timestamp,
    },
    Streaming {
        pass: Box<Pass>,
        /// Sources that were asked to join and have not offered, since when.
        joining: BTreeMap<SourceId, (Live, Timestamp)>,
    },
    /// The sources keep their snapshots until everything is durable here; losing one now costs nothing.
    Sealing {
        sources: BTreeMap<SourceId, (Live, Yield)>,
        /// What the level said of unequal copies of what is sealed.
        verdicts: Verdicts,
        /// The level was raised meanwhile, and asks for more than was heard.
        is_below_level: bool,
        since: Timestamp,
    },
    Publishing {
        since: Timestamp,
    },
    Done,
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Choosing { .. } => Phase::Choosing,
            Self::Opening { .. } => Phase::Opening,
            Self::Streaming { .. } => Phase::Streaming,
            Self::Sealing { .. } => Phase::Sealing,
            Self::Publishing { .. } => Phase::Publishing,
            Self::Done => Phase::Done,
        }
    }

    /// All sources in use, also those that have not offered yet; the one that lists first.
    pub(crate) fn sources(&self) -> Vec<Live> {
        match self {
            Self::Opening { asked, .. } => asked.values().map(|asked| asked.live).collect(),
            Self::Streaming { pass, joining } => {
                let live = |(id, link): (SourceId, &Link)| Live { id, candidate: link.candidate };
                let mut links: Vec<Live> = pass.links().map(live).collect();
                links.sort_by_key(|link| !pass.lists(link.id));
                links.extend(joining.values().map(|(live, _)| *live));
                links
            }
            Self::Sealing { sources, .. } => sources.values().map(|(live, _)| *live).collect(),
            Self::Choosing { .. } | Self::Publishing { .. } | Self::Done => Vec::new(),
        }
    }

    /// Whether a source is in use.
    pub(crate) fn has(&self, source: SourceId) -> bool {
        match self {
            Self::Opening { asked, .. } => asked.contains_key(&source),
            Self::Streaming { pass, joining } => pass.link(source).is_some() || joining.contains_key(&source),
            Self::Sealing { sources, .. } => sources.contains_key(&source),
            Self::Choosing { .. } | Self::Publishing { .. } | Self::Done => false,
        }
    }

    /// What a source in use has given since it was opened.
    pub(crate) fn got(&self, source: SourceId) -> Yield {
        match self {
            Self::Streaming { pass, .. } => pass.link(source).map(|link| link.got).unwrap_or_default(),
            Self::Sealing { sources, .. } => sources.get(&source).map(|(_, got)| *got).unwrap_or_default(),
            Self::Opening { .. } | Self::Choosing { .. } | Self::Publishing { .. } | Self::Done => {
                Yield::default()
            }
        }
    }

    pub(crate) fn pass(&self) -> Option<&Pass> {
        match self {
            Self::Streaming { pass, .. } => Some(pass),
            Self::Choosing { .. }
            | Self::Opening { .. }
            | Self::Sealing { .. }
            | Self::Publishing { .. }
            | Self::Done => None,
        }
    }
}
