//! The snapshots that this end of a session offers, each held until the peer releases it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_snapshot::Snapshot;
use peerstream_types::{OfferId, ShardId};
use peerstream_wire::message::ReleaseReason;
use tokio::sync::oneshot;

use crate::plan::{PlanRecord, Stage};
use crate::serve::Tree;

/// A snapshot under lease, with where its progress is shown.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) shard: ShardId,
    /// The plan's record and the shard's place in it.
    pub(crate) shown: (PlanRecord, usize),
    /// Told how it ended; dropped if the session fails before.
    pub(crate) released: Option<oneshot::Sender<LeaseEnd>>,
    /// The digest tree of what is offered, once the peer has asked for it.
    pub(crate) tree: Option<Tree>,
}

/// How the lease of an offer ended.
#[derive(Debug)]
pub(crate) enum LeaseEnd {
    /// The peer released it.
    Released(ReleaseReason),
    /// Someone called the session off.
    CalledOff(String),
}

/// The offers of one session.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<OfferId, Lease>>);

impl Leases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<OfferId, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, offer: OfferId, lease: Lease) {
        self.lock().insert(offer, lease);
    }

    /// The snapshot of an offer that is still held, and its shard.
    pub(crate) fn get(&self, offer: OfferId) -> Option<(Arc<dyn Snapshot>, ShardId)> {
        self.lock().get(&offer).map(|lease| (lease.snapshot.clone(), lease.shard.clone()))
    }

    /// Keeps the tree of an offer as long as the offer.
    pub(crate) fn keep_tree(&self, offer: OfferId, tree: &Tree) {
        if let Some(lease) = self.lock().get_mut(&offer) {
            lease.tree = Some(tree.clone());
        }
    }

    /// Counts bytes that were written towards the peer.
    pub(crate) fn sent(&self, offer: OfferId, bytes: u64) {
        let leases = self.lock();
        let Some(Lease { shown: (record, index), .. }) = leases.get(&offer) else { return };
        record.update(*index, |shard| {
            shard.stage = Stage::Streaming;
            let total = shard.bytes_total.unwrap_or(u64::MAX);
            shard.bytes_done = shard.bytes_done.saturating_add(bytes).min(total);
        });
    }

    /// Drops the lease of an offer, and hands it back for a last look.
    pub(crate) fn release(&self, offer: OfferId) -> Option<Lease> {
        self.lock().remove(&offer)
    }

    /// Drops all leases: the session has ended.
    pub(crate) fn drain(&self) -> Vec<Lease> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }
}
