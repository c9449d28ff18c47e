//! A recovery into a live shard.
//!
//! A copy is merged as soon as its last chunk is stored: then it needs neither memory nor a journal of
//! its own, survives the end of the process with the store, and a read of this replica, while it is not
//! ready, already finds it. The block remembers which copies it has absorbed, so after a restart none of
//! them is asked for again, whatever was written to the block since. `seal` has nothing left to merge: it
//! makes all of it durable. `publish` commits position and readiness, after that.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, Generation, Held, SinkError, Staging, VerifiedChunk};
use peerstream_types::{ChunkIndex, ChunkRange, Digest, Entry, ManifestHeader, Ordinal, ShardId};
use tokio::sync::{Mutex, MutexGuard};

use crate::horizon::{Claim, Members};
use crate::partial::Partials;
use crate::store::{BlockStore, Copy, ShardGuard};
use crate::union::Union;
use crate::writers::Ticket;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct MergeStaging {
    store: BlockStore,
    shard: ShardId,
    ticket: Ticket,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    union: Option<Union>,
    partials: Partials,
}

impl Work {
    fn union(&mut self) -> Result<&mut Union, SinkError> {
        self.union.as_mut().ok_or_else(|| SinkError::BadManifest("none was begun".into()))
    }
}

impl MergeStaging {
    pub(crate) fn new(store: BlockStore, shard: ShardId, ticket: Ticket) -> Self {
        Self { store, shard, ticket, work: Mutex::default() }
    }

    /// The work and the shard, if this is still the shard's one recovery.
    async fn enter(&self) -> Result<(MutexGuard<'_, Work>, ShardGuard), SinkError> {
        let work = self.work.lock().await;
        let open = self.store.shard(&self.shard).await?;
        open.writers.check(&self.shard, self.ticket)?;
        Ok((work, open))
    }

    async fn begin_now(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let (mut work, open) = self.enter().await?;
        let this = self.store.facts_of(&open).knowledge.claim();
        let members = self.join(Members::of(this), header)?;
        work.union = Some(Union::begin(header, members));
        Ok(())
    }

    async fn contribute_now(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let (mut work, _open) = self.enter().await?;
        let union = work.union()?;
        union.check_source(header)?;
        union.members = self.join(union.members, header)?;
        union.is_mixed = false;
        Ok(())
    }

    /// Takes a source among those that are merged. A source that gives nothing leaves no trace.
    fn join(&self, mut members: Members, header: &ManifestHeader) -> Result<Members, SinkError> {
        members.join(&self.shard, Claim::decode(&header.state, self.store.hook().name())?)?;
        Ok(members)
    }

    /// What this replica knows of deletes from now on is durable before any entry of the sources is in.
    /// Its host may have forgotten some since it was asked, or written what is older than those that the
    /// sources have forgotten.
    async fn mix(&self, open: &mut ShardGuard, union: &mut Union) -> Result<(), SinkError> {
        if union.is_mixed {
            return Ok(());
        }
        let mut facts = self.store.facts_of(open);
        let sources = union.members.sources();
        Members::of(facts.knowledge.claim()).join(&self.shard, sources)?;
        facts.knowledge.mix(sources);
        if open.medium.facts() != Some(&facts) {
            open.apply(Vec::new(), Some(facts)).await?;
            open.medium.sync().await?;
        }
        union.is_mixed = true;
        Ok(())
    }

    async fn admit_now(&self, page: Vec<Arc<Entry>>) -> Result<Vec<Held>, SinkError> {
        let (mut work, open) = self.enter().await?;
        work.union()?.admit(&page)?;
        let size = work.union()?.chunk_size();
        let mut held = Vec::new();
        for entry in &page {
            let here = match entry.digest {
                Some(Digest::Blake3(digest)) => {
                    open.medium.head(&entry.key).await?.is_some_and(|h| h.has(&digest))
                }
                _ => false,
            };
            let chunks = if here {
                let count = u32::try_from(entry.chunks(size)).expect("a block has few chunks");
                work.union()?.set_merged(place_of(entry));
                vec![ChunkRange { first: ChunkIndex(0), count }]
            } else {
                work.partials.held(entry, size)
            };
            if !chunks.is_empty() {
                held.push(Held { ordinal: entry.ordinal, chunks });
            }
        }
        Ok(held)
    }

