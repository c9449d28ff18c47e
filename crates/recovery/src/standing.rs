//! What the level asks of the replicas, and where each of them stands.

use peerstream_select::Level;
use peerstream_types::{Digest, NodeId, Timestamp};

use crate::Gap;

/// What a job asks of the replicas, and how far they go along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The level; `None` if the word of one source is taken.
    pub level: Option<Level>,
    /// How many replicas it asks for.
    pub required: u32,
    /// How many have offered their manifest, of those that are in use or were compared.
    pub heard: u32,
    /// How many of them have the manifest that most have.
    pub agreed: u32,
    /// Whether this node counts itself among those who were heard and agree (row F-18).
    pub own_vote: bool,
    /// Every candidate.
    pub replicas: Vec<Replica>,
    /// The first of what could not be had yet, at most [`MISSING_SHOWN_MAX`], with who was asked last and
    /// why: what replicas of a level that is not met disagree on, say.
    pub missing: Vec<Gap>,
}

/// Most gaps that a standing shows: it is asked for at every step.
pub const MISSING_SHOWN_MAX: usize = 8;

impl Standing {
    /// Whether as many replicas as the level asks for were heard. Nothing is taken from nobody, whatever the
    /// level.
    pub fn is_met(&self) -> bool {
        self.heard > 0 && self.heard + u32::from(self.own_vote) >= self.required
    }

    /// The manifest that most of the replicas offer; of several, the one that is named first.
    pub fn most_offered(&self) -> Option<Digest> {
        let offered = || self.replicas.iter().filter_map(|replica| replica.manifest);
        let votes = |digest: &Digest| offered().filter(|other| other == digest).count();
        offered().rev().max_by_key(votes)
    }
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Who.
    pub peer: NodeId,
    /// Where it stands.
    pub state: ReplicaStanding,
    /// The manifest that it offers, once that is sealed.
    pub manifest: Option<Digest>,
}

/// Where a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaStanding {
    /// It was not asked yet, or is not needed now.
    Idle,
    /// It was dialled, and has not offered.
    Asked {
        /// When.
        since: Timestamp,
    },
    /// It has offered, and others are waited for.
    Offered,
    /// It is asked for content; `lists`: and for its manifest.
    Serving {
        /// Whether it is the one of those with its manifest that lists it.
        lists: bool,
    },
    /// It failed, and is asked again.
    Failed {
        /// How the last attempt ended.
        why: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// It is not asked again.
    GivenUp {
        /// How the last attempt ended.
        why: String,
    },
}
