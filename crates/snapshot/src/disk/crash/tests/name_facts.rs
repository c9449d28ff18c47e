//! What a crash leaves of names.

use std::collections::BTreeSet;

use super::*;

async fn names(disk: &CrashDisk, dir: &str) -> Vec<String> {
    let listed = disk.list(at(dir), None, 100).await.unwrap();
    listed.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
}

/// Which names of the root each seed leaves.
async fn roots(disk: &CrashDisk) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for seed in 0..SEEDS {
        found.insert(names(&disk.fork().crash(Survival::Mixture(seed)), "/").await);
    }
    found
}

#[tokio::test]
async fn a_synced_file_is_gone_if_its_name_was_not_synced() {
    let disk = CrashDisk::new();
    let file = create(&disk, "f").await;
    put(&*file, 0, b"x").await;
    file.sync().await.unwrap();
    assert_eq!(content(&disk.fork().crash(Survival::Nothing), "f").await, None);
    assert_eq!(roots(&disk).await, [vec![], vec!["f".to_owned()]].into());
    disk.sync_dir(at("/")).await.unwrap();
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await.unwrap(), "x");
}

#[tokio::test]
async fn a_synced_name_does_not_sync_the_content() {
    let disk = CrashDisk::new();
    let file = create(&disk, "f").await;
    put(&*file, 0, b"x").await;
    disk.sync_dir(at("/")).await.unwrap();
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await.unwrap(), "");
}

#[tokio::test]
async fn the_old_or_the_new_name_survives_a_rename() {
    let disk = CrashDisk::new();
    durable(&disk, "old", b"x").await;
    disk.rename(at("old"), at("new")).await.unwrap();
    let (old, new) = (vec!["old".to_owned()], vec!["new".to_owned()]);
    assert_eq!(roots(&disk).await, [old, new.clone()].into());
    disk.sync_dir(at("/")).await.unwrap();
    assert_eq!(roots(&disk).await, [new].into());
}

#[tokio::test]
async fn a_name_that_is_replaced_has_one_content_or_the_other() {
    let disk = CrashDisk::new();
    durable(&disk, "f", b"old").await;
    durable(&disk, "f.tmp", b"new").await;
    disk.rename(at("f.tmp"), at("f")).await.unwrap();
    let outcomes = outcomes(&disk, "f").await;
    let found: Vec<_> = outcomes.into_keys().map(Option::unwrap).collect();
    assert_eq!(found, ["new", "old"]);
}

#[tokio::test]
async fn the_sync_of_either_directory_makes_a_rename_durable() {
    for synced in ["a", "b"] {
        let disk = CrashDisk::new();
        disk.create_dir_all(at("a")).await.unwrap();
        disk.create_dir_all(at("b")).await.unwrap();
        durable(&disk, "a/f", b"x").await;
        disk.rename(at("a/f"), at("b/f")).await.unwrap();
        disk.sync_dir(at(synced)).await.unwrap();
        let disk = disk.crash(Survival::Nothing);
        assert_eq!((names(&disk, "a").await, names(&disk, "b").await), (vec![], vec!["f".to_owned()]));
    }
}

/// A name that moved on is not found where it never was.
#[tokio::test]
async fn what_builds_on_a_lost_name_is_lost() {
    let disk = CrashDisk::new();
    create(&disk, "a").await;
    disk.rename(at("a"), at("b")).await.unwrap();
    disk.rename(at("b"), at("c")).await.unwrap();
    let one = |name: &str| vec![name.to_owned()];
    assert_eq!(roots(&disk).await, [vec![], one("a"), one("b"), one("c")].into());
}

#[tokio::test]
async fn names_survive_each_by_itself() {
    let disk = CrashDisk::new();
    create(&disk, "a").await;
    create(&disk, "b").await;
    assert_eq!(roots(&disk).await.len(), 4);
}

#[tokio::test]
async fn a_removed_name_may_come_back() {
    let disk = CrashDisk::new();
    durable(&disk, "f", b"x").await;
    disk.remove_file(at("f")).await.unwrap();
    assert_eq!(content(&disk, "f").await, None);
    assert_eq!(roots(&disk).await, [vec![], vec!["f".to_owned()]].into());
    assert_eq!(content(&disk.fork().crash(Survival::Nothing), "f").await.unwrap(), "x");
    disk.sync_dir(at("/")).await.unwrap();
    assert_eq!(content(&disk.crash(Survival::Nothing), "f").await, None);
}

