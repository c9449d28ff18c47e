//! The journal's format, and what it does with damage.

use super::*;
use crate::RealDisk;

const MOMENT: Moment = Moment { attempt: 3, checkpoint: 2 };

fn claim(chunk: u64) -> Record {
    Record::Claim(MOMENT, content(), ChunkRange::one(ChunkIndex(chunk)))
}

fn content() -> ContentId {
    ContentId { digest: Digest::Blake3([7; 32]), len: 5000, chunk_size: ChunkSize::new(1024).unwrap() }
}

async fn read(path: &Path) -> (Journal, Vec<Record>) {
    read_lagging(path, 0).await
}

async fn read_lagging(path: &Path, lag: u64) -> (Journal, Vec<Record>) {
    let mut records = Vec::new();
    let journal = Journal::open(&RealDisk::new(), path, lag, |record| records.push(record)).await.unwrap();
    (journal, records)
}

/// Pins the format: a staging of today has to be readable tomorrow.
#[test]
fn the_format_is_pinned() {
    let all = [claim(4), Record::Settled(content()), Record::Checkpoint(MOMENT), Record::Doubt(3)];
    let file = all.iter().fold(MAGIC.to_vec(), |file, record| [&file[..], &encode(record)].concat());
    assert_eq!(file.len(), 16 + all.len() * RECORD_LEN);
    assert_eq!(
        blake3::hash(&file).to_hex().as_str(),
        "756b1fcfdbaf38fb98d9d21cde5497884b0b88301f0711dada3df2475c2ec005"
    );
    for record in all {
        assert_eq!(decode(&encode(&record)), Some(record));
    }
    assert_eq!(decode(&encode(&claim(5))), None, "no such chunk");
}

#[tokio::test]
async fn records_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, claims) = read(&path).await;
    assert_eq!(claims, []);
    journal.append(&[claim(0)]).await.unwrap();
    let (second, third) = ([claim(1)], [claim(2)]);
    let (a, b) = tokio::join!(journal.append(&second), journal.append(&third));
    a.and(b).unwrap();
    journal.sync().await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0), claim(1), claim(2)]);
}

/// D11: many claims are one write. What they stand for while they wait is less than the lag.
#[tokio::test]
async fn claims_wait_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, _) = read_lagging(&path, 10).await;
    journal.claim(&[claim(0)], 4).await.unwrap();
    journal.claim(&[claim(1)], 5).await.unwrap();
    assert_eq!(read(&path).await.1, []);
    journal.claim(&[claim(2)], 1).await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0), claim(1), claim(2)]);

    journal.claim(&[claim(3)], 9).await.unwrap();
    journal.append(&[Record::Checkpoint(MOMENT)]).await.unwrap();
    let all = read(&path).await.1;
    assert_eq!(all[3..], [claim(3), Record::Checkpoint(MOMENT)], "what they are covered by comes after them");
}

#[tokio::test]
async fn a_torn_record_ends_the_journal_and_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, _) = read(&path).await;
    for chunk in 0..3 {
        journal.append(&[claim(chunk)]).await.unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16 + RECORD_LEN + 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();

    let (journal, claims) = read(&path).await;
    assert_eq!(claims, [claim(0)]);
    journal.append(&[claim(3)]).await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0), claim(3)], "nothing after it comes back");

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(read(&path).await.1, [claim(0)], "a record that is cut off is none");
}

#[tokio::test]
async fn a_journal_of_another_format_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    std::fs::write(&path, [9; 500]).unwrap();
    let (journal, claims) = read(&path).await;
    assert_eq!(claims, []);
    journal.append(&[claim(0)]).await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0)]);
}
