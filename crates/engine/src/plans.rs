//! The plans of this node, running and recent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerstream_types::PlanId;

use crate::plan::{PlanRecord, PlanState};
use crate::watch;

/// A running plan's record, and how to call it off.
#[derive(Debug)]
struct Running {
    record: PlanRecord,
    abort: watch::Sender<Option<String>>,
}

/// The plans of this node, started here or by peers.
#[derive(Debug)]
pub(crate) struct Plans {
    running_max: usize,
    remembered_max: usize,
    inner: Mutex<Inner>,
}

/// Names a plan's record at this node: one plan may be here more than once, by its sessions.
pub(crate) type PlanKey = u64;

#[derive(Debug, Default)]
struct Inner {
    running: BTreeMap<PlanKey, Running>,
    next: u64,
    ended: VecDeque<PlanRecord>,
}

impl Plans {
    pub(crate) fn new(running_max: usize, remembered_max: usize) -> Self {
        Self { running_max, remembered_max, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a plan that begins; says how many are running if that is the limit.
    pub(crate) fn begin(
        &self,
        record: PlanRecord,
        abort: watch::Sender<Option<String>>,
    ) -> Result<PlanKey, usize> {
        let mut inner = self.lock();
        if inner.running.len() >= self.running_max {
            return Err(inner.running.len());
        }
        inner.next += 1;
        let key = inner.next;
        inner.running.insert(key, Running { record, abort });
        Ok(key)
    }

    /// Moves a plan to those that have ended.
    pub(crate) fn end(&self, key: PlanKey) {
        let mut inner = self.lock();
        let Some(running) = inner.running.remove(&key) else { return };
        inner.ended.push_back(running.record);
        while inner.ended.len() > self.remembered_max {
            inner.ended.pop_front();
        }
    }

    /// Calls the running plans of an id off; `false` if there is none.
    pub(crate) fn abort(&self, plan: PlanId, reason: &str) -> bool {
        let inner = self.lock();
        let of_plan = inner.running.values().filter(|running| running.record.plan == plan);
        of_plan.map(|running| call_off(&running.abort, reason)).count() > 0
    }

    pub(crate) fn abort_all(&self, reason: &str) {
        self.lock().running.values().for_each(|running| call_off(&running.abort, reason));
    }

    /// All plans, oldest first: ended ones, then running ones.
    pub(crate) fn states(&self) -> Vec<PlanState> {
        let inner = self.lock();
        let running = inner.running.values().map(|running| running.record.state());
        inner.ended.iter().map(PlanRecord::state).chain(running).collect()
    }
}

/// Calls a plan off; the first reason sticks.
pub(crate) fn call_off(abort: &watch::Sender<Option<String>>, reason: &str) {
    abort.send_if_modified(|current| {
        let first = current.is_none();
        if first {
            *current = Some(reason.to_owned());
        }
        first
    });
}
