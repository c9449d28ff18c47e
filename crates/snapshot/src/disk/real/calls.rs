//! System calls behind the real disk, each a plain function.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use super::super::{
    DirEntry, DiskError, FileId, FileKind, Metadata, OpenMode, ReadFile, SmallFile, WriteFile,
};
use super::buffers::Buffers;

/// Opens a file, and says what it is. `NONBLOCK` because opening a pipe would wait for its other end; it
/// means nothing for files.
pub(super) fn open_regular(path: &Path, mode: OpenMode) -> io::Result<(File, fs::Metadata)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let write = mode != OpenMode::Read;
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(mode == OpenMode::Create).custom_flags(flags);
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, found))
}

fn kind_of(kind: fs::FileType) -> FileKind {
    match kind {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Dir,
        _ => FileKind::Other,
    }
}

pub(super) fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn metadata_of(found: &fs::Metadata) -> Metadata {
    let modified_ns = found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec());
    let id = FileId { device: found.dev(), inode: found.ino() };
    Metadata { kind: kind_of(found.file_type()), len: found.len(), id, modified_ns }
}

/// What is at a path, if anything is.
pub(super) fn stat(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(metadata_of(&found))),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The smallest `limit` names after `after`, ascending.
pub(super) fn names_after(path: &Path, after: Option<&OsStr>, limit: usize) -> io::Result<Vec<OsString>> {
    let after = after.map(OsStr::as_encoded_bytes);
    let mut smallest: BinaryHeap<Vec<u8>> = BinaryHeap::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if after.is_some_and(|after| bytes <= after) {
            continue;
        }
        if smallest.len() < limit {
            smallest.push(bytes.to_vec());
        } else if smallest.peek().is_some_and(|largest| bytes < &largest[..]) {
            smallest.pop();
            smallest.push(bytes.to_vec());
        }
    }
    Ok(smallest.into_sorted_vec().into_iter().map(OsString::from_vec).collect())
}

/// A name with what stands there; `None` if it is gone by now.
pub(super) fn entry_at(path: &Path, name: OsString) -> io::Result<Option<DirEntry>> {
    match fs::symlink_metadata(path.join(&name)) {
        Ok(found) => Ok(Some(DirEntry { name, metadata: metadata_of(&found) })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shares the blocks if the file system can, or copies the bytes.
pub(super) fn clone_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    let (source, _) = open_regular(from, OpenMode::Read)?;
    let mut copy = File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(&copy, &source).is_ok() {
        return Ok(());
    }
    io::copy(&mut &source, &mut copy).map(drop)
}

/// Reads a small file, and looks at it afterwards. The limit may be far above the length, so the buffer
/// is no longer than the file.
pub(super) fn read_small(file: &ReadFile, buffers: &Arc<Buffers>) -> Result<SmallFile, DiskError> {
    let read = |path: &Path| {
        let (open, found) = open_regular(path, OpenMode::Read)?;
        let len = usize::try_from(found.len()).unwrap_or(usize::MAX).min(file.limit);
        let bytes = buffers.fill(len, |buffer| read_up_to(&open, 0, buffer))?;
        Ok(SmallFile { bytes, metadata: metadata_of(&open.metadata()?) })
    };
    read(&file.path).map_err(|error| DiskError::new("read", &file.path, &error))
}

/// Why a small file was not read from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotCached {
    /// It is not there, or fails: [`read_small`] tells.
    Maybe,
    /// The file system cannot say what is there.
    NobodyKnows,
}

/// Reads a small file if its name and all that is asked for of it, at most `room` bytes, are in memory.
pub(super) fn read_small_cached(
    file: &ReadFile,
    room: usize,
    buffers: &Arc<Buffers>,
) -> Result<SmallFile, NotCached> {
    let open = open_cached(&file.path).ok_or(NotCached::Maybe)?;
    let found = open.metadata().ok().filter(fs::Metadata::is_file).ok_or(NotCached::Maybe)?;
    let len = usize::try_from(found.len()).unwrap_or(usize::MAX).min(file.limit);
    if len > room {
        return Err(NotCached::Maybe);
    }
    let read = |in_memory| buffers.fill(len, |buffer| read_cached(&open, in_memory, 0, buffer));
    let bytes = read(false).or_else(|error| {
        if error.raw_os_error() != Some(Errno::OPNOTSUPP.raw_os_error()) {
            return Err(NotCached::Maybe);
        }
        if !is_in_memory(&open) {
            return Err(NotCached::NobodyKnows);
        }
        read(true).map_err(|_| NotCached::Maybe)
    })?;
    // Found shorter than it was a moment ago, it is not what it was.
    let metadata = metadata_of(&open.metadata().map_err(|_| NotCached::Maybe)?);
    if bytes.len() == len { Ok(SmallFile { bytes, metadata }) } else { Err(NotCached::Maybe) }
}

/// Opens a file if its name is in memory: for a file system of this machine, without a wait.
fn open_cached(path: &Path) -> Option<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let (mode, resolve) = (rustix::fs::Mode::empty(), rustix::fs::ResolveFlags::CACHED);
    rustix::fs::openat2(rustix::fs::CWD, path, flags, mode, resolve).ok().map(File::from)
}

pub(super) fn write_small(file: &WriteFile) -> Result<(), DiskError> {
    let write = |path: &Path| File::create_new(path)?.write_all_at(&file.content, 0);
    write(&file.path).map_err(|error| DiskError::new("write", &file.path, &error))
}

/// Whether a file lives in memory and nowhere else, so that no read of it waits for a device. (Pages that
/// were swapped out are the exception; a system that swaps waits everywhere.)
pub(super) fn is_in_memory(file: &File) -> bool {
    // As in linux/magic.h; a file system there has no other way to tell.
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type == TMPFS)
}

/// Fills `buffer` from a file as far as that takes no wait for a device. An error where the system or the
/// file system cannot tell.
pub(super) fn read_cached(file: &File, in_memory: bool, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    if in_memory {
        return read_up_to(file, offset, buffer);
    }
    let mut parts = [IoSliceMut::new(buffer)];
    Ok(rustix::io::preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT)?)
}

/// Fills a buffer, or as much of it as the file has, and says how much that is.
pub(super) fn read_up_to(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
