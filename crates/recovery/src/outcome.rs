//! How a job ended.

use std::fmt;

use peerstream_select::Level;
use peerstream_types::{ChunkIndex, EntryKey, NodeId, Ordinal};

use crate::CloseReason;
use crate::config::KEYS_LISTED_MAX;

/// How a job ended. The first outcome stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything was verified, stored, sealed and made visible.
    Published {
        /// The generation that the sink made visible.
        generation: u64,
    },
    /// A source was worked through, and parts of its manifest could be had from no candidate. All
    /// else is staged; nothing was sealed or published. Try again with other candidates.
    Incomplete {
        /// What is missing, in manifest order; at most
        /// [`GAPS_LISTED_MAX`](crate::config::GAPS_LISTED_MAX) of it.
        gaps: Vec<Gap>,
        /// How many entries are not complete, listed or not.
        entries: u64,
        /// How each candidate fared.
        peers: Vec<PeerReport>,
    },
    /// No candidate could be worked through. What was verified is staged; nothing was published. Try
    /// again when one of the peers can serve.
    NoSource {
        /// How each candidate fared.
        peers: Vec<PeerReport>,
    },
    /// Replicas that will not serve leave too few for the level. What was verified is staged; nothing was
    /// published. Lower the level, or bring replicas back.
    LevelMissed {
        /// The level.
        level: Level,
        /// How many replicas it asks for.
        required: u32,
        /// How many might still answer.
        left: u32,
        /// How each candidate fared.
        peers: Vec<PeerReport>,
    },
    /// The local store failed. Staging is kept; the operator of this node has to look.
    Failed {
        /// What it was doing.
        step: Step,
        /// What it said.
        why: String,
    },
    /// Stopped on request or by the overall limit. Staging is kept; nothing was published.
    Aborted {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { generation } => write!(f, "published generation {generation}"),
            Self::Incomplete { gaps, entries, .. } => {
                write!(f, "{entries} entries could be had from no candidate")?;
                gaps.first().map_or(Ok(()), |gap| write!(f, ", the first is {gap}"))
            }
            Self::NoSource { peers } => {
                f.write_str("no candidate could serve the shard")?;
                peers.iter().try_for_each(|peer| write!(f, "; {peer}"))
            }
            Self::LevelMissed { level, required, left, peers } => {
                write!(
                    f,
                    "level {level} asks for {required} replicas, and {left} beside this node may be asked"
                )?;
                f.write_str("; set a lower level, or add a replica")?;
                peers.iter().try_for_each(|peer| write!(f, "; {peer}"))
            }
            Self::Failed { step, why } => write!(f, "{step} failed: {why}"),
            Self::Aborted { reason } => write!(f, "aborted: {reason}"),
        }
    }
}

/// What a job took without a second word for it, and what it did without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Entries that one of several replicas alone reports. They were taken (row F-10): the others may have
    /// lost them, or never had them.
    pub alone: Found,
    /// Entries that could be had from nobody, and that level `none` does without (row F-19): they are not in
    /// what was published.
    pub dropped: Found,
}

impl Findings {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.alone.count == 0 && self.dropped.count == 0
    }
}

/// Some entries: all of them counted, the first of them named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// How many there are; unequal copies of one entry count as several.
    pub count: u64,
    /// The keys of the first of them, at most
    /// [`KEYS_LISTED_MAX`].
    pub keys: Vec<EntryKey>,
}

impl Found {
    pub(crate) fn add(&mut self, key: &EntryKey) {
        self.count += 1;
        if self.keys.len() < KEYS_LISTED_MAX {
            self.keys.push(key.clone());
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.count += more.count;
        let room = KEYS_LISTED_MAX.saturating_sub(self.keys.len());
        self.keys.extend(more.keys.into_iter().take(room));
    }
}

/// What the local store was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Staging manifests and chunks.
    Stage,
    /// Making the staged content durable.
    Seal,
    /// Making it visible.
    Publish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stage => "staging",
            Self::Seal => "seal",
            Self::Publish => "publish",
        })
    }
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The entry, in the manifest of `peer`.
    pub ordinal: Ordinal,
    /// Its key.
    pub key: EntryKey,
    /// The chunk; `None` for all of the entry that was missing.
    pub chunk: Option<ChunkIndex>,
    /// The last peer that was asked.
    pub peer: NodeId,
    /// What came of it.
    pub why: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} ({})", self.ordinal, self.key)?;
        self.chunk.map_or(Ok(()), |chunk| write!(f, " chunk {chunk}"))?;
        write!(f, " from {}: {}", self.peer, self.why)
    }
}

/// How one candidate fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReport {
    /// The candidate.
    pub peer: NodeId,
    /// How often it was opened.
    pub opens: u32,
    /// How the last attempt ended; `None` if there was none, or it still runs.
    pub ended: Option<CloseReason>,
    /// Bytes that came from it, verified and stored.
    pub stored_bytes: u64,
    /// Chunks from it that did not fit their digest.
    pub bad_chunks: u64,
}

impl fmt::Display for PeerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, opens, ended, .. } = self;
        match ended {
            Some(reason) => write!(f, "{peer} ({opens} attempts): {reason}"),
            None => write!(f, "{peer} ({opens} attempts)"),
        }
    }
}
