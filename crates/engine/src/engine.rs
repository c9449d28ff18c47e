//! The engine: starts, executes plans, tells, ends.

use std::sync::Arc;

use peerstream_select::Penalty;
use peerstream_types::{NodeId, PlanId, Timestamp};
use tracing::info;

use crate::config::EngineConfig;
use crate::execute::execute;
use crate::parts::Parts;
use crate::peers::{PeerStatus, accept_loop};
use crate::plan::{
    PlanError, PlanHandle, PlanRecord, PlanState, ShardProgress, StreamPlan, Task, TaskDirection,
};
use crate::shared::Shared;
use crate::visited::Visited;
use crate::watch;

/// One node's engine: serves its peers from the moment it is started, and executes plans.
///
/// Cheap to clone. Lives on the tokio runtime that it was started on; [`Engine::shutdown`] ends it.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Starts to accept peers.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(config: EngineConfig, parts: Parts) -> Self {
        let shared = Arc::new(Shared::new(config, parts));
        tokio::spawn(accept_loop(shared.clone()));
        Self { shared }
    }

    /// Executes a plan. An empty one is completed at once, without any connection.
    ///
    /// # Errors
    ///
    /// [`PlanError`] for a plan that cannot be started here; nothing was started.
    pub fn execute(&self, plan: StreamPlan) -> Result<PlanHandle, PlanError> {
        if self.shared.is_draining() {
            return Err(PlanError::ShuttingDown);
        }
        plan.check()?;
        self.check_datasets(&plan)?;
        let progress = plan.tasks().iter().map(|task| {
            let direction = match task {
                Task::Request { .. } => TaskDirection::Receive,
                Task::Transfer { .. } => TaskDirection::Send,
            };
            ShardProgress::new(task.shard().clone(), direction)
        });
        let (id, operation, clock) = (self.shared.new_plan_id(), plan.operation(), self.shared.clock);
        let record = PlanRecord::new(id, operation, None, clock, progress.collect());
        let (abort, called_off) = watch::channel(None);
        let begun = self.shared.plans.begin(record.clone(), abort.clone());
        let key = begun.map_err(PlanError::TooManyPlans)?;
        info!(plan = %id, %operation, tasks = plan.tasks().len(), "plan started");
        let (shared, shown) = (self.shared.clone(), record.clone());
        let task = tokio::spawn(async move {
            let outcome = execute(shared.clone(), plan, shown, called_off).await;
            info!(plan = %id, result = %outcome.result, "plan ended");
            shared.plans.end(key);
            shared.parts.levels.forget(id);
            outcome
        });
        Ok(PlanHandle::new(record, abort, task))
    }

    fn check_datasets(&self, plan: &StreamPlan) -> Result<(), PlanError> {
        let datasets = &self.shared.parts.datasets;
        plan.tasks().iter().try_for_each(|task| match task {
            Task::Request { shard, .. } if datasets.sink(&shard.dataset).is_none() => {
                Err(PlanError::NoSink(shard.clone()))
            }
            Task::Transfer { shard, .. } if datasets.source(&shard.dataset).is_none() => {
                Err(PlanError::NoSource(shard.clone()))
            }
            Task::Request { .. } | Task::Transfer { .. } => Ok(()),
        })
    }

    /// The plans of this node, started here or by peers: recent ones that have ended, then those
    /// that run.
    pub fn plans(&self) -> Vec<PlanState> {
        self.shared.plans.states()
    }

    /// Calls a running plan off; `false` if none has this id. See [`PlanHandle::abort`].
    pub fn abort(&self, plan: PlanId, reason: &str) -> bool {
        self.shared.plans.abort(plan, reason)
    }

    /// The peers that this node has connections with.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let now = self.now();
        self.shared.peers.status(|peer| self.shared.regards.penalty(now, peer))
    }

    /// The peers that were bad sources, connected or not: why, and until when they are avoided where others
    /// can be asked (demands D6, D14).
    pub fn penalties(&self) -> Vec<(NodeId, Penalty)> {
        self.shared.regards.penalties(self.now())
    }

    /// Holds nothing against a peer any more: its disk was replaced, say.
    pub fn forgive(&self, peer: &NodeId) {
        self.shared.regards.forgive(peer);
    }

    /// How many sessions with peers are running, both roles.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.all().len()
    }

    /// What the sessions and jobs that have ended came across, for simulations.
    pub fn visited(&self) -> Visited {
        self.shared.visited(|visited| visited.clone())
    }

    /// The engine's time: since it was started.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Ends: takes no new sessions or plans, gives those under way
    /// [`drain_timeout`](EngineConfig::drain_timeout), calls off what is left, closes the transport.
    pub async fn shutdown(&self) {
        self.shared.drain();
        let limit = self.shared.config.drain_timeout;
        let _ = tokio::time::timeout(limit, self.idle()).await;
        // Also plans without a session at this moment: they would find the transport closed.
        self.shared.plans.abort_all("this node is going down");
        let _ = tokio::time::timeout(limit, self.idle()).await;
        self.shared.parts.transport.close().await;
    }

    /// Waits until no session is left.
    async fn idle(&self) {
        for session in self.shared.sessions.all() {
            session.ended().await;
        }
    }
}
