//! A disk that promises nothing: for runs in which no contestant makes its data durable.

use std::ffi::OsStr;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_engine::snapshot::disk::{
    DirEntry, Metadata, OpenMode, ReadFile, SmallFile, Space, WriteFile,
};
use peerstream_engine::snapshot::{BoxFuture, Disk, DiskError, DiskFile};

/// Another disk, with every sync left out.
#[derive(Debug)]
pub(crate) struct Unsynced<T: ?Sized>(pub(crate) Arc<T>);

fn nothing_to_do<'a>() -> BoxFuture<'a, Result<(), DiskError>> {
    Box::pin(ready(Ok(())))
}

impl<D: Disk + ?Sized + 'static> Disk for Unsynced<D> {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        Box::pin(async move { Ok(Arc::new(Unsynced(self.0.open(path, mode).await?)) as Arc<dyn DiskFile>) })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.0.metadata(path)
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        self.0.list(path, after, limit)
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.create_dir_all(path)
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.rename(from, to)
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.hard_link(from, to)
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.clone_file(from, to)
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        self.0.read_files(files)
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        self.0.write_files(files)
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.remove_file(path)
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.remove_dir_all(path)
    }

    fn sync_dir<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        nothing_to_do()
    }

    fn sync_fs<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        nothing_to_do()
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.0.space(path)
    }
}

impl<F: DiskFile + ?Sized> DiskFile for Unsynced<F> {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        self.0.read_at(offset, len)
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        self.0.set_len(len)
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        nothing_to_do()
    }
}
