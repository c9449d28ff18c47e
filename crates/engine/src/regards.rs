//! What this node knows of its peers beyond one job: how much all jobs wait for from each, and who is
//! avoided, why, and until when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_recovery::Regard;
use peerstream_select::{Loads, Offence, Penalties, Penalty};
use peerstream_types::{ByteCount, NodeId, Timestamp};

/// One for all jobs of an engine.
#[derive(Debug, Default)]
pub(crate) struct Regards(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// In bytes of content.
    loads: Loads,
    penalties: Penalties,
}

impl Regards {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer was asked for so many bytes, which it owes as long as the result is kept.
    pub(crate) fn owes(self: &Arc<Self>, peer: &NodeId, bytes: u64) -> Debt {
        self.lock().loads.begin(peer, bytes);
        Debt { regards: self.clone(), peer: peer.clone(), bytes }
    }

    /// What speaks for and against a peer, for someone to whom it owes `own` bytes.
    pub(crate) fn of(&self, now: Timestamp, peer: &NodeId, own: u64) -> Regard {
        let known = self.lock();
        let outstanding = ByteCount(known.loads.outstanding(peer).saturating_sub(own));
        Regard { outstanding, avoided_until: known.penalties.avoided(now, peer) }
    }

    /// Holds something against a peer, for a while.
    pub(crate) fn blame(&self, now: Timestamp, peer: &NodeId, offence: Offence) {
        self.lock().penalties.blame(now, peer, offence);
    }

    /// What is held against a peer.
    pub(crate) fn penalty(&self, now: Timestamp, peer: &NodeId) -> Option<Penalty> {
        self.lock().penalties.of(now, peer)
    }

    /// Everyone whom something is held against.
    pub(crate) fn penalties(&self, now: Timestamp) -> Vec<(NodeId, Penalty)> {
        self.lock().penalties.iter(now).map(|(peer, penalty)| (peer.clone(), penalty)).collect()
    }

    pub(crate) fn forgive(&self, peer: &NodeId) {
        self.lock().penalties.forgive(peer);
    }
}

/// What a peer was asked for and has not answered. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Debt {
    regards: Arc<Regards>,
    peer: NodeId,
    bytes: u64,
}

impl Debt {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.regards.lock().loads.end(&self.peer, self.bytes);
    }
}
