//! What the engine keeps of a plan, running or ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::{NodeId, Operation, PlanId, Timestamp};
use tokio::sync::broadcast;

use super::{PlanEvent, PlanResult, PlanState, ShardOutcome, ShardProgress, Stage};
use crate::clock::Clock;

/// Events that a listener may be behind before it loses the oldest.
const EVENTS_BEHIND_MAX: usize = 1024;

/// A plan's progress, shared by those who do the work and those who watch it.
#[derive(Debug, Clone)]
pub(crate) struct PlanRecord {
    pub(crate) plan: PlanId,
    pub(crate) operation: Operation,
    started_by: Option<NodeId>,
    clock: Clock,
    started: Timestamp,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    shards: Vec<ShardProgress>,
    result: Option<(PlanResult, Timestamp)>,
    /// No more shards come: the plan ends with the last of them.
    closing: bool,
    /// From the first listener to the end: what it holds for listeners that are behind is hundreds
    /// of KiB, and a node remembers many plans that nobody listens to.
    events: Option<broadcast::Sender<PlanEvent>>,
}

impl Inner {
    fn result_of_shards(&self) -> Option<PlanResult> {
        let outcomes: Option<Vec<_>> = self.shards.iter().map(|shard| shard.outcome.as_ref()).collect();
        Some(PlanResult::of(outcomes?.into_iter()))
    }
}

impl PlanRecord {
    pub(crate) fn new(
        plan: PlanId,
        operation: Operation,
        started_by: Option<NodeId>,
        clock: Clock,
        shards: Vec<ShardProgress>,
    ) -> Self {
        let inner = Arc::new(Mutex::new(Inner { shards, result: None, closing: false, events: None }));
        Self { plan, operation, started_by, clock, started: clock.now(), inner }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens from now on; nothing more once the plan has ended.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<PlanEvent> {
        let mut inner = self.lock();
        if inner.result.is_some() {
            return broadcast::channel(1).1;
        }
        inner.events.get_or_insert_with(|| broadcast::Sender::new(EVENTS_BEHIND_MAX)).subscribe()
    }

    pub(crate) fn emit(&self, event: PlanEvent) {
        let events = self.lock().events.clone();
        if let Some(events) = events {
            // Nobody listening any more is no error.
            let _ = events.send(event);
        }
    }

    pub(crate) fn add_shard(&self, progress: ShardProgress) -> usize {
        let mut inner = self.lock();
        inner.shards.push(progress);
        inner.shards.len() - 1
    }

    /// Changes one shard's progress and tells listeners when its stage changed.
    pub(crate) fn update(&self, index: usize, change: impl FnOnce(&mut ShardProgress)) {
        let event = {
            let mut inner = self.lock();
            let Some(shard) = inner.shards.get_mut(index) else { return };
            let before = shard.stage;
            change(shard);
            (shard.stage != before).then(|| PlanEvent::Stage {
                shard: shard.shard.clone(),
                stage: shard.stage,
                peer: shard.peer.clone(),
            })
        };
        if let Some(event) = event {
            self.emit(event);
        }
    }

    /// Ends one shard; the first outcome sticks.
    pub(crate) fn end_shard(&self, index: usize, outcome: ShardOutcome) {
        let mut ended = None;
        self.update(index, |shard| {
            if shard.outcome.is_none() {
                shard.outcome = Some(outcome.clone());
                shard.stage = Stage::Done;
                shard.waits(None);
                // A node remembers many plans; the outcome says who failed and why.
                shard.standing = None;
                ended = Some(shard.shard.clone());
            }
        });
        if let Some(shard) = ended {
            self.emit(PlanEvent::ShardEnded { shard, outcome });
            self.end_if_closing();
        }
    }

    /// Ends the plan once all its shards have ended: no more of them come.
    pub(crate) fn end_with_shards(&self) {
        self.lock().closing = true;
        self.end_if_closing();
    }

    fn end_if_closing(&self) {
        let result = {
            let inner = self.lock();
            inner.closing.then(|| inner.result_of_shards()).flatten()
        };
        if let Some(result) = result {
            self.end(result);
        }
    }

    /// Ends the plan; the first result sticks.
    pub(crate) fn end(&self, result: PlanResult) {
        let first = {
            let mut inner = self.lock();
            let first = inner.result.is_none();
            if first {
                inner.result = Some((result, self.clock.now()));
            }
            first
        };
        if first {
            self.emit(PlanEvent::PlanEnded(result));
            self.lock().events = None;
        }
    }

    pub(crate) fn state(&self) -> PlanState {
        let inner = self.lock();
        let at = self.clock.now();
        let until = inner.result.map_or(at, |(_, ended)| ended);
        PlanState {
            plan: self.plan,
            operation: self.operation,
            started_by: self.started_by.clone(),
            elapsed: until - self.started,
            at,
            shards: inner.shards.clone(),
            result: inner.result.map(|(result, _)| result),
        }
    }
}
