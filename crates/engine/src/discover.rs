//! Whom a job may ask: what the placement says at the moment, and which member of the cluster is at an
//! address where it knows no more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use peerstream_placement::{Changes, Holder, Placement, ShardState};
use peerstream_recovery::{Candidate, Regard};
use peerstream_select::availability::{Availability, Birth, NoSource, Replica, ReplicaState};
use peerstream_select::{Exclusion, Level, NoSourceLeft, OwnVote, Screened, SourceRules, filter};
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
    /// Somebody said whom, and in which order; neither the placement nor the rules have a say in it.
    Named(Vec<NodeId>),
    Placed(Placed),
}

/// Those that the placement says have the data (row F-21), as far as the rules allow them (row C41).
#[derive(Debug)]
struct Placed {
    placement: Arc<dyn Placement>,
    known: Known,
    changes: Changes,
    rules: SourceRules,
    /// Goes before the others.
    first: Option<NodeId>,
}

impl Whom {
    /// These, or those that the placement says, if nobody is named.
    pub(crate) fn new(shared: &Shared, shard: &ShardId, named: Vec<NodeId>, known: &Known) -> Self {
        let asked = if named.is_empty() {
            let placement = shared.parts.placement.clone();
            let (changes, rules) = (placement.changes(), shared.config.sources.clone());
            Asked::Placed(Placed { changes, placement, known: known.clone(), rules, first: None })
        } else {
            Asked::Named(named)
        };
        Self { own: shared.parts.node.clone(), shard: shard.clone(), asked }
    }

    /// Only this one, whatever the placement says.
    pub(crate) fn only(shared: &Shared, shard: &ShardId, peer: NodeId) -> Self {
        Self::new(shared, shard, vec![peer], &Known::default())
    }

    /// Whether the placement says whom to ask.
    pub(crate) fn asks_placement(&self) -> bool {
        matches!(self.asked, Asked::Placed(_))
    }

    /// Who may be asked now; never this node.
    fn now(&self) -> Vec<NodeId> {
        let mut nodes = match &self.asked {
            Asked::Named(named) => named.clone(),
            Asked::Placed(placed) => match self.screen(placed) {
                Ok(screened) => screened.sources,
                Err(_) => Vec::new(),
            },
        };
        let mut seen = BTreeSet::new();
        nodes.retain(|node| *node != self.own && seen.insert(node.clone()));
        nodes
    }

    /// Whether a peer may be asked now.
    pub(crate) fn may_ask(&self, peer: &NodeId) -> bool {
        self.now().contains(peer)
    }

    /// Who may be asked now, ranked: as they are named; or who goes first, then those of this node's zone.
    pub(crate) fn candidates(&self, regard: impl Fn(&NodeId) -> Regard) -> Vec<Candidate> {
        let placed = match &self.asked {
            Asked::Named(_) => None,
            Asked::Placed(placed) => Some((placed, self.near(placed))),
        };
        let ranked = (0..).zip(self.now()).map(|(place, peer)| {
            let rank = match &placed {
                None => place,
                Some((placed, _)) if placed.first.as_ref() == Some(&peer) => 0,
                Some((_, near)) if near.contains(&peer) => 1,
                Some(_) => 2,
            };
            let regard = regard(&peer);
            Candidate { peer, rank, regard }
        });
        ranked.collect()
    }

    /// Who may be asked now: those of this node's zone, if any of them may.
    pub(crate) fn nearest(&self) -> Vec<NodeId> {
        let nodes = self.now();
        let Asked::Placed(placed) = &self.asked else { return nodes };
        let near = self.near(placed);
        let (near, far): (Vec<NodeId>, Vec<NodeId>) = nodes.into_iter().partition(|node| near.contains(node));
        if near.is_empty() { far } else { near }
    }

    /// This one goes before the others, as long as it may be asked.
    pub(crate) fn prefer(&mut self, node: Option<NodeId>) {
        if let Asked::Placed(placed) = &mut self.asked {
            placed.first = node;
        }
    }

    /// Those in this node's zone, as far as the placement says zones.
    fn near(&self, placed: &Placed) -> BTreeSet<NodeId> {
        let holders = placed.placement.holders(&self.shard);
        let own = holders.iter().find(|holder| holder.node.as_ref() == Some(&self.own));
        let Some(zone) = own.and_then(|own| own.zone.clone()) else { return BTreeSet::new() };
        let near = holders.into_iter().filter(|holder| holder.zone.as_ref() == Some(&zone));
        near.filter_map(|holder| node_of(holder, &placed.known)).collect()
    }

