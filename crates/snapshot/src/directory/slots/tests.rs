//! What records say, and what damaged ones do not.

use peerstream_types::{ChunkSize, Digest};

use super::*;
use crate::RealDisk;

fn id(salt: u8) -> ContentId {
    ContentId { digest: Digest::Blake3([salt; 32]), len: 700, chunk_size: ChunkSize::DEFAULT }
}

fn slot(offset: u64) -> Slot {
    Slot { place: Place::Packed { pack: 3, offset }, checkpoint: 9 }
}

async fn slots(dir: &Path, attempt: u32) -> Slots {
    Slots::create(&RealDisk::new(), &dir.join("slots"), attempt).await.unwrap()
}

/// Pins the format: a staging of today has to be readable tomorrow.
#[tokio::test]
async fn the_format_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let slots = slots(dir.path(), 7).await;
    let file = Slot { place: Place::File, checkpoint: 1 };
    slots.write(&[(Ordinal(0), id(1), slot(1 << 33)), (Ordinal(1), id(2), file)]).await.unwrap();
    let bytes = std::fs::read(dir.path().join("slots")).unwrap();
    assert_eq!(bytes.len(), 3 * RECORD_LEN);
    assert_eq!(bytes[32..48], [3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "1b2d48a595b7fdbf933357a591e779c4bc7095b25dced1935f3e8436c313bc71"
    );
}

#[tokio::test]
async fn a_record_speaks_of_its_own_entry_only() {
    let dir = tempfile::tempdir().unwrap();
    let slots = slots(dir.path(), 1).await;
    slots.write(&[(Ordinal(4), id(1), slot(8))]).await.unwrap();
    let mut reader = slots.reader();
    assert_eq!(reader.get(Ordinal(4), &id(1)).await, Ok(Some(slot(8))));
    assert_eq!(reader.get(Ordinal(4), &id(2)).await, Ok(None), "another digest");
    let longer = ContentId { len: 701, ..id(1) };
    assert_eq!(reader.get(Ordinal(4), &longer).await, Ok(None), "another length");
    assert_eq!(reader.get(Ordinal(3), &id(1)).await, Ok(None), "never written");
    assert_eq!(reader.get(Ordinal(1 << 40), &id(1)).await, Ok(None), "past the end");
    let other = Slots { key: key_of(2), ..slots };
    assert_eq!(other.reader().get(Ordinal(4), &id(1)).await, Ok(None), "of another attempt");
}

#[tokio::test]
async fn a_torn_record_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let slots = slots(dir.path(), 1).await;
    slots.write(&[(Ordinal(0), id(1), slot(8)), (Ordinal(1), id(2), slot(708))]).await.unwrap();
    let good = std::fs::read(dir.path().join("slots")).unwrap();
    for at in 32..64 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(dir.path().join("slots"), &bad).unwrap();
        let slots = Slots::open(&RealDisk::new(), &dir.path().join("slots"), 1).await.unwrap().unwrap();
        assert_eq!(slots.reader().get(Ordinal(0), &id(1)).await, Ok(None), "byte {at}");
        assert_eq!(slots.reader().get(Ordinal(1), &id(2)).await, Ok(Some(slot(708))), "byte {at}");
    }
}

#[tokio::test]
async fn records_of_another_format_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slots"), [7; 100]).unwrap();
    let opened = Slots::open(&RealDisk::new(), &dir.path().join("slots"), 1).await.unwrap();
    assert!(opened.is_none());
}
