//! The disk seam over the machine.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::CrashDisk;
use super::medium::NodeId;
use crate::BoxFuture;
use crate::disk::{
    DirEntry, Disk, DiskError, DiskErrorKind, DiskFile, Metadata, OpenMode, ReadFile, SmallFile, Space,
    WriteFile,
};

impl Disk for CrashDisk {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        Box::pin(async move {
            let node = self.call(|caller| caller.open(path, mode))?;
            let writable = mode != OpenMode::Read;
            let file = CrashFile { disk: self.clone(), node, path: path.to_owned(), writable };
            Ok(Arc::new(file) as Arc<dyn DiskFile>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        Box::pin(async move { self.call(|caller| caller.metadata(path)) })
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        Box::pin(async move { self.call(|caller| caller.list(path, after, limit)) })
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.create_dir_all(path)) })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.rename(from, to)) })
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.hard_link(from, to)) })
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.clone_file(from, to)) })
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        Box::pin(async move { self.call(|caller| caller.read_files(&files)) })
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.write_files(files)) })
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.remove_file(path)) })
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.remove_dir_all(path)) })
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.sync_dir(path)) })
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move { self.call(|caller| caller.sync_fs(path)) })
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        Box::pin(async move { self.call(|caller| caller.space(path)) })
    }
}

/// An open file of one process.
struct CrashFile {
    disk: CrashDisk,
    node: NodeId,
    path: PathBuf,
    writable: bool,
}

impl CrashFile {
    fn check_writable(&self, operation: &'static str) -> Result<(), DiskError> {
        if self.writable {
            return Ok(());
        }
        let why = "it was opened to read".into();
        Err(DiskError { operation, path: self.path.clone(), kind: DiskErrorKind::Other, why })
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        Box::pin(async move { self.disk.call(|caller| caller.read_at(self.node, &self.path, offset, len)) })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move {
            self.check_writable("write")?;
            self.disk.call(|caller| caller.write_at(self.node, &self.path, offset, bytes))
        })
    }

    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        Box::pin(async move { self.disk.call(|caller| caller.len(self.node, &self.path)) })
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move {
            self.check_writable("truncate")?;
            self.disk.call(|caller| caller.set_len(self.node, &self.path, len))
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move { self.disk.call(|caller| caller.sync(self.node, &self.path)) })
    }
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        self.disk.call(|caller| caller.close(self.node));
    }
}

impl fmt::Debug for CrashFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashFile").field("path", &self.path).finish_non_exhaustive()
    }
}
