//! Whom a job may ask: what the placement says at the moment, and which member of the cluster is at an
//! address where it knows no more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_placement::{Changes, Holder, Placement, ShardState};
use peerstream_select::availability::{Availability, Birth, NoSource, Replica, ReplicaState};
use peerstream_select::{Level, OwnVote};
use peerstream_transport::{Lane, Target};
use peerstream_types::{NodeId, ShardId};
use tokio::task::JoinSet;
use tracing::debug;

use crate::peers::connect;
use crate::plan::{StreamPlan, Task};
use crate::shared::Shared;

/// Who is at which address, as it was when the plan began: an address that comes later is asked by the next
/// plan.
pub(crate) type Known = Arc<BTreeMap<SocketAddr, NodeId>>;

/// Whom a job may ask for its shard.
#[derive(Debug)]
pub(crate) struct Whom {
    own: NodeId,
    shard: ShardId,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    /// Somebody said whom; the placement has no say in it.
    Named(Vec<NodeId>),
    /// Those that the placement says have the data (row F-21).
    Placed { placement: Arc<dyn Placement>, known: Known, changes: Changes },
}

impl Whom {
    /// These, or those that the placement says, if nobody is named.
    pub(crate) fn new(shared: &Shared, shard: &ShardId, named: Vec<NodeId>, known: &Known) -> Self {
        let asked = if named.is_empty() {
            let placement = shared.parts.placement.clone();
            Asked::Placed { changes: placement.changes(), placement, known: known.clone() }
        } else {
            Asked::Named(named)
        };
        Self { own: shared.parts.node.clone(), shard: shard.clone(), asked }
    }

    /// Only this one, whatever the placement says.
    pub(crate) fn only(shared: &Shared, shard: &ShardId, peer: NodeId) -> Self {
        Self::new(shared, shard, vec![peer], &Known::default())
    }

    /// Who may be asked now, in order; never this node.
    pub(crate) fn now(&self) -> Vec<NodeId> {
        let mut nodes = match &self.asked {
            Asked::Named(named) => named.clone(),
            Asked::Placed { placement, known, .. } => {
                let able =
                    placement.holders(&self.shard).into_iter().filter(|holder| holder.state.can_serve());
                able.filter_map(|holder| node_of(holder, known)).collect()
            }
        };
        let mut seen = BTreeSet::new();
        nodes.retain(|node| *node != self.own && seen.insert(node.clone()));
        nodes
    }

    /// How many replicas the shard is meant to have, as far as this node knows.
    pub(crate) fn replicas(&self) -> u32 {
        let count = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
        match &self.asked {
            Asked::Named(named) => count(named.len()),
            Asked::Placed { placement, .. } => placement.replication(&self.shard).unwrap_or_else(|| {
                let holders = placement.holders(&self.shard);
                let others = holders.iter().filter(|holder| holder.node.as_ref() != Some(&self.own));
                count(others.count() + 1)
            }),
        }
    }

    /// In which state this node's own replica is, if the placement names it.
    pub(crate) fn own_state(&self) -> Option<ReplicaState> {
        let Asked::Placed { placement, .. } = &self.asked else { return None };
        let holders = placement.holders(&self.shard);
        holders
            .into_iter()
            .find(|holder| holder.node.as_ref() == Some(&self.own))
            .map(|own| state_of(own.state))
    }

    /// Who may be asked now, if that may be another answer than the last one.
    pub(crate) fn afresh(&mut self) -> Option<Vec<NodeId>> {
        let may_differ = match &mut self.asked {
            Asked::Named(_) => false,
            Asked::Placed { changes, .. } => !changes.are_announced() || changes.take(),
        };
        may_differ.then(|| self.now())
    }

    /// Waits until the placement says that it has changed, and tells who may be asked then. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Vec<NodeId> {
        match &mut self.asked {
            Asked::Named(_) => std::future::pending().await,
            Asked::Placed { changes, .. } => changes.changed().await,
        }
        self.now()
    }

    /// Why nobody may be asked, if no replica has the data: then the shard is not attempted at any level
    /// (row F-21), and who waits for whom is said (row F-23).
    pub(crate) fn nobody(&self) -> Option<String> {
        let Asked::Placed { placement, .. } = &self.asked else { return None };
        let holders = placement.holders(&self.shard);
        if holders.iter().any(|holder| holder.node.as_ref() != Some(&self.own) && holder.state.can_serve()) {
            return None;
        }
        let replicas: Vec<Replica> = holders.into_iter().filter_map(replica).collect();
        let factor = placement.replication(&self.shard);
        let factor = factor.unwrap_or(u32::try_from(replicas.len()).unwrap_or(u32::MAX));
        let found = Availability::of(&replicas, &self.own, factor, Level::None, OwnVote::default());
        match found {
            Ok(Availability::NoSource(why)) => Some(said(&why, &replicas)),
            Ok(Availability::Fulfillable { .. } | Availability::Short { .. }) => None,
            Err(unknown) => Some(unknown.to_string()),
        }
    }
}

fn node_of(holder: Holder, known: &Known) -> Option<NodeId> {
    holder.node.or_else(|| known.get(&holder.addr).cloned())
}

fn replica(holder: Holder) -> Option<Replica> {
    Some(Replica { node: holder.node?, state: state_of(holder.state) })
}

fn state_of(state: ShardState) -> ReplicaState {
    match state {
        ShardState::Initializing => ReplicaState::Initializing,
        ShardState::Available => ReplicaState::Available,
        ShardState::Leaving => ReplicaState::Leaving,
        ShardState::Unknown => ReplicaState::Unknown,
    }
}

/// For an operator at night.
fn said(why: &NoSource, replicas: &[Replica]) -> String {
    let names = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match why {
        NoSource::NotPlaced => "the placement names no replica of it".to_owned(),
        NoSource::OnlySelf => "this node is its only replica".to_owned(),
        NoSource::AllInitializing(nodes) => {
            let never = matches!(Birth::of(replicas), Ok(Birth::Never));
            let hint = if never { "; it never had data, or all of them lost it" } else { "" };
            format!("all its replicas are initializing, each waits for the others: {}{hint}", names(nodes))
        }
        NoSource::OthersInitializing(nodes) => {
            format!("all its other replicas are initializing: {}", names(nodes))
        }
    }
}

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
    let unnamed = holders.filter(|holder| holder.node.is_none() && holder.state.can_serve());
    unnamed.map(|holder| holder.addr).collect()
}
