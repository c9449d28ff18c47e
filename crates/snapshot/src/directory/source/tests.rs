//! What a served directory may hold, and what happens when it changes.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use peerstream_types::{ChunkIndex, ChunkRange, Ordinal};

use super::*;
use crate::offload::{Inline, Job};
use crate::{BlockingPool, RealDisk};

/// Counts jobs: one per chunk that is hashed.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Offload for Counting {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inline.run(job)
    }
}

fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

fn serving(dir: &Path, offload: impl Offload + 'static) -> DirectorySource {
    let size = ChunkSize::new(1024).unwrap();
    let source = DirectorySource::with_seams(Arc::new(RealDisk::new()), Arc::new(offload), size);
    source.serve(&shard(), dir, None, Vec::new()).unwrap();
    source
}

async fn open(source: &DirectorySource) -> Result<Arc<dyn Snapshot>, SourceError> {
    source.open(&shard(), &Selector::All).await
}

/// F-60, A31: what would not be accepted elsewhere is refused here, by name.
#[tokio::test]
async fn what_cannot_be_an_entry_is_refused_by_name() {
    type Plant = fn(&Path);
    let plant: [(&str, Plant); 4] = [
        ("sub/link", |at| symlink("/etc/passwd", at.join("sub/link")).unwrap()),
        ("sub/pipe", |at| {
            let (mode, kind) = (rustix::fs::Mode::from_raw_mode(0o600), rustix::fs::FileType::Fifo);
            rustix::fs::mknodat(rustix::fs::CWD, at.join("sub/pipe"), kind, mode, 0).unwrap();
        }),
        ("a:b", |at| std::fs::write(at.join("sub/a:b"), "").unwrap()),
        ("\\xff", |at| std::fs::write(at.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap()),
    ];
    for (name, plant) in plant {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/fine"), "x").unwrap();
        plant(dir.path());
        let error = open(&serving(dir.path(), Inline)).await.unwrap_err();
        assert!(matches!(error, SourceError::BadEntry { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_hashed_again_by_the_next_open() {
    let change: [fn(&Path); 3] = [
        |at| std::fs::write(at, vec![1; 2999]).unwrap(),
        |at| std::fs::write(at, vec![1; 3001]).unwrap(),
        |at| std::fs::remove_file(at).unwrap(),
    ];
    for change in change {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), vec![1; 3000]).unwrap();
        let source = serving(dir.path(), Inline);
        let snapshot = open(&source).await.unwrap();
        change(&dir.path().join("a"));
        let read = snapshot.read(Ordinal(0), 0, 1024).await;
        assert!(matches!(read, Err(SourceError::Changed { .. })), "{read:?}");
        let again = open(&source).await.unwrap();
        assert_ne!(again.header(), snapshot.header());
    }
}

/// A file that grows or shrinks while it is open is noticed where it is read to its end.
#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_noticed() {
    for len in [2000, 4000] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![1; 3000]).unwrap();
        let snapshot = open(&serving(dir.path(), Inline)).await.unwrap();
        snapshot.read(Ordinal(0), 0, 1024).await.unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
        let read = snapshot.read(Ordinal(0), 2048, 952).await;
        assert!(matches!(read, Err(SourceError::Changed { .. })), "{len}: {read:?}");
    }
}

#[tokio::test]
async fn however_many_ask_the_tree_is_hashed_once() {
    let dir = tempfile::tempdir().unwrap();
    for (name, len) in [("a", 0), ("b", 1024), ("c", 5000)] {
        std::fs::write(dir.path().join(name), vec![7; len]).unwrap();
    }
    let count = Counting::default();
    let source = serving(dir.path(), count.clone());
    let part = Selector::Keys { start: None, end: None };
    let (all, shard) = (open(&source), shard());
    let (one, two, three) = tokio::join!(all, open(&source), source.open(&shard, &part));
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    assert_eq!((one.header(), one.header()), (two.header(), three.header()));
    assert_eq!(count.0.load(Ordering::Relaxed), 1 + 1 + 5);
    let all = ChunkRange { first: ChunkIndex(0), count: 5 };
    one.outline(Ordinal(2), 0, all).await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 7, "outlines are kept");
}

#[tokio::test]
async fn what_is_not_served_any_more_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let source = serving(dir.path(), BlockingPool::new());
    assert!(open(&source).await.is_ok());
    source.stop_serving(&shard());
    assert_eq!(open(&source).await.err(), Some(SourceError::NoSuchShard(shard())));
    let large = source.serve(&shard(), dir.path(), None, vec![0; STATE_LEN_MAX + 1]);
    assert!(matches!(large, Err(SourceError::BadEntry { .. })));
}
