//! Promise 9: faults stay small.

use peerstream_engine::{PlanState, ShardOutcome, ShardProgress, TaskDirection};

use super::{Finding, Invariant};
use crate::watch::{Blame, View};

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct FaultsStaySmall;

impl Invariant for FaultsStaySmall {
    fn name(&self) -> &'static str {
        "faults stay small"
    }

    fn statement(&self) -> &'static str {
        "Where a scenario says what it broke: no other entry is missing, no other shard \
         fails, no other peer is named, and everything good of a broken shard is kept."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let Some(blame) = view.blame else { return Vec::new() };
        let mut findings = Vec::new();
        for (id, node) in view.nodes {
            let shards = node.plans.iter().flat_map(|PlanState { shards, .. }| shards);
            // What is sent here is received elsewhere, and judged there: a receiver may be gone.
            for shard in shards.filter(|shard| shard.direction == TaskDirection::Receive) {
                findings.extend(spread(blame, shard).map(|seen| Finding::of(id, &shard.shard, seen)));
            }
        }
        findings
    }
}

/// How far beyond its cause the failure of a shard went.
fn spread(blame: &Blame, shard: &ShardProgress) -> Option<String> {
    match shard.outcome.as_ref()? {
        ShardOutcome::Published { .. } | ShardOutcome::Aborted { .. } => None,
        ShardOutcome::Failed { reason } => (!blame.excuses(&shard.shard))
            .then(|| format!("it failed, and nothing of it was broken: {reason}")),
        ShardOutcome::Incomplete { bad, count } => {
            let broken = blame.entries.get(&shard.shard);
            let is_broken =
                |key| blame.shards.contains(&shard.shard) || broken.is_some_and(|keys| keys.contains(key));
            let whole = bad.iter().find(|bad| !is_broken(&bad.key));
            let honest = bad.iter().find(|bad| !blame.peers.is_empty() && !blame.peers.contains(&bad.peer));
            let too_many = broken.is_some_and(|keys| *count > keys.len() as u64);
            match (whole, honest) {
                (Some(bad), _) => Some(format!("an entry is missing that is not broken: {bad}")),
                (None, Some(bad)) => Some(format!("an honest peer is named: {bad}")),
                (None, None) => too_many.then(|| format!("{count} entries are missing, fewer are broken")),
            }
        }
    }
}
