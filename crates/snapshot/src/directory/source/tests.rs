//! What a served directory may hold, what happens when it changes, and what is remembered of it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use peerstream_types::{ChunkIndex, ChunkRange, EntryKey, ManifestHeader, Ordinal, PageToken};
use tempfile::TempDir;

use super::*;
use crate::offload::Inline;
use crate::verify::chaining_value;
use crate::{BlockingPool, RealDisk};

/// Counts the bytes that are read to be hashed.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl ReadPacer for Counting {
    fn charge(&self, bytes: u64) -> Option<BoxFuture<'_, ()>> {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Some(Box::pin(tokio::task::yield_now()))
    }
}

/// A directory that is served, and where its sources work.
struct World {
    dir: TempDir,
    served: PathBuf,
    hashed: Arc<Counting>,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let served = dir.path().join("served");
        std::fs::create_dir(&served).unwrap();
        Self { dir, served, hashed: Arc::default() }
    }

    /// Writes a file as if a minute ago.
    fn write(&self, name: &str, content: &[u8]) {
        let path = self.served.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.age(name, 60);
    }

    fn age(&self, name: &str, seconds: u64) {
        let file = std::fs::File::options().write(true).open(self.served.join(name)).unwrap();
        file.set_modified(now() - Duration::from_secs(seconds)).unwrap();
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A source like that of a new process.
    fn source(&self) -> DirectorySource {
        self.serving(&self.served)
    }

    fn serving(&self, path: &Path) -> DirectorySource {
        let size = ChunkSize::new(1024).unwrap();
        let source =
            DirectorySource::with_seams(self.work(), Arc::new(RealDisk::new()), Arc::new(Inline), size);
        let source = source.paced(self.hashed.clone());
        source.serve(&shard(), path, None, Vec::new()).unwrap();
        source
    }

    /// Bytes hashed since the last call.
    fn hashed(&self) -> u64 {
        self.hashed.0.swap(0, Ordering::Relaxed)
    }
}

#[expect(clippy::disallowed_methods, reason = "files on a real disk have real times")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

async fn open(source: &DirectorySource) -> Result<Arc<dyn Snapshot>, SourceError> {
    source.open(&shard(), &Selector::All).await
}

/// Lists a snapshot to its end.
async fn sealed(snapshot: &dyn Snapshot) -> Result<ManifestHeader, SourceError> {
    let mut token = PageToken::START;
    loop {
        let page = snapshot.page(&token, 100).await?;
        match page.next {
            Some(next) => token = next,
            None => return Ok(page.sealed.expect("the last page")),
        }
    }
}

async fn whole(source: &DirectorySource) -> Result<Arc<dyn Snapshot>, SourceError> {
    let snapshot = open(source).await?;
    sealed(&*snapshot).await?;
    Ok(snapshot)
}

