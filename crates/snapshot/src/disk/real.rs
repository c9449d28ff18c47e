//! The disk of this machine, on a bounded blocking pool.

mod buffers;
mod calls;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::coop::consume_budget;

use super::{
    DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, Metadata, OpenMode, ReadFile, SmallFile, Space,
    WriteFile,
};
use crate::BoxFuture;
use buffers::Buffers;
use calls::{
    NotCached, clone_or_copy, entry_at, is_in_memory, missing_is_fine, names_after, open_regular,
    read_cached, read_small, read_small_cached, read_up_to, stat, write_small,
};

/// Longest read that is tried without the pool, in bytes: two batches of a sender, or a tenth of a
/// millisecond.
const CACHED_LEN_MAX: usize = 512 << 10;

/// Most small files that are tried without the pool: opening one takes some microseconds.
const CACHED_FILES_MAX: usize = 16;

/// The file systems of this machine. Paths are taken as they are.
///
/// Every operation runs on tokio's blocking pool, but for reads of what is in memory already, so it must
/// be called within a tokio runtime. A bounded number of them is under way at once; the rest wait in
/// order. A symbolic link at the end of a path is never followed, and only regular files open.
#[derive(Debug, Clone)]
pub struct RealDisk {
    slots: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    /// A file system was met that cannot tell what is in memory, and where even opening a file may ask
    /// somebody else: small files are for the pool from then on.
    elsewhere: Arc<AtomicBool>,
}

impl RealDisk {
    /// A disk with four operations under way per core: operations wait for the device rather than
    /// for a core, and a queue of that depth keeps an NVMe device busy, while tokio's own limit (512
    /// threads) stays far away.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_limit(NonZeroUsize::MIN.saturating_add(4 * cores - 1))
    }

    /// A disk with at most `limit` operations under way. Each takes a thread while it lasts.
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        let slots = Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS)));
        Self { slots, buffers: Arc::default(), elsewhere: Arc::default() }
    }

    /// Runs `work` on `path` on the pool. The slot stays taken until the work has ended, also when
    /// nobody waits for it any more.
    fn run<'a, T, F>(
        &self,
        operation: &'static str,
        path: &Path,
        work: F,
    ) -> BoxFuture<'a, Result<T, DiskError>>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> io::Result<T> + Send + 'static,
    {
        let (slots, path) = (self.slots.clone(), path.to_owned());
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(|_| gone(operation, &path))?;
            let of = path.clone();
            let job = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                work(&of).map_err(|error| DiskError::new(operation, &of, &error))
            });
            job.await.unwrap_or_else(|_| Err(gone(operation, &path)))
        })
    }

    /// The first of some small files, as long as they are in memory. Of many, and of long ones, none:
    /// one trip to the pool is nothing to them.
    fn cached_files(&self, files: &[ReadFile]) -> Vec<Result<SmallFile, DiskError>> {
        let mut read = Vec::with_capacity(files.len());
        if files.len() > CACHED_FILES_MAX || self.elsewhere.load(Ordering::Relaxed) {
            return read;
        }
        let mut room = CACHED_LEN_MAX;
        for file in files {
            match read_small_cached(file, room, &self.buffers) {
                Ok(found) => {
                    room -= found.bytes.len();
                    read.push(Ok(found));
                }
                Err(NotCached::Maybe) => return read,
                Err(NotCached::NobodyKnows) => {
                    self.elsewhere.store(true, Ordering::Relaxed);
                    return read;
                }
            }
        }
        read
    }
}

impl Default for RealDisk {
    fn default() -> Self {
        Self::new()
    }
}

fn gone(operation: &'static str, path: &Path) -> DiskError {
    let why = "the runtime is shutting down".into();
    DiskError { operation, path: path.to_owned(), kind: DiskErrorKind::Other, why }
}

