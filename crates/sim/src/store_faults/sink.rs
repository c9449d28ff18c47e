//! A sink in front of a good one, which goes wrong as its [`StoreFaults`] say.

use std::fmt;
use std::sync::Arc;

use peerstream_snapshot::{BoxFuture, Fence, Generation, Held, Sink, SinkError, Staging, VerifiedChunk};
use peerstream_types::{Entry, ManifestHeader, Ordinal, Selector, ShardId};

use super::{SinkStep, StoreFaults};
use crate::node::Life;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct FaultySink {
    inner: Arc<dyn Sink>,
    faults: StoreFaults,
    life: Life,
}

impl FaultySink {
    pub(crate) fn new(inner: Arc<dyn Sink>, faults: StoreFaults, life: Life) -> Self {
        Self { inner, faults, life }
    }
}

impl Sink for FaultySink {
    fn stage<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
        fence: Fence,
    ) -> BoxFuture<'a, Result<Arc<dyn Staging>, SinkError>> {
        Box::pin(self.life.through(async move {
            let inner = self.inner.stage(shard, selector, fence).await?;
            let (faults, life) = (self.faults.clone(), self.life.clone());
            Ok(Arc::new(FaultyStaging { inner, faults, life }) as Arc<dyn Staging>)
        }))
    }

    fn current<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<(Generation, ManifestHeader)>, SinkError>> {
        Box::pin(self.life.through(self.inner.current(shard)))
    }

    fn merges(&self, shard: &ShardId) -> bool {
        self.inner.merges(shard)
    }
}

struct FaultyStaging {
    inner: Arc<dyn Staging>,
    faults: StoreFaults,
    life: Life,
}

impl fmt::Debug for FaultyStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {:?}", self.inner)
    }
}

impl Staging for FaultyStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.life.through(self.inner.begin(header)))
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.life.through(self.inner.contribute(header)))
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(self.life.through(self.inner.admit(entries)))
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.life.through(async move {
            let bytes = chunks.iter().map(|chunk| chunk.bytes().len() as u64).sum();
            self.faults.before_step(SinkStep::Store, bytes)?;
            self.inner.store(chunks).await
        }))
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.life.through(self.inner.leave_out(ordinal)))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.life.through(self.inner.checkpoint()))
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.life.through(async move {
            self.faults.before_step(SinkStep::Seal, 0)?;
            self.inner.seal(header).await
        }))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(self.life.through(async move {
            self.faults.before_step(SinkStep::Publish, 0)?;
            self.inner.publish().await
        }))
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.life.through(self.inner.discard()))
    }
}
