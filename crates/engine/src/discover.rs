//! Whom a job may ask, and whose word counts: what the placement says at the moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerstream_placement::{Changes, Holder, Placement, ShardState};
use peerstream_recovery::{Candidate, Regard, Voters};
use peerstream_select::availability::{Availability, Birth, NoSource, Replica, ReplicaState};
use peerstream_select::{Exclusion, Level, NoSourceLeft, OwnVote, Screened, SourceRules, filter};
use peerstream_types::{NodeId, ShardId};

use crate::known::{Known, LOOK_AGAIN};
use crate::shared::Shared;

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
        let holders = placed.holders(&self.shard);
        let own = holders.iter().find(|holder| holder.node.as_ref() == Some(&self.own));
        let Some(zone) = own.and_then(|own| own.zone.clone()) else { return BTreeSet::new() };
        let near = holders.into_iter().filter(|holder| holder.zone.as_ref() == Some(&zone));
        near.filter_map(|holder| holder.node).collect()
    }

    /// The replicas that the rules let be a source, and those that they do not.
    fn screen(&self, placed: &Placed) -> Result<Screened, NoSourceLeft> {
        self.screen_as(placed, |state| state)
    }

    /// The same as if the replicas were in other states than they are.
    fn screen_as(
        &self,
        placed: &Placed,
        as_if: impl Fn(ReplicaState) -> ReplicaState,
    ) -> Result<Screened, NoSourceLeft> {
        let moves_here = self.own_state() == Some(ReplicaState::Initializing);
        let (mut leaving, mut candidates) = (Vec::new(), Vec::new());
        for holder in placed.holders(&self.shard) {
            let (state, zone) = (state_of(holder.state), holder.zone);
            let Some(node) = holder.node else { continue };
            if moves_here && state == ReplicaState::Leaving {
                leaving.push(node.clone());
            }
            candidates.push(filter::Candidate { node, state: as_if(state), alive: true, zone });
        }
        placed.rules.screen(&self.own, &self.shard, self.replicas(), &leaving, &candidates)
    }

    /// Whose word counts besides that of those who may be asked: that of every other replica, in whatever
    /// state and whether or not it is known who it is. But not of those that the rules leave out.
    pub(crate) fn voters(&self) -> Voters {
        let mut voters = Voters::of(self.replicas());
        let Asked::Placed(placed) = &self.asked else { return voters };
        let ruled_out = match self.screen_as(placed, |_| ReplicaState::Available) {
            Ok(screened) => screened.left_out,
            Err(nobody) => nobody.left_out,
        };
        let is_ruled_out = |node: &NodeId| ruled_out.iter().any(|(other, _)| other == node);
        for holder in self.others(placed) {
            match holder.node {
                Some(node) if holder.state.can_serve() || is_ruled_out(&node) => {}
                None if holder.state.can_serve() => voters.unknown += 1,
                Some(_) | None => voters.absent += 1,
            }
        }
        voters
    }

    /// How many replicas the shard is meant to have, as far as this node knows.
    fn replicas(&self) -> u32 {
        let count = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
        match &self.asked {
            Asked::Named(named) => count(named.len()),
            Asked::Placed(placed) => {
                let replication = placed.placement.replication(&self.shard);
                replication.unwrap_or_else(|| count(self.others(placed).len() + 1))
            }
        }
    }

    /// The replicas besides that of this node.
    fn others(&self, placed: &Placed) -> Vec<Holder> {
        let mut holders = placed.holders(&self.shard);
        holders.retain(|holder| holder.node.as_ref() != Some(&self.own));
        holders
    }

    /// In which state this node's own replica is, if the placement names it.
    pub(crate) fn own_state(&self) -> Option<ReplicaState> {
        let Asked::Placed(placed) = &self.asked else { return None };
        let mut holders = placed.holders(&self.shard).into_iter();
        let own = holders.find(|holder| holder.node.as_ref() == Some(&self.own));
        own.map(|own| state_of(own.state))
    }

    /// Whether others may be asked than at the last look.
    pub(crate) fn may_have_changed(&mut self) -> bool {
        match &mut self.asked {
            Asked::Named(_) => false,
            Asked::Placed(Placed { changes, known, .. }) => {
                let is_found = known.take();
                is_found || !changes.are_announced() || changes.take()
            }
        }
    }

    /// Waits until the placement says that it has changed, or more is known of those it names; for a while, if
    /// its changes are not announced. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        match &mut self.asked {
            Asked::Named(_) => std::future::pending().await,
            Asked::Placed(Placed { changes, known, .. }) => {
                let is_announced = changes.are_announced();
                tokio::select! {
                    biased;
                    () = changes.changed() => {}
                    () = known.changed() => {}
                    () = tokio::time::sleep(LOOK_AGAIN), if !is_announced => {}
                }
            }
        }
    }

    /// Why nobody may be asked: no replica has the data, so that the shard is not attempted at any level
    /// (row F-21), and who waits for whom is said (row F-23); or the rules leave nobody (row C41).
    pub(crate) fn nobody(&self) -> Option<String> {
        let Asked::Placed(placed) = &self.asked else { return None };
        if self.others(placed).iter().any(|holder| holder.state.can_serve()) {
            return self.nobody_left(placed);
        }
        let holders = placed.holders(&self.shard);
        let unnamed = holders.iter().filter(|holder| holder.node.is_none());
        let unnamed: Vec<String> = unnamed.map(|holder| holder.addr.to_string()).collect();
        let replicas: Vec<Replica> = holders.into_iter().filter_map(replica).collect();
        let factor = placed.placement.replication(&self.shard);
        let factor = factor.unwrap_or(u32::try_from(replicas.len()).unwrap_or(u32::MAX));
        let found = Availability::of(&replicas, &self.own, factor, Level::None, OwnVote::default());
        match found {
            Ok(Availability::NoSource(NoSource::NotPlaced | NoSource::OnlySelf)) if !unnamed.is_empty() => {
                Some(format!("none of its other replicas has the data: those at {}", unnamed.join(", ")))
            }
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

impl Placed {
    /// The replicas of a shard, with the names of those who were found at their addresses.
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        let mut holders = self.placement.holders(shard);
        for holder in holders.iter_mut().filter(|holder| holder.node.is_none()) {
            holder.node = self.known.at(holder.addr);
        }
        holders
    }
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
