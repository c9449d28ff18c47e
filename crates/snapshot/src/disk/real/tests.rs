//! What the real disk promises beyond what the system does.

use std::ffi::OsString;
use std::os::unix::fs::symlink;

use super::*;
use crate::disk::FileKind;

#[tokio::test]
async fn reads_are_positioned_and_short_only_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, path) = (RealDisk::new(), dir.path().join("f"));
    let file = disk.open(&path, OpenMode::Create).await.unwrap();
    file.write_at(4, Bytes::from_static(b"efgh")).await.unwrap();
    file.write_at(0, Bytes::from_static(b"abcd")).await.unwrap();
    assert_eq!(file.read_at(2, 4).await.unwrap(), "cdef");
    assert_eq!(file.read_at(6, 100).await.unwrap(), "gh");
    assert_eq!(file.read_at(100, 1).await.unwrap(), "");
    file.set_len(3).await.unwrap();
    assert_eq!(file.len().await.unwrap(), 3);
}

/// Directories on this machine's file systems that keep everything in memory, and elsewhere.
fn places() -> Vec<tempfile::TempDir> {
    let memory = tempfile::tempdir_in("/dev/shm").ok();
    memory.into_iter().chain(tempfile::tempdir().ok()).collect()
}

/// Far more than a read from memory takes; it only keeps a failing test from hanging.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Nothing runs on the pool as long as this is held.
async fn pool_taken(disk: &RealDisk) -> tokio::sync::SemaphorePermit<'_> {
    let slots = u32::try_from(disk.slots.available_permits()).unwrap();
    disk.slots.acquire_many(slots).await.unwrap()
}

/// Whether a file system can tell what is in memory.
fn can_tell(path: &Path) -> bool {
    let known = File::open(path).unwrap();
    let can_tell = is_in_memory(&known) || read_cached(&known, false, 0, &mut [0; 8]).is_ok();
    println!("{}: {can_tell}", path.display());
    can_tell
}

/// D11: what is in memory is read without another thread; what may not be there goes to the pool.
#[tokio::test]
async fn cached_content_is_read_at_once() {
    for dir in places() {
        let (disk, path) = (RealDisk::new(), dir.path().join("f"));
        fs::write(&path, [7; 100_000]).unwrap();
        let file = disk.open(&path, OpenMode::Read).await.unwrap();
        if !can_tell(&path) {
            continue;
        }
        let taken = pool_taken(&disk).await;
        assert_eq!(file.read_at(1, 99_999).await.unwrap(), [7; 99_999][..]);
        let end = file.read_at(1, 100_000);
        drop(taken);
        assert_eq!(end.await.unwrap().len(), 99_999, "one read is enough where nothing is elsewhere");
    }
}

/// D11: so are a few small files, from the first on.
#[tokio::test]
async fn a_few_cached_files_are_read_at_once() {
    for dir in places() {
        let (disk, at) = (RealDisk::new(), |name: &str| dir.path().join(name));
        fs::write(at("a"), "one").unwrap();
        fs::write(at("b"), [7; 40_000]).unwrap();
        let read = |name| ReadFile { path: at(name), limit: 50_000 };
        let wanted = vec![read("a"), read("b")];
        if !can_tell(&at("b")) || read_small_cached(&wanted[0], 9, &disk.buffers).is_err() {
            continue;
        }
        let taken = pool_taken(&disk).await;
        let found = disk.read_files(wanted.clone());
        let found = tokio::time::timeout(WAIT_MAX, found).await.expect("it needs no other thread");
        assert_eq!(found[0].as_ref().unwrap().bytes, "one");
        assert_eq!(found[1].as_ref().unwrap().bytes, [7; 40_000][..]);
        drop(taken);
        assert_eq!(found[1].as_ref().unwrap().metadata, disk.metadata(&at("b")).await.unwrap().unwrap());

        let some = disk.read_files(vec![read("a"), read("none"), read("b")]).await;
        assert_eq!(some.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let many = vec![read("a"); CACHED_FILES_MAX + 1];
        assert_eq!(disk.cached_files(&many), [], "many are for the pool");
        let long = vec![read("b"); CACHED_LEN_MAX / 40_000 + 1];
        assert_eq!(disk.cached_files(&long).len(), CACHED_LEN_MAX / 40_000);
    }
}

/// F-60: neither is what was planted in the place of a small file opened.
#[test]
fn links_directories_and_pipes_are_not_read_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("secret"), "x").unwrap();
    symlink(at("secret"), at("link")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let read = |name| read_small_cached(&ReadFile { path: at(name), limit: 9 }, 9, &Arc::default());
    // Else the system refuses to say what is in memory, and everything is for the pool.
    if let Ok(secret) = read("secret") {
        assert_eq!(secret.bytes, "x");
    }
    for name in ["link", "dir", "pipe"] {
        assert_eq!(read(name), Err(NotCached::Maybe), "{name}");
    }
}

