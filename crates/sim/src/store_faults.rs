//! A store that misbehaves on demand, when it is read and when it is written.

mod sink;
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_snapshot::{DiskError, SinkError, SourceError};
use peerstream_types::{EntryKey, Ordinal};
use tokio::sync::Notify;

use crate::fault::{Effect, Tally};

pub(crate) use sink::FaultySink;
pub(crate) use source::FaultySource;

/// What a source says wrongly about what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// Pages that are not what was sealed.
    Manifest,
    /// Chaining values that are not those of the entry's digest.
    Outline,
}

/// A step of a sink that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkStep {
    /// Keeping a chunk.
    Store,
    /// Making everything durable.
    Seal,
    /// Making it visible.
    Publish,
}

/// Switches of a node's store; they work at once, also on snapshots that are open. Clones are the
/// same switches.
#[derive(Debug, Clone)]
pub struct StoreFaults {
    state: Arc<Mutex<State>>,
    /// Tells stalled reads to look again, in the order in which they came: a `watch` would wake them in
    /// an order of its own, another one in each process.
    changed: Arc<Notify>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct State {
    stall_after: Option<u64>,
    read_delay: Duration,
    corrupt: BTreeSet<EntryKey>,
    changed: BTreeSet<EntryKey>,
    not_ready: bool,
    lies: BTreeSet<Lie>,
    full: BTreeSet<SinkStep>,
    /// Bytes that may still be stored.
    room: Option<u64>,
    reads: u64,
    bytes_read: u64,
}

impl StoreFaults {
    pub(crate) fn none(tally: Tally) -> Self {
        Self { state: Arc::default(), changed: Arc::default(), tally }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Reads stop to answer once `bytes` more have been read, until [`StoreFaults::clear`].
    pub fn stall_after(&self, bytes: u64) {
        self.change(|state| state.stall_after = Some(state.bytes_read + bytes));
    }

    /// Every read takes this long, one after another per stream.
    pub fn delay_reads(&self, delay: Duration) {
        self.change(|state| state.read_delay = delay);
    }

    /// One bit of every read of this entry is wrong.
    pub fn corrupt(&self, key: EntryKey) {
        self.change(|state| state.corrupt.extend([key]));
    }

    /// Reads of this entry fail with [`SourceError::Changed`].
    pub fn change_entry(&self, key: EntryKey) {
        self.change(|state| state.changed.extend([key]));
    }

    /// Opening fails with [`SourceError::NotReady`].
    pub fn refuse_to_open(&self) {
        self.change(|state| state.not_ready = true);
    }

    /// Says something wrong about what it has.
    pub fn lie(&self, about: Lie) {
        self.change(|state| state.lies.extend([about]));
    }

    /// The disk is full when the sink comes to this step.
    pub fn fill_disk_at(&self, step: SinkStep) {
        self.change(|state| state.full.extend([step]));
    }

    /// There is room for so many bytes, and then for nothing.
    pub(crate) fn leave_room(&self, bytes: u64) {
        self.change(|state| state.room = Some(bytes));
    }

    /// There is room again.
    pub(crate) fn make_room(&self) {
        self.change(|state| {
            state.room = None;
            state.full.clear();
        });
    }

    /// Whether anything else goes wrong than that reads take their time.
    pub(crate) fn any(&self) -> bool {
        let state = self.lock();
        let wrong = [!state.corrupt.is_empty(), !state.changed.is_empty(), !state.lies.is_empty()];
        let shut =
            [state.not_ready, state.stall_after.is_some(), state.room.is_some(), !state.full.is_empty()];
        wrong.contains(&true) || shut.contains(&true)
    }

    /// Behaves well from now on.
    pub fn clear(&self) {
        self.change(|state| {
            let (reads, bytes_read) = (state.reads, state.bytes_read);
            *state = State { reads, bytes_read, ..State::default() };
        });
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.lock().bytes_read
    }

    /// Waits as long as the switches say.
    async fn before_read(&self) {
        let delay = self.lock().read_delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        loop {
            let changed = self.changed.notified();
            if !self.is_stalled() {
                return;
            }
            self.tally.hit(Effect::Stalled);
            changed.await;
        }
    }

    fn is_not_ready(&self) -> bool {
        self.lock().not_ready
    }

    fn lies(&self, about: Lie) -> bool {
        self.lock().lies.contains(&about)
    }

    /// Takes the room that a step needs, if there is as much.
    fn before_step(&self, step: SinkStep, bytes: u64) -> Result<(), SinkError> {
        let mut state = self.lock();
        // What is not content needs little room, but some.
        let is_enough = state.room.is_none_or(|room| room > 0 && room >= bytes);
        if is_enough && !state.full.contains(&step) {
            state.room = state.room.map(|room| room - bytes);
            return Ok(());
        }
        drop(state);
        self.tally.hit(Effect::NoRoom);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(DiskError::new("write", Path::new("simulated"), &full).into())
    }

    fn is_stalled(&self) -> bool {
        let state = self.lock();
        state.stall_after.is_some_and(|limit| state.bytes_read >= limit)
    }

    /// What a read of `bytes` turns into.
    fn after_read(&self, key: &EntryKey, ordinal: Ordinal, bytes: Bytes) -> Result<Bytes, SourceError> {
        let mut state = self.lock();
        state.reads += 1;
        state.bytes_read += bytes.len() as u64;
        if state.changed.contains(key) {
            self.tally.hit(Effect::ReadChanged);
            let why = "it was rewritten".to_owned();
            return Err(SourceError::Changed { ordinal, key: key.clone(), why });
        }
        if !state.corrupt.contains(key) || bytes.is_empty() {
            return Ok(bytes);
        }
        self.tally.hit(Effect::ReadWrong);
        let mut wrong = BytesMut::from(&bytes[..]);
        wrong[bytes.len() / 2] ^= 1;
        Ok(wrong.freeze())
    }
}
