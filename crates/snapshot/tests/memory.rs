//! How much memory a source takes for a shard of very many entries.
//!
//! The files are made up by a disk of the test as they are asked for; what the source keeps of them is
//! on a real one. Live heap is looked at whenever the source asks for files, and at every page.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::alloc::System;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use peerstream_snapshot::disk::{
    DirEntry, FileId, FileKind, Metadata, OpenMode, ReadFile, SmallFile, Space, WriteFile,
};
use peerstream_snapshot::{
    BlockingPool, BoxFuture, DirectorySource, Disk, DiskError, DiskFile, RealDisk, Source,
};
use peerstream_types::{ChunkSize, EntryKey, Ordinal, PageToken, Selector};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FILES_PER_DIR: u64 = 2000;

fn live() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Files of 20 bytes below `/many`, [`FILES_PER_DIR`] in each directory; all else is real.
#[derive(Debug)]
struct Many {
    dirs: u64,
    disk: RealDisk,
    peak: Arc<AtomicUsize>,
}

fn name(number: u64) -> String {
    format!("{number:012}")
}

fn metadata_of(path: &Path) -> Metadata {
    let below = path.strip_prefix("/many").unwrap();
    let mut numbers = below.iter().map(|part| part.to_str().unwrap().parse::<u64>().unwrap());
    let (kind, inode) = match (numbers.next(), numbers.next()) {
        (None, _) => (FileKind::Dir, 1),
        (Some(dir), None) => (FileKind::Dir, 2 + dir),
        (Some(dir), Some(file)) => (FileKind::File, 1_000_000 + dir * FILES_PER_DIR + file),
    };
    Metadata { kind, len: 20, id: FileId { device: 1, inode }, modified_ns: 1 }
}

impl Many {
    fn look(&self) {
        self.peak.fetch_max(live(), Ordering::Relaxed);
    }

    fn list_many(&self, path: &Path, after: Option<&OsStr>, limit: usize) -> Vec<DirEntry> {
        let first = after.map_or(0, |after| after.to_str().unwrap().parse::<u64>().unwrap() + 1);
        let end = if path == Path::new("/many/") { self.dirs } else { FILES_PER_DIR };
        let entry = |number| {
            let name = OsString::from(name(number));
            DirEntry { metadata: metadata_of(&path.join(&name)), name }
        };
        (first..end).take(limit).map(entry).collect()
    }
}

fn is_made_up(path: &Path) -> bool {
    path.starts_with("/many")
}

impl Disk for Many {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        self.disk.open(path, mode)
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        if is_made_up(path) {
            return Box::pin(std::future::ready(Ok(Some(metadata_of(path)))));
        }
        self.disk.metadata(path)
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        if is_made_up(path) {
            let listed = self.list_many(path, after, limit);
            self.look();
            return Box::pin(std::future::ready(Ok(listed)));
        }
        self.disk.list(path, after, limit)
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        let content = |file: &ReadFile| {
            assert!(is_made_up(&file.path));
            let name = file.path.file_name().unwrap().to_str().unwrap();
            Ok(SmallFile { bytes: format!("content {name}").into(), metadata: metadata_of(&file.path) })
        };
        let contents = files.iter().map(content).collect();
        self.look();
        Box::pin(std::future::ready(contents))
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.create_dir_all(path)
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.rename(from, to)
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.hard_link(from, to)
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.clone_file(from, to)
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        self.disk.write_files(files)
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_dir_all(path)
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.sync_dir(path)
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.sync_fs(path)
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.disk.space(path)
    }
}

/// Hashes, lists and reads a shard of so many directories, all of it and then half of it. Says how
/// much the heap grew at most.
async fn serve(dirs: u64) -> usize {
    let work = tempfile::tempdir().unwrap();
    let before = live();
    let peak = Arc::new(AtomicUsize::new(before));
    let disk = Arc::new(Many { dirs, disk: RealDisk::new(), peak: peak.clone() });
    let pool = Arc::new(BlockingPool::new());
    let source = DirectorySource::with_seams(work.path(), disk, pool, ChunkSize::DEFAULT);
    let shard = "many@1/0".parse().unwrap();
    source.serve(&shard, PathBuf::from("/many"), None, Vec::new()).unwrap();
    let half = Selector::Keys { start: Some(EntryKey::from_path(&name(dirs / 2)).unwrap()), end: None };
    for (selector, expected) in [(Selector::All, dirs * FILES_PER_DIR), (half, dirs * FILES_PER_DIR / 2)] {
        let snapshot = source.open(&shard, &selector).await.unwrap();
        let (mut token, mut entries) = (Some(PageToken::START), 0);
        while let Some(from) = token {
            let page = snapshot.page(&from, 1024).await.unwrap();
            entries += page.entries.len() as u64;
            peak.fetch_max(live(), Ordering::Relaxed);
            token = page.next;
        }
        assert_eq!((entries, snapshot.header().counts.entries), (expected, expected));
        for first in (0..expected).step_by(10_000) {
            let contents = snapshot.contents(Ordinal(first), 256).await.unwrap();
            assert!(contents.iter().all(|content| content.bytes.is_ok()));
            peak.fetch_max(live(), Ordering::Relaxed);
        }
    }
    peak.load(Ordering::Relaxed) - before
}

/// A18: a shard of 200,000 entries takes the memory of one of 20,000, and little of it.
#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_entries() {
    let few = serve(10).await;
    let many = serve(100).await;
    println!("live heap: {} KiB for 20,000 entries, {} KiB for 200,000", few >> 10, many >> 10);
    assert!(many < few + (1 << 20), "{few} bytes for 20,000 entries, {many} for 200,000");
    assert!(many < 6 << 20, "{many} bytes");
}
