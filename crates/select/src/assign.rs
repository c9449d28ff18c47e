//! Many shards over several sources, each shard to one of its own, evenly, and no source beyond its
//! capacity: a maximum flow (row C41), so that a fleet that comes up does not fall upon one donor
//! (demand D7).
//!
//! Capacities are opened step by step, to every source in proportion to its own, and at every step as
//! many shards are placed as can be, also by moving placed ones. So in the end as many as possible are
//! placed, and the fullest source is as empty as it can be. The answer depends on what is given, not
//! on its order.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_types::{NodeId, ShardId};

mod flow;

use flow::Flow;

/// Most sources of one assignment: the table of possible moves has as many cells as this squared.
pub const SOURCES_MAX: usize = 1024;
/// Most shards of one assignment.
pub const SHARDS_MAX: usize = 1_000_000;

/// A source and how many shards it is to serve at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCapacity {
    /// Which node.
    pub node: NodeId,
    /// Most shards that are assigned to it. Sources fill in proportion to their capacities.
    pub shards_max: u32,
}

/// A shard and who could be its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSources {
    /// The shard.
    pub shard: ShardId,
    /// Who could serve it. Nodes without a capacity are left out.
    pub sources: Vec<NodeId>,
}

/// Who serves what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// Every shard that has a source, in order of the shards.
    pub assigned: Vec<(ShardId, NodeId)>,
    /// Every shard that has none, and why, in order of the shards.
    pub unassigned: Vec<(ShardId, Unassigned)>,
    /// How many shards each source serves, in order of their ids.
    pub loads: Vec<(NodeId, u32)>,
}

/// Why a shard has no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unassigned {
    /// None of its sources has a capacity, or it has none.
    NoSource,
    /// Its sources are full, and none of what they serve could go elsewhere.
    SourcesFull,
}

/// More than can be assigned at once. The caller is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// Over [`SOURCES_MAX`].
    #[error("{0} sources, at most {SOURCES_MAX} are allowed")]
    TooManySources(usize),
    /// Over [`SHARDS_MAX`].
    #[error("{0} shards, at most {SHARDS_MAX} are allowed")]
    TooManyShards(usize),
}

/// Assigns shards to sources. Of a shard or source that is given twice, the first counts.
///
/// # Errors
///
/// [`AssignError`] if there are too many of either.
pub fn assign(shards: &[ShardSources], sources: &[SourceCapacity]) -> Result<Assignment, AssignError> {
    if sources.len() > SOURCES_MAX {
        return Err(AssignError::TooManySources(sources.len()));
    }
    if shards.len() > SHARDS_MAX {
        return Err(AssignError::TooManyShards(shards.len()));
    }
    let mut sources: Vec<&SourceCapacity> = sources.iter().collect();
    sources.sort_by(|a, b| a.node.cmp(&b.node));
    sources.dedup_by(|a, b| a.node == b.node);
    let index_of: BTreeMap<&NodeId, usize> =
        sources.iter().enumerate().map(|(index, source)| (&source.node, index)).collect();
    let mut shards: Vec<&ShardSources> = shards.iter().collect();
    shards.sort_by(|a, b| a.shard.cmp(&b.shard));
    shards.dedup_by(|a, b| a.shard == b.shard);

    let candidates = |shard: &&ShardSources| {
        let known = shard.sources.iter().filter_map(|node| index_of.get(node).copied());
        known.collect::<BTreeSet<usize>>().into_iter().collect()
    };
    let capacities = sources.iter().map(|source| source.shards_max).collect();
    let mut flow = Flow::new(capacities, shards.iter().map(candidates).collect());
    flow.solve();
    let mut assignment = Assignment::default();
    for (index, shard) in shards.iter().enumerate() {
        let shard = shard.shard.clone();
        match flow.source_of(index) {
            Some(source) => assignment.assigned.push((shard, sources[source].node.clone())),
            None if flow.has_sources(index) => assignment.unassigned.push((shard, Unassigned::SourcesFull)),
            None => assignment.unassigned.push((shard, Unassigned::NoSource)),
        }
    }
    let load = |(index, source): (usize, &&SourceCapacity)| (source.node.clone(), flow.load(index));
    assignment.loads = sources.iter().enumerate().map(load).collect();
    Ok(assignment)
}

#[cfg(test)]
mod tests;