fn is_changed<T>(result: &Result<T, SourceError>) -> bool {
    matches!(result, Err(SourceError::Changed { .. }))
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
        let world = World::new();
        world.write("sub/fine", b"x");
        plant(&world.served);
        let error = whole(&world.source()).await.unwrap_err();
        assert!(matches!(error, SourceError::BadEntry { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn the_work_directory_is_not_served() {
    let world = World::new();
    let error = whole(&world.serving(world.dir.path())).await.unwrap_err();
    assert!(error.to_string().contains("work is where this source keeps its own files"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_missing_does_not_open() {
    let world = World::new();
    let opened = open(&world.serving(&world.dir.path().join("nothing"))).await;
    assert!(matches!(opened, Err(SourceError::Disk(_))), "{opened:?}");
}

/// An error on the way reaches those who wait, and does not stick.
#[tokio::test]
async fn the_next_open_after_an_error_starts_over() {
    let world = World::new();
    world.write("a", b"fine");
    symlink("a", world.served.join("b")).unwrap();
    let source = world.source();
    let (one, two) = (open(&source).await.unwrap(), open(&source).await.unwrap());
    assert!(sealed(&*one).await.is_err() && sealed(&*two).await.is_err());
    assert!(!one.header().is_sealed());
    std::fs::remove_file(world.served.join("b")).unwrap();
    assert_eq!(whole(&source).await.unwrap().header().counts.entries, 1);
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_hashed_again_by_the_next_open() {
    let change: [fn(&Path); 4] = [
        |at| std::fs::write(at, vec![1; 2999]).unwrap(),
        |at| std::fs::write(at, vec![1; 3001]).unwrap(),
        |at| std::fs::write(at, vec![2; 3000]).unwrap(),
        |at| std::fs::remove_file(at).unwrap(),
    ];
    for change in change {
        let world = World::new();
        world.write("a", &[1; 3000]);
        let source = world.source();
        let snapshot = whole(&source).await.unwrap();
        change(&world.served.join("a"));
        let read = snapshot.read(Ordinal(0), 0, 1024).await;
        assert!(is_changed(&read), "{read:?}");
        assert_ne!(whole(&source).await.unwrap().header(), snapshot.header());
    }
}

/// Of many small files read at once, only the one that changed fails.
#[tokio::test]
async fn a_changed_small_file_fails_alone() {
    let change: [fn(&Path); 4] = [
        |at| std::fs::write(at, "other").unwrap(),
        |at| std::fs::write(at, "longer").unwrap(),
        |at| std::fs::write(at, "s").unwrap(),
        |at| std::fs::remove_file(at).unwrap(),
    ];
    for change in change {
        let world = World::new();
        for name in ["a", "b", "c"] {
            world.write(name, b"small");
        }
        let source = world.source();
        let snapshot = whole(&source).await.unwrap();
        change(&world.served.join("b"));
        let read = snapshot.contents(Ordinal(0), 3).await.unwrap();
        let good: Vec<bool> = read.iter().map(|content| content.bytes.is_ok()).collect();
        assert_eq!(good, [true, false, true]);
        assert!(is_changed(&read[1].bytes), "{:?}", read[1].bytes);
        assert_ne!(whole(&source).await.unwrap().header(), snapshot.header());
    }
}

#[tokio::test]
async fn small_entries_are_read_at_once() {
    let world = World::new();
    world.write("a", b"");
    world.write("b", b"some");
    world.write("c", &[1; 1025]);
    let source = world.source();
    let snapshot = whole(&source).await.unwrap();
    let read = snapshot.contents(Ordinal(0), 2).await.unwrap();
    let bytes: Vec<_> = read.into_iter().map(|content| content.bytes.unwrap()).collect();
    assert_eq!(bytes, ["", "some"]);
    assert_eq!(snapshot.contents(Ordinal(0), 3).await.unwrap_err(), SourceError::BadRange(Ordinal(2)));
    assert_eq!(snapshot.contents(Ordinal(2), 2).await.unwrap_err(), SourceError::NoSuchEntry(Ordinal(3)));
    assert_eq!(snapshot.contents(Ordinal(1), 0).await.unwrap().len(), 0);
}

/// A file that grows or shrinks while it is open is noticed where it is read to its end.
#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_noticed() {
    for len in [2000, 4000] {
        let world = World::new();
        world.write("a", &[1; 3000]);
        let snapshot = whole(&world.source()).await.unwrap();
        snapshot.read(Ordinal(0), 0, 1024).await.unwrap();
        let file = std::fs::File::options().write(true).open(world.served.join("a")).unwrap();
        file.set_len(len).unwrap();
        let read = snapshot.read(Ordinal(0), 2048, 952).await;
        assert!(is_changed(&read), "{len}: {read:?}");
    }
}

/// Writes to a file while it is hashed.
#[derive(Debug)]
struct Meddling(PathBuf);

impl Offload for Meddling {
    fn run(&self, job: crate::offload::Job) -> BoxFuture<'_, ()> {
        std::fs::write(&self.0, [9; 3000]).unwrap();
        Inline.run(job)
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_hashed_is_noticed() {
    for size in [1024, 4096] {
        let world = World::new();
        world.write("a", &[1; 3000]);
        let offload = Arc::new(Meddling(world.served.join("a")));
        let size = ChunkSize::new(size).unwrap();
        let source = DirectorySource::with_seams(world.work(), Arc::new(RealDisk::new()), offload, size);
        source.serve(&shard(), &world.served, None, Vec::new()).unwrap();
        let opened = whole(&source).await;
        match opened {
            // A small file was read in one go, and its digest is of that.
            Ok(snapshot) => {
                assert!(size.bytes() > 3000);
                assert!(is_changed(&snapshot.read(Ordinal(0), 0, 3000).await));
            }
            Err(_) => assert!(is_changed(&opened), "{opened:?}"),
        }
    }
}

#[tokio::test]
async fn however_many_ask_the_tree_is_hashed_once() {
    let world = World::new();
    for (name, len) in [("a", 0), ("b", 1024), ("c", 5000)] {
        world.write(name, &vec![7; len]);
    }
    let source = world.source();
    let part = Selector::Keys { start: None, end: None };
    let shard = shard();
    let (one, two, three) = tokio::join!(open(&source), open(&source), source.open(&shard, &part));
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    for other in [two, three] {
        assert_eq!(sealed(&*one).await, sealed(&*other).await);
        assert_eq!(one.header(), other.header());
    }
    assert_eq!(world.hashed(), 6024);
    let all = ChunkRange { first: ChunkIndex(0), count: 5 };
    one.outline(Ordinal(2), 0, all).await.unwrap();
    assert_eq!(world.hashed(), 0, "outlines are kept");
}

/// Holds back what is read to be hashed, from the second charge on.
#[derive(Debug)]
struct Gate(AtomicU64, tokio::sync::Semaphore);

impl ReadPacer for Gate {
    fn charge(&self, _bytes: u64) -> Option<BoxFuture<'_, ()>> {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Box::pin(async { self.1.acquire().await.unwrap().forget() }))
    }
}

/// Entries are announced as they are hashed; the manifest is sealed at the end.
#[tokio::test]
async fn the_first_entry_is_served_before_the_last_is_hashed() {
    let world = World::new();
    world.write("a", b"first");
    world.write("b", &[2; 3000]);
    let gate = Arc::new(Gate(AtomicU64::new(0), tokio::sync::Semaphore::new(0)));
    let source = world.source().paced(gate.clone());
    let (all, part) = (Selector::All, Selector::Keys { start: None, end: None });
    for selector in [&all, &part] {
        let snapshot = source.open(&shard(), selector).await.unwrap();
        let page = snapshot.page(&PageToken::START, 100).await.unwrap();
        assert_eq!((page.entries.len(), page.sealed), (1, None));
        assert!(!snapshot.header().is_sealed());
        assert_eq!(snapshot.read(Ordinal(0), 0, 5).await.unwrap(), "first");
        let none = snapshot.entries(Ordinal(1), 1).await;
        assert_eq!(none, Err(SourceError::NoSuchEntry(Ordinal(1))));
    }
    gate.1.add_permits(3);
    let snapshot = whole(&source).await.unwrap();
    assert_eq!(snapshot.header().counts.entries, 2);
}

/// A12: an unchanged file is hashed once in its life, outline and all, also under another name.
#[tokio::test]
async fn an_unchanged_file_is_hashed_once_across_restarts_and_hard_links() {
    let world = World::new();
    world.write("small", b"small");
    world.write("sub/long", &[3; 5000]);
    world.write("sub/longest", &[4; 1100 * 1024]);
    let first = whole(&world.source()).await.unwrap().header();
    assert_eq!(world.hashed(), 5 + 5000 + 1100 * 1024);
    let checkpoint = world.dir.path().join("checkpoint");
    std::fs::create_dir_all(checkpoint.join("sub")).unwrap();
    for name in ["small", "sub/long", "sub/longest"] {
        std::fs::hard_link(world.served.join(name), checkpoint.join(name)).unwrap();
    }
    for source in [world.source(), world.serving(&checkpoint)] {
        let again = whole(&source).await.unwrap();
        assert_eq!((again.header(), world.hashed()), (first.clone(), 0));
        let range = ChunkRange { first: ChunkIndex(1), count: 3 };
        let values = again.outline(Ordinal(1), 0, range).await.unwrap();
        assert_eq!(values[0], chaining_value(again.header().chunk_size, ChunkIndex(1), &[3; 1024]));
        let top = ChunkRange { first: ChunkIndex(0), count: 2 };
        assert_eq!(again.outline(Ordinal(2), 1, top).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_file_that_changed_is_hashed_again() {
    type Change = fn(&World);
    let change: [(&str, Change); 3] = [
        ("mtime", |world| world.age("a", 30)),
        ("length", |world| world.write("a", b"longer")),
        ("inode", |world| {
            let old = std::fs::metadata(world.served.join("a")).unwrap();
            let modified = old.modified().unwrap();
            std::fs::write(world.served.join("other"), b"other").unwrap();
            std::fs::rename(world.served.join("other"), world.served.join("a")).unwrap();
            let file = std::fs::File::options().write(true).open(world.served.join("a")).unwrap();
            file.set_modified(modified).unwrap();
            assert_ne!(file.metadata().unwrap().ino(), old.ino());
        }),
    ];
    for (what, change) in change {
        let world = World::new();
        world.write("a", b"small");
        whole(&world.source()).await.unwrap();
        world.hashed();
        change(&world);
        whole(&world.source()).await.unwrap();
        assert_ne!(world.hashed(), 0, "{what}");
    }
}

/// A change within the same tick of the clock would leave the mtime as it is.
#[tokio::test]
async fn a_file_that_was_just_written_is_not_trusted() {
    let world = World::new();
    for (name, seconds) in [("a", 0), ("b", 1), ("c", 10)] {
        world.write(name, b"12345");
        world.age(name, seconds);
    }
    whole(&world.source()).await.unwrap();
    assert_eq!(world.hashed(), 15);
    whole(&world.source()).await.unwrap();
    assert!([5, 10].contains(&world.hashed()), "`b` may be old enough by now");
}

/// Whatever is wrong with what is remembered, it costs another hash and nothing else.
#[tokio::test]
async fn a_damaged_cache_is_a_miss() {
    let damage: [fn(&Path); 4] = [
        |at| std::fs::write(at.join("digests"), vec![1; 1 << 16]).unwrap(),
        |at| std::fs::remove_dir_all(at.join("outlines")).unwrap(),
        |at| each_outline(at, |path| std::fs::write(path, vec![1; 5 * 32]).unwrap()),
        |at| each_outline(at, |path| std::fs::write(path, [1; 3]).unwrap()),
    ];
    for damage in damage {
        let world = World::new();
        world.write("long", &[3; 5000]);
        let first = whole(&world.source()).await.unwrap().header();
        world.hashed();
        damage(&world.work().join("hashes"));
        assert_eq!(whole(&world.source()).await.unwrap().header(), first);
        assert_eq!(world.hashed(), 5000);
        assert_eq!(whole(&world.source()).await.unwrap().header(), first);
        assert_eq!(world.hashed(), 0, "it is mended");
    }
}

fn each_outline(hashes: &Path, then: impl Fn(&Path)) {
    let files: Vec<_> = std::fs::read_dir(hashes.join("outlines/new")).unwrap().collect();
    assert_eq!(files.len(), 1);
    files.into_iter().for_each(|file| then(&file.unwrap().path()));
}

/// Catalogs go with their snapshots; what a crash left goes with the next source.
#[tokio::test]
async fn catalogs_that_nobody_needs_are_removed() {
    let world = World::new();
    world.write("a", b"small");
    std::fs::create_dir_all(world.work().join("catalogs/left/over")).unwrap();
    let source = world.source();
    let catalogs = || -> BTreeSet<String> {
        let names = std::fs::read_dir(world.work().join("catalogs")).unwrap();
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()
    };
    let all = whole(&source).await.unwrap();
    let kept = catalogs();
    assert!(kept.len() == 1 && !kept.contains("left"), "{kept:?}");
    let keys = Selector::Entries(vec![EntryKey::from_path("a").unwrap()]);
    let part = source.open(&shard(), &keys).await.unwrap();
    sealed(&*part).await.unwrap();
    assert_eq!(catalogs().len(), 2);
    drop(part);
    while catalogs().len() > 1 {
        tokio::task::yield_now().await;
    }
    drop(all);
    assert_eq!(whole(&source).await.unwrap().header().counts.entries, 1);
    assert_eq!(catalogs(), kept, "that of the whole is kept for the next");
    source.stop_serving(&shard());
    while !catalogs().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_not_served_any_more_does_not_open() {
    let world = World::new();
    let source = DirectorySource::new(world.work(), RealDisk::new(), BlockingPool::new());
    source.serve(&shard(), &world.served, None, Vec::new()).unwrap();
    assert!(open(&source).await.is_ok());
    source.stop_serving(&shard());
    assert_eq!(open(&source).await.err(), Some(SourceError::NoSuchShard(shard())));
    let large = source.serve(&shard(), &world.served, None, vec![0; STATE_LEN_MAX + 1]);
    assert!(matches!(large, Err(SourceError::BadEntry { .. })));
}
