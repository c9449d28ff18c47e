//! Facts that hold for every disk, on the real one and on the crash model.

use std::ffi::OsStr;

use super::*;

/// Runs each fact in an empty directory of either disk.
macro_rules! on_every_disk {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        mod the_real_disk {
            $($(#[$doc])* #[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(&super::In { disk: &super::RealDisk::new(), dir: dir.path() }).await;
            })+
        }

        mod the_crash_disk {
            $($(#[$doc])* #[tokio::test]
            async fn $name() {
                let disk = super::CrashDisk::new();
                super::Disk::create_dir_all(&disk, super::Path::new("/dir")).await.unwrap();
                super::$name(&super::In { disk: &disk, dir: super::Path::new("/dir") }).await;
            })+
        }
    };
}

on_every_disk![
    /// A directory of any size is listed in pages.
    names_are_listed_in_byte_order_page_by_page,
    a_directory_that_is_missing_is_not_listed,
    modes_of_opening_differ,
    reads_end_with_the_file,
    holes_are_zeros,
    cut_bytes_do_not_come_back,
    a_rename_replaces_a_file,
    a_rename_of_nothing_fails,
    a_link_is_the_same_file_and_never_replaces_one,
    a_clone_shares_nothing_and_never_replaces_a_file,
    small_files_are_read_in_order_each_failing_alone,
    small_files_are_written_up_to_the_first_that_exists,
    what_is_missing_is_removed_already,
    a_tree_is_removed_whole,
    what_exists_is_made_already,
    metadata_tells_files_from_directories,
    there_is_no_more_room_than_all_there_is,
    what_is_synced_exists,
];

struct In<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
}

impl In<'_> {
    fn at(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    async fn put(&self, path: &str, content: &'static str) -> Arc<dyn DiskFile> {
        let file = self.disk.open(&self.at(path), OpenMode::Create).await.unwrap();
        file.write_at(0, content.into()).await.unwrap();
        file
    }

    async fn content(&self, path: &str) -> Option<Bytes> {
        read_whole(self.disk, &self.at(path)).await.unwrap()
    }

    async fn page(&self, after: Option<&str>, limit: usize) -> Vec<String> {
        let listed = self.disk.list(self.dir, after.map(OsStr::new), limit).await.unwrap();
        listed.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    }
}

async fn names_are_listed_in_byte_order_page_by_page(on: &In<'_>) {
    for name in ["b", "a.x", "a", "B", "ab", "é", "a-"] {
        on.put(name, name).await;
    }
    on.disk.create_dir_all(&on.at("aa/inner")).await.unwrap();
    let all = ["B", "a", "a-", "a.x", "aa", "ab", "b", "é"];
    assert_eq!(on.page(None, 100).await, all);
    assert_eq!(on.page(None, 3).await, all[..3]);
    assert_eq!(on.page(Some("a-"), 3).await, all[3..6]);
    assert_eq!(on.page(Some("a0"), 1).await, ["aa"], "what was listed last may be gone");
    assert_eq!(on.page(Some("é"), 3).await, [""; 0]);
    assert_eq!(on.page(None, 0).await, [""; 0]);
    let listed = on.disk.list(on.dir, Some(OsStr::new("a.x")), 2).await.unwrap();
    let kinds: Vec<_> = listed.iter().map(|entry| (entry.metadata.kind, entry.metadata.len)).collect();
    assert_eq!((kinds[0].0, kinds[1]), (FileKind::Dir, (FileKind::File, 2)));
    assert_eq!(Some(listed[1].metadata), on.disk.metadata(&on.at("ab")).await.unwrap());
}

async fn a_directory_that_is_missing_is_not_listed(on: &In<'_>) {
    let missing = on.disk.list(&on.at("none"), None, 1).await.unwrap_err();
    assert_eq!(missing.kind, DiskErrorKind::NotFound);
    on.put("f", "x").await;
    assert!(on.disk.list(&on.at("f"), None, 1).await.is_err());
}

async fn modes_of_opening_differ(on: &In<'_>) {
    for mode in [OpenMode::Read, OpenMode::Write] {
        let missing = on.disk.open(&on.at("f"), mode).await.unwrap_err();
        assert_eq!(missing.kind, DiskErrorKind::NotFound);
    }
    on.put("f", "x").await;
    let file = on.disk.open(&on.at("f"), OpenMode::Create).await.unwrap();
    assert_eq!(file.len().await, Ok(1), "what is there stays");
    let file = on.disk.open(&on.at("f"), OpenMode::Read).await.unwrap();
    assert!(file.write_at(0, "y".into()).await.is_err());
    assert!(file.set_len(0).await.is_err());
    let file = on.disk.open(&on.at("f"), OpenMode::Write).await.unwrap();
    file.write_at(0, "z".into()).await.unwrap();
    assert_eq!(file.read_at(0, 1).await.unwrap(), "z");
    assert!(on.disk.open(&on.at("f/below"), OpenMode::Create).await.is_err());
    let nowhere = on.disk.open(&on.at("none/f"), OpenMode::Create).await.unwrap_err();
    assert_eq!(nowhere.kind, DiskErrorKind::NotFound, "directories are not made on the way");
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        assert!(on.disk.open(on.dir, mode).await.is_err(), "a directory is no file");
    }
}

