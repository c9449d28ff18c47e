//! The table of digests: a file of buckets of one page, each with room for a few records.
//!
//! A record is device, inode, length and mtime of a file (8 bytes each, little endian), its digest
//! (32), the chunk size (1, as its logarithm), 7 zeros, and the first 8 bytes of the keyed BLAKE3 hash
//! of all that. What does not check out is not known. The newest record comes first in its bucket; in
//! a full one, the oldest makes room.
//!
//! Files that were made one after the other have inodes one after the other, and their records are in
//! the same bucket or the next one: a batch of look-ups is a few reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use peerstream_types::{ChunkSize, Digest};

use super::super::open_files::OpenFiles;
use crate::disk::{Metadata, OpenMode};
use crate::limits::{HASH_CACHE_BUCKETS, HASH_JOBS};
use crate::{Disk, DiskError};

const BUCKET_LEN: usize = 4096;
const RECORD_LEN: usize = 80;
const RECORDS: usize = BUCKET_LEN / RECORD_LEN;
/// Inodes in a row that share a bucket: less than half of its records, so that two ranges that fall
/// on the same buckets both fit.
const INODES: u64 = 24;
/// Buckets between two wanted ones that are read along, rather than in a read of their own.
const GAP: u64 = 3;
/// Most buckets of one read: 256 KiB.
const RUN: u64 = 64;
const KEY: &[u8; 32] = b"peerstream 2026-11 digest record";

type Record = [u8; RECORD_LEN];
/// Device, inode and chunk size tell whose record it is; length and mtime, whether it still holds.
type Owner = [u8; 17];

#[derive(Debug)]
pub(super) struct Table {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: OpenFiles<()>,
    /// Held while buckets are changed.
    changing: tokio::sync::Mutex<()>,
}

impl Table {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, file: OpenFiles::new(), changing: tokio::sync::Mutex::default() }
    }

    /// The digests of files, where they are known.
    pub(super) async fn look_up(&self, size: ChunkSize, files: &[Metadata]) -> Vec<Option<Digest>> {
        let buckets = self.read(files.iter().map(bucket_of).collect()).await;
        let find = |file: &Metadata| {
            let bucket = buckets.get(&bucket_of(file))?;
            let wanted = head_of(size, file);
            let is_it = |record: &&Record| record[..32] == wanted[..32] && record[64] == wanted[64];
            let record = records(bucket).filter(is_it).find(|record| record[72..] == check(record))?;
            Some(Digest::Blake3(*record[32..].first_chunk()?))
        };
        files.iter().map(find).collect()
    }

    /// Keeps the digests of files in place of what was known of them. Only BLAKE3 is kept.
    pub(super) async fn keep(&self, size: ChunkSize, files: &[(Metadata, Digest)]) -> Result<(), DiskError> {
        let _changing = self.changing.lock().await;
        let mut buckets = self.read(files.iter().map(|(file, _)| bucket_of(file)).collect()).await;
        for (file, digest) in files {
            let bucket = buckets.entry(bucket_of(file)).or_default();
            if let Digest::Blake3(digest) = digest {
                *bucket = with_record(bucket, &record_of(size, file, digest)).into();
            }
        }
        let file = self.file().await?;
        for run in runs(buckets.keys().copied(), 0) {
            let pages = run.clone().filter_map(|bucket| buckets.get(&bucket));
            let bytes: Vec<u8> = pages.flat_map(|page| page.iter().copied()).collect();
            file.write_at(run.start * BUCKET_LEN as u64, bytes.into()).await?;
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.file.clear();
    }

    /// Buckets as they are on disk; none where the disk fails.
    async fn read(&self, wanted: BTreeSet<u64>) -> BTreeMap<u64, Bytes> {
        let Ok(file) = self.file().await else { return BTreeMap::new() };
        let file = &*file;
        let read = runs(wanted.iter().copied(), GAP).into_iter().map(|run| async move {
            let len = (run.end - run.start) as usize * BUCKET_LEN;
            let bytes = file.read_at(run.start * BUCKET_LEN as u64, len).await.unwrap_or_default();
            let part = |place: usize| bytes.get(place * BUCKET_LEN..(place + 1) * BUCKET_LEN);
            let page = |(place, bucket)| part(place).map(|page| (bucket, Bytes::copy_from_slice(page)));
            (0..).zip(run).filter_map(page).collect::<Vec<_>>()
        });
        let read: Vec<_> = stream::iter(read).buffered(HASH_JOBS).collect().await;
        read.into_iter().flatten().filter(|(bucket, _)| wanted.contains(bucket)).collect()
    }

    async fn file(&self) -> Result<Arc<dyn crate::DiskFile>, DiskError> {
        self.file.open(&*self.disk, (), &self.path, OpenMode::Create).await
    }
}

fn bucket_of(file: &Metadata) -> u64 {
    let apart = file.id.device.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    apart.wrapping_add(file.id.inode / INODES) % HASH_CACHE_BUCKETS
}

/// Ranges that cover all of `buckets`, in which no more than `gap` in a row are not wanted.
fn runs(buckets: impl Iterator<Item = u64>, gap: u64) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for bucket in buckets {
        match runs.last_mut() {
            Some(run) if bucket - run.end <= gap && bucket - run.start < RUN => run.end = bucket + 1,
            _ => runs.push(bucket..bucket + 1),
        }
    }
    runs
}

/// A record without digest and check.
fn head_of(size: ChunkSize, file: &Metadata) -> Record {
    let mut record = [0; RECORD_LEN];
    record[..8].copy_from_slice(&file.id.device.to_le_bytes());
    record[8..16].copy_from_slice(&file.id.inode.to_le_bytes());
    record[16..24].copy_from_slice(&file.len.to_le_bytes());
    record[24..32].copy_from_slice(&file.modified_ns.to_le_bytes());
    record[64] = size.into();
    record
}

fn record_of(size: ChunkSize, file: &Metadata, digest: &[u8; 32]) -> Record {
    let mut record = head_of(size, file);
    record[32..64].copy_from_slice(digest);
    let check = check(&record);
    record[72..].copy_from_slice(&check);
    record
}

fn check(record: &Record) -> [u8; 8] {
    *blake3::keyed_hash(KEY, &record[..72]).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn owner(record: &Record) -> Owner {
    let mut owner = [0; 17];
    owner[..16].copy_from_slice(&record[..16]);
    owner[16] = record[64];
    owner
}

/// The records of a bucket, good or bad. A bad one is pushed out in its time.
fn records(bucket: &[u8]) -> impl Iterator<Item = &Record> {
    let (records, _) = bucket.as_chunks();
    records.iter().filter(|record| **record != [0; RECORD_LEN])
}

/// A bucket with a new record in front.
fn with_record(bucket: &[u8], record: &Record) -> Vec<u8> {
    let others = records(bucket).filter(|other| owner(other) != owner(record));
    let mut changed: Vec<u8> = [record].into_iter().chain(others).take(RECORDS).flatten().copied().collect();
    changed.resize(BUCKET_LEN, 0);
    changed
}
