//! A donor whose files fail, shrink, grow or vanish after they were announced: each ends in its own
//! error, by name, with everything else staged.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::snapshot::{
    BoxFuture, DirectorySource, DiskError, MemoryStore, Overlay, RealDisk, Snapshot, Source, SourceError,
    offload::Inline,
};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{ChunkSize, EntryKey, Ordinal, PageToken, Selector, ShardId};
use peerstream_engine::{BadChunk, EngineConfig, ShardOutcome};

use crate::pair::{Pair, content, key, shard, within};

const CHUNK: usize = 1024;
const FILES: [(&str, usize); 4] = [("a", 700), ("big", 5 * CHUNK + 9), ("m", 800), ("z", 900)];

fn size() -> ChunkSize {
    ChunkSize::new(CHUNK as u64).unwrap()
}

/// Quick to give up: these tests run in real time where they read real files.
fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.opens_per_peer = 1;
    config.recovery.back_off.first = Duration::from_millis(1);
    config.recovery.back_off.cap = Duration::from_millis(1);
    config
}

/// Brings the shard up from `source`: what is missing, and how many bytes of content were stored.
async fn missing(source: Arc<dyn Source>) -> (Vec<BadChunk>, u64) {
    let sink = MemoryStore::with_chunk_size(size());
    let pair = Pair::new(&MemoryNetwork::new(), config(), source, Arc::new(sink.clone()));
    let outcome = pair.bring_up().await;
    assert!(sink.published(&shard()).is_none());
    let ShardOutcome::Incomplete { bad, count: 1 } = &outcome.shards[0].outcome else {
        panic!("{outcome:?}")
    };
    (bad.clone(), sink.stats().bytes_stored)
}

/// A source whose disk cannot read some entries.
#[derive(Debug)]
struct Broken {
    store: MemoryStore,
    bad: Arc<Mutex<BTreeSet<EntryKey>>>,
}

#[derive(Debug)]
struct BrokenSnapshot {
    inner: Arc<dyn Snapshot>,
    bad: Arc<Mutex<BTreeSet<EntryKey>>>,
}

impl Source for Broken {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let (inner, bad) = (self.store.open(shard, selector).await?, self.bad.clone());
            Ok(Arc::new(BrokenSnapshot { inner, bad }) as Arc<dyn Snapshot>)
        })
    }
}

impl Overlay for BrokenSnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.inner
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let entry = self.inner.entries(ordinal, 1).await?.remove(0);
            let is_bad = self.bad.lock().unwrap().contains(&entry.key);
            // Of a large entry, the first chunk can be read.
            let is_first_chunk = offset == 0 && entry.len > CHUNK as u64;
            if is_bad && !is_first_chunk {
                let error = std::io::Error::other("bad sector");
                let path = entry.key.to_string();
                return Err(DiskError::new("read", Path::new(&path), &error).into());
            }
            self.inner.read(ordinal, offset, len).await
        })
    }
}

/// G-25, F-33, D8: a disk error costs its entry, also in the middle of it and in the middle of a batch.
#[tokio::test(start_paused = true)]
async fn a_disk_error_costs_its_entry() {
    within(async {
        let total: usize = FILES.iter().map(|(_, len)| len).sum();
        for (name, kept) in [("m", 0), ("big", CHUNK)] {
            let store = MemoryStore::with_chunk_size(size());
            for (file, len) in FILES {
                store.put(&shard(), key(file), content(len), Vec::new());
            }
            let bad = Arc::new(Mutex::new(BTreeSet::from([key(name)])));
            let (missing, stored) = missing(Arc::new(Broken { store, bad })).await;
            assert!(missing.iter().all(|bad| bad.key == key(name)), "{missing:?}");
            assert!(missing[0].why.contains("bad sector"), "{missing:?}");
            let lost = FILES.iter().find(|(file, _)| *file == name).map_or(0, |(_, len)| len - kept);
            assert_eq!(stored, (total - lost) as u64, "everything else is staged");
        }
    })
    .await;
}

/// Serves real files, does something to one of them after they were hashed, and brings the shard up.
async fn changed(name: &str, change: impl FnOnce(&Path)) -> (Vec<BadChunk>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let (files, work) = (dir.path().join("files"), dir.path().join("work"));
    fs::create_dir_all(&files).unwrap();
    for (file, len) in FILES {
        fs::write(files.join(file), content(len)).unwrap();
    }
    let source = DirectorySource::with_seams(work, Arc::new(RealDisk::new()), Arc::new(Inline), size());
    source.serve(&shard(), &files, None, Vec::new()).unwrap();
    // Kept open, so that the change comes after everything was announced.
    let snapshot = source.open(&shard(), &Selector::All).await.unwrap();
    let mut token = Some(PageToken::START);
    while let Some(from) = token {
        token = snapshot.page(&from, 100).await.unwrap().next;
    }
    change(&files.join(name));
    missing(Arc::new(Announced(snapshot))).await
}

/// Offers a snapshot that was opened before.
#[derive(Debug)]
struct Announced(Arc<dyn Snapshot>);

impl Source for Announced {
    fn open<'a>(
        &'a self,
        _shard: &'a ShardId,
        _selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

fn stored_without(name: &str) -> u64 {
    let others = FILES.iter().filter(|(file, _)| *file != name);
    others.map(|(_, len)| *len as u64).sum()
}

/// F-34, F-53: a file that was cut short is not served as it is now, nor as nothing.
#[tokio::test]
async fn a_file_that_shrank_is_named() {
    for name in ["m", "big"] {
        let shrink = |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
        let (missing, stored) = changed(name, shrink).await;
        assert_eq!(missing[0].key, key(name));
        assert!(missing[0].why.contains("changed under its manifest"), "{missing:?}");
        assert_eq!(stored, stored_without(name), "everything else is staged");
    }
}

/// F-53: of a file that grows, what was announced is not what is there.
#[tokio::test]
async fn a_file_that_grew_is_named() {
    for (name, len) in [("m", 800), ("big", 5 * CHUNK + 9)] {
        let grow = |path: &Path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(len as u64 + 1).unwrap();
        };
        let (missing, stored) = changed(name, grow).await;
        assert_eq!(missing[0].key, key(name));
        assert!(missing[0].why.contains("changed under its manifest"), "{missing:?}");
        assert!(stored >= stored_without(name), "everything else is staged");
    }
}

/// F-53: a file that is gone costs itself, and the reason names it.
#[tokio::test]
async fn a_file_that_vanished_is_named() {
    for name in ["m", "big"] {
        let (missing, stored) = changed(name, |path| fs::remove_file(path).unwrap()).await;
        assert_eq!(missing[0].key, key(name));
        assert!(missing[0].why.contains(name), "{missing:?}");
        assert_eq!(stored, stored_without(name), "everything else is staged");
    }
}
