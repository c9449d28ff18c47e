//! What a job can say about itself at any moment.

use std::fmt;

use peerstream_select::Level;
use peerstream_types::{ByteCount, EntryCounts, NodeId, Timestamp};

use crate::{Phase, Standing};

/// Where a job is, how far it is, and what holds it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The phase. Only [`Phase::Done`] with a published outcome is 100 %.
    pub phase: Phase,
    /// What the job waits for; `None` once it has ended.
    pub waiting: Option<Waiting>,
    /// The peer that is used now; of several, the first that lists.
    pub source: Option<NodeId>,
    /// The peers in use, and those that gave something before, good or bad, in the order of the candidates.
    pub sources: Vec<SourceStatus>,
    /// What is asked of the replicas, and where each of them stands.
    pub standing: Standing,
    /// Complete entries, and verified bytes of all entries, of the manifest in use. Never falls while
    /// sources offer the same sealed manifest; starts over with what is held if another one is taken.
    pub done: EntryCounts,
    /// What the manifest in use has in all; `None` until it is sealed.
    pub total: Option<EntryCounts>,
    /// Bytes asked for and not yet answered.
    pub outstanding: ByteCount,
    /// Entries that the sources so far could not give; other candidates are asked for them.
    pub entries_missing: u64,
}

/// What one peer gives to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The peer.
    pub peer: NodeId,
    /// Whether it is asked now, or may be.
    pub in_use: bool,
    /// Bytes that came from it in this job, verified and stored.
    pub stored_bytes: u64,
    /// Chunks that came from it and did not fit their digest.
    pub bad_chunks: u64,
}

/// What a job waits for, and since when nothing moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What for.
    pub reason: WaitReason,
    /// Since when: the last thing that came, or the moment of asking.
    pub since: Timestamp,
}

/// Reasons for waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// Every candidate that is left failed before; the next attempt is at `until`.
    BackOff {
        /// Who is tried next.
        peer: NodeId,
        /// When.
        until: Timestamp,
    },
    /// For the level: too few replicas have answered or agree. Ends when they do, when the level is
    /// lowered, or on request.
    Level {
        /// The level.
        level: Level,
        /// How many replicas it asks for.
        required: u32,
        /// How many there are.
        got: u32,
        /// How many count that cannot be asked: they do not have the data yet, or nobody knows who they are.
        absent: u32,
        /// When those that failed are tried again.
        until: Option<Timestamp>,
    },
    /// For a peer's offer.
    Offer,
    /// For a page of the manifest.
    Page,
    /// For the local store to take what is listed.
    Stage,
    /// For an outline.
    Outline,
    /// For data.
    Data,
    /// The source is busy and is left alone.
    SourceBusy {
        /// Until when.
        until: Timestamp,
    },
    /// For the local store to make everything durable.
    Seal,
    /// For the local store to publish.
    Publish,
}

impl WaitReason {
    /// Every name that [`WaitReason::name`] gives.
    pub const NAMES: [&'static str; 10] =
        ["back-off", "level", "offer", "page", "stage", "outline", "data", "source busy", "seal", "publish"];

    /// A name for it, without who and until when.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::BackOff { .. } => 0,
            Self::Level { .. } => 1,
            Self::Offer => 2,
            Self::Page => 3,
            Self::Stage => 4,
            Self::Outline => 5,
            Self::Data => 6,
            Self::SourceBusy { .. } => 7,
            Self::Seal => 8,
            Self::Publish => 9,
        };
        Self::NAMES[place]
    }

    /// When it ends, or something is tried again, if that is known.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::BackOff { until, .. } | Self::SourceBusy { until } => Some(*until),
            Self::Level { until, .. } => *until,
            Self::Offer
            | Self::Page
            | Self::Stage
            | Self::Outline
            | Self::Data
            | Self::Seal
            | Self::Publish => None,
        }
    }
}

/// What is waited for, without the time that [`WaitReason::until`] gives.
impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackOff { peer, .. } => write!(f, "the next attempt at {peer}"),
            Self::Level { level, required, got, absent, .. } => {
                write!(f, "level {level}: {got} of {required} replicas")?;
                match absent {
                    0 => Ok(()),
                    _ => write!(f, ", {absent} cannot be asked: initializing, or not found at their address"),
                }
            }
            Self::Offer => f.write_str("an offer"),
            Self::Page => f.write_str("a page of the manifest"),
            Self::Stage => f.write_str("the store to take what is listed"),
            Self::Outline => f.write_str("an outline"),
            Self::Data => f.write_str("data"),
            Self::SourceBusy { .. } => f.write_str("the source, which is busy"),
            Self::Seal => f.write_str("the store to seal"),
            Self::Publish => f.write_str("the store to publish"),
        }
    }
}

/// Plain counters of one job, from its start. They only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Attempts at peers.
    pub sources_opened: u64,
    /// Sources that were replaced because nothing came (row F-50).
    pub sources_stalled: u64,
    /// Pages taken.
    pub pages: u64,
    /// Outlines of groups, and tops, verified.
    pub outlines: u64,
    /// Fetches sent.
    pub fetches: u64,
    /// Bytes verified and stored.
    pub stored_bytes: u64,
    /// Chunks verified and stored; a small entry is one.
    pub stored_chunks: u64,
    /// Bytes found staged that this job did not store itself. Final once a listing was whole.
    pub held_bytes: u64,
    /// Chunks that did not fit their digest.
    pub bad_chunks: u64,
    /// Bytes of them.
    pub bad_bytes: u64,
    /// Chunks or entries reported for a fetch that had not, or no longer, asked for them (row F-35).
    pub surplus: u64,
    /// Inputs for closed sources, finished fetches or an ended job: ignored.
    pub late_inputs: u64,
    /// Items that were asked of the same source again, by reason.
    pub retries: Retries,
    /// Items that one source did not give, and that were asked of another one in use.
    pub passed_on: u64,
    /// Items that nobody in use gave, and that were left to later sources.
    pub set_aside: u64,
    /// Entries that replicas report, and of which no copy had the votes that the level asks for.
    pub disputed: u64,
    /// Unequal copies of entries that did not come, and that the level did without.
    pub left_out: u64,
    /// Times that everything was begun again because the level was not met.
    pub rounds: u64,
    /// Items that were taken from a source which had not begun them, for one with nothing to do.
    pub stolen: u64,
    /// Bytes that were asked of a second source while a slow one still owed them.
    pub twice_bytes: u64,
}

/// Items that were asked again, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retries {
    /// It did not verify.
    pub bad: u64,
    /// The answer ended without it (row F-35).
    pub short: u64,
    /// The source failed to give it.
    pub failed: u64,
    /// The source was busy.
    pub busy: u64,
}
