//! A node's disk: the crash model, in virtual time.
//!
//! What survives a crash, what fails and what is torn is the model's
//! ([`CrashDisk`]); here it gets a speed, and an end with its
//! process: an operation whose process has ended is not carried out, or its answer is not heard.

mod file;
mod unit;

use std::ffi::OsStr;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peerstream_snapshot::directory::StoreOptions;
use peerstream_snapshot::disk::crash::CrashDisk;
use peerstream_snapshot::disk::{DirEntry, Metadata, OpenMode, ReadFile, SmallFile, Space, WriteFile};
use peerstream_snapshot::{BoxFuture, Disk, DiskError, DiskFile};
use peerstream_types::{ByteCount, ByteRate, WallClock};

use crate::clock::SimWallClock;
use crate::node::{End, Life};
use file::SimFile;
pub(crate) use unit::DiskUnit;

/// A disk and the directory store on it.
#[derive(Debug, Clone)]
pub struct DiskSpec {
    /// What every operation takes. Default 100 µs: a solid-state disk.
    pub latency: Duration,
    /// What it takes to make something durable, beyond that. Default 1 ms.
    pub sync: Duration,
    /// How fast bytes are read and written. Default 500 MiB/s.
    pub rate: ByteRate,
    /// How many bytes all files may hold; default as many as they like.
    pub capacity: Option<ByteCount>,
    /// Settings of the store.
    pub store: StoreOptions,
}

impl Default for DiskSpec {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100),
            sync: Duration::from_millis(1),
            rate: ByteRate::mib_per_sec(500),
            capacity: None,
            store: StoreOptions::default(),
        }
    }
}

/// What an operation takes.
#[derive(Debug, Clone, Copy)]
enum Cost {
    /// Its latency only.
    Look,
    /// These bytes move.
    Bytes(usize),
    /// Something is made durable.
    Sync,
}

/// What a process has of a disk. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    disk: CrashDisk,
    unit: DiskUnit,
    life: Life,
    clock: SimWallClock,
}

impl SimDisk {
    pub(crate) fn new(unit: DiskUnit, life: Life, clock: SimWallClock) -> Self {
        Self { disk: unit.present(), unit, life, clock }
    }

    pub(crate) fn unit(&self) -> &DiskUnit {
        &self.unit
    }

    /// Carries an operation out and takes the time for it.
    async fn operate<T: Answer>(
        &self,
        operation: impl Future<Output = T>,
        cost: impl FnOnce(&T) -> Cost,
    ) -> T {
        self.life
            .through(async {
                let now_ms = i64::try_from(self.clock.unix_ms()).unwrap_or(i64::MAX);
                self.disk.set_time_ns(now_ms.saturating_mul(1_000_000));
                let answer = operation.await;
                if self.disk.stopped().is_some() {
                    self.life.end_node(End::PowerLost);
                } else {
                    answer.errors().for_each(|error| self.unit.count(error));
                    self.unit.take_time(cost(&answer)).await;
                }
                answer
            })
            .await
    }
}

/// What the disk says to an operation.
trait Answer {
    /// What did not go well.
    fn errors(&self) -> impl Iterator<Item = &DiskError>;
}

impl<T> Answer for Result<T, DiskError> {
    fn errors(&self) -> impl Iterator<Item = &DiskError> {
        self.as_ref().err().into_iter()
    }
}

impl<T> Answer for Vec<Result<T, DiskError>> {
    fn errors(&self) -> impl Iterator<Item = &DiskError> {
        self.iter().filter_map(|one| one.as_ref().err())
    }
}

fn look<T>(_: &T) -> Cost {
    Cost::Look
}

fn sync<T>(_: &T) -> Cost {
    Cost::Sync
}

/// Bytes of the answer to a read of many files.
fn bytes_of(files: &[Result<SmallFile, DiskError>]) -> usize {
    files.iter().flatten().map(|file| file.bytes.len()).sum()
}

impl Disk for SimDisk {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        Box::pin(async move {
            let inner = self.operate(self.disk.open(path, mode), look).await?;
            Ok(Arc::new(SimFile::new(self.clone(), inner)) as Arc<dyn DiskFile>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        Box::pin(self.operate(self.disk.metadata(path), look))
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        Box::pin(self.operate(self.disk.list(path, after, limit), look))
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.create_dir_all(path), look))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.rename(from, to), look))
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.hard_link(from, to), look))
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.clone_file(from, to), look))
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        Box::pin(self.operate(self.disk.read_files(files), |read| Cost::Bytes(bytes_of(read))))
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        let bytes = files.iter().map(|file| file.content.len()).sum();
        Box::pin(self.operate(self.disk.write_files(files), move |_| Cost::Bytes(bytes)))
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.remove_file(path), look))
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.remove_dir_all(path), look))
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.sync_dir(path), sync))
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(self.operate(self.disk.sync_fs(path), sync))
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        Box::pin(self.operate(self.disk.space(path), look))
    }
}
