//! Writes whose caller went away before they happened: a pool carries them out later, or never. Syncs that
//! fail, or whose caller went away: the system forgets what it should have written.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::future::{pending, ready};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion};
use peerstream_snapshot::disk::crash::{CrashDisk, Survival};
use peerstream_snapshot::disk::{DirEntry, Metadata, OpenMode, ReadFile, SmallFile, Space, WriteFile};
use peerstream_snapshot::{BoxFuture, Disk, DiskError, DiskFile, Fence, Sink};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Selector};

use crate::common::{Offer, all_of, key, points, read, shard};

type Late = Arc<Mutex<State>>;

#[derive(Debug, Default)]
struct State {
    /// Whether the next write is put off.
    armed: bool,
    put_off: Option<(Arc<dyn DiskFile>, u64, Bytes)>,
    /// What becomes of the next sync.
    sync: Option<Sync>,
    /// Files whose syncs say that they are good and do nothing, after one that was not.
    forgotten: BTreeSet<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum Sync {
    Fails,
    Waits,
}

#[derive(Debug, Clone)]
struct LateDisk(CrashDisk, Late);

#[derive(Debug)]
struct LateFile(Arc<dyn DiskFile>, PathBuf, Late);

type Result<T> = std::result::Result<T, DiskError>;

impl Disk for LateDisk {
    fn open<'a>(&'a self, path: &'a Path, mode: OpenMode) -> BoxFuture<'a, Result<Arc<dyn DiskFile>>> {
        Box::pin(async move {
            let file = self.0.open(path, mode).await?;
            Ok(Arc::new(LateFile(file, path.to_owned(), self.1.clone())) as Arc<dyn DiskFile>)
        })
    }
    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>>> {
        self.0.metadata(path)
    }
    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>>> {
        self.0.list(path, after, limit)
    }
    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.create_dir_all(path)
    }
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.rename(from, to)
    }
    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.hard_link(from, to)
    }
    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.clone_file(from, to)
    }
    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile>>> {
        self.0.read_files(files)
    }
    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<()>> {
        self.0.write_files(files)
    }
    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.remove_file(path)
    }
    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.remove_dir_all(path)
    }
    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.sync_dir(path)
    }
    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        self.0.sync_fs(path)
    }
    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space>> {
        self.0.space(path)
    }
}

impl DiskFile for LateFile {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes>> {
        self.0.read_at(offset, len)
    }
    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let mut state = self.2.lock().unwrap();
        if std::mem::take(&mut state.armed) {
            state.put_off = Some((self.0.clone(), offset, bytes));
            return Box::pin(pending());
        }
        self.0.write_at(offset, bytes)
    }
    fn len(&self) -> BoxFuture<'_, Result<u64>> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<()>> {
        self.0.set_len(len)
    }
    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        let mut state = self.2.lock().unwrap();
        if state.forgotten.contains(&self.1) {
            return Box::pin(ready(Ok(())));
        }
        let Some(sync) = state.sync.take() else { return self.0.sync() };
        state.forgotten.insert(self.1.clone());
        match sync {
            Sync::Fails => Box::pin(ready(Err(DiskError::new("sync", &self.1, &Error::other("it failed"))))),
            Sync::Waits => Box::pin(pending()),
        }
    }
}

/// F-30: an abandoned write that the disk carries out late destroys nothing that was written since.
#[tokio::test]
async fn an_abandoned_write_destroys_nothing() {
    let (crash, late) = (CrashDisk::new(), Late::default());
    let options = || BlockOptions::new(SeriesUnion);
    let store = BlockStore::on_disk(Arc::new(LateDisk(crash.clone(), late.clone())), "blocks", options());
    store.create(&shard()).await.unwrap();
    let write =
        async |series, at| store.write(&shard(), &key(series, 0), &points(1, &[(at, "w")])).await.unwrap();
    write("cpu", 0).await;
    late.lock().unwrap().armed = true;
    tokio::select! {
        biased;
        () = write("cpu", 1) => panic!("it is put off"),
        () = tokio::task::yield_now() => {}
    }
    write("cpu", 2).await;
    write("mem", 0).await;
    let (file, offset, bytes) = late.lock().unwrap().put_off.take().unwrap();
    file.write_at(offset, bytes).await.unwrap();

    let cpu = vec![(0, "w".into()), (2, "w".into())];
    assert_eq!(read(&store, &key("cpu", 0)).await, Some(cpu.clone()));
    drop(store);
    let again = BlockStore::on_disk(Arc::new(crash.kill()), "blocks", options());
    assert_eq!(read(&again, &key("cpu", 0)).await, Some(cpu));
    assert_eq!(read(&again, &key("mem", 0)).await, Some(vec![(0, "w".into())]));
}

