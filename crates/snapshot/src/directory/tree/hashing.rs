//! Files to digests: many small ones at once, long ones part by part, known ones without a read.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Digest};

use super::super::Seams;
use super::super::hash_cache::HashCache;
use super::super::reading::{ReadError, read_exact};
use super::super::walk::Found;
use crate::content::digest_of_whole;
use crate::disk::{Metadata, OpenMode, ReadFile, SmallFile};
use crate::limits::{HASH_BATCH, HASH_BATCH_LEN, HASH_JOB_LEN, OUTLINE_RUN};
use crate::offload::run_for;
use crate::verify::chaining_value;
use crate::{DiskError, ReadPacer};

/// How files are read and hashed.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    pub(super) seams: Seams,
    pub(super) cache: Arc<HashCache>,
    pub(super) pacer: Arc<dyn ReadPacer>,
    pub(super) size: ChunkSize,
}

/// A file, and what the cache knows of it.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub(super) found: Found,
    pub(super) known: Option<Digest>,
}

/// What one job does.
#[derive(Debug)]
pub(super) enum Step {
    /// Files of at most one chunk.
    Small(Vec<Looked>),
    /// Chunks of a longer file.
    Part(Part),
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) file: Arc<Looked>,
    pub(super) range: ChunkRange,
    pub(super) is_last: bool,
}

/// What a job found.
#[derive(Debug)]
pub(super) enum Hashed {
    /// Each file with its digest.
    Small(Vec<(Looked, Digest)>),
    Part(Part, Vec<ChainingValue>),
}

/// The file that ended it, and how many of the same job come before it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) found: Found,
    pub(super) before: u64,
    pub(super) error: ReadError,
}

impl Hashing {
    /// Looks files up in the cache. Of a long file, both digest and outline have to be known.
    pub(super) async fn look_up(&self, files: Vec<Found>) -> Vec<Looked> {
        let metadata: Vec<Metadata> = files.iter().map(|found| found.metadata).collect();
        let known = self.cache.look_up(self.size, &metadata).await;
        let mut looked = Vec::with_capacity(files.len());
        for (found, mut known) in files.into_iter().zip(known) {
            let chunks = self.size.chunks_in(found.metadata.len);
            if let Some(digest) = known.filter(|_| chunks > 1) {
                let last = ChunkRange { first: ChunkIndex(chunks - 1), count: 1 };
                known = self.cache.outline(self.size, digest, last).await.map(|_| digest);
            }
            looked.push(Looked { found, known });
        }
        looked
    }

    /// Cuts files into jobs, in order.
    pub(super) fn steps(&self, files: Vec<Looked>) -> impl Iterator<Item = Step> + Send + use<> {
        let size = self.size;
        batches(size, files).into_iter().flat_map(move |batch| {
            let (small, long) = match batch {
                Batch::Small(files) => (Some(Step::Small(files)), None),
                Batch::Long(file) => (None, Some(parts(size, file).map(Step::Part))),
            };
            small.into_iter().chain(long.into_iter().flatten())
        })
    }

    /// Does a job.
    pub(super) async fn run(&self, step: Step) -> Result<Hashed, Box<Failure>> {
        match step {
            Step::Small(files) => self.small(files).await.map(Hashed::Small),
            Step::Part(part) => {
                let values = self.part(&part).await;
                let fail = |error| Box::new(Failure { found: part.file.found.clone(), before: 0, error });
                Ok(Hashed::Part(part.clone(), values.map_err(fail)?))
            }
        }
    }

    async fn small(&self, files: Vec<Looked>) -> Result<Vec<(Looked, Digest)>, Box<Failure>> {
        let fail = |place: usize, error| {
            Box::new(Failure { found: files[place].found.clone(), before: place as u64, error })
        };
        let unknown = || (0..).zip(&files).filter(|(_, file)| file.known.is_none());
        let wanted = unknown().map(|(_, file)| &file.found).map(|found| ReadFile {
            path: found.path.clone(),
            limit: usize::try_from(found.metadata.len).map_or(usize::MAX, |len| len + 1),
        });
        let wanted: Vec<ReadFile> = wanted.collect();
        let mut fresh = Vec::new();
        if !wanted.is_empty() {
            self.pace(unknown().map(|(_, file)| file.found.metadata.len).sum()).await;
            let contents = self.seams.disk.read_files(wanted).await;
            let contents = unknown().zip(contents).map(|((place, file), content)| {
                whole(&file.found, content).map_err(|error| fail(place, error))
            });
            let contents: Vec<Bytes> = contents.collect::<Result<_, _>>()?;
            let hash = move || contents.iter().map(|content| digest_of_whole(content)).collect::<Vec<_>>();
            fresh = run_for(&*self.seams.offload, hash).await.map_err(|gone| fail(0, gone.into()))?;
        }
        let mut fresh = fresh.into_iter();
        let digest = |file: Looked| {
            let digest = file.known.or_else(|| fresh.next()).expect("each was known, or hashed");
            (file, digest)
        };
        Ok(files.into_iter().map(digest).collect())
    }

