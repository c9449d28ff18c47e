//! How many replicas of its shard a job asks to agree.

use peerstream_recovery::{Agreement, Job, Voters};
use peerstream_select::Level;
use peerstream_types::{DatasetKind, Operation, PlanId, ShardId};

use super::task::{Running, ShardJob};
use crate::Levels;

impl ShardJob {
    /// What the recovery is told of the shard.
    pub(super) fn recovery_job(&self) -> Job {
        let now = self.shared.clock.now();
        let candidates = self.whom.candidates(|peer| self.shared.regards.of(now, peer, 0));
        let job = Job { candidates, ..Job::new(self.shard.clone(), self.selector.clone(), Vec::new()) };
        let Some(dataset) = self.shared.parts.datasets.get(&self.shard.dataset) else { return job };
        let agreement = self.agreement(dataset.kind);
        let positions = dataset.positions.unwrap_or(job.positions);
        Job { agreement, positions, ..job }
    }

    /// What a peer offered is taken at its word; what this node asks for, as its levels say.
    fn agreement(&self, kind: DatasetKind) -> Agreement {
        let level = if self.is_compared(kind) {
            self.shared.parts.levels.of(self.record.plan, self.record.operation, &self.shard)
        } else {
            Level::One
        };
        Agreement { kind, level, voters: self.voters() }
    }

    /// Whose word counts now.
    pub(super) fn voters(&self) -> Voters {
        let own_vote = self.shared.config.own_vote.counts(self.whom.own_state(), false);
        Voters { own_vote, ..self.whom.voters() }
    }

    fn is_compared(&self, kind: DatasetKind) -> bool {
        kind != DatasetKind::Local && !self.origin.is_offered()
    }
}

/// Waits until another level than this is asked for; for ever if none counts. Cancel safe.
pub(super) async fn another_level(
    levels: &Levels,
    (plan, operation): (PlanId, Operation),
    shard: &ShardId,
    now: Option<Level>,
) -> Level {
    match now {
        Some(now) => levels.changed(plan, operation, shard, now).await,
        None => std::future::pending().await,
    }
}

impl Running {
    /// The level that counts, if replicas are compared.
    pub(super) fn level(&self) -> Option<Level> {
        let Agreement { kind, level, .. } = *self.recovery.agreement();
        self.job.is_compared(kind).then_some(level)
    }
}
