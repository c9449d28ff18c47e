//! Promise 6: bounded.

use super::{Finding, Invariant};
use crate::watch::View;

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct Bounded;

impl Invariant for Bounded {
    fn name(&self) -> &'static str {
        "bounded"
    }

    fn statement(&self) -> &'static str {
        "Sessions, plans that run, plans that are remembered, and shards of one plan under way stay \
         within the limits of the node's settings."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, node) in view.nodes {
            let (config, plans) = (&node.config, &node.plans);
            let running = plans.iter().filter(|plan| plan.result.is_none()).count();
            // A plan that has its result is moved to those remembered a moment later.
            let remembered = config.plans_remembered + config.plans_max;
            let counts = [
                ("sessions", node.sessions, config.sessions_max),
                ("running plans", running, config.plans_max),
                ("plans remembered", plans.len(), remembered),
                ("shards of one plan under way", under_way(node), config.shards_in_parallel.max(1)),
            ];
            for (what, count, max) in counts {
                if count > max {
                    findings.push(Finding::at(id, format!("{count} {what}, the limit is {max}")));
                }
            }
        }
        findings
    }
}

/// The most shards that one plan receives at a time.
fn under_way(node: &crate::watch::NodeView) -> usize {
    use peerstream_engine::{ShardProgress, Stage, TaskDirection};
    let moves = |shard: &&ShardProgress| {
        shard.direction == TaskDirection::Receive && !matches!(shard.stage, Stage::Queued | Stage::Done)
    };
    node.plans.iter().map(|plan| plan.shards.iter().filter(moves).count()).max().unwrap_or(0)
}
