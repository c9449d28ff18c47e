//! What the table keeps, and what makes room.

use std::path::Path;

use super::table::Table;
use super::*;
use crate::RealDisk;
use crate::disk::{FileId, FileKind};

fn file(inode: u64) -> Metadata {
    Metadata { kind: FileKind::File, len: inode * 3, id: FileId { device: 7, inode }, modified_ns: 5 }
}

fn digest(inode: u64) -> Digest {
    Digest::Blake3(*blake3::hash(&inode.to_le_bytes()).as_bytes())
}

fn table(dir: &Path) -> Table {
    Table::new(Arc::new(RealDisk::new()), dir.join("digests"))
}

async fn keep(table: &Table, inodes: impl Iterator<Item = u64>) {
    let files: Vec<_> = inodes.map(|inode| (file(inode), digest(inode))).collect();
    table.keep(ChunkSize::DEFAULT, &files).await.unwrap();
}

async fn known(table: &Table, inodes: impl Iterator<Item = u64>) -> Vec<u64> {
    let inodes: Vec<u64> = inodes.collect();
    let files: Vec<_> = inodes.iter().map(|inode| file(*inode)).collect();
    let found = table.look_up(ChunkSize::DEFAULT, &files).await;
    let known = inodes
        .into_iter()
        .zip(found)
        .filter_map(|(inode, found)| found.map(|found| assert_eq!(found, digest(inode))).map(|()| inode));
    known.collect()
}

/// Pins the format: what is kept today has to be found tomorrow.
#[tokio::test]
async fn the_format_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    keep(&table(dir.path()), [3, 4].into_iter()).await;
    let table = std::fs::read(dir.path().join("digests")).unwrap();
    let begin = table.iter().position(|byte| *byte != 0).unwrap();
    let found = (begin, blake3::hash(&table[begin..]).to_hex().to_string());
    let expected = "682932ffa03a2ff44e1d73031395fba70869e4c5ae34aa9c9984d7135dd113f4";
    assert_eq!(found, (4_538_368, expected.to_owned()));
}

#[tokio::test]
async fn digests_are_found_again_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let inodes = || (0..4000).step_by(3).chain([1 << 40, u64::MAX / 4]);
    keep(&table(dir.path()), inodes()).await;
    let table = table(dir.path());
    assert_eq!(known(&table, inodes()).await, inodes().collect::<Vec<_>>());
    assert_eq!(known(&table, (1..4000).step_by(3)).await, []);
}

#[tokio::test]
async fn only_the_same_file_with_the_same_chunks_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    keep(&table, [9].into_iter()).await;
    let same = file(9);
    let id = |device, inode| FileId { device, inode };
    let others = [
        Metadata { len: 28, ..same },
        Metadata { modified_ns: 6, ..same },
        Metadata { id: id(8, 9), ..same },
        Metadata { id: id(7, 10), ..same },
    ];
    assert_eq!(table.look_up(ChunkSize::DEFAULT, &others).await, [None; 4]);
    let other_size = ChunkSize::new(1024).unwrap();
    assert_eq!(table.look_up(other_size, &[same]).await, [None]);
    assert_eq!(table.look_up(ChunkSize::DEFAULT, &[same]).await, [Some(digest(9))]);
}

#[tokio::test]
async fn a_file_that_changed_takes_the_place_of_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    keep(&table, 0..24).await;
    for modified_ns in 0..100 {
        let changed = Metadata { modified_ns, ..file(3) };
        table.keep(ChunkSize::DEFAULT, &[(changed, digest(modified_ns as u64))]).await.unwrap();
        let found = table.look_up(ChunkSize::DEFAULT, &[changed]).await;
        assert_eq!(found, [Some(digest(modified_ns as u64))]);
    }
    assert_eq!(known(&table, 0..24).await.len(), 23, "the others are still there");
}

#[tokio::test]
async fn the_oldest_of_a_full_bucket_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    // All in one bucket, which has room for 51.
    let lap = 24 * crate::limits::HASH_CACHE_BUCKETS;
    let inode = |i: u64| i * lap;
    keep(&table, (0..60).map(inode)).await;
    assert_eq!(known(&table, (0..60).map(inode)).await, (9..60).map(inode).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_record_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    keep(&table, 0..24).await;
    let path = dir.path().join("digests");
    let good = std::fs::read(&path).unwrap();
    let begin = good.iter().position(|byte| *byte != 0).unwrap();
    let begin = begin - begin % 4096;
    for at in begin..begin + 80 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(known(&table, 0..24).await.len(), 23, "byte {at}");
    }
}
