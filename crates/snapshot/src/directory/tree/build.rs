//! A tree to its catalog: walked, looked up, hashed and announced, all at the same time.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use peerstream_types::{Codec, Digest, Entry, EntryKind, Ordinal, ShardId};

use super::super::catalog::{CatalogError, CatalogWriter};
use super::super::records::{Records, STAMP_LEN, stamp_of};
use super::super::walk::{Found, Walk};
use super::hashing::{Failure, Hashed, Hashing, Looked, Part, Step, parts};
use crate::SourceError;
use crate::limits::{HASH_JOBS, LOOK_UP_BATCH};
use crate::listing::Frame;
use crate::verify::OUTLINE_CHUNKS_MAX;

/// Makes one catalog.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) hashing: Hashing,
    pub(super) writer: CatalogWriter,
    pub(super) stamps: Arc<Records<STAMP_LEN>>,
    pub(super) shard: ShardId,
}

/// The clock of the file system before a job began, in nanoseconds.
type Now = i64;

enum Fault {
    Walk(SourceError),
    File(Box<Failure>),
}

impl Build {
    /// Announces all files that the walk finds, and seals. An error goes to the readers.
    pub(super) async fn run(mut self, walk: Walk, frame: Frame) {
        let sealed = match self.fill(walk).await {
            Ok(()) => self.writer.seal(frame).await.map(drop).map_err(SourceError::from),
            Err(error) => Err(error),
        };
        self.hashing.cache.close_files();
        if let Err(error) = sealed {
            self.writer.fail(error);
        }
    }

    async fn fill(&mut self, walk: Walk) -> Result<(), SourceError> {
        let hashing = self.hashing.clone();
        let hashed = steps(hashing.clone(), walk).map(move |step| {
            let hashing = hashing.clone();
            async move {
                let (now, step) = step.map_err(Fault::Walk)?;
                Ok((now, hashing.run(step).await.map_err(Fault::File)?))
            }
        });
        let mut hashed = std::pin::pin!(hashed.buffered(HASH_JOBS));
        while let Some(done) = hashed.next().await {
            match done {
                Ok((now, Hashed::Small(files))) => self.announce(now, files).await?,
                Ok((now, Hashed::Part(part, values))) => {
                    let len = part.file.found.metadata.len;
                    self.writer.append_outline(len, &values).await?;
                    if part.is_last {
                        self.announce_long(now, part).await?;
                    }
                }
                Err(Fault::Walk(error)) => return Err(error),
                Err(Fault::File(failure)) => return Err(self.error_of(*failure)),
            }
        }
        Ok(())
    }

    async fn announce(&mut self, now: Now, files: Vec<(Looked, Digest)>) -> Result<(), SourceError> {
        let first = self.writer.catalog().entries();
        let stamps: Vec<_> = files.iter().map(|(file, _)| stamp_of(&file.found.metadata)).collect();
        self.stamps.write(first, &stamps).await?;
        let entries: Vec<Entry> = files.iter().map(|(file, digest)| entry_of(&file.found, *digest)).collect();
        self.writer.push(entries).await.map_err(|error| self.refusal(error))?;
        let fresh = files.into_iter().filter(|(file, _)| file.known.is_none());
        let fresh = fresh.map(|(file, digest)| (file.found.metadata, digest)).collect();
        self.hashing.cache.keep(self.hashing.size, now, fresh).await;
        Ok(())
    }

    /// Announces a file whose outline is there.
    async fn announce_long(&mut self, now: Now, part: Part) -> Result<(), SourceError> {
        let Looked { found, known } = &*part.file;
        let mut digest = self.writer.finish_outline().await?;
        let is_fresh = known.is_none() || digest != *known;
        if known.is_some() && is_fresh {
            // What was kept of the outline is damaged.
            digest = self.hash_long(found).await?;
        }
        let digest = digest.ok_or_else(|| self.bad(format!("{} has no outline", found.key)))?;
        let ordinal = Ordinal(self.writer.catalog().entries());
        self.stamps.write(ordinal.0, &[stamp_of(&found.metadata)]).await?;
        self.writer.push([entry_of(found, digest)]).await.map_err(|error| self.refusal(error))?;
        if is_fresh {
            let catalog = self.writer.catalog().clone();
            self.hashing.cache.keep_long(now, (found.metadata, digest), &catalog, ordinal).await;
        }
        Ok(())
    }

    /// Hashes a file of more than one chunk that the cache was wrong about.
    async fn hash_long(&mut self, found: &Found) -> Result<Option<Digest>, SourceError> {
        let unknown = Looked { found: found.clone(), known: None };
        for part in parts(self.hashing.size, unknown) {
            match self.hashing.run(Step::Part(part)).await {
                Ok(Hashed::Part(part, values)) => {
                    self.writer.append_outline(part.file.found.metadata.len, &values).await?;
                }
                Ok(Hashed::Small(_)) => {}
                Err(failure) => return Err(self.error_of(*failure)),
            }
        }
        Ok(self.writer.finish_outline().await?)
    }

    fn error_of(&self, Failure { found, before, error }: Failure) -> SourceError {
        let ordinal = Ordinal(self.writer.catalog().entries() + before);
        error.of(&Entry { ordinal, digest: None, ..entry_of(&found, Digest::Blake3([0; 32])) })
    }

    fn refusal(&self, error: CatalogError) -> SourceError {
        match error {
            CatalogError::Disk(error) => error.into(),
            CatalogError::Order(_) | CatalogError::TooMany => self.bad(error.to_string()),
        }
    }

    fn bad(&self, why: String) -> SourceError {
        SourceError::BadEntry { shard: self.shard.clone(), why }
    }
}

/// The jobs for all files that a walk finds, in order.
fn steps(hashing: Hashing, walk: Walk) -> impl Stream<Item = Result<(Now, Step), SourceError>> + Send {
    let batches = stream::try_unfold((hashing, walk), |(hashing, mut walk)| async move {
        let files = walk.next(LOOK_UP_BATCH).await?;
        if files.is_empty() {
            return Ok(None);
        }
        let size = hashing.size;
        if let Some(long) = files.iter().find(|found| size.chunks_in(found.metadata.len) > OUTLINE_CHUNKS_MAX)
        {
            let why = format!("{} has more than {OUTLINE_CHUNKS_MAX} chunks", long.key);
            return Err(SourceError::BadEntry { shard: walk.shard().clone(), why });
        }
        let now = hashing.cache.now_ns().await;
        let looked = hashing.look_up(files).await;
        let steps = hashing.steps(looked).map(move |step| Ok((now, step)));
        Ok(Some((stream::iter(steps), (hashing, walk))))
    });
    batches.try_flatten()
}

fn entry_of(found: &Found, digest: Digest) -> Entry {
    Entry {
        ordinal: Ordinal(0),
        key: found.key.clone(),
        len: found.metadata.len,
        digest: Some(digest),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    }
}
