//! The first sources of a plan's shards, evenly over all who have them (row C41), so that a node which
//! comes up does not fall upon one donor (demand D7).

use std::collections::BTreeSet;

use peerstream_select::{ShardSources, SourceCapacity, assign};
use peerstream_types::{NodeId, ShardId};
use tracing::warn;

use crate::discover::Whom;
use crate::shared::Shared;

/// Tells every shard that asks the placement which of its sources goes first. One alone is left to the load
/// of the moment. Nobody is left out: a source that cannot serve is followed by the others.
pub(crate) fn spread<'a>(shared: &Shared, requests: impl Iterator<Item = (&'a ShardId, &'a mut Whom)>) {
    let (mut shards, mut asking) = (Vec::new(), Vec::new());
    for (shard, whom) in requests.filter(|(_, whom)| whom.asks_placement()) {
        shards.push(ShardSources { shard: shard.clone(), sources: whom.nearest() });
        asking.push((shard, whom));
    }
    if shards.len() < 2 {
        return;
    }
    let nodes: BTreeSet<&NodeId> = shards.iter().flat_map(|shard| &shard.sources).collect();
    let capacities: Vec<SourceCapacity> =
        nodes.into_iter().map(|node| capacity(shared, node, shards.len())).collect();
    match assign(&shards, &capacities) {
        Ok(assignment) => {
            for (shard, whom) in asking {
                let of = assignment.assigned.binary_search_by(|(assigned, _)| assigned.cmp(shard));
                whom.prefer(of.ok().map(|place| assignment.assigned[place].1.clone()));
            }
        }
        Err(error) => warn!(%error, "the first sources of the plan are not spread"),
    }
}

/// All shards twice over, so that nobody is full; half of it for whoever something is held against, and
/// nothing for whoever is avoided.
fn capacity(shared: &Shared, node: &NodeId, shards: usize) -> SourceCapacity {
    let all = u32::try_from(shards).unwrap_or(u32::MAX);
    let shards_max = match shared.regards.penalty(shared.clock.now(), node) {
        None => all.saturating_mul(2),
        Some(penalty) if penalty.avoided_until.is_none() => all,
        Some(_) => 0,
    };
    SourceCapacity { node: node.clone(), shards_max }
}