async fn reads_end_with_the_file(on: &In<'_>) {
    let file = on.put("f", "abcdef").await;
    assert_eq!(file.read_at(2, 3).await.unwrap(), "cde");
    assert_eq!(file.read_at(4, 100).await.unwrap(), "ef");
    assert_eq!(file.read_at(6, 1).await.unwrap(), "");
    assert_eq!(file.read_at(1 << 40, 1).await.unwrap(), "");
    assert_eq!(file.read_at(3, 0).await.unwrap(), "");
}

async fn holes_are_zeros(on: &In<'_>) {
    let file = on.put("f", "ab").await;
    file.write_at(4, "e".into()).await.unwrap();
    file.set_len(6).await.unwrap();
    assert_eq!(on.content("f").await.unwrap(), &b"ab\0\0e\0"[..]);
    file.write_at(9, Bytes::new()).await.unwrap();
    assert_eq!(file.len().await, Ok(6), "to write nothing changes nothing");
}

async fn cut_bytes_do_not_come_back(on: &In<'_>) {
    let file = on.put("f", "abcdef").await;
    file.set_len(2).await.unwrap();
    file.set_len(4).await.unwrap();
    assert_eq!(on.content("f").await.unwrap(), &b"ab\0\0"[..]);
}

async fn a_rename_replaces_a_file(on: &In<'_>) {
    let (open, _) = (on.put("a", "new").await, on.put("b", "old").await);
    on.disk.rename(&on.at("a"), &on.at("b")).await.unwrap();
    assert_eq!((on.content("a").await, on.content("b").await.unwrap()), (None, "new".into()));
    open.write_at(0, "N".into()).await.unwrap();
    assert_eq!(on.content("b").await.unwrap(), "New", "an open file has no name");

    on.disk.create_dir_all(&on.at("full")).await.unwrap();
    on.disk.create_dir_all(&on.at("empty")).await.unwrap();
    on.put("full/f", "x").await;
    assert!(on.disk.rename(&on.at("b"), &on.at("full")).await.is_err());
    assert!(on.disk.rename(&on.at("full"), &on.at("b")).await.is_err());
    assert!(on.disk.rename(&on.at("empty"), &on.at("full")).await.is_err());
    assert!(on.disk.rename(&on.at("full"), &on.at("full/inner")).await.is_err());
    on.disk.rename(&on.at("full"), &on.at("empty")).await.unwrap();
    assert_eq!(on.content("empty/f").await.unwrap(), "x");
}

async fn a_rename_of_nothing_fails(on: &In<'_>) {
    on.put("b", "x").await;
    for (from, to) in [("none", "b"), ("b", "none/b")] {
        let missing = on.disk.rename(&on.at(from), &on.at(to)).await.unwrap_err();
        assert_eq!(missing.kind, DiskErrorKind::NotFound);
    }
    on.disk.rename(&on.at("b"), &on.at("b")).await.unwrap();
    assert_eq!(on.content("b").await.unwrap(), "x");
}

async fn a_link_is_the_same_file_and_never_replaces_one(on: &In<'_>) {
    on.put("a", "one").await;
    on.put("b", "two").await;
    assert!(on.disk.hard_link(&on.at("a"), &on.at("b")).await.is_err());
    assert_eq!(on.content("b").await.unwrap(), "two");
    on.disk.hard_link(&on.at("a"), &on.at("c")).await.unwrap();
    on.put("c", "ONE").await;
    assert_eq!(on.content("a").await.unwrap(), "ONE");
    on.disk.remove_file(&on.at("a")).await.unwrap();
    assert_eq!(on.content("c").await.unwrap(), "ONE");
    assert!(on.disk.hard_link(on.dir, &on.at("d")).await.is_err(), "directories have one name");
    let missing = on.disk.hard_link(&on.at("a"), &on.at("d")).await.unwrap_err();
    assert_eq!(missing.kind, DiskErrorKind::NotFound);
}

async fn a_clone_shares_nothing_and_never_replaces_a_file(on: &In<'_>) {
    on.put("a", "one").await;
    on.put("b", "two").await;
    assert!(on.disk.clone_file(&on.at("a"), &on.at("b")).await.is_err());
    assert_eq!(on.content("b").await.unwrap(), "two");
    on.disk.clone_file(&on.at("a"), &on.at("c")).await.unwrap();
    on.put("a", "ONE").await;
    assert_eq!(on.content("c").await.unwrap(), "one");
    assert!(on.disk.clone_file(&on.at("none"), &on.at("d")).await.is_err());
    assert_eq!(on.content("d").await, None, "a clone of nothing leaves nothing");
}

