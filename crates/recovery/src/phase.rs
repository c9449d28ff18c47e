//! The phases of a job, and what may follow what.

use peerstream_types::{NodeId, Timestamp};

use crate::SourceId;
use crate::choice::Yield;
use crate::pass::Pass;

/// Where a job is.
///
/// ```text
///            +--------- source closed: lost, stalled, refused, worked through ---------+
///            v                                                                         |
///  Choosing ----> Opening ----> Streaming ----> Sealing ----> Publishing ----> Done    |
///      |              |              |             |                            ^      |
///      |              +--------------+-------------|----------------------------|------+
///      +---- no candidate left, aborted, failed ---+----------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No source: the next attempt waits for its back-off.
    Choosing,
    /// A peer was dialled and has not offered yet.
    Opening,
    /// Pages, outlines and data come from a source.
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

/// A phase with what belongs to it.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Choosing {
        wait: Option<(NodeId, Timestamp)>,
        since: Timestamp,
    },
    Opening {
        source: Live,
        since: Timestamp,
    },
    Streaming {
        source: Live,
        pass: Box<Pass>,
    },
    /// The source keeps its snapshot until everything is durable here; losing it now costs nothing.
    Sealing {
        source: Option<Live>,
        got: Yield,
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

    pub(crate) fn live(&self) -> Option<Live> {
        match self {
            Self::Opening { source, .. } | Self::Streaming { source, .. } => Some(*source),
            Self::Sealing { source, .. } => *source,
            Self::Choosing { .. } | Self::Publishing { .. } | Self::Done => None,
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
