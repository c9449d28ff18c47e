//! Promise 7: it tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerstream_engine::{PlanResult, PlanState, ShardOutcome, ShardProgress, Stage, TaskDirection};
use peerstream_types::{Incarnation, NodeId, PlanId, Timestamp};

use super::{Finding, Invariant};
use crate::watch::{NodeView, View};

/// How long a shard may stand still before it has to say what it waits for.
const SILENT_MAX: Duration = Duration::from_millis(500);

/// A plan at one node in one of its lives.
type PlanName = (NodeId, Incarnation, PlanId);

/// What was shown of a task, and since when.
#[derive(Debug, Clone)]
struct Shown {
    progress: ShardProgress,
    since: Timestamp,
}

/// See [`Invariant::statement`].
#[derive(Debug, Default)]
pub struct TellsTheTruth {
    shown: BTreeMap<(PlanName, usize), Shown>,
    /// Plans that are at a node more than once, by their sessions: which is which cannot be told.
    ambiguous: BTreeSet<PlanName>,
}

impl Invariant for TellsTheTruth {
    fn name(&self) -> &'static str {
        "tells the truth"
    }

    fn statement(&self) -> &'static str {
        "Progress that is shown never falls, unless the next source has less to give, and never exceeds the \
         total; published and completed are \
         said only of what is visible; a shard that stands still says what it waits for."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, node) in view.nodes {
            let name = |plan: &PlanState| (id.clone(), node.incarnation, plan.plan);
            let mut seen = BTreeSet::new();
            self.ambiguous.extend(node.plans.iter().map(name).filter(|plan| !seen.insert(plan.clone())));
            for plan in &node.plans {
                for (index, shard) in plan.shards.iter().enumerate() {
                    let wrong = [claims(node, plan, shard), self.moves(view.now, (name(plan), index), shard)];
                    findings
                        .extend(wrong.into_iter().flatten().map(|seen| Finding::of(id, &shard.shard, seen)));
                }
            }
        }
        findings
    }
}

impl TellsTheTruth {
    /// What does not fit what was shown before.
    fn moves(&mut self, now: Timestamp, name: (PlanName, usize), shard: &ShardProgress) -> Option<String> {
        if self.ambiguous.contains(&name.0) {
            return None;
        }
        let Some(before) = self.shown.get_mut(&name) else {
            self.shown.insert(name, Shown { progress: shard.clone(), since: now });
            return None;
        };
        if before.progress == *shard {
            let stands = shard.direction == TaskDirection::Receive
                && !matches!(shard.stage, Stage::Queued | Stage::Done)
                && shard.waiting.is_none()
                && now - before.since > SILENT_MAX;
            let silent = || format!("{} since {} without a reason", shard.stage, before.since);
            return stands.then(silent);
        }
        let was = std::mem::replace(before, Shown { progress: shard.clone(), since: now }).progress;
        let fell = [
            ("bytes done", was.bytes_done.min(shard.bytes_total.unwrap_or(u64::MAX)), shard.bytes_done),
            (
                "entries done",
                was.entries_done.min(shard.entries_total.unwrap_or(u64::MAX)),
                shard.entries_done,
            ),
        ];
        let fell = fell.into_iter().find(|(_, was, is)| is < was);
        fell.map(|(what, was, is)| format!("{what} fell from {was} to {is}")).or_else(|| {
            (was.outcome.is_some() && was.outcome != shard.outcome)
                .then(|| format!("an outcome changed from {:?} to {:?}", was.outcome, shard.outcome))
        })
    }
}

/// What a task claims that is not so.
fn claims(node: &NodeView, plan: &PlanState, shard: &ShardProgress) -> Option<String> {
    let ShardProgress { bytes_done, bytes_total, outcome, .. } = shard;
    if bytes_total.is_some_and(|total| *bytes_done > total) {
        return Some(format!("{bytes_done} bytes done of {bytes_total:?}"));
    }
    if shard.direction == TaskDirection::Send {
        return None;
    }
    let visible = node.visible.get(&shard.shard).map(|visible| visible.generation.0);
    match outcome {
        Some(ShardOutcome::Published { generation }) if visible < Some(generation.unwrap_or(1)) => {
            Some(format!("generation {generation:?} is said to be published, {visible:?} is visible"))
        }
        None
        | Some(
            ShardOutcome::Incomplete { .. } | ShardOutcome::Failed { .. } | ShardOutcome::Aborted { .. },
        ) if plan.result == Some(PlanResult::Completed) => {
            Some(format!("the plan is said to be completed, this shard is {outcome:?}"))
        }
        Some(ShardOutcome::Published { .. }) if shard.bytes_total != Some(*bytes_done) => {
            Some(format!("published with {bytes_done} of {bytes_total:?} bytes done"))
        }
        None
        | Some(
            ShardOutcome::Published { .. }
            | ShardOutcome::Incomplete { .. }
            | ShardOutcome::Failed { .. }
            | ShardOutcome::Aborted { .. },
        ) => None,
    }
}
