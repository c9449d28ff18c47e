//! Which member of the cluster is at an address, where the placement knows no more.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerstream_placement::Changes;
use peerstream_transport::{Lane, Target};
use peerstream_types::{NodeId, ShardId};
use tokio::task::JoinSet;
use tracing::debug;

use crate::peers::connect;
use crate::plan::{StreamPlan, Task};
use crate::shared::Shared;
use crate::watch;

/// How long an address where nobody answered is left alone, and a placement that announces nothing: a look
/// costs little, and a job may wait for it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(10);

type Addresses = BTreeMap<SocketAddr, NodeId>;

/// Who is at which address, as far as that is known by now.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    addresses: watch::Receiver<Arc<Addresses>>,
    /// How many were known at the last look: none is ever forgotten.
    seen: usize,
}

impl Known {
    pub(crate) fn at(&self, addr: SocketAddr) -> Option<NodeId> {
        self.addresses.get().get(&addr).cloned()
    }

    /// Whether more are known than at the last look.
    pub(crate) fn take(&mut self) -> bool {
        let known = self.addresses.get().len();
        std::mem::replace(&mut self.seen, known) != known
    }

    /// Waits until more are known. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        match self.addresses.wait_for(|addresses| addresses.len() != self.seen).await {
            Ok(addresses) => self.seen = addresses.len(),
            Err(watch::Closed) => std::future::pending().await,
        }
    }
}

impl Default for Known {
    /// Nobody, for good.
    fn default() -> Self {
        Self { addresses: watch::channel(Arc::default()).1, seen: 0 }
    }
}

/// Finds out who is at the addresses that a plan may need.
pub(crate) struct Finder {
    shared: Arc<Shared>,
    /// The shards whose holders are asked.
    shards: BTreeSet<ShardId>,
    changes: Changes,
    known: watch::Sender<Arc<Addresses>>,
}

impl Finder {
    /// Knows this node's own address, and no other.
    pub(crate) fn new(shared: &Arc<Shared>, plan: &StreamPlan) -> Self {
        let asks_placement =
            |task: &&Task| matches!(task, Task::Request { sources, .. } if sources.is_empty());
        let shards = plan.tasks().iter().filter(asks_placement).map(|task| task.shard().clone()).collect();
        let (changes, shared) = (shared.parts.placement.changes(), shared.clone());
        let own = (shared.parts.transport.local_addr(), shared.parts.node.clone());
        Self { shared, shards, changes, known: watch::Sender::new(Arc::new(Addresses::from([own]))) }
    }

    /// What is found, now and later.
    pub(crate) fn known(&self) -> Known {
        Known { addresses: self.known.subscribe(), seen: self.known.look(|known| known.len()) }
    }

    /// Dials whoever is not known yet, all at a time, so that dead ones cost one time-out together. Cancel
    /// safe.
    pub(crate) async fn look(&self) {
        let mut dials = JoinSet::new();
        for addr in self.missing() {
            let shared = self.shared.clone();
            dials.spawn(async move {
                match connect(&shared, &Target { addr, node: None }, Lane::Control).await {
                    Ok(link) => Some((addr, link.node().clone())),
                    Err(error) => {
                        debug!(%addr, %error, "nobody of the cluster answers there");
                        None
                    }
                }
            });
        }
        while let Some(dialled) = dials.join_next().await {
            if let Ok(Some((addr, node))) = dialled {
                self.known.modify(|known| {
                    Arc::make_mut(known).insert(addr, node);
                });
            }
        }
    }

    /// Looks again whenever the placement says that it has changed; and after a while, as long as somebody is
    /// missing or changes are not announced. Cancel safe.
    pub(crate) async fn keep_looking(mut self) -> Infallible {
        loop {
            let is_due = !self.missing().is_empty() || !self.changes.are_announced();
            tokio::select! {
                biased;
                () = self.changes.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN), if is_due => {}
            }
            self.look().await;
        }
    }

    /// The addresses of replicas that have the data, of which no more is known.
    fn missing(&self) -> BTreeSet<SocketAddr> {
        let holders = self.shards.iter().flat_map(|shard| self.shared.parts.placement.holders(shard));
        let unnamed = holders.filter(|holder| holder.node.is_none() && holder.state.can_serve());
        let mut missing: BTreeSet<SocketAddr> = unnamed.map(|holder| holder.addr).collect();
        self.known.look(|known| missing.retain(|addr| !known.contains_key(addr)));
        missing
    }
}
