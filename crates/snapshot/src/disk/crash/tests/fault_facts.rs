//! What can be made to fail.

use super::*;
use crate::disk::{Space, WriteFile};

#[tokio::test]
async fn a_full_disk_takes_nothing_until_something_is_freed() {
    let disk = CrashDisk::new();
    let file = create(&disk, "f").await;
    put(&*file, 0, b"12345").await;
    disk.set_capacity(Some(8));
    assert_eq!(disk.space(at("/")).await.unwrap(), Space { free: 3, total: 8 });
    let other = create(&disk, "g").await;
    let full = other.write_at(0, Bytes::from_static(b"1234")).await.unwrap_err();
    assert_eq!(full.kind, DiskErrorKind::Full);
    assert_eq!(file.set_len(9).await.unwrap_err().kind, DiskErrorKind::Full);
    assert_eq!(disk.clone_file(at("f"), at("h")).await.unwrap_err().kind, DiskErrorKind::Full);
    assert_eq!(content(&disk, "g").await.unwrap(), "", "nothing of it was written");
    put(&*file, 0, b"54321").await;
    disk.remove_file(at("f")).await.unwrap();
    drop(file);
    put(&*other, 0, b"1234").await;
    assert_eq!(disk.used(), 4);
    disk.set_capacity(Some(1));
    assert_eq!(disk.space(at("/")).await.unwrap(), Space { free: 0, total: 1 });
}

#[tokio::test]
async fn a_short_write_writes_what_there_is_room_for() {
    let disk = CrashDisk::new();
    disk.set_capacity(Some(3));
    disk.set_short_writes(true);
    let file = create(&disk, "f").await;
    let full = file.write_at(0, Bytes::from_static(b"1234")).await.unwrap_err();
    assert_eq!(full.kind, DiskErrorKind::Full);
    assert_eq!(content(&disk, "f").await.unwrap(), "123");
}

#[tokio::test]
async fn operations_are_counted_step_by_step() {
    let disk = CrashDisk::new();
    let since = |before: Counts| {
        let now = disk.counts();
        (now.reads - before.reads, now.changes - before.changes)
    };
    let start = disk.counts();
    disk.create_dir_all(at("a/b/c")).await.unwrap();
    assert_eq!(since(start), (0, 3));
    let start = disk.counts();
    disk.create_dir_all(at("a/b")).await.unwrap();
    disk.remove_file(at("none")).await.unwrap();
    disk.remove_dir_all(at("none")).await.unwrap();
    assert_eq!(since(start), (3, 0), "what changes nothing only reads");
    let start = disk.counts();
    let write = |path: &str, content| WriteFile { path: path.into(), content };
    let files = vec![write("a/x", Bytes::from_static(b"x")), write("a/y", Bytes::new())];
    disk.write_files(files).await.unwrap();
    assert_eq!(since(start), (0, 3), "two names and one content");
    let start = disk.counts();
    disk.clone_file(at("a/x"), at("a/z")).await.unwrap();
    assert_eq!(since(start), (1, 2));
    let start = disk.counts();
    disk.remove_dir_all(at("a")).await.unwrap();
    assert_eq!(since(start), (0, 6));
}

#[tokio::test]
async fn the_power_goes_before_or_after_a_change() {
    for (side, there) in [(Side::Before, None), (Side::After, Some(Bytes::new()))] {
        let disk = CrashDisk::new();
        disk.stop_at(1, side);
        create(&disk, "first").await;
        assert_eq!(disk.stopped(), None);
        let error = disk.open(at("second"), OpenMode::Create).await.unwrap_err();
        assert_eq!(error.to_string(), "create second: the power is lost");
        let stopped = Operation { kind: OperationKind::Create, path: "second".into() };
        assert_eq!(disk.stopped(), Some(stopped));
        assert!(disk.metadata(at("first")).await.is_err(), "everything fails from then on");
        let disk = disk.kill();
        assert_eq!(disk.stopped(), None);
        assert_eq!(content(&disk, "second").await, there);
        create(&disk, "third").await;
    }
}

#[tokio::test]
async fn chosen_operations_fail() {
    let disk = CrashDisk::new();
    let fault = Fault {
        of: |kind| kind == OperationKind::Write,
        path: "journal".into(),
        skip: 1,
        times: 2,
        ..Fault::next(DiskErrorKind::Full)
    };
    disk.fail(fault);
    let (file, other) = (create(&disk, "journal.1").await, create(&disk, "x").await);
    let mut failed = Vec::new();
    for _ in 0..5 {
        put(&*other, 0, b"x").await;
        let written = file.write_at(0, Bytes::from_static(b"x")).await;
        failed.push(written.err().map(|error| error.kind));
    }
    assert_eq!(failed, [None, Some(DiskErrorKind::Full), Some(DiskErrorKind::Full), None, None]);
}

#[tokio::test]
async fn a_failed_operation_may_have_happened() {
    let disk = CrashDisk::new();
    disk.fail(Fault { side: Side::After, ..Fault::next(DiskErrorKind::Other) });
    assert!(disk.create_dir_all(at("d")).await.is_err());
    disk.fail(Fault::next(DiskErrorKind::Other));
    assert!(disk.create_dir_all(at("e")).await.is_err());
    assert!(disk.metadata(at("d")).await.unwrap().is_some());
    assert!(disk.metadata(at("e")).await.unwrap().is_none());
    disk.fail(Fault { times: u64::MAX, ..Fault::next(DiskErrorKind::Other) });
    assert!(disk.metadata(at("d")).await.is_err());
    disk.heal();
    assert!(disk.metadata(at("d")).await.is_ok());
}

#[tokio::test]
async fn time_is_what_it_is_set_to() {
    let disk = CrashDisk::new();
    disk.set_time_ns(41);
    create(&disk, "a").await;
    put(&*create(&disk, "b").await, 0, b"x").await;
    disk.set_time_ns(42);
    put(&*create(&disk, "b").await, 0, b"x").await;
    let modified = async |path| disk.metadata(at(path)).await.unwrap().unwrap().modified_ns;
    assert_eq!((modified("a").await, modified("b").await), (41, 42));
}

#[tokio::test]
async fn no_file_is_longer_than_memory_allows() {
    let disk = CrashDisk::new();
    let file = create(&disk, "f").await;
    for beyond in [FILE_LEN_MAX + 1, u64::MAX] {
        assert!(file.write_at(beyond - 1, Bytes::from_static(b"x")).await.is_err());
        assert!(file.set_len(beyond).await.is_err());
    }
}
