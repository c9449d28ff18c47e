//! What the job asks its driver to do.

use std::fmt;
use std::sync::Arc;

use peerstream_select::Offence;
use peerstream_types::{Entry, FetchId, GroupIndex, ManifestHeader, NodeId, Ordinal, PageToken, Span};

use crate::{Outcome, Refusal};

/// One attempt at one peer. Never used again by this job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(crate) u32);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is asked for at once of the outline of an entry of more than one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutlinePart {
    /// The chaining values of its groups, of an entry of more than one group: what the outlines of
    /// the groups are checked against.
    Top,
    /// The chaining values of the chunks of one group. An entry of one group has just that.
    Group(GroupIndex),
}

impl fmt::Display for OutlinePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("the top"),
            Self::Group(group) => write!(f, "group {group}"),
        }
    }
}

/// What the driver carries out, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a session with `peer` and prepare the shard. Answered by
    /// [`handle_offer`](crate::Recovery::handle_offer),
    /// [`handle_refusal`](crate::Recovery::handle_refusal) or
    /// [`handle_source_lost`](crate::Recovery::handle_source_lost). Exactly one
    /// [`Action::Close`] follows for every open, whoever ended it.
    Open {
        /// Names this attempt from now on.
        source: SourceId,
        /// Who is asked.
        peer: NodeId,
        /// Which attempt at this peer it is, from one.
        attempt: u32,
    },
    /// Begin the staging (over) with this manifest; content that is staged stays, outlines that were
    /// kept are of no use any more. No answer, but if the store fails
    /// ([`handle_store_failed`](crate::Recovery::handle_store_failed)) or does not take what some of them have
    /// ([`handle_begin_refused`](crate::Recovery::handle_begin_refused)).
    Begin {
        /// The offered header: only its chunk size is final if it is not sealed. If several manifests are
        /// joined it is not sealed, and its position is the earliest of theirs.
        header: ManifestHeader,
        /// The manifests that are joined, if they are several.
        joined: Vec<ManifestHeader>,
    },
    /// Take these entries into the staging, in order; their ordinals count on from those before. Of a
    /// mergeable dataset, neighbours may be unequal copies under one key. Answered by
    /// [`handle_admitted`](crate::Recovery::handle_admitted) or
    /// [`handle_admit_refused`](crate::Recovery::handle_admit_refused). At most one at a time.
    Admit {
        /// The entries.
        entries: Vec<Arc<Entry>>,
    },
    /// Do without this copy of an entry that was admitted: the level is met without it. No answer.
    LeaveOut {
        /// The copy.
        ordinal: Ordinal,
    },
    /// Ask for the page at `token`. Answered by [`handle_page`](crate::Recovery::handle_page) or
    /// [`handle_page_failed`](crate::Recovery::handle_page_failed). At most one at a time of each source.
    List {
        /// Whom to ask.
        source: SourceId,
        /// Where the page begins, as this same source said.
        token: PageToken,
    },
    /// Ask for a part of the outline of an entry, check it, and keep it while
    /// [`needs_outline`](crate::Recovery::needs_outline) says so. The outline of a group of an entry
    /// of several is asked for after the top of that entry was verified. Answered by
    /// [`handle_outline`](crate::Recovery::handle_outline).
    Outline {
        /// Whom to ask.
        source: SourceId,
        /// The entry.
        ordinal: Ordinal,
        /// What the source calls it.
        there: Ordinal,
        /// Which part.
        part: OutlinePart,
    },
    /// Ask for data. Answered by any number of [`handle_stored`](crate::Recovery::handle_stored),
    /// [`handle_bad`](crate::Recovery::handle_bad) and
    /// [`handle_fetch_failed`](crate::Recovery::handle_fetch_failed), in any order, and by
    /// [`handle_fetch_ended`](crate::Recovery::handle_fetch_ended) when nothing more comes.
    Fetch {
        /// Whom to ask.
        source: SourceId,
        /// Names the request. Unique in this job: a session that carries several jobs maps it.
        fetch: FetchId,
        /// What to ask for: runs of entries of one chunk, and runs of chunks of longer ones.
        spans: Vec<Span>,
        /// What the source calls the first entry of each span. It counts on as here within one.
        there: Vec<Ordinal>,
        /// The most often that any of it was asked of this source, this time included.
        attempt: u32,
    },
    /// Stop a fetch and store nothing more of it. No answer.
    Cancel {
        /// Who was asked.
        source: SourceId,
        /// What was asked.
        fetch: FetchId,
    },
    /// Tell the source that nothing more of its offer is needed. No answer.
    Release {
        /// Who offered.
        source: SourceId,
    },
    /// End the session if it still runs. From here on store nothing that came from it. No answer.
    Close {
        /// Which one.
        source: SourceId,
        /// Why.
        reason: CloseReason,
    },
    /// Everything is stored: make it durable and check it against the sealed header. Answered by
    /// [`handle_sealed`](crate::Recovery::handle_sealed).
    Seal {
        /// The sealed header. If several manifests were joined it has no digest: that is to be
        /// computed from what was admitted; and no position, if something was left out of them.
        header: ManifestHeader,
    },
    /// Make the sealed generation visible. Answered by
    /// [`handle_published`](crate::Recovery::handle_published).
    Publish,
    /// The job has ended. The last action there is; given once.
    Done(Outcome),
}

