//! The facts that hold for every source hold for checkpoints of a live directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerstream_types::{Position, ShardId, WallClock};

use super::*;
use crate::conformance::{Harness, Seed, Subject, facts};
use crate::{BlockingPool, BoxFuture, DirectorySource, MemoryStore, RealDisk, Sink, Source};

/// A host whose live content is a plain directory, with a log and a state besides.
#[derive(Debug)]
struct Host {
    shard: ShardId,
    tree: TreeCheckpointer,
    position: Option<Position>,
    state: Vec<u8>,
}

impl Checkpointer for Host {
    fn position<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<Position>, CheckpointError>> {
        let held = *shard == self.shard;
        let position = if held { Ok(self.position.clone()) } else { Err(CheckpointError::NoSuchShard) };
        Box::pin(std::future::ready(position))
    }

    fn checkpoint<'a>(
        &'a self,
        shard: &'a ShardId,
        dir: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<u8>, CheckpointError>> {
        Box::pin(async move {
            self.tree.checkpoint(shard, dir).await?;
            Ok(self.state.clone())
        })
    }
}

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        0
    }
}

struct Live(tempfile::TempDir);

impl Live {
    fn dir(&self) -> PathBuf {
        tempfile::tempdir_in(self.0.path()).unwrap().keep()
    }
}

impl Harness for Live {
    fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>> {
        let (live, root) = (self.dir(), self.dir());
        for (key, content) in &seed.entries {
            let path = live.join(key.as_path().unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let disk = Arc::new(RealDisk::new());
        let tree = TreeCheckpointer::new(disk.clone(), TreeRules::default());
        tree.add(&seed.shard, live);
        let (position, state) = (seed.position.clone(), seed.state.clone());
        let offload = Arc::new(BlockingPool::new());
        let directory = DirectorySource::with_seams(self.dir(), disk.clone(), offload, seed.chunk_size);
        let parts = CheckpointParts {
            checkpointer: Arc::new(Host { shard: seed.shard.clone(), tree, position, state }),
            directory: Arc::new(directory),
            disk,
            clock: Arc::new(Stopped),
        };
        Box::pin(async move {
            let source = CheckpointSource::at(root, parts, CheckpointSettings::default()).await.unwrap();
            Arc::new(source) as Arc<dyn Source>
        })
    }

    fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>> {
        Box::pin(async { Box::new(Received(MemoryStore::new())) as Box<dyn Subject> })
    }
}

struct Received(MemoryStore);

impl Subject for Received {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_source_keeps_to_the_contract() {
    let live = Live(tempfile::tempdir().unwrap());
    for fact in facts() {
        println!("{fact:?}");
        (fact.check)(&live).await;
    }
}
