//! The model, sentence by sentence.

mod content_facts;
mod fault_facts;
mod name_facts;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::DiskFile;
use crate::disk::{Disk, DiskErrorKind, OpenMode};

/// Enough seeds that everything with a chance of one in a few is met.
const SEEDS: u64 = 64;

fn at(path: &str) -> &Path {
    Path::new(path)
}

async fn create(disk: &CrashDisk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(at(path), OpenMode::Create).await.unwrap()
}

async fn put(file: &dyn DiskFile, offset: u64, bytes: &'static [u8]) {
    file.write_at(offset, Bytes::from_static(bytes)).await.unwrap();
}

/// A file whose name and content are durable.
async fn durable(disk: &CrashDisk, path: &str, content: &'static [u8]) -> Arc<dyn DiskFile> {
    let file = create(disk, path).await;
    put(&*file, 0, content).await;
    disk.sync_fs(at("/")).await.unwrap();
    file
}

async fn content(disk: &CrashDisk, path: &str) -> Option<Bytes> {
    crate::disk::read_whole(disk, at(path)).await.unwrap()
}

/// What each seed leaves of a file, with how often.
async fn outcomes(disk: &CrashDisk, path: &str) -> std::collections::BTreeMap<Option<Bytes>, usize> {
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in 0..SEEDS {
        let crashed = disk.fork().crash(Survival::Mixture(seed));
        *outcomes.entry(content(&crashed, path).await).or_default() += 1;
    }
    outcomes
}