    /// The replicas that the rules let be a source, and those that they do not.
    fn screen(&self, placed: &Placed) -> Result<Screened, NoSourceLeft> {
        let holders = placed.placement.holders(&self.shard);
        let moves_here = self.own_state() == Some(ReplicaState::Initializing);
        let (mut leaving, mut candidates) = (Vec::new(), Vec::new());
        for holder in holders {
            let (state, zone) = (state_of(holder.state), holder.zone.clone());
            let Some(node) = node_of(holder, &placed.known) else { continue };
            if moves_here && state == ReplicaState::Leaving {
                leaving.push(node.clone());
            }
            candidates.push(filter::Candidate { node, state, alive: true, zone });
        }
        placed.rules.screen(&self.own, &self.shard, self.replicas(), &leaving, &candidates)
    }

    /// How many replicas the shard is meant to have, as far as this node knows.
    pub(crate) fn replicas(&self) -> u32 {
        let count = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
        match &self.asked {
            Asked::Named(named) => count(named.len()),
            Asked::Placed(Placed { placement, .. }) => {
                placement.replication(&self.shard).unwrap_or_else(|| {
                    let holders = placement.holders(&self.shard);
                    let others = holders.iter().filter(|holder| holder.node.as_ref() != Some(&self.own));
                    count(others.count() + 1)
                })
            }
        }
    }

    /// In which state this node's own replica is, if the placement names it.
    pub(crate) fn own_state(&self) -> Option<ReplicaState> {
        let Asked::Placed(Placed { placement, .. }) = &self.asked else { return None };
        let holders = placement.holders(&self.shard);
        holders
            .into_iter()
            .find(|holder| holder.node.as_ref() == Some(&self.own))
            .map(|own| state_of(own.state))
    }

    /// Whether others may be asked than at the last look.
    pub(crate) fn may_have_changed(&mut self) -> bool {
        match &mut self.asked {
            Asked::Named(_) => false,
            Asked::Placed(Placed { changes, .. }) => !changes.are_announced() || changes.take(),
        }
    }

    /// Waits until the placement says that it has changed. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        match &mut self.asked {
            Asked::Named(_) => std::future::pending().await,
            Asked::Placed(Placed { changes, .. }) => changes.changed().await,
        }
    }

    /// Why nobody may be asked: no replica has the data, so that the shard is not attempted at any level
    /// (row F-21), and who waits for whom is said (row F-23); or the rules leave nobody (row C41).
    pub(crate) fn nobody(&self) -> Option<String> {
        let Asked::Placed(placed) = &self.asked else { return None };
        let holders = placed.placement.holders(&self.shard);
        if holders.iter().any(|holder| holder.node.as_ref() != Some(&self.own) && holder.state.can_serve()) {
            return self.nobody_left(placed);
        }
        let replicas: Vec<Replica> = holders.into_iter().filter_map(replica).collect();
        let factor = placed.placement.replication(&self.shard);
        let factor = factor.unwrap_or(u32::try_from(replicas.len()).unwrap_or(u32::MAX));
        let found = Availability::of(&replicas, &self.own, factor, Level::None, OwnVote::default());
        match found {
            Ok(Availability::NoSource(why)) => Some(said(&why, &replicas)),
            Ok(Availability::Fulfillable { .. } | Availability::Short { .. }) => None,
            Err(unknown) => Some(unknown.to_string()),
        }
    }

    /// Whom the rules leave out, if they leave nobody.
    fn nobody_left(&self, placed: &Placed) -> Option<String> {
        let left = match self.screen(placed) {
            Ok(Screened { sources, left_out }) if sources.is_empty() => {
                NoSourceLeft { shard: self.shard.clone(), displaced: Vec::new(), left_out }
            }
            Ok(_) => return None,
            Err(left) => left,
        };
        let is_ruled_out =
            |why: &Exclusion| matches!(why, Exclusion::Node | Exclusion::Zone | Exclusion::NotDisplaced);
        left.left_out.iter().any(|(_, why)| is_ruled_out(why)).then(|| left.to_string())
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
