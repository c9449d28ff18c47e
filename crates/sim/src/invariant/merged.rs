//! What is merged has all that it must, and nothing that nobody wrote.

use std::collections::BTreeMap;

use peerstream_types::{NodeId, ShardId};

use super::{Finding, Invariant};
use crate::watch::{View, Visible};
use crate::workload::Demands;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// What the last recovery of a shard that was published asked for, and of how many others.
    required: BTreeMap<(NodeId, ShardId), (u64, u32, u32)>,
}

impl Invariant for Merged {
    fn name(&self) -> &'static str {
        "merged"
    }

    fn statement(&self) -> &'static str {
        "Where a scenario says what it wrote to block stores: every point that is visible was written under \
         the same series, with its tags; whatever so many replicas had that the level cannot have missed \
         it is there once a recovery is published, and what so many have deleted is not; and what this \
         node's host wrote and made durable is always there."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let Some(written) = view.written else { return Vec::new() };
        for (id, books) in &view.books.nodes {
            for (shard, ballots) in &books.ballots {
                let asked = (ballots.generation.0, ballots.required(), ballots.others);
                self.required.insert((id.clone(), shard.clone()), asked);
            }
        }
        let mut findings = Vec::new();
        for (id, shard, visible) in view.visible().filter(|(_, shard, _)| *shard == written.shard()) {
            let Some(blocks) = &visible.blocks else { continue };
            let wrong = written.wrong(id, blocks, &self.demands(id, shard, visible));
            findings.extend(wrong.map(|seen| Finding::of(id, shard, seen)));
        }
        findings
    }
}

impl Merged {
    fn demands(&self, node: &NodeId, shard: &ShardId, visible: &Visible) -> Demands {
        let asked = self.required.get(&(node.clone(), shard.clone()));
        let asked = asked.filter(|(generation, ..)| *generation <= visible.generation.0);
        Demands { heard: asked.map(|(_, required, others)| (*required, *others)), before: visible.at }
    }
}