impl Disk for RealDisk {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        let opened = self.run("open", path, move |path| {
            let (file, _) = open_regular(path, mode)?;
            let in_memory = is_in_memory(&file);
            Ok((file, in_memory))
        });
        let (disk, path) = (self.clone(), path.to_owned());
        Box::pin(async move {
            let (file, in_memory) = opened.await?;
            let file = Arc::new(file);
            Ok(Arc::new(RealFile { disk, path, file, in_memory, writes: Mutex::default() })
                as Arc<dyn DiskFile>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.run("stat", path, stat)
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        let after = after.map(OsStr::to_owned);
        self.run("list", path, move |path| {
            let names = names_after(path, after.as_deref(), limit)?;
            names.into_iter().filter_map(|name| entry_at(path, name).transpose()).collect()
        })
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("create directory", path, |path| fs::create_dir_all(path))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        let to = to.to_owned();
        self.run("rename", from, move |from| fs::rename(from, to))
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        let to = to.to_owned();
        self.run("link", from, move |from| fs::hard_link(from, to))
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        let to = to.to_owned();
        self.run("copy", from, move |from| clone_or_copy(from, &to))
    }

    fn read_files(&self, mut files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        Box::pin(async move {
            consume_budget().await;
            let mut read = self.cached_files(&files);
            files.drain(..read.len());
            let Some(first) = files.first().map(|file| file.path.clone()) else { return read };
            let (count, buffers) = (files.len(), self.buffers.clone());
            let work =
                move |_: &Path| Ok(files.iter().map(|file| read_small(file, &buffers)).collect::<Vec<_>>());
            let rest = self.run("read", &first, work).await;
            read.extend(rest.unwrap_or_else(|error| vec![Err(error); count]));
            read
        })
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        let of = files.first().map(|file| file.path.clone()).unwrap_or_default();
        let job = self.run("write", &of, move |_| Ok(files.iter().try_for_each(write_small)));
        Box::pin(async move { job.await? })
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("remove", path, |path| missing_is_fine(fs::remove_file(path)))
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("remove directory", path, |path| missing_is_fine(fs::remove_dir_all(path)))
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("sync directory", path, |path| File::open(path)?.sync_all())
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("sync file system of", path, |path| Ok(rustix::fs::syncfs(File::open(path)?)?))
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.run("measure", path, |path| {
            let found = rustix::fs::statvfs(path)?;
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
        })
    }
}

#[derive(Debug)]
struct RealFile {
    disk: RealDisk,
    path: PathBuf,
    file: Arc<File>,
    in_memory: bool,
    /// File systems let one writer of a file in at a time, and others spin meanwhile: up to a tenth of a
    /// receiver's CPU. Those who wait here cost nothing. It only saves time: a write that is abandoned goes
    /// on without it, beside whoever comes next.
    writes: Mutex<()>,
}

impl RealFile {
    /// What is to be read, if all of it is in memory. That costs a copy and no other thread.
    fn cached(&self, offset: u64, len: usize) -> Option<Bytes> {
        if len > CACHED_LEN_MAX {
            return None;
        }
        let read =
            self.disk.buffers.fill(len, |buffer| read_cached(&self.file, self.in_memory, offset, buffer));
        read.ok().filter(|bytes| bytes.len() == len || self.in_memory)
    }

    fn run<T, F>(&self, operation: &'static str, work: F) -> BoxFuture<'_, Result<T, DiskError>>
    where
        T: Send + 'static,
        F: FnOnce(&File) -> io::Result<T> + Send + 'static,
    {
        let file = self.file.clone();
        self.disk.run(operation, &self.path, move |_| work(&file))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        Box::pin(async move {
            consume_budget().await;
            if let Some(bytes) = self.cached(offset, len) {
                return Ok(bytes);
            }
            let buffers = self.disk.buffers.clone();
            self.run("read", move |file| buffers.fill(len, |buffer| read_up_to(file, offset, buffer))).await
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        let write = self.run("write", move |file| file.write_all_at(&bytes, offset));
        Box::pin(async move {
            let _turn = self.writes.lock().await;
            write.await
        })
    }

    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        self.run("stat", |file| Ok(file.metadata()?.len()))
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        self.run("truncate", move |file| file.set_len(len))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        self.run("sync", File::sync_all)
    }
}

#[cfg(test)]
#[path = "real/tests.rs"]
mod tests;
