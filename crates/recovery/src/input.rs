//! What the driver tells the job.

use std::sync::Arc;
use std::time::Duration;

use peerstream_types::{ChunkRange, Entry, FetchId, ManifestHeader, Ordinal, PageToken};

use crate::SourceId;

/// One page of a source's manifest, after the driver has checked it: key order, keys, digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageIn {
    /// The entries, ordinals counting on from the page before.
    pub entries: Vec<Arc<Entry>>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<PageToken>,
    /// The sealed header, on the last page.
    pub sealed: Option<ManifestHeader>,
}

impl PageIn {
    /// The last page of a manifest.
    pub fn last(entries: Vec<Arc<Entry>>, sealed: ManifestHeader) -> Self {
        Self { entries, sealed: Some(sealed), ..Self::default() }
    }

    /// A page that others follow.
    pub fn more(entries: Vec<Arc<Entry>>, next: PageToken) -> Self {
        Self { entries, next: Some(next), ..Self::default() }
    }
}

/// What the store has to say about the entries that it was asked to take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admitted {
    /// Chunks of them that are staged and verified already. An entry that is not named has none.
    pub held: Vec<(Ordinal, Vec<ChunkRange>)>,
    /// Entries that cannot be taken whatever comes, and why: nothing to verify them against, say. An
    /// empty entry whose digest is not that of no bytes belongs here (row F-61).
    pub unusable: Vec<(Ordinal, String)>,
}

/// A peer will not serve the shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for the operator.
    pub reason: String,
    /// When to ask again at the earliest, if it said so; at most
    /// [`RETRY_AFTER_MAX`](crate::config::RETRY_AFTER_MAX) is waited.
    pub retry_after: Option<Duration>,
    /// Asking again is useless: it does not hold the shard, say, or does not speak with this node.
    pub permanent: bool,
}

/// Why a source did not give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// What came is not what the manifest says. A page: the source's manifest is useless. Otherwise: one attempt is used up.
    Wrong(String),
    /// The source no longer has it as listed. A page: the source is replaced. Otherwise: the entry is
    /// left to the next source without another attempt here.
    Gone(String),
    /// Not now. Nothing is used up, the source is left alone for a while.
    Busy {
        /// When to ask again at the earliest, if it said so.
        retry_after: Option<Duration>,
    },
    /// It failed for another reason. One attempt is used up.
    Failed(String),
}

/// Why the store did not take a copy of an entry that fits its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not what the dataset has: who gave it is at fault.
    Bad(String),
    /// It is good, and cannot become one with what is here already: too long together, say. Nobody is at
    /// fault.
    Unmergeable(String),
}

/// An input that no correct driver gives. Nothing was changed; the driver is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// A setting that must be positive is zero.
    #[error("setting {0} must not be zero")]
    ZeroSetting(&'static str),
    /// More candidates than [`CANDIDATES_MAX`](crate::config::CANDIDATES_MAX).
    #[error("{0} candidates are more than {max}", max = crate::config::CANDIDATES_MAX)]
    TooManyCandidates(usize),
    /// More candidates than a comparison of their manifests allows
    /// ([`REPLICAS_MAX`](peerstream_select::roster::REPLICAS_MAX)).
    #[error("{0} candidates are too many to be compared, at most {max} are", max = peerstream_select::roster::REPLICAS_MAX)]
    TooManyToCompare(usize),
    /// No [`Action::Open`](crate::Action::Open) ever named this source.
    #[error("source {0} was never opened by this job")]
    UnknownSource(SourceId),
    /// No [`Action::Fetch`](crate::Action::Fetch) ever named this fetch.
    #[error("fetch {0} was never asked by this job")]
    UnknownFetch(FetchId),
    /// An answer to something that was not asked.
    #[error("{0} was not asked for")]
    Unasked(&'static str),
    /// The store says something about an entry that it was not asked to take.
    #[error("entry {0} was not to be admitted")]
    NotAdmitted(Ordinal),
}
