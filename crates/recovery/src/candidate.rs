//! Peers that may be asked, and what this node knows of them beyond one job.

use peerstream_types::{ByteCount, NodeId, Timestamp};

/// What this node knows of a peer beyond one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Regard {
    /// What other jobs of this node wait for from it (row F-07). Default nothing.
    pub outstanding: ByteCount,
    /// Until when it is asked for content only where nobody else can be, for what it did. What it says it
    /// has is heard nevertheless, where replicas are compared. Default not at all.
    pub avoided_until: Option<Timestamp>,
}

impl Regard {
    pub(crate) fn is_avoided(&self, now: Timestamp) -> bool {
        self.avoided_until.is_some_and(|until| until > now)
    }
}

/// A peer that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub peer: NodeId,
    /// Who has a lower one goes before; among those with the same, who has less outstanding, then who has
    /// the lower id.
    pub rank: u32,
    /// What speaks for and against it.
    pub regard: Regard,
}

impl Candidate {
    /// Ranked as they are listed, whatever is outstanding.
    pub fn in_order(peers: impl IntoIterator<Item = NodeId>) -> Vec<Self> {
        let ranked = |(rank, peer)| Self { peer, rank, regard: Regard::default() };
        (0..).zip(peers).map(ranked).collect()
    }

    /// Who of them is asked first, if none was asked before.
    pub fn first(candidates: &[Self], now: Timestamp) -> Option<&NodeId> {
        let best = candidates.iter().min_by(|one, other| one.merit(now).cmp(&other.merit(now)));
        best.map(|best| &best.peer)
    }

    fn merit(&self, now: Timestamp) -> impl Ord + '_ {
        (self.regard.is_avoided(now), self.rank, self.regard.outstanding, &self.peer)
    }
}