    async fn store_now(&self, chunks: Vec<VerifiedChunk>) -> Result<(), SinkError> {
        let (mut work, mut open) = self.enter().await?;
        let Work { union, partials } = &mut *work;
        let Some(union) = union.as_mut() else {
            let first = chunks.first().map(|chunk| chunk.entry().key.clone());
            return first.map_or(Ok(()), |key| Err(SinkError::NotAdmitted(key)));
        };
        let mut rest = chunks.as_slice();
        loop {
            let mut whole = Vec::new();
            let taken = self.take(union, partials, &mut rest, &mut whole);
            self.merge(&mut open, union, partials, &whole).await?;
            // What was merged has made room.
            if !matches!(taken, Err(SinkError::NoRoom { .. })) || whole.is_empty() {
                return taken;
            }
        }
    }

    /// Takes chunks up to one that is refused, which is then the first of the `rest`, and adds copies that
    /// are whole by them.
    fn take(
        &self,
        union: &Union,
        partials: &mut Partials,
        rest: &mut &[VerifiedChunk],
        whole: &mut Vec<(usize, Bytes)>,
    ) -> Result<(), SinkError> {
        while let Some((chunk, others)) = rest.split_first() {
            let place = union.place_of(chunk)?;
            if !union.is_merged(place) {
                let content = match partials.add(&self.shard, chunk) {
                    // Manifests before this one may have left something.
                    Err(SinkError::NoRoom { .. }) if partials.forget_unlisted(union) => {
                        partials.add(&self.shard, chunk)
                    }
                    added => added,
                };
                whole.extend(content?.map(|content| (place, content)));
            }
            *rest = others;
        }
        Ok(())
    }

    /// Merges whole copies, and forgets their chunks.
    async fn merge(
        &self,
        open: &mut ShardGuard,
        union: &mut Union,
        partials: &mut Partials,
        whole: &[(usize, Bytes)],
    ) -> Result<(), SinkError> {
        if whole.is_empty() {
            return Ok(());
        }
        self.mix(open, union).await?;
        let copies: Vec<_> = whole
            .iter()
            .map(|(place, content)| Copy { entry: union.entry(*place), content: content.clone() })
            .collect();
        let (merged, result) = self.store.absorb(open, &copies).await;
        drop(copies);
        let refuses = matches!(result, Err(SinkError::BadEntry { .. } | SinkError::Unmergeable { .. }));
        // The one that the error names is the first that is not in. It is not held: it would pass for whole.
        let named = (0..whole.len()).find(|index| refuses && !merged.contains(index));
        merged.iter().for_each(|index| union.set_merged(whole[*index].0));
        for index in merged.into_iter().chain(named) {
            partials.forget(union.entry(whole[index].0), union.chunk_size());
        }
        result
    }

    async fn leave_out_now(&self, ordinal: Ordinal) -> Result<(), SinkError> {
        let (mut work, _open) = self.enter().await?;
        let entry = work.union()?.leave_out(ordinal)?.clone();
        let size = work.union()?.chunk_size();
        // Nobody waits for the rest of its chunks any more: they make room for other copies.
        work.partials.forget(&entry, size);
        Ok(())
    }

    async fn seal_now(&self, header: &ManifestHeader) -> Result<(), SinkError> {
        let (mut work, mut open) = self.enter().await?;
        let union = work.union()?;
        union.check_seal(header)?;
        open.medium.sync().await?;
        union.set_sealed(header.clone());
        Ok(())
    }

    async fn publish_now(&self) -> Result<Generation, SinkError> {
        let (mut work, mut open) = self.enter().await?;
        let union = work.union.as_mut().ok_or(SinkError::NotSealed)?;
        let mut header = union.sealed()?.clone();
        // There may have been nothing to merge.
        self.mix(&mut open, union).await?;
        let mut facts = self.store.facts_of(&open);
        if union.is_whole() {
            facts.knowledge.complete(union.members.sources().heard);
        } else {
            // What is missing may be a delete, or what the log before the sources' position has.
            facts.knowledge.complete(None);
            header.position.clone_from(&facts.position);
            header.digest = None;
        }
        let generation = facts.publish(header);
        // The data before, the position now: each is durable before the next step.
        open.medium.sync().await?;
        open.apply(Vec::new(), Some(facts)).await?;
        open.medium.sync().await?;
        *work = Work::default();
        Ok(generation)
    }
}

fn place_of(entry: &Entry) -> usize {
    usize::try_from(entry.ordinal.0).expect("it was admitted, so it is few")
}

impl Staging for MergeStaging {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.begin_now(header))
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.contribute_now(header))
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        Box::pin(self.admit_now(entries))
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.store_now(chunks))
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.leave_out_now(ordinal))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { Ok(self.enter().await?.1.medium.sync().await?) })
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.seal_now(header))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        Box::pin(self.publish_now())
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            *self.enter().await?.0 = Work::default();
            Ok(())
        })
    }
}