#[tokio::test]
async fn a_lost_directory_takes_along_what_is_in_it() {
    let disk = CrashDisk::new();
    disk.create_dir_all(at("a/b")).await.unwrap();
    create(&disk, "a/b/f").await;
    disk.sync_dir(at("a/b")).await.unwrap();
    disk.sync_dir(at("/")).await.unwrap();
    assert_eq!(names(&disk.fork().crash(Survival::Nothing), "a").await, [""; 0]);
    disk.sync_dir(at("a")).await.unwrap();
    assert_eq!(names(&disk.crash(Survival::Nothing), "a/b").await, ["f"]);
}

/// Half of a removal: some names are gone, others are not.
#[tokio::test]
async fn a_tree_is_removed_name_by_name() {
    let disk = CrashDisk::new();
    disk.create_dir_all(at("d/in")).await.unwrap();
    for name in ["d/a", "d/in/b", "d/z"] {
        create(&disk, name).await;
    }
    disk.sync_fs(at("/")).await.unwrap();
    disk.stop_at(2, Side::Before);
    assert!(disk.remove_dir_all(at("d")).await.is_err());
    let killed = disk.fork().kill();
    assert_eq!(
        (names(&killed, "d").await, names(&killed, "d/in").await),
        (vec!["in".into(), "z".into()], vec![])
    );
    assert_eq!(names(&disk.crash(Survival::Nothing), "d").await, ["a", "in", "z"]);
}

#[tokio::test]
async fn hard_links_are_one_file_and_clones_are_two() {
    let disk = CrashDisk::new();
    let file = durable(&disk, "f", b"x").await;
    disk.hard_link(at("f"), at("link")).await.unwrap();
    disk.clone_file(at("f"), at("clone")).await.unwrap();
    assert_eq!(disk.used(), 2);
    put(&*file, 0, b"y").await;
    assert_eq!(content(&disk, "link").await.unwrap(), "y");
    assert_eq!(content(&disk, "clone").await.unwrap(), "x");
    let id = async |path| disk.metadata(at(path)).await.unwrap().unwrap().id;
    assert_eq!(id("f").await, id("link").await);
    assert_ne!(id("f").await, id("clone").await);
    disk.sync_dir(at("/")).await.unwrap();
    file.sync().await.unwrap();
    disk.remove_file(at("f")).await.unwrap();
    assert_eq!(disk.used(), 2, "the file has another name");
    let disk = disk.crash(Survival::Everything);
    assert_eq!(content(&disk, "link").await.unwrap(), "y", "synced under its other name");
}

#[tokio::test]
async fn sync_fs_makes_everything_durable() {
    let disk = CrashDisk::new();
    disk.create_dir_all(at("a/b")).await.unwrap();
    put(&*create(&disk, "a/b/f").await, 0, b"x").await;
    disk.rename(at("a"), at("c")).await.unwrap();
    disk.sync_fs(at("c/b")).await.unwrap();
    let disk = disk.crash(Survival::Nothing);
    assert_eq!(names(&disk, "/").await, ["c"]);
    assert_eq!(content(&disk, "c/b/f").await.unwrap(), "x");
}

#[tokio::test]
async fn an_open_file_outlives_its_name_but_not_its_process() {
    let disk = CrashDisk::new();
    let file = create(&disk, "f").await;
    put(&*file, 0, b"xyz").await;
    disk.remove_file(at("f")).await.unwrap();
    assert_eq!(file.read_at(0, 9).await.unwrap(), "xyz");
    assert_eq!(disk.fork().used(), 0);
    assert_eq!(disk.used(), 3);
    drop(file);
    assert_eq!(disk.used(), 0);
}

/// Memory does not grow with what is made and removed again, and numbers are never used twice.
#[tokio::test]
async fn forgotten_files_take_no_memory() {
    let disk = CrashDisk::new();
    let mut ids = BTreeSet::new();
    for i in 0..40_000 {
        create(&disk, "f").await;
        assert!(ids.insert(disk.metadata(at("f")).await.unwrap().unwrap().id), "round {i}");
        disk.remove_file(at("f")).await.unwrap();
    }
    let nodes = disk.machine().medium.nodes();
    assert!(nodes < 2 * WRITEBACK_CHANGES, "{nodes} nodes for an empty directory");
}
