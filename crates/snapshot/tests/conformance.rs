//! The facts of `conformance`, against the stores of this crate.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::path::Path;
use std::sync::Arc;

use peerstream_snapshot::conformance::{Harness, Seed, Subject, facts};
use peerstream_snapshot::disk::crash::{CrashDisk, Survival};
use peerstream_snapshot::disk::{Disk, OpenMode};
use peerstream_snapshot::offload::Inline;
use peerstream_snapshot::{
    BlockingPool, BoxFuture, DirectorySource, DirectoryStore, MemoryStore, RealDisk, Sink, Source,
};
use tempfile::TempDir;

struct Memory(MemoryStore);

impl Harness for Memory {
    fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>> {
        let store = MemoryStore::with_chunk_size(seed.chunk_size);
        store.create(&seed.shard);
        for (key, content) in &seed.entries {
            store.put(&seed.shard, key.clone(), content.clone(), Vec::new());
        }
        store.set_position(&seed.shard, seed.position.clone());
        store.set_state(&seed.shard, seed.state.clone());
        Box::pin(async move { Arc::new(store) as Arc<dyn Source> })
    }

    fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>> {
        Box::pin(async { Box::new(Self(MemoryStore::new())) as Box<dyn Subject> })
    }
}

impl Subject for Memory {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.0.clone())
    }

    fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(self.0.clone())
    }

    fn restart(self: Box<Self>) -> BoxFuture<'static, Box<dyn Subject>> {
        Box::pin(async { self as Box<dyn Subject> })
    }
}

/// Makes directories below one that is removed at the end.
struct Directories(TempDir);

struct Directory {
    root: TempDir,
    store: Arc<DirectoryStore>,
}

async fn open(root: &Path) -> Arc<DirectoryStore> {
    let (disk, offload) = (Arc::new(RealDisk::new()), Arc::new(BlockingPool::new()));
    let store = DirectoryStore::open(root, disk, offload).await.unwrap();
    assert_eq!(store.faults(), []);
    Arc::new(store)
}

impl Harness for Directories {
    fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>> {
        let dir = TempDir::new_in(self.0.path()).unwrap().keep();
        for (key, content) in &seed.entries {
            let path = dir.join(key.as_path().unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (disk, offload) = (Arc::new(RealDisk::new()), Arc::new(BlockingPool::new()));
        let work = TempDir::new_in(self.0.path()).unwrap().keep();
        let source = DirectorySource::with_seams(work, disk, offload, seed.chunk_size);
        source.serve(&seed.shard, dir, seed.position.clone(), seed.state.clone()).unwrap();
        Box::pin(async move { Arc::new(source) as Arc<dyn Source> })
    }

    fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>> {
        Box::pin(async {
            let root = TempDir::new_in(self.0.path()).unwrap();
            let store = open(root.path()).await;
            Box::new(Directory { root, store }) as Box<dyn Subject>
        })
    }
}

impl Subject for Directory {
    fn source(&self) -> Arc<dyn Source> {
        self.store.clone()
    }

    fn sink(&self) -> Arc<dyn Sink> {
        self.store.clone()
    }

    fn restart(self: Box<Self>) -> BoxFuture<'static, Box<dyn Subject>> {
        Box::pin(async {
            let Self { root, store } = *self;
            drop(store);
            let store = open(root.path()).await;
            Box::new(Self { root, store }) as Box<dyn Subject>
        })
    }
}

/// Machines whose disks crash, each restart in one way.
#[derive(Clone, Copy)]
struct Crashing {
    restart: fn(&CrashDisk) -> CrashDisk,
}

struct Crashed {
    disk: CrashDisk,
    store: Arc<DirectoryStore>,
    how: Crashing,
}

impl Crashing {
    async fn open(self, disk: CrashDisk) -> Box<dyn Subject> {
        let store = DirectoryStore::open("/store", Arc::new(disk.clone()), Arc::new(Inline)).await.unwrap();
        assert_eq!(store.faults(), []);
        Box::new(Crashed { disk, store: Arc::new(store), how: self })
    }
}

impl Harness for Crashing {
    fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>> {
        Box::pin(async {
            let disk = CrashDisk::new();
            disk.create_dir_all(Path::new("/seed")).await.unwrap();
            for (key, content) in &seed.entries {
                let path = Path::new("/seed").join(key.as_path().unwrap());
                disk.create_dir_all(path.parent().unwrap()).await.unwrap();
                let file = disk.open(&path, OpenMode::Create).await.unwrap();
                file.write_at(0, content.clone()).await.unwrap();
            }
            let (disk, offload) = (Arc::new(disk), Arc::new(Inline));
            let source = DirectorySource::with_seams("/work", disk, offload, seed.chunk_size);
            source.serve(&seed.shard, "/seed", seed.position.clone(), seed.state.clone()).unwrap();
            Arc::new(source) as Arc<dyn Source>
        })
    }

    fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>> {
        Box::pin(self.open(CrashDisk::new()))
    }
}

impl Subject for Crashed {
    fn source(&self) -> Arc<dyn Source> {
        self.store.clone()
    }

    fn sink(&self) -> Arc<dyn Sink> {
        self.store.clone()
    }

    fn restart(self: Box<Self>) -> BoxFuture<'static, Box<dyn Subject>> {
        Box::pin(async {
            let Self { disk, store, how } = *self;
            let disk = (how.restart)(&disk);
            drop(store);
            how.open(disk).await
        })
    }
}

#[tokio::test]
async fn the_memory_store_keeps_every_fact() {
    for fact in facts() {
        println!("{fact:?}");
        (fact.check)(&Memory(MemoryStore::new())).await;
    }
}

#[tokio::test]
async fn the_directory_store_keeps_every_fact() {
    for fact in facts() {
        println!("{fact:?}");
        (fact.check)(&Directories(TempDir::new().unwrap())).await;
    }
}

#[tokio::test]
async fn the_directory_store_keeps_every_fact_when_its_process_is_killed() {
    for fact in facts() {
        println!("{fact:?}");
        (fact.check)(&Crashing { restart: CrashDisk::kill }).await;
    }
}

/// After a power loss only what a checkpoint, a seal or a publish made durable has to be there.
#[tokio::test]
async fn the_directory_store_keeps_every_fact_when_the_power_goes() {
    let ways: [fn(&CrashDisk) -> CrashDisk; 3] = [
        |disk| disk.crash(Survival::Nothing),
        |disk| disk.crash(Survival::Everything),
        |disk| disk.crash(Survival::Mixture(7)),
    ];
    for restart in ways {
        for fact in facts().into_iter().filter(|fact| fact.name != "chunks_outlive_a_restart") {
            println!("{fact:?}");
            (fact.check)(&Crashing { restart }).await;
        }
    }
}
