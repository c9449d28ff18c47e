//! What is linked, what is copied, and what happens when a file changes meanwhile.

use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::RealDisk;
use crate::disk::{OpenMode, ReadFile, SmallFile, Space, WriteFile};
use crate::{BoxFuture, DiskFile};

fn patterns(names: &[&str]) -> Vec<FilePattern> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn rules() -> TreeRules {
    TreeRules { immutable: patterns(&["*.sst"]), ignored: patterns(&["LOCK", "*.tmp"]) }
}

struct World {
    live: PathBuf,
    frozen: PathBuf,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (live, frozen) = (dir.path().join("live"), dir.path().join("frozen"));
        std::fs::create_dir_all(live.join("sub/empty")).unwrap();
        for name in ["a.sst", "sub/b.sst", "CURRENT", "sub/log", "LOCK", "sub/half.tmp"] {
            std::fs::write(live.join(name), name).unwrap();
        }
        Self { live, frozen, _dir: dir }
    }

    async fn freeze(&self, disk: impl Disk + 'static) -> Result<(), CheckpointError> {
        TreeCheckpointer::new(Arc::new(disk), rules()).freeze(&self.live, &self.frozen).await
    }

    fn inode(&self, root: &Path, name: &str) -> u64 {
        std::fs::metadata(root.join(name)).unwrap().ino()
    }
}

