//! The order of what is found, and what happens while it is looked for.

use std::ffi::OsStr;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::disk::{OpenMode, ReadFile, SmallFile, Space, WriteFile};
use crate::{BoxFuture, DiskError, DiskFile, RealDisk};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However few names are known at a time, files come in the order of their keys.
    #[test]
    fn files_come_in_the_order_of_their_keys(
        paths in proptest::collection::vec("[a!.0]{1,3}x?(/[a!.0]{1,2}x?){0,3}", 0..40),
        names_max in 1..4usize,
        limit in 1..4usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut planted = Vec::new();
        for path in paths.iter().filter(|path| EntryKey::from_path(path).is_ok()) {
            let at = dir.path().join(path);
            // What is a file cannot be a directory, and the other way round: the first one wins.
            let made = std::fs::create_dir_all(at.parent().unwrap())
                .and_then(|()| std::fs::File::create_new(at));
            planted.extend(made.map(|_| path.clone()));
        }
        planted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let shard = "walk@1/0".parse().unwrap();
        let disk = Arc::new(RealDisk::new());
        let mut walk = Walk { names_max, ..Walk::new(disk, dir.path().into(), shard, None) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(async {
            let mut all = Vec::new();
            loop {
                let found = walk.next(limit).await.unwrap();
                if found.is_empty() {
                    return all;
                }
                all.extend(found.into_iter().map(|found| found.key.as_path().unwrap().to_owned()));
            }
        });
        assert_eq!(found, planted);
    }
}

/// Whoever lists a directory meets a name that is gone when he looks at it.
#[derive(Debug)]
struct Vanishing(RealDisk);

/// F-39: a name that vanishes while its directory is listed takes no other with it.
#[tokio::test]
async fn a_name_that_vanishes_does_not_end_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d/e", "d/f", "g"] {
        let at = dir.path().join(name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, "").unwrap();
    }
    let disk = Arc::new(Vanishing(RealDisk::new()));
    let shard = "walk@1/0".parse().unwrap();
    let mut walk = Walk { names_max: 4, ..Walk::new(disk, dir.path().into(), shard, None) };
    let mut keys = Vec::new();
    loop {
        let found = walk.next(10).await.unwrap();
        if found.is_empty() {
            break;
        }
        keys.extend(found.into_iter().map(|found| found.key.as_path().unwrap().to_owned()));
    }
    assert_eq!(keys, ["b", "c", "d/e", "d/f", "g"]);
}

impl Disk for Vanishing {
    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        Box::pin(async move {
            let mut listed = self.0.list(path, after, limit).await?;
            listed.retain(|entry| entry.name != "a");
            Ok(listed)
        })
    }

    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        self.0.open(path, mode)
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.0.metadata(path)
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

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.sync_dir(path)
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.0.sync_fs(path)
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.0.space(path)
    }
}