async fn small_files_are_read_in_order_each_failing_alone(on: &In<'_>) {
    on.put("a", "one").await;
    on.put("b", "longer").await;
    on.put("empty", "").await;
    let read = |path: &str, limit| ReadFile { path: on.at(path), limit };
    let files =
        vec![read("b", 4), read("none", 9), read(".", 9), read("a", 9), read("empty", 1), read("a", 0)];
    let mut answers = on.disk.read_files(files).await.into_iter();
    let mut next = || answers.next().unwrap().map(|file| file.bytes);
    assert_eq!(next().unwrap(), "long");
    assert_eq!(next().unwrap_err().kind, DiskErrorKind::NotFound);
    assert!(next().is_err(), "a directory is no file");
    assert_eq!(next().unwrap(), "one");
    assert_eq!((next().unwrap(), next().unwrap()), (Bytes::new(), Bytes::new()));
    assert!(answers.next().is_none());
    assert!(on.disk.read_files(Vec::new()).await.is_empty());
    let read = on.disk.read_files(vec![read("b", 4)]).await.remove(0).unwrap();
    assert_eq!(Some(read.metadata), on.disk.metadata(&on.at("b")).await.unwrap());
}

async fn small_files_are_written_up_to_the_first_that_exists(on: &In<'_>) {
    on.put("c", "old").await;
    let write = |path: &str, content: &'static str| WriteFile { path: on.at(path), content: content.into() };
    let files = vec![write("a", "x"), write("b", ""), write("c", "new"), write("d", "z")];
    let error = on.disk.write_files(files).await.unwrap_err();
    assert_eq!(error.path, on.at("c"), "the error names the file that it is about");
    let content =
        [on.content("a").await, on.content("b").await, on.content("c").await, on.content("d").await];
    assert_eq!(content, [Some("x".into()), Some("".into()), Some("old".into()), None]);
    on.disk.write_files(Vec::new()).await.unwrap();
}

async fn what_is_missing_is_removed_already(on: &In<'_>) {
    on.disk.remove_file(&on.at("none")).await.unwrap();
    on.disk.remove_dir_all(&on.at("none")).await.unwrap();
    on.disk.remove_file(&on.at("none/below")).await.unwrap();
    on.put("f", "x").await;
    assert!(on.disk.remove_dir_all(&on.at("f")).await.is_err(), "a file is no directory");
    on.disk.create_dir_all(&on.at("d")).await.unwrap();
    assert!(on.disk.remove_file(&on.at("d")).await.is_err(), "a directory is no file");
    on.disk.remove_file(&on.at("f")).await.unwrap();
    assert_eq!(on.page(None, 9).await, ["d"]);
}

async fn a_tree_is_removed_whole(on: &In<'_>) {
    on.disk.create_dir_all(&on.at("d/in/deep")).await.unwrap();
    on.put("d/f", "x").await;
    on.put("d/in/deep/f", "x").await;
    on.disk.remove_dir_all(&on.at("d")).await.unwrap();
    assert_eq!(on.page(None, 9).await, [""; 0]);
}

async fn what_exists_is_made_already(on: &In<'_>) {
    on.disk.create_dir_all(&on.at("d/in")).await.unwrap();
    on.put("d/in/f", "x").await;
    on.disk.create_dir_all(&on.at("d/in")).await.unwrap();
    assert_eq!(on.content("d/in/f").await.unwrap(), "x");
    assert!(on.disk.create_dir_all(&on.at("d/in/f")).await.is_err());
    assert!(on.disk.create_dir_all(&on.at("d/in/f/below")).await.is_err());
}

async fn metadata_tells_files_from_directories(on: &In<'_>) {
    on.put("f", "four").await;
    let about = async |path| on.disk.metadata(&on.at(path)).await.unwrap();
    let file = about("f").await.unwrap();
    assert_eq!((file.kind, file.len), (FileKind::File, 4));
    assert_eq!(about(".").await.unwrap().kind, FileKind::Dir);
    assert_ne!(about(".").await.unwrap().id, file.id);
    assert_eq!(about("none").await, None);
    assert_eq!(about("f/below").await, None);
    on.disk.rename(&on.at("f"), &on.at("g")).await.unwrap();
    assert_eq!(about("g").await, Some(file), "a name is no part of a file");
}

async fn there_is_no_more_room_than_all_there_is(on: &In<'_>) {
    let Space { free, total } = on.disk.space(on.dir).await.unwrap();
    assert!(0 < free && free <= total, "{free} of {total}");
    assert!(on.disk.space(&on.at("none")).await.is_err());
}

async fn what_is_synced_exists(on: &In<'_>) {
    let file = on.put("f", "x").await;
    file.sync().await.unwrap();
    on.disk.sync_dir(on.dir).await.unwrap();
    on.disk.sync_fs(on.dir).await.unwrap();
    on.disk.open(&on.at("f"), OpenMode::Read).await.unwrap().sync().await.unwrap();
    for synced in [on.disk.sync_dir(&on.at("none")).await, on.disk.sync_fs(&on.at("none")).await] {
        assert_eq!(synced.unwrap_err().kind, DiskErrorKind::NotFound);
    }
    assert_eq!(on.content("f").await.unwrap(), "x");
}