/// F-60: what is planted in the place of a file is not opened.
#[tokio::test]
async fn links_directories_and_pipes_do_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("secret"), "x").unwrap();
    symlink(at("secret"), at("link")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for name in ["link", "dir", "pipe"] {
        assert!(disk.open(&at(name), OpenMode::Read).await.is_err(), "{name}");
        let kind = disk.metadata(&at(name)).await.unwrap().unwrap().kind;
        assert_eq!(kind == FileKind::Dir, name == "dir");
        assert_ne!(kind, FileKind::File, "{name}");
    }
    let names: Vec<_> = disk.list(dir.path(), None, 10).await.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["dir", "link", "pipe", "secret"]);
}

#[tokio::test]
async fn what_is_missing_is_removed_already() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, path) = (RealDisk::new(), dir.path().join("none"));
    disk.remove_file(&path).await.unwrap();
    disk.remove_dir_all(&path).await.unwrap();
    assert_eq!(disk.metadata(&path.join("below")).await.unwrap(), None);
    let error = disk.open(&path, OpenMode::Write).await.unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::NotFound);
}

#[tokio::test]
async fn an_abandoned_operation_keeps_its_slot_until_it_ends() {
    let disk = RealDisk::with_limit(NonZeroUsize::MIN);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (started, begun) = tokio::sync::oneshot::channel();
    let work = move |_: &Path| {
        started.send(()).ok();
        wait.recv().ok();
        Ok(())
    };
    let slow = tokio::spawn(disk.run("wait", Path::new("x"), work));
    begun.await.unwrap();
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert_eq!(disk.slots.available_permits(), 0);
    release.send(()).unwrap();
    let after = disk.metadata(Path::new("/")).await.unwrap();
    assert_eq!(after.unwrap().kind, FileKind::Dir);
}

/// A directory of any size is listed in bounded memory.
#[tokio::test]
async fn a_large_directory_is_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..1000).map(|i| format!("{:04}", i * 7919 % 1000)).collect();
    names.iter().for_each(|name| fs::write(dir.path().join(name), "").unwrap());
    let (disk, mut listed, mut pages) = (RealDisk::new(), Vec::<OsString>::new(), 0);
    loop {
        let page = disk.list(dir.path(), listed.last().map(|name| &**name), 64).await.unwrap();
        assert!(page.len() <= 64);
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|entry| entry.name));
        pages += 1;
    }
    let all: Vec<OsString> = (0..1000).map(|i| format!("{i:04}").into()).collect();
    assert_eq!((listed, pages), (all, 16));
}

/// Whether the file system of the test can share blocks or not.
#[tokio::test]
async fn a_long_file_is_cloned_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, from, to) = (RealDisk::new(), dir.path().join("a"), dir.path().join("b"));
    let content: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    fs::write(&from, &content).unwrap();
    disk.clone_file(&from, &to).await.unwrap();
    fs::write(&from, "other").unwrap();
    assert!(fs::read(&to).unwrap() == content);
}

/// The answer to a small file takes no more memory than the file, whatever the limit.
#[tokio::test]
async fn a_generous_limit_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, path) = (RealDisk::new(), dir.path().join("f"));
    fs::write(&path, "four").unwrap();
    let read = disk.read_files(vec![ReadFile { path, limit: usize::MAX }]).await;
    assert_eq!(read[0].as_ref().unwrap().bytes, "four");
}
