//! Copies for a shard that has all the blocks that it may have.

use std::sync::Arc;

use peerstream_snapshot::Source;
use peerstream_types::{EntryKind, PageToken, Selector, ShardId};

use super::*;
use crate::limits::BLOCKS_MAX;
use crate::{BlockKey, BlockOptions, LastWriter, Stamp, Tags};

fn key(start: i64) -> BlockKey {
    BlockKey::new("cpu", Tags::default(), start).unwrap()
}

/// A block more costs itself, and neither those that are there already nor the recovery.
#[tokio::test]
async fn a_block_too_many_costs_that_block() {
    let shard: ShardId = "metrics@1/0".parse().unwrap();
    let [store, source] = [(); 2].map(|()| BlockStore::in_memory(BlockOptions::new(LastWriter)));
    source.create(&shard).await.unwrap();
    for start in 0..8 {
        source.write(&shard, &key(start), &LastWriter::encode(Stamp(2), b"new")).await.unwrap();
    }
    let present = [1, 2, 6];
    for start in present {
        store.write(&shard, &key(start), &LastWriter::encode(Stamp(1), b"old")).await.unwrap();
    }
    let mut open = store.shard(&shard).await.unwrap();
    let head = Head::new(Vec::new(), [0; 32], 1, EntryKind::Block);
    let others = (present.len()..BLOCKS_MAX).map(|place| {
        (EntryKey::new(format!("{place:07}")).unwrap(), Some((head.clone(), Bytes::from_static(b"x"))))
    });
    open.apply(others.collect(), None).await.unwrap();

    let snapshot = source.open(&shard, &Selector::All).await.unwrap();
    let page = snapshot.page(&PageToken::START, 100).await.unwrap();
    let entries: Vec<_> = page.entries.into_iter().map(Arc::new).collect();
    let mut copies = Vec::new();
    for entry in &entries {
        let content = snapshot.read(entry.ordinal, 0, entry.len as usize).await.unwrap();
        copies.push(Copy { entry, content });
    }
    // What is wrong with a later one is told after that.
    copies[7].content = Bytes::from_static(b"bad");
    let (merged, result) = store.absorb(&mut open, &copies).await;
    assert_eq!(merged, [1, 2, 6]);
    let Err(SinkError::Unmergeable { key: named, why }) = result else { panic!("{result:?}") };
    assert_eq!(named, key(0).to_entry_key());
    assert!(why.contains("1048576 blocks"), "{why}");
    drop(open);
    for start in 0..8 {
        let block = store.read(&shard, &key(start)).await.unwrap();
        let expected = present.contains(&start).then(|| LastWriter::encode(Stamp(2), b"new"));
        assert_eq!(block.and_then(|block| block.payload), expected, "{start}");
    }
}
