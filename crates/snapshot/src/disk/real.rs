//! The disk of this machine, on a bounded blocking pool.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::OFlags;
use tokio::sync::Semaphore;

use super::{DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, FileKind, Metadata, OpenMode};
use crate::BoxFuture;

/// The file systems of this machine. Paths are taken as they are.
///
/// Every operation runs on tokio's blocking pool, so it must be called within a tokio runtime. A
/// bounded number of them is under way at once; the rest wait in order. A symbolic link at the end
/// of a path is never followed, and only regular files open.
#[derive(Debug, Clone)]
pub struct RealDisk {
    slots: Arc<Semaphore>,
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
        Self { slots: Arc::new(Semaphore::new(limit.get().min(Semaphore::MAX_PERMITS))) }
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
        let opened = self.run("open", path, move |path| open_regular(path, mode));
        let (disk, path) = (self.clone(), path.to_owned());
        Box::pin(async move {
            let file = Arc::new(opened.await?);
            Ok(Arc::new(RealFile { disk, path, file }) as Arc<dyn DiskFile>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.run("stat", path, |path| {
            let found = match fs::symlink_metadata(path) {
                Ok(found) => found,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            Ok(Some(Metadata { kind: kind_of(found.file_type()), len: found.len() }))
        })
    }

    fn list<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        self.run("list", path, |path| {
            let entry = |entry: io::Result<fs::DirEntry>| {
                let entry = entry?;
                Ok(DirEntry { name: entry.file_name(), kind: kind_of(entry.file_type()?) })
            };
            let mut entries: Vec<DirEntry> = fs::read_dir(path)?.map(entry).collect::<io::Result<_>>()?;
            entries.sort_by(|a, b| a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()));
            Ok(entries)
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

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("remove", path, |path| missing_is_fine(fs::remove_file(path)))
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("remove directory", path, |path| missing_is_fine(fs::remove_dir_all(path)))
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.run("sync directory", path, |path| File::open(path)?.sync_all())
    }
}

/// `NONBLOCK` because opening a pipe would wait for its other end; it means nothing for files.
fn open_regular(path: &Path, mode: OpenMode) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let write = mode != OpenMode::Read;
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(mode == OpenMode::Create).custom_flags(flags);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

fn kind_of(kind: fs::FileType) -> FileKind {
    match kind {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Dir,
        _ => FileKind::Other,
    }
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[derive(Debug)]
struct RealFile {
    disk: RealDisk,
    path: PathBuf,
    file: Arc<File>,
}

impl RealFile {
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
        self.run("read", move |file| read_up_to(file, offset, len))
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        self.run("write", move |file| file.write_all_at(&bytes, offset))
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

fn read_up_to(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

#[cfg(test)]
#[path = "real/tests.rs"]
mod tests;
