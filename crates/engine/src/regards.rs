//! What this node knows of its peers beyond one job: how much all jobs wait for from each, and who is
//! avoided, why, and until when.

use std::sync::atomic::{AtomicU8, Ordering};
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

    /// Holds a lie against a peer, for a while.
    pub(crate) fn lied(&self, now: Timestamp, peer: &NodeId) {
        self.lock().penalties.blame(now, peer, Offence::Lied);
    }

    /// Holds against a peer what came of a dial or a session: every lie, and of each other kind the first.
    pub(crate) fn blame(&self, now: Timestamp, peer: &NodeId, offence: Offence, incident: &Incident) {
        if offence == Offence::Lied || incident.is_first(offence) {
            self.lock().penalties.blame(now, peer, offence);
        }
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

/// One dial, or one session, with a peer. Several jobs may learn that it came to nothing; it did so once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Incident(Arc<AtomicU8>);

impl Incident {
    /// Whether nobody has told of such an offence before.
    fn is_first(&self, offence: Offence) -> bool {
        let bit = 1 << offence as u8;
        self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
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
