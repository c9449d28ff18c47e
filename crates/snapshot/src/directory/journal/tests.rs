//! The journal's format, and what it does with damage.

use super::*;
use crate::RealDisk;

fn claim(chunk: u64) -> Claim {
    let chunk_size = ChunkSize::new(1024).unwrap();
    let content = ContentId { digest: Digest::Blake3([7; 32]), len: 5000, chunk_size };
    Claim { content, chunk: ChunkIndex(chunk) }
}

async fn read(path: &Path) -> (Journal, Vec<Claim>) {
    let mut claims = Vec::new();
    let journal = Journal::open(&RealDisk::new(), path, |claim| claims.push(claim)).await.unwrap();
    (journal, claims)
}

/// Pins the format: a staging of today has to be readable tomorrow.
#[test]
fn the_format_is_pinned() {
    let mut file = MAGIC.to_vec();
    file.extend(encode(&claim(4)));
    assert_eq!(file.len(), 16 + RECORD_LEN);
    assert_eq!(&file[16..18], [1, 7]);
    assert_eq!(file[49..66], [136, 19, 0, 0, 0, 0, 0, 0, 10, 4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(decode(&encode(&claim(4))), Some(claim(4)));
    assert_eq!(decode(&encode(&claim(5))), None, "no such chunk");
}

#[tokio::test]
async fn records_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, claims) = read(&path).await;
    assert_eq!(claims, []);
    journal.append(&claim(0)).await.unwrap();
    let (second, third) = (claim(1), claim(2));
    let (a, b) = tokio::join!(journal.append(&second), journal.append(&third));
    a.and(b).unwrap();
    journal.sync().await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0), claim(1), claim(2)]);
}

#[tokio::test]
async fn a_torn_record_ends_the_journal_and_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (journal, _) = read(&path).await;
    for chunk in 0..3 {
        journal.append(&claim(chunk)).await.unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16 + RECORD_LEN + 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();

    let (journal, claims) = read(&path).await;
    assert_eq!(claims, [claim(0)]);
    journal.append(&claim(3)).await.unwrap();
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
    journal.append(&claim(0)).await.unwrap();
    assert_eq!(read(&path).await.1, [claim(0)]);
}
