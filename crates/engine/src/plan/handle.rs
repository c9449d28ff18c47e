//! The running plan, for the one who started it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use peerstream_types::PlanId;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::{PlanEvent, PlanOutcome, PlanRecord, PlanResult, PlanState};
use crate::watch;

/// A running plan: a future of its outcome, with its current state, its events, and a way to call
/// it off (row C35). Dropping the handle lets the plan go on.
#[derive(Debug)]
pub struct PlanHandle {
    record: PlanRecord,
    abort: watch::Sender<Option<String>>,
    task: JoinHandle<PlanOutcome>,
}

impl PlanHandle {
    pub(crate) fn new(
        record: PlanRecord,
        abort: watch::Sender<Option<String>>,
        task: JoinHandle<PlanOutcome>,
    ) -> Self {
        Self { record, abort, task }
    }

    /// The plan's id.
    pub fn id(&self) -> PlanId {
        self.record.plan
    }

    /// Where the plan stands now.
    pub fn state(&self) -> PlanState {
        self.record.state()
    }

    /// What happens from now on. A listener that falls behind loses the oldest events.
    pub fn events(&self) -> broadcast::Receiver<PlanEvent> {
        self.record.subscribe()
    }

    /// Calls the plan off: peers are told, no further ones are dialled (row A25), what is verified
    /// stays staged. Nothing happens if it has already ended. The outcome still comes through the
    /// future.
    pub fn abort(&self, reason: &str) {
        crate::plans::call_off(&self.abort, reason);
    }
}

impl Future for PlanHandle {
    type Output = PlanOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PlanOutcome> {
        Pin::new(&mut self.task).poll(cx).map(|ended| {
            ended.unwrap_or_else(|_| PlanOutcome {
                plan: self.record.plan,
                result: PlanResult::Failed,
                shards: Vec::new(),
            })
        })
    }
}