/// Why a source was closed. What it means for its peer is decided by the job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Everything came, and is durable.
    Complete,
    /// It gave what it could; something is missing and is asked elsewhere. Not asked again.
    WorkedThrough,
    /// It refused.
    Refused(Refusal),
    /// Its connection or session ended.
    Lost(String),
    /// It made no offer in time.
    OpenTimeout,
    /// It brought nothing for the no-progress timeout (row F-50).
    Stalled,
    /// It said busy again and again.
    Busy,
    /// Its manifest cannot be right. Not asked again.
    BadManifest(String),
    /// Its manifest has something that the store here cannot keep, be it right or not. Not asked again.
    CannotKeep(String),
    /// It could not list its snapshot.
    ListFailed(String),
    /// It was asked to join others and has another manifest. It may still be asked alone.
    OtherManifest,
    /// Others have everything in hand. It may still be asked again.
    NotNeeded,
    /// What it has cannot be put together with what the others have.
    Incompatible(String),
    /// The job ended for a reason that is not the source's.
    JobEnded(String),
}

impl CloseReason {
    /// Every name that [`CloseReason::name`] gives.
    pub const NAMES: [&'static str; 14] = [
        "complete",
        "worked through",
        "refused",
        "lost",
        "open timeout",
        "stalled",
        "busy",
        "bad manifest",
        "list failed",
        "other manifest",
        "not needed",
        "incompatible",
        "job ended",
        "cannot keep",
    ];

    /// Whether it says nothing against the peer, which may be asked again at once.
    pub(crate) fn is_blameless(&self) -> bool {
        matches!(self, Self::OtherManifest | Self::NotNeeded)
    }

    /// What its peer is blamed for, if it is.
    pub fn offence(&self) -> Option<Offence> {
        match self {
            Self::BadManifest(_) => Some(Offence::Lied),
            Self::OpenTimeout | Self::Stalled => Some(Offence::Stalled),
            Self::Lost(_) | Self::ListFailed(_) => Some(Offence::Failed),
            Self::Refused(_) | Self::Busy => Some(Offence::Refused),
            Self::Complete
            | Self::WorkedThrough
            | Self::OtherManifest
            | Self::NotNeeded
            | Self::Incompatible(_)
            | Self::CannotKeep(_)
            | Self::JobEnded(_) => None,
        }
    }

    /// A name for it, without what the peer or the store said.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::Complete => 0,
            Self::WorkedThrough => 1,
            Self::Refused(_) => 2,
            Self::Lost(_) => 3,
            Self::OpenTimeout => 4,
            Self::Stalled => 5,
            Self::Busy => 6,
            Self::BadManifest(_) => 7,
            Self::ListFailed(_) => 8,
            Self::OtherManifest => 9,
            Self::NotNeeded => 10,
            Self::Incompatible(_) => 11,
            Self::JobEnded(_) => 12,
            Self::CannotKeep(_) => 13,
        };
        Self::NAMES[place]
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::WorkedThrough => f.write_str("gave what it could"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.reason),
            Self::Lost(why) => write!(f, "lost: {why}"),
            Self::OpenTimeout => f.write_str("made no offer in time"),
            Self::Stalled => f.write_str("stalled"),
            Self::Busy => f.write_str("busy for too long"),
            Self::BadManifest(why) => write!(f, "manifest is wrong: {why}"),
            Self::CannotKeep(why) => write!(f, "manifest cannot be kept here: {why}"),
            Self::ListFailed(why) => write!(f, "cannot list its snapshot: {why}"),
            Self::OtherManifest => f.write_str("has another manifest than the sources in use"),
            Self::NotNeeded => f.write_str("not needed"),
            Self::Incompatible(why) => write!(f, "does not go with the others: {why}"),
            Self::JobEnded(why) => write!(f, "job ended: {why}"),
        }
    }
}
