//! Digests and outlines of files, a few chunks at a time.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};
use peerstream_types::{ChainingValue, ChunkIndex, ChunkRange, ChunkSize, Digest};

use super::Seams;
use super::reading::{ReadError, read_exact};
use crate::content::{Described, digest_of_outline, digest_of_whole};
use crate::disk::OpenMode;
use crate::limits::{HASH_JOB_LEN, HASH_JOBS};
use crate::offload::run_for;
use crate::verify::chaining_value;

/// A part of a file that one job reads and hashes, chunk after chunk.
#[derive(Debug)]
struct Job {
    path: PathBuf,
    len: u64,
    range: ChunkRange,
}

enum Hashed {
    Whole(Digest),
    Values(Vec<ChainingValue>),
}

/// Hashes files of the given lengths, several parts at once, and hands each file's answer to
/// `each`, in order. The error comes with the index of the file.
pub(super) async fn describe(
    seams: &Seams,
    size: ChunkSize,
    files: Vec<(PathBuf, u64)>,
    mut each: impl FnMut(usize, Described),
) -> Result<(), (usize, ReadError)> {
    let lens: Vec<u64> = files.iter().map(|(_, len)| *len).collect();
    let jobs = files.into_iter().enumerate().flat_map(move |(place, (path, len))| {
        jobs_of(size, len).map(move |range| (place, Job { path: path.clone(), len, range }))
    });
    let seams = seams.clone();
    let hashed = jobs.map(move |(place, job)| {
        let seams = seams.clone();
        async move { (place, run(&seams, size, job).await) }
    });
    let mut hashed = stream::iter(hashed).buffered(HASH_JOBS);
    let mut outline = Vec::new();
    while let Some((place, result)) = hashed.next().await {
        let len = lens[place];
        match result.map_err(|error| (place, error))? {
            Hashed::Whole(digest) => each(place, Described { digest, outline: Vec::new() }),
            Hashed::Values(values) => outline.extend(values),
        }
        if !outline.is_empty() && outline.len() as u64 == size.chunks_in(len) {
            let digest = digest_of_outline(size, len, &outline);
            each(place, Described { digest, outline: std::mem::take(&mut outline) });
        }
    }
    Ok(())
}

/// The parts of a file of `len` bytes; one empty part for an empty file.
fn jobs_of(size: ChunkSize, len: u64) -> impl Iterator<Item = ChunkRange> {
    let chunks = size.chunks_in(len);
    let step = (HASH_JOB_LEN / size.bytes()).max(1);
    let part = move |first: u64| {
        let count = u32::try_from(step.min(chunks - first)).expect("a job is small");
        ChunkRange { first: ChunkIndex(first), count }
    };
    (0..chunks.div_ceil(step).max(1)).map(move |job| part(job * step))
}

async fn run(seams: &Seams, size: ChunkSize, job: Job) -> Result<Hashed, ReadError> {
    let file = seams.disk.open(&job.path, OpenMode::Read).await?;
    let chunk_len = |index| usize::try_from(size.len_of(index, job.len)).expect("a chunk fits in memory");
    if size.chunks_in(job.len) <= 1 {
        let content = read_exact(&*file, job.len, 0, chunk_len(ChunkIndex(0))).await?;
        let digest = run_for(&*seams.offload, move || digest_of_whole(&content)).await?;
        return Ok(Hashed::Whole(digest));
    }
    let mut values = Vec::new();
    for index in job.range.iter() {
        let offset = index.0 * size.bytes();
        let content = read_exact(&*file, job.len, offset, chunk_len(index)).await?;
        values.push(run_for(&*seams.offload, move || chaining_value(size, index, &content)).await?);
    }
    Ok(Hashed::Values(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_of_a_file_cover_it_once() {
        let size = ChunkSize::new(1024).unwrap();
        let step = HASH_JOB_LEN;
        for len in [0, 1, 1024, 1025, step - 1, step, step + 1, 3 * step + 5000] {
            let jobs: Vec<ChunkRange> = jobs_of(size, len).collect();
            let covered: Vec<u64> = jobs.iter().flat_map(|r| r.iter()).map(|c| c.0).collect();
            assert_eq!(covered, (0..size.chunks_in(len)).collect::<Vec<_>>(), "{len}");
            assert!(!jobs.is_empty());
        }
    }
}
