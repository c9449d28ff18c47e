//! What a log is written like.

use peerstream_snapshot::disk::crash::CrashDisk;
use peerstream_types::EntryKind;

use super::*;

/// Heads may be much longer than what they are of, so their number counts too: a log is written anew in
/// records that are read back.
#[tokio::test]
async fn a_log_of_short_blocks_is_written_anew_in_short_records() {
    let disk: Arc<dyn Disk> = Arc::new(CrashDisk::new());
    let mut shard = LogShard::open(disk.clone(), "blocks/0".into()).await.unwrap();
    let blocks = 2 * APPLY_BLOCKS + 1;
    let change = |place: usize| -> Change {
        let head = Head::new(Vec::new(), [0; 32], 1, EntryKind::Block);
        (EntryKey::new(format!("{place:04}")).unwrap(), Some((head, Bytes::from_static(b"x"))))
    };
    for place in 0..blocks {
        shard.apply_now(vec![change(place)], None).await.unwrap();
    }
    shard.rewrite().await.unwrap();
    let number = shard.numbers.start;
    let mut log = Log::open(&*disk, shard.path_of(number), number).await.unwrap();
    let mut records = Vec::new();
    while let Some((record, _)) = log.next().await.unwrap() {
        records.push(record.changes.len());
    }
    assert_eq!(records, [APPLY_BLOCKS, APPLY_BLOCKS, 1]);
}
