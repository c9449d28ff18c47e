//! Learning which member of the cluster is at an address, where the placement knows no more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_transport::{Lane, Target};
use peerstream_types::NodeId;
use tokio::task::JoinSet;
use tracing::debug;

use crate::peers::connect;
use crate::plan::{StreamPlan, Task};
use crate::shared::Shared;

/// The nodes at the addresses that a plan may need: each is dialled once, all at a time, so that dead
/// ones cost one time-out together. Cancel safe.
pub(crate) async fn discover(shared: &Arc<Shared>, plan: &StreamPlan) -> BTreeMap<SocketAddr, NodeId> {
    let mut dials = JoinSet::new();
    for addr in unnamed(shared, plan) {
        let shared = shared.clone();
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
    let mut known = BTreeMap::new();
    while let Some(dialled) = dials.join_next().await {
        known.extend(dialled.ok().flatten());
    }
    known
}

fn unnamed(shared: &Shared, plan: &StreamPlan) -> BTreeSet<SocketAddr> {
    let asks_placement = |task: &&Task| matches!(task, Task::Request { sources, .. } if sources.is_empty());
    let shards = plan.tasks().iter().filter(asks_placement).map(Task::shard);
    let holders = shards.flat_map(|shard| shared.parts.placement.holders(shard));
    holders.filter(|holder| holder.node.is_none()).map(|holder| holder.addr).collect()
}
