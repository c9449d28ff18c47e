//! What a log is written like.

use peerstream_snapshot::disk::crash::CrashDisk;
use peerstream_types::EntryKind;

use super::*;
use crate::limits::BLOCKS_MAX;
use crate::medium::Full;

fn head_of_x() -> Head {
    Head::new(Vec::new(), *digest_of_whole(b"x").as_bytes(), 1, EntryKind::Block)
}

/// Heads may be much longer than what they are of, so their number counts too: a log is written anew in
/// records that are read back.
#[tokio::test]
async fn a_log_of_short_blocks_is_written_anew_in_short_records() {
    let disk: Arc<dyn Disk> = Arc::new(CrashDisk::new());
    let mut shard = LogShard::open(disk.clone(), "blocks/0".into()).await.unwrap();
    let blocks = 2 * APPLY_BLOCKS + 1;
    let change = |place: usize| -> Change {
        let head = head_of_x();
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

/// A block that could not be served is not taken; what is there is written and removed as ever.
#[tokio::test]
async fn a_log_takes_as_many_blocks_as_are_served() {
    let mut shard = LogShard::open(Arc::new(CrashDisk::new()), "blocks/0".into()).await.unwrap();
    let key = |place: usize| EntryKey::new(format!("{place:07}")).unwrap();
    let head = head_of_x();
    let change = |place: usize| -> Change { (key(place), Some((head.clone(), Bytes::from_static(b"x")))) };
    shard.apply(vec![change(0)], None).await.unwrap();
    let (_, at) = shard.index[&key(0)];
    shard.index = Arc::new((0..BLOCKS_MAX).map(|place| (key(place), (head.clone(), at))).collect());
    let facts = Some(Facts { ready: true, ..Facts::default() });
    assert_eq!(shard.apply(vec![change(7), change(BLOCKS_MAX)], facts).await, Err(Full.into()));
    assert_eq!((shard.facts(), shard.index.len()), (None, BLOCKS_MAX));
    shard.live = u64::MAX / 8;
    shard.apply(vec![change(7), (key(8), None), change(BLOCKS_MAX)], None).await.unwrap();
    assert_eq!(shard.index.len(), BLOCKS_MAX);
}
