//! The disk seam: everything that a store does to files goes through here, so that a simulator can
//! answer with latency, full disks, torn writes and crashes.

mod atomic_file;
pub mod crash;
#[cfg(feature = "tokio")]
mod real;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::BoxFuture;

pub use atomic_file::{read_whole, replace_file};
pub use crash::CrashDisk;
#[cfg(feature = "tokio")]
pub use real::RealDisk;

/// A disk. Paths are absolute or relative to a root that the implementation fixes. No operation is
/// cancel safe: an abandoned one may or may not have happened.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file for reading, or for reading and writing; `Create` makes it if it is missing.
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>>;

    /// What is at `path`, or `None` if nothing is. Symbolic links are not followed.
    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>>;

    /// The first `limit` names in a directory that follow `after`, in byte order: a directory of any
    /// size is listed in bounded memory, at the cost of one pass over it per call.
    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>>;

    /// Makes a directory and its parents; an existing one is fine.
    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Renames within one file system, replacing a file at `to`. Atomic.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Gives the file `from` a second name `to`, which must not exist.
    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Makes `to`, which must not exist, a copy of the file `from` that shares nothing with it as far
    /// as anyone can tell: the blocks themselves are shared where the file system copies on write.
    /// After an error a part of it may be there.
    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Reads many small files in one go, each from its beginning up to its limit. The answers are in
    /// order; one file's failure is its own.
    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>>;

    /// Writes many small files in one go. None of them may exist. The first failure ends it, with
    /// those before it written and a part of that one maybe.
    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Removes a file; a missing one is fine.
    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Removes a directory and all below it; a missing one is fine.
    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Makes the names in a directory durable.
    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// Makes everything durable that was written to the file system that holds `path`: for more files
    /// than one would sync one by one.
    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>>;

    /// How much room there is where `path` is.
    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>>;
}

/// An open file. Positions are given with every call, so that many calls may be under way at once.
#[expect(clippy::len_without_is_empty, reason = "the length is asked of the disk, and nobody asks for less")]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Up to `len` bytes from `offset` on; fewer only at the end of the file.
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>>;

    /// The current length in bytes.
    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>>;

    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>>;

    /// Makes the content durable.
    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    Write,
    /// To read and write; made if missing.
    Create,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link, a device, a socket: nothing that peerstream reads or writes.
    Other,
}

/// What is known of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes, for files.
    pub len: u64,
    /// Which file it is.
    pub id: FileId,
    /// When its content changed last, in nanoseconds since 1970, as the file system keeps it.
    pub modified_ns: i64,
}

/// Names a file on this machine, whatever its paths, as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The device that holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, as the file system has it.
    pub name: OsString,
    /// What stands there.
    pub metadata: Metadata,
}

/// A small file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Where it is.
    pub path: PathBuf,
    /// Most bytes to read of it.
    pub limit: usize,
}

/// What was read of a small file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallFile {
    /// Its content from the beginning, up to the limit.
    pub bytes: Bytes,
    /// What the file was right after that: if it was the same before, this is what it held.
    pub metadata: Metadata,
}

/// A small file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFile {
    /// Where it goes; the directory exists.
    pub path: PathBuf,
    /// All of its content.
    pub content: Bytes,
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// A disk operation failed. Whether it happened is open, unless the kind tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {}: {why}", path.display())]
pub struct DiskError {
    /// What was tried.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What kind of failure it is, where a caller would act differently.
    pub kind: DiskErrorKind,
    /// What the system said.
    pub why: String,
}

/// Kinds of disk failure that call for different actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// Nothing there.
    NotFound,
    /// What was read is not what was written: restore it, or remove it and receive it again.
    Corrupt,
    /// No room: free some, then go on; what is staged is kept.
    Full,
    /// Anything else: the operator has to look at the disk.
    Other,
}

impl DiskError {
    /// Keeps what the system said about an operation on a path.
    pub fn new(operation: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
        let kind = if is(&[ErrorKind::NotFound]) {
            DiskErrorKind::NotFound
        } else if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
            DiskErrorKind::Full
        } else {
            DiskErrorKind::Other
        };
        Self { operation, path: path.to_owned(), kind, why: error.to_string() }
    }

    /// Says that a file does not hold what was written to it.
    pub fn corrupt(path: &Path, why: impl Into<String>) -> Self {
        Self { operation: "decode", path: path.to_owned(), kind: DiskErrorKind::Corrupt, why: why.into() }
    }
}

#[cfg(feature = "tokio")]
#[cfg(test)]
mod tests;