/// A store with one block that is flushed and one whose flush failed, or was abandoned.
async fn half_flushed(disk: &CrashDisk, sync: Sync) -> BlockStore {
    let late = Late::default();
    let disk = Arc::new(LateDisk(disk.clone(), late.clone()));
    let store = BlockStore::on_disk(disk, "blocks", BlockOptions::new(SeriesUnion));
    store.create(&shard()).await.unwrap();
    store.write(&shard(), &key("cpu", 0), &points(1, &[(0, "w")])).await.unwrap();
    store.flush(&shard()).await.unwrap();
    store.write(&shard(), &key("mem", 0), &points(1, &[(0, "w")])).await.unwrap();
    late.lock().unwrap().sync = Some(sync);
    let metrics = shard();
    let flush = store.flush(&metrics);
    tokio::select! {
        biased;
        done = flush => drop(done.unwrap_err()),
        () = tokio::task::yield_now() => {}
    }
    store
}

/// A flush after one that failed, or was abandoned, is good: it does not believe that the system still knows
/// what it should have written.
#[tokio::test]
async fn a_flush_after_one_that_failed_is_good() {
    for sync in [Sync::Fails, Sync::Waits] {
        let disk = CrashDisk::new();
        let store = half_flushed(&disk, sync).await;
        store.flush(&shard()).await.unwrap();
        drop(store);
        let disk = disk.crash(Survival::Nothing);
        let again = BlockStore::on_disk(Arc::new(disk), "blocks", BlockOptions::new(SeriesUnion));
        for series in ["cpu", "mem"] {
            let block = read(&again, &key(series, 0)).await;
            assert_eq!(block, Some(vec![(0, "w".into())]), "{series}, {sync:?}");
        }
    }
}

/// What the system has dropped is not taken for flushed; what was flushed before is there after a restart.
#[tokio::test]
async fn what_was_dropped_is_not_flushed() {
    for sync in [Sync::Fails, Sync::Waits] {
        let disk = CrashDisk::new();
        let store = half_flushed(&disk, sync).await;
        let log = Path::new("blocks/metrics@1/0.1");
        let len = disk.metadata(log).await.unwrap().unwrap().len;
        disk.flip(log, 8 * (len - 1)).unwrap();
        let failed = store.flush(&shard()).await.unwrap_err();
        assert!(failed.to_string().contains("not what was written"), "{failed}");
        drop(store);
        let disk = disk.kill();
        let again = BlockStore::on_disk(Arc::new(disk), "blocks", BlockOptions::new(SeriesUnion));
        assert_eq!(read(&again, &key("cpu", 0)).await, Some(vec![(0, "w".into())]));
        assert_eq!(read(&again, &key("mem", 0)).await, None);
        again.flush(&shard()).await.unwrap();
    }
}

/// Promise 2: a copy whose last chunk came in a call that was abandoned is merged when that chunk comes again;
/// nothing else of it is asked for.
#[tokio::test]
async fn an_abandoned_store_leaves_nothing_unmerged() {
    let options =
        || BlockOptions { chunk_size: ChunkSize::new(1024).unwrap(), ..BlockOptions::new(SeriesUnion) };
    let source = BlockStore::in_memory(options());
    source.create(&shard()).await.unwrap();
    let long: &'static str = "x".repeat(5_000).leak();
    source.write(&shard(), &key("cpu", 0), &points(1, &[(0, long)])).await.unwrap();
    let offer = Offer::of(&source).await;
    let late = Late::default();
    let disk = Arc::new(LateDisk(CrashDisk::new(), late.clone()));
    let store = BlockStore::on_disk(disk, "blocks", options());
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let chunks = offer.chunks(&offer.entries[0], &offer.entries[0]).await;
    late.lock().unwrap().armed = true;
    tokio::select! {
        biased;
        done = staging.store(chunks) => panic!("it is put off: {done:?}"),
        () = tokio::task::yield_now() => {}
    }
    staging.begin(&offer.header).await.unwrap();
    let held = staging.admit(offer.entries.clone()).await.unwrap();
    assert_eq!(held[0].chunks, [ChunkRange { first: ChunkIndex(0), count: 4 }]);
    let chunks = offer.chunks(&offer.entries[0], &offer.entries[0]).await;
    staging.store(chunks[4..].to_vec()).await.unwrap();
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(all_of(&store).await, all_of(&source).await);
}
