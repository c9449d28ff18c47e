//! A source that misbehaves on demand.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_snapshot::{BoxFuture, Page, Snapshot, Source, SourceError};
use peerstream_types::{
    ChainingValue, ChunkRange, Entry, EntryKey, ManifestHeader, Ordinal, PageToken, Selector, ShardId,
};
use tokio::sync::watch;

/// Switches of a [`FaultySource`]; they work at once, also on snapshots that are open. Clones are
/// the same switches.
#[derive(Debug, Clone)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Counts changes, so that stalled reads look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    stall_after: Option<u64>,
    read_delay: Duration,
    corrupt: BTreeSet<EntryKey>,
    changed: BTreeSet<EntryKey>,
    not_ready: bool,
    reads: u64,
    bytes_read: u64,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { state: Arc::default(), changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
    }

    /// Reads stop to answer once `bytes` more have been read, until [`Faults::clear`].
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
        let mut changes = self.changes.subscribe();
        while self.is_stalled() {
            if changes.changed().await.is_err() {
                return;
            }
        }
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
            let why = "it was rewritten".to_owned();
            return Err(SourceError::Changed { ordinal, key: key.clone(), why });
        }
        if !state.corrupt.contains(key) || bytes.is_empty() {
            return Ok(bytes);
        }
        let mut wrong = BytesMut::from(&bytes[..]);
        wrong[bytes.len() / 2] ^= 1;
        Ok(wrong.freeze())
    }
}

/// A source with faults in front of a good one.
#[derive(Debug, Clone)]
pub struct FaultySource {
    inner: Arc<dyn Source>,
    faults: Faults,
}

impl FaultySource {
    pub(crate) fn new(inner: Arc<dyn Source>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl Source for FaultySource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            if self.faults.lock().not_ready {
                let why = "it is told so".to_owned();
                return Err(SourceError::NotReady { shard: shard.clone(), why });
            }
            let inner = self.inner.open(shard, selector).await?;
            Ok(Arc::new(FaultySnapshot { inner, faults: self.faults.clone() }) as Arc<dyn Snapshot>)
        })
    }
}

struct FaultySnapshot {
    inner: Arc<dyn Snapshot>,
    faults: Faults,
}

impl fmt::Debug for FaultySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {:?}", self.inner)
    }
}

impl Snapshot for FaultySnapshot {
    fn header(&self) -> ManifestHeader {
        self.inner.header()
    }

    fn page<'a>(&'a self, token: &'a PageToken, limit: usize) -> BoxFuture<'a, Result<Page, SourceError>> {
        self.inner.page(token, limit)
    }

    fn entries(&self, first: Ordinal, count: u32) -> BoxFuture<'_, Result<Vec<Entry>, SourceError>> {
        self.inner.entries(first, count)
    }

    fn outline(
        &self,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> BoxFuture<'_, Result<Vec<ChainingValue>, SourceError>> {
        self.inner.outline(ordinal, level, range)
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            self.faults.before_read().await;
            let bytes = self.inner.read(ordinal, offset, len).await?;
            let entry = self.inner.entries(ordinal, 1).await?;
            let key = &entry.first().ok_or(SourceError::NoSuchEntry(ordinal))?.key;
            self.faults.after_read(key, ordinal, bytes)
        })
    }
}