/// Hard links only where it is safe: what may still be written to is copied.
#[tokio::test]
async fn immutable_files_are_linked_and_others_copied() {
    let world = World::new();
    world.freeze(RealDisk::new()).await.unwrap();
    for (name, shared) in [("a.sst", true), ("sub/b.sst", true), ("CURRENT", false), ("sub/log", false)] {
        assert_eq!(std::fs::read_to_string(world.frozen.join(name)).unwrap(), name);
        let inodes = (world.inode(&world.live, name), world.inode(&world.frozen, name));
        assert_eq!(inodes.0 == inodes.1, shared, "{name}");
    }
    for name in ["LOCK", "sub/half.tmp", "sub/empty"] {
        assert!(!world.frozen.join(name).exists(), "{name} is no part of it");
    }
    std::fs::write(world.live.join("CURRENT"), "written since").unwrap();
    std::fs::remove_file(world.live.join("a.sst")).unwrap();
    assert_eq!(std::fs::read_to_string(world.frozen.join("CURRENT")).unwrap(), "CURRENT");
    assert_eq!(std::fs::read_to_string(world.frozen.join("a.sst")).unwrap(), "a.sst");
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_name() {
    let world = World::new();
    symlink("/etc/passwd", world.live.join("sub/link")).unwrap();
    let error = world.freeze(RealDisk::new()).await.unwrap_err();
    assert!(matches!(error, CheckpointError::BadContent(_)) && error.to_string().contains("sub/link"));
    let tree = TreeCheckpointer::new(Arc::new(RealDisk::new()), rules());
    let error = tree.freeze(&world.live, &world.live.join("sub/frozen")).await.unwrap_err();
    assert!(error.to_string().contains("lies inside"), "{error}");
    std::fs::remove_dir_all(&world.live).unwrap();
    let error = world.freeze(RealDisk::new()).await.unwrap_err();
    assert!(error.to_string().contains("is no directory"), "{error}");
}

/// Does something to the live tree each time that a file was copied, as long as there is something.
#[derive(Debug)]
struct Meddling {
    disk: RealDisk,
    links: bool,
    copies: Arc<AtomicUsize>,
    meddle: fn(usize, &Path),
}

/// A file that grows, one that is replaced by another of the same length, and one that goes away.
#[tokio::test]
async fn a_file_that_changes_while_it_is_copied_is_copied_anew() {
    let meddle: [fn(usize, &Path); 3] = [
        |copy, at| first(copy, || std::fs::write(at, "a change of length").unwrap()),
        |copy, at| {
            first(copy, || {
                let beside = at.with_extension("beside.tmp");
                std::fs::copy(at, &beside).unwrap();
                std::fs::rename(&beside, at).unwrap();
            });
        },
        |copy, at| first(copy, || std::fs::remove_file(at).unwrap()),
    ];
    for meddle in meddle {
        let world = World::new();
        let copies = Arc::new(AtomicUsize::new(0));
        world
            .freeze(Meddling { disk: RealDisk::new(), links: true, copies: copies.clone(), meddle })
            .await
            .unwrap();
        for name in ["CURRENT", "sub/log"] {
            let (live, frozen) = (world.live.join(name), world.frozen.join(name));
            assert_eq!(std::fs::read(live).ok(), std::fs::read(frozen).ok(), "{name} is as it is at the end");
        }
        assert!(copies.load(Ordering::Relaxed) > 2, "it was frozen more than once");
    }
}

/// F-39, F-40: a file that is made after its directory was listed is in the checkpoint, for a file that
/// is listed later may refer to it.
#[tokio::test]
async fn a_file_that_comes_while_others_are_copied_is_not_missed() {
    let world = World::new();
    // Longer ago than one tick of the file system's clock.
    for dir in ["", "sub"] {
        let dir = std::fs::File::open(world.live.join(dir)).unwrap();
        dir.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let meddle: fn(usize, &Path) = |copy, at| {
        first(copy, || {
            let live = at.ancestors().find(|dir| dir.ends_with("live")).unwrap();
            std::fs::write(live.join("sub/0.sst"), "new").unwrap();
            std::fs::write(live.join("0.sst"), "new").unwrap();
        });
    };
    let copies = Arc::new(AtomicUsize::new(0));
    world
        .freeze(Meddling { disk: RealDisk::new(), links: true, copies: copies.clone(), meddle })
        .await
        .unwrap();
    for name in ["0.sst", "sub/0.sst"] {
        assert_eq!(std::fs::read_to_string(world.frozen.join(name)).unwrap(), "new", "{name}");
    }
}

fn first(copy: usize, meddle: impl FnOnce()) {
    if copy == 0 {
        meddle();
    }
}

#[tokio::test]
async fn a_file_that_changes_all_the_time_is_refused_by_name() {
    let world = World::new();
    let meddle: fn(usize, &Path) = |copy, at| std::fs::write(at, vec![b'x'; 100 + copy]).unwrap();
    let copies = Arc::new(AtomicUsize::new(0));
    let error = world
        .freeze(Meddling { disk: RealDisk::new(), links: true, copies: copies.clone(), meddle })
        .await
        .unwrap_err();
    assert!(matches!(error, CheckpointError::NotNow(_)), "{error}");
    assert!(error.to_string().contains("changed while it was copied, 3 times in a row"), "{error}");
    assert_eq!(copies.load(Ordering::Relaxed), 2 * FREEZE_ATTEMPTS);
}

#[tokio::test]
async fn where_there_are_no_links_everything_is_copied() {
    let world = World::new();
    let copies = Arc::new(AtomicUsize::new(0));
    world
        .freeze(Meddling { disk: RealDisk::new(), links: false, copies: copies.clone(), meddle: |_, _| {} })
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(world.frozen.join("sub/b.sst")).unwrap(), "sub/b.sst");
    assert_ne!(world.inode(&world.live, "a.sst"), world.inode(&world.frozen, "a.sst"));
    assert_eq!(copies.load(Ordering::Relaxed), 4);
}

impl Disk for Meddling {
    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        if self.links {
            return self.disk.hard_link(from, to);
        }
        let no_links = std::io::Error::from(std::io::ErrorKind::CrossesDevices);
        Box::pin(std::future::ready(Err(DiskError::new("link", from, &no_links))))
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        Box::pin(async move {
            let done = self.disk.clone_file(from, to).await;
            (self.meddle)(self.copies.fetch_add(1, Ordering::Relaxed), from);
            done
        })
    }

    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        self.disk.open(path, mode)
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.disk.metadata(path)
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a std::ffi::OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        self.disk.list(path, after, limit)
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.create_dir_all(path)
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.rename(from, to)
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<SmallFile, DiskError>>> {
        self.disk.read_files(files)
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        self.disk.write_files(files)
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_dir_all(path)
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.sync_dir(path)
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.sync_fs(path)
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.disk.space(path)
    }
}
