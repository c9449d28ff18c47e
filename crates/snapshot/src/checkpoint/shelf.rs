//! The checkpoints of one shard.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_types::ShardId;

use super::lease::{Checkpoint, leases};
use super::source::CheckpointSettings;
use crate::{SourceError, watch};

/// A checkpoint, leased, or why there is none.
pub(super) type Answer = Result<Arc<Checkpoint>, SourceError>;

/// The checkpoints of one shard, and what is left of others.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) shard: ShardId,
    state: Mutex<State>,
    /// Which checkpoint the directory source serves. Whoever opens it reads, so that it stays the same
    /// one meanwhile.
    pub(super) bound: tokio::sync::RwLock<Option<u64>>,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first. Only the last one is handed out.
    whole: Vec<Arc<Checkpoint>>,
    /// To be removed: nobody has a lease.
    doomed: Vec<PathBuf>,
    /// Tells when the one that is being made is there. Closed if its maker died.
    making: Option<watch::Receiver<Option<Answer>>>,
}

/// How an opener gets its checkpoint.
pub(super) enum Turn {
    /// It is there.
    Leased(Arc<Checkpoint>),
    /// Somebody makes it.
    Wait(watch::Receiver<Option<Answer>>),
    /// This opener has it made, and tells the others.
    Make(watch::Sender<Option<Answer>>, watch::Receiver<Option<Answer>>),
}

impl Shelf {
    pub(super) fn new(shard: ShardId) -> Self {
        Self { shard, state: Mutex::default(), bound: tokio::sync::RwLock::new(None) }
    }

    /// A lease on a fresh checkpoint, or on the one to come.
    pub(super) fn turn(&self, settings: &CheckpointSettings, now_ms: u64) -> Turn {
        let mut state = self.lock();
        if let Some(making) = state.making.as_ref().filter(|making| !making.is_closed()) {
            return Turn::Wait(making.clone());
        }
        if let Some(last) = state.whole.last().filter(|last| !settings.is_stale(last, now_ms)) {
            return Turn::Leased(last.clone());
        }
        let (tell, told) = watch::channel(None);
        state.making = Some(told.clone());
        Turn::Make(tell, told)
    }

    /// The maker has ended.
    pub(super) fn made(&self) {
        self.lock().making = None;
    }

    /// Puts a new checkpoint in front of the others.
    pub(super) fn put(&self, checkpoint: &Arc<Checkpoint>) {
        self.lock().whole.push(checkpoint.clone());
    }

    /// Leaves a directory to be removed.
    pub(super) fn doom(&self, dir: PathBuf) {
        self.lock().doomed.push(dir);
    }

    /// Dooms what nobody uses and nobody will. The numbers of those that were whole.
    pub(super) fn doom_spare(&self, settings: &CheckpointSettings, now_ms: u64) -> Vec<u64> {
        let mut state = self.lock();
        let last = state.whole.last().map(|last| last.number);
        let mut numbers = Vec::new();
        let State { whole, doomed, .. } = &mut *state;
        whole.retain(|one| {
            let wanted = Some(one.number) == last && !settings.is_spare(one, now_ms);
            // New leases are taken under this lock only, so one that has none gets none.
            if wanted || leases(one) > 0 {
                return true;
            }
            numbers.push(one.number);
            doomed.push(one.dir().to_owned());
            false
        });
        numbers
    }

    /// What is to be removed.
    pub(super) fn doomed(&self) -> Vec<PathBuf> {
        self.lock().doomed.clone()
    }

    /// A directory is gone.
    pub(super) fn removed(&self, dir: &PathBuf) {
        self.lock().doomed.retain(|doomed| doomed != dir);
    }

    /// How many checkpoints take room: those in use, and those that could not be removed.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        (state.whole.len(), state.doomed.len())
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.whole.is_empty() && state.doomed.is_empty() && state.making.is_none()
    }

    /// The checkpoints that are whole, oldest first, each with its leases.
    pub(super) fn whole(&self) -> Vec<(usize, Arc<Checkpoint>)> {
        self.lock().whole.iter().map(|one| (leases(one), one.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A checkpoint that is being made: doomed unless it is kept, also if the host panics or the runtime
/// goes away.
#[derive(Debug)]
pub(super) struct Half<'a> {
    shelf: &'a Shelf,
    dir: Option<PathBuf>,
}

impl<'a> Half<'a> {
    pub(super) fn new(shelf: &'a Shelf, dir: PathBuf) -> Self {
        Self { shelf, dir: Some(dir) }
    }

    pub(super) fn keep(mut self) {
        self.dir = None;
    }
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            self.shelf.doom(dir);
        }
    }
}
