//! How a job that has ended is wound up: what is verified is kept, the sources are told, and so is everyone
//! else.

use std::time::Duration;

use peerstream_recovery::Outcome;
use peerstream_wire::message::ReleaseReason;
use tracing::{info, warn};

use super::task::Running;
use crate::plan::{BadChunk, ShardOutcome, Stage};

/// How long a job that has ended lets its source wait for the store, and itself for its source: a sync
/// of one checkpoint's bytes on a disk that works.
const PATIENCE: Duration = Duration::from_secs(5);

impl Running {
    /// Tells the sources how it went, and everyone else.
    pub(super) async fn end(mut self, outcome: Outcome) -> ShardOutcome {
        self.show();
        let stats = self.recovery.stats();
        self.job.shared.visited(|visited| visited.job(&self.waits, &self.closes, &stats));
        if matches!(outcome, Outcome::Published { .. }) {
            self.retire(ReleaseReason::Done).await;
        } else {
            self.keep().await;
        }
        info!(%outcome, "shard ended");
        self.explained(outcome)
    }

    /// Nobody could be asked any more: what the placement says by now of the replicas tells why (row F-23).
    fn explained(&self, outcome: Outcome) -> ShardOutcome {
        let is_deserted = matches!(outcome, Outcome::NoSource { .. } | Outcome::LevelMissed { .. });
        match self.job.whom.nobody().filter(|_| is_deserted) {
            Some(why) => ShardOutcome::Failed { reason: format!("no source: {why}; before that: {outcome}") },
            None => outcome_of(outcome),
        }
    }

    /// Keeps what is verified across a power loss too; it is no new failure if that fails. A store that
    /// hangs delays neither the source for long, nor a plan that is called off.
    async fn keep(&mut self) {
        let now = self.job.shared.clock.now();
        self.job.record.update(self.job.index, |shard| {
            shard.stage = Stage::Keeping;
            shard.waiting = Some("the store to make durable what is verified".into());
            shard.waiting_since = Some(now);
        });
        let staging = self.staging.clone();
        let mut checkpoint = tokio::spawn(async move { staging.checkpoint().await });
        let in_time = tokio::time::timeout(PATIENCE, &mut checkpoint).await.is_ok();
        self.retire(ReleaseReason::GivenUp).await;
        if !in_time {
            tokio::select! {
                biased;
                _ = &mut checkpoint => {}
                Ok(_) = self.job.abort.wait_for(Option::is_some) => {
                    warn!("the store has not made durable what is verified; it may still do");
                }
            }
        }
    }

    /// Tells the sources how it went.
    async fn retire(&mut self, reason: ReleaseReason) {
        for hold in std::mem::take(&mut self.retiring).into_values() {
            let _ = tokio::time::timeout(PATIENCE, hold.release(reason)).await;
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other end is a failure with its reason")]
fn outcome_of(outcome: Outcome) -> ShardOutcome {
    let reason = outcome.to_string();
    match outcome {
        Outcome::Published { generation } => ShardOutcome::Published { generation: Some(generation) },
        Outcome::Incomplete { gaps, entries, .. } => {
            let bad = gaps.into_iter().map(|gap| BadChunk {
                key: gap.key,
                chunk: gap.chunk.map(|chunk| chunk.0),
                peer: gap.peer,
                why: gap.why,
            });
            ShardOutcome::Incomplete { bad: bad.collect(), count: entries }
        }
        Outcome::Aborted { reason } => ShardOutcome::Aborted { reason },
        _ => ShardOutcome::Failed { reason },
    }
}
