//! Promise 8: it ends.

use std::time::Duration;

use super::{Finding, Invariant};
use crate::watch::View;

/// How long after the last fault everything has to end, in virtual time: every timeout of the
/// defaults may pass twice in a row (offers and pages take 600 s each).
pub const WITHIN: Duration = Duration::from_secs(2 * 1_200);

/// Reasons that may last for ever: those that a consistency level demands. There are none yet.
const ENDLESS: &[&str] = &[];

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct Ends;

impl Invariant for Ends {
    fn name(&self) -> &'static str {
        "ends"
    }

    fn statement(&self) -> &'static str {
        "Once no fault is left, every plan of every node that runs ends within the stated time, or waits \
         for a reason that may last for ever; then no session and no lease of a snapshot is left."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let Some(calm) = view.calm_since.filter(|calm| view.now - *calm > WITHIN) else { return Vec::new() };
        let mut findings = Vec::new();
        for (id, node) in view.nodes {
            for plan in node.plans.iter().filter(|plan| plan.result.is_none()) {
                let may_last = |reason: &String| ENDLESS.iter().any(|endless| reason.starts_with(endless));
                let stuck = plan
                    .shards
                    .iter()
                    .filter(|shard| shard.outcome.is_none() && !shard.waiting.as_ref().is_some_and(may_last));
                let before = findings.len();
                findings.extend(stuck.map(|shard| {
                    let reason = shard.waiting.as_deref().unwrap_or("nothing");
                    let seen =
                        format!("no fault since {calm}, and still {}, waiting for {reason}", shard.stage);
                    Finding::of(id, &shard.shard, seen)
                }));
                if findings.len() == before && plan.shards.iter().all(|shard| shard.outcome.is_some()) {
                    let seen = format!("no fault since {calm}, and plan {} has no result", plan.plan);
                    findings.push(Finding::at(id, seen));
                }
            }
            let runs = node.plans.iter().any(|plan| plan.result.is_none());
            let left = [(node.sessions as u64, "sessions"), (node.leases, "leases of snapshots")];
            for (count, what) in left.into_iter().filter(|(count, _)| *count > 0 && !runs) {
                let seen = format!("no fault since {calm}, no plan, and still {count} {what}");
                findings.push(Finding::at(id, seen));
            }
        }
        findings
    }
}