    async fn part(&self, part: &Part) -> Result<Vec<ChainingValue>, ReadError> {
        let Looked { found, known } = &*part.file;
        if let Some(digest) = known
            && let Some(values) = self.cache.outline(self.size, *digest, part.range).await
        {
            return Ok(values);
        }
        let file = self.seams.disk.open(&found.path, OpenMode::Read).await?;
        let mut values = Vec::new();
        for index in part.range.iter() {
            let (size, len) = (self.size, found.metadata.len);
            self.pace(size.len_of(index, len)).await;
            let chunk = usize::try_from(size.len_of(index, len)).expect("a chunk fits in memory");
            let content = read_exact(&*file, len, index.0 * size.bytes(), chunk).await?;
            let hash = move || chaining_value(size, index, &content);
            values.push(run_for(&*self.seams.offload, hash).await?);
        }
        if part.is_last {
            unchanged(found, self.seams.disk.metadata(&found.path).await)?;
        }
        Ok(values)
    }

    async fn pace(&self, bytes: u64) {
        if let Some(wait) = self.pacer.charge(bytes) {
            wait.await;
        }
    }
}

enum Batch {
    Small(Vec<Looked>),
    Long(Looked),
}

/// Small files in a row go together, as far as the limits allow.
fn batches(size: ChunkSize, files: Vec<Looked>) -> Vec<Batch> {
    let mut batches = Vec::new();
    let (mut batch, mut batch_len) = (Vec::new(), 0);
    for file in files {
        let len = file.found.metadata.len;
        let is_long = size.chunks_in(len) > 1;
        let read = if file.known.is_some() { 0 } else { len };
        let is_full = batch.len() == HASH_BATCH || batch_len + read > HASH_BATCH_LEN;
        if !batch.is_empty() && (is_long || is_full) {
            batches.push(Batch::Small(std::mem::take(&mut batch)));
            batch_len = 0;
        }
        if is_long {
            batches.push(Batch::Long(file));
        } else {
            batch.push(file);
            batch_len += read;
        }
    }
    if !batch.is_empty() {
        batches.push(Batch::Small(batch));
    }
    batches
}

/// The parts of a file of more than one chunk: as much as one job reads, or copies from the cache.
pub(super) fn parts(size: ChunkSize, file: Looked) -> impl Iterator<Item = Part> + Send {
    let chunks = size.chunks_in(file.found.metadata.len);
    let read = (HASH_JOB_LEN / size.bytes()).max(1);
    let step = if file.known.is_some() { u64::from(OUTLINE_RUN) } else { read };
    let file = Arc::new(file);
    (0..chunks.div_ceil(step)).map(move |part| {
        let first = part * step;
        let count = u32::try_from(step.min(chunks - first)).expect("a job is small");
        let range = ChunkRange { first: ChunkIndex(first), count };
        Part { file: file.clone(), range, is_last: range.end() == chunks }
    })
}

/// The content of a small file, if it is as long as it was.
fn whole(found: &Found, read: Result<SmallFile, DiskError>) -> Result<Bytes, ReadError> {
    let SmallFile { bytes: content, metadata } = read?;
    let len = found.metadata.len;
    if content.len() as u64 > len {
        return Err(ReadError::Changed(format!("more than {len} bytes")));
    }
    if (content.len() as u64) < len {
        return Err(ReadError::Changed(format!("{} bytes instead of {len}", content.len())));
    }
    unchanged(found, Ok(Some(metadata)))?;
    Ok(content)
}

/// Whether the file is still what it was before it was read.
fn unchanged(found: &Found, after: Result<Option<Metadata>, DiskError>) -> Result<(), ReadError> {
    match after? {
        Some(after) if after == found.metadata => Ok(()),
        Some(_) => Err(ReadError::Changed("it was written to while it was hashed".into())),
        None => Err(ReadError::Changed("it is gone".into())),
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::EntryKey;

    use super::*;
    use crate::disk::{FileId, FileKind};

    fn file(len: u64, known: Option<Digest>) -> Looked {
        let id = FileId { device: 1, inode: len };
        let metadata = Metadata { kind: FileKind::File, len, id, modified_ns: 0 };
        let key = EntryKey::from_path("f").unwrap();
        Looked { found: Found { key, path: "f".into(), metadata }, known }
    }

    #[test]
    fn the_parts_of_a_file_cover_it_once() {
        let size = ChunkSize::new(1024).unwrap();
        let step = HASH_JOB_LEN;
        for len in [1025, step - 1, step, step + 1, 3 * step + 5000] {
            for known in [None, Some(Digest::Blake3([1; 32]))] {
                let parts: Vec<Part> = parts(size, file(len, known)).collect();
                let covered: Vec<u64> =
                    parts.iter().flat_map(|part| part.range.iter()).map(|c| c.0).collect();
                assert_eq!(covered, (0..size.chunks_in(len)).collect::<Vec<_>>(), "{len}");
                let (last, others) = parts.split_last().unwrap();
                assert!(last.is_last && others.iter().all(|part| !part.is_last));
            }
        }
    }

    #[test]
    fn small_files_go_together_within_the_limits() {
        let size = ChunkSize::DEFAULT;
        let lens = [vec![10; HASH_BATCH + 1], vec![size.bytes(); 5], vec![size.bytes() + 1, 0]].concat();
        let files = lens.iter().map(|len| file(*len, None)).collect();
        let batches: Vec<(usize, u64)> = batches(size, files)
            .into_iter()
            .map(|batch| match batch {
                Batch::Small(files) => (files.len(), files.iter().map(|f| f.found.metadata.len).sum()),
                Batch::Long(file) => (0, file.found.metadata.len),
            })
            .collect();
        let kib = 1024;
        let expected = [(256, 2560), (4, 10 + 768 * kib), (2, 512 * kib), (0, 256 * kib + 1), (1, 0)];
        assert_eq!(batches, expected);
    }
}
