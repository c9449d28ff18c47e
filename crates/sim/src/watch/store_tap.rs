//! Sources and sinks that note what passes, between an engine and its stores.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_engine::select::Level;
use peerstream_snapshot::{
    BoxFuture, Fence, Generation, Held, Sink, SinkError, Snapshot, Source, SourceError, Staging,
    VerifiedChunk,
};
use peerstream_types::{Entry, ManifestHeader, NodeId, Ordinal, Selector, ShardId};

use super::ballots::Voting;
use super::books::SharedBooks;
use super::ledger::Image;
use super::look::Glimpses;
use super::snapshot_tap::TapSnapshot;

/// A source that writes down what it publishes, as its store really has it.
#[derive(Debug)]
pub(super) struct TapSource {
    pub(super) inner: Arc<dyn Source>,
    /// The same without its faults.
    pub(super) truth: Arc<dyn Source>,
    pub(super) node: NodeId,
    pub(super) books: SharedBooks,
}

/// Writes down what a node has of a shard, unless that came from others: then it is theirs, and no
/// truth of its own.
async fn note(books: &SharedBooks, node: &NodeId, truth: &dyn Source, shard: &ShardId) {
    if books.lock().node(node).staged.contains(shard) {
        return;
    }
    let Ok(snapshot) = truth.open(shard, &Selector::All).await else { return };
    if snapshot.header().digest.is_some_and(|digest| books.lock().ledger.knows(shard, digest)) {
        return;
    }
    if let Ok(image) = Image::read(&*snapshot).await {
        books.lock().ledger.record(node, shard, image);
    }
}

impl Source for TapSource {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let opened = self.inner.open(shard, selector).await;
            let snapshot = opened.inspect_err(|error| self.books.error("SourceError", error))?;
            if *selector == Selector::All {
                note(&self.books, &self.node, &*self.truth, shard).await;
            }
            let tap = TapSnapshot::new(snapshot, self.node.clone(), self.books.clone());
            Ok(Arc::new(tap) as Arc<dyn Snapshot>)
        })
    }
}

/// A sink that notes which chunks its store took.
#[derive(Debug)]
pub(super) struct TapSink {
    pub(super) inner: Arc<dyn Sink>,
    pub(super) truth: Option<Arc<dyn Source>>,
    pub(super) glimpses: Glimpses,
    pub(super) node: NodeId,
    pub(super) books: SharedBooks,
    /// What may be asked of two sources, in thousandths of a shard.
    pub(super) twice_per_mille: u32,
    pub(super) voting: Voting,
}

impl Sink for TapSink {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(async move {
            let staged = self.inner.stage(shard, selector, fence).await;
            let inner = staged.inspect_err(|error| self.books.error("SinkError", error))?;
            if let Some(truth) = &self.truth {
                note(&self.books, &self.node, &**truth, shard).await;
            }
            self.books.lock().node(&self.node).staged.insert(shard.clone());
            let (shard, node, books) = (shard.clone(), self.node.clone(), self.books.clone());
            let (glimpses, twice_per_mille) = (self.glimpses.clone(), self.twice_per_mille);
            let (voting, began_at) = (self.voting.clone(), self.voting.level(&shard));
            let size = Mutex::default();
            let tap =
                TapStaging { inner, shard, node, books, glimpses, twice_per_mille, voting, began_at, size };
            Ok(Arc::new(tap) as Arc<dyn Staging>)
        })
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        self.inner.current(shard)
    }

    fn merges(&self, shard: &ShardId) -> bool {
        self.inner.merges(shard)
    }
}

struct TapStaging {
    inner: Arc<dyn Staging>,
    shard: ShardId,
    node: NodeId,
    books: SharedBooks,
    glimpses: Glimpses,
    twice_per_mille: u32,
    voting: Voting,
    began_at: Level,
    size: Mutex<Size>,
}

/// What is known of the size of a shard, in bytes.
#[derive(Debug, Default)]
struct Size {
    offered: u64,
    /// Several manifests that are joined say nothing before.
    admitted: u64,
    /// Of it, what was said to come twice.
    twice: u64,
}

impl TapStaging {
    /// More is known of the shard's size: some of it may be asked of two sources.
    fn sized(&self, learn: impl FnOnce(&mut Size)) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        learn(&mut size);
        let twice = size.offered.max(size.admitted) / 1000 * u64::from(self.twice_per_mille);
        let more = twice.saturating_sub(size.twice);
        size.twice += more;
        self.books.lock().node(&self.node).stored.may_come_twice(&self.shard, more);
    }

    /// Does what makes durable all that the store has taken by now.
    async fn durable(&self, work: BoxFuture<'_, Result<(), SinkError>>) -> Result<(), SinkError> {
        let calls = self.books.lock().node(&self.node).stored.syncing(&self.shard);
        let done = self.seen(work.await);
        self.books.lock().node(&self.node).stored.synced(&self.shard, done.is_ok().then_some(calls));
        done
    }

    fn seen<T>(&self, result: Result<T, SinkError>) -> Result<T, SinkError> {
        result.inspect_err(|error| self.books.error("SinkError", error))
    }
}

impl fmt::Debug for TapStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watched {:?}", self.inner)
    }
}

impl Staging for TapStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            self.seen(self.inner.begin(header).await)?;
            self.sized(|size| *size = Size { offered: header.counts.bytes, ..Size::default() });
            Ok(())
        })
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move { self.seen(self.inner.contribute(header).await) })
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(async move {
            let bytes = entries.iter().map(|entry| entry.len).fold(0, u64::saturating_add);
            let held = self.seen(self.inner.admit(entries).await)?;
            self.sized(|size| size.admitted = size.admitted.saturating_add(bytes));
            Ok(held)
        })
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let name = |chunk: &VerifiedChunk| {
                let Entry { key, digest, .. } = &**chunk.entry();
                ((key.clone(), *digest, chunk.index().0), chunk.bytes().len() as u64)
            };
            let names = chunks.iter().map(name).collect();
            self.seen(self.inner.store(chunks).await)?;
            let mut books = self.books.lock();
            let books = books.node(&self.node);
            books.stored.take(&self.shard, books.boots, names);
            Ok(())
        })
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { self.seen(self.inner.leave_out(ordinal).await) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.durable(self.inner.checkpoint()))
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.durable(self.inner.seal(header)))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(async move {
            let generation = self.seen(self.inner.publish().await)?;
            {
                let mut books = self.books.lock();
                let books = books.node(&self.node);
                books.stored.published(&self.shard);
                let heard = books.offers.remove(&self.shard).unwrap_or_default();
                let ballots = self.voting.close(&self.shard, generation, self.began_at, heard);
                books.ballots.push((self.shard.clone(), ballots));
                books.published.insert(self.shard.clone(), generation);
            }
            self.glimpses.take(&self.shard);
            Ok(generation)
        })
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.discard()
    }
}
