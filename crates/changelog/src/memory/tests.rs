//! What a log does, shown on the one in memory.

use std::num::NonZeroU32;

use super::*;

fn log() -> MemoryLog {
    MemoryLog::new("wal").unwrap()
}

/// A log with records `0`, `1`, .. and the positions before each, and after the last.
fn filled(records: u64) -> (MemoryLog, Vec<Position>) {
    let log = log();
    let mut positions = vec![log.bump_epoch()];
    positions.extend((0..records).map(|n| log.append(n.to_string()).unwrap()));
    (log, positions)
}

fn limits(records: u32, bytes: u64) -> ReadLimits {
    ReadLimits { records: NonZeroU32::new(records).unwrap(), bytes: ByteCount(bytes) }
}

#[tokio::test]
async fn reading_from_a_position_continues_exactly_there() {
    let (log, positions) = filled(5);
    let first = log.read(&positions[1], limits(2, 1000)).await.unwrap();
    assert_eq!((first.records, &first.next), (vec!["1".into(), "2".into()], &positions[3]));
    let second = log.read(&first.next, limits(9, 1000)).await.unwrap();
    assert_eq!((second.records, &second.next), (vec!["3".into(), "4".into()], &positions[5]));
}

#[tokio::test]
async fn the_end_of_the_log_is_an_empty_batch_that_stays_there() {
    let (log, positions) = filled(2);
    let batch = log.read(&positions[2], ReadLimits::default()).await.unwrap();
    assert_eq!(batch, Batch { records: vec![], next: positions[2].clone() });
    assert_eq!(log.latest().await.unwrap(), positions[2]);
}

#[tokio::test]
async fn a_batch_ends_at_its_bytes_but_never_without_progress() {
    let log = log();
    let start = log.latest().await.unwrap();
    for record in ["four", "four", "a long one"] {
        log.append(record).unwrap();
    }
    let batch = log.read(&start, limits(9, 9)).await.unwrap();
    assert_eq!(batch.records, ["four", "four"]);
    let batch = log.read(&batch.next, limits(9, 9)).await.unwrap();
    assert_eq!(batch.records, ["a long one"], "longer than the limit, and still read");
}

#[tokio::test]
async fn a_position_that_retention_passed_is_truncated_and_says_where_the_log_begins() {
    let (log, positions) = filled(4);
    log.truncate_before(&positions[2]).unwrap();
    log.truncate_before(&positions[1]).unwrap(); // gone already
    assert_eq!(log.earliest().await.unwrap(), positions[2]);
    let error = log.read(&positions[1], ReadLimits::default()).await.unwrap_err();
    assert_eq!(error, ReadError::Truncated { earliest: positions[2].clone() });
    let batch = log.read(&positions[2], ReadLimits::default()).await.unwrap();
    assert_eq!(batch.records, ["2", "3"]);
}

#[tokio::test]
async fn a_position_beyond_the_end_is_ahead_and_says_where_the_log_ends() {
    let (log, positions) = filled(2);
    let beyond = log.at(&log.inner(), 3);
    let ahead = ReadError::Ahead { latest: positions[2].clone() };
    assert_eq!(log.read(&beyond, ReadLimits::default()).await.unwrap_err(), ahead);
    assert_eq!(log.truncate_before(&beyond).unwrap_err(), ahead);
    assert_eq!(log.earliest().await.unwrap(), positions[0], "nothing was dropped");
}

#[tokio::test]
async fn a_position_of_another_log_or_epoch_is_refused_and_not_guessed_about() {
    let (log, positions) = filled(2);
    let other = MemoryLog::new("other").unwrap().append("x").unwrap();
    let error = log.read(&other, ReadLimits::default()).await.unwrap_err();
    assert!(matches!(error, ReadError::WrongLog(Incomparable::OtherLog { .. })), "{error}");
    assert!(matches!(log.compare(&positions[0], &other), Err(Incomparable::OtherLog { .. })));

    let start = log.bump_epoch();
    log.append("after").unwrap();
    let error = log.read(&positions[1], ReadLimits::default()).await.unwrap_err();
    assert!(matches!(error, ReadError::WrongLog(Incomparable::OtherEpoch { epoch: 2, .. })), "{error}");
    assert!(log.compare(&positions[0], &positions[1]).is_err(), "both are of a life that is over");
    assert_eq!(log.read(&start, ReadLimits::default()).await.unwrap().records, ["after"]);
}

#[test]
fn a_token_that_the_log_never_gave_out_is_refused() {
    let (log, positions) = filled(1);
    for token in [vec![], vec![0; 7], vec![0; 9]] {
        let bad = Position { token, ..positions[0].clone() };
        assert!(matches!(log.compare(&bad, &positions[0]), Err(Incomparable::BadToken { .. })));
    }
}

#[test]
fn positions_are_ordered_by_record_and_not_by_text() {
    let (log, positions) = filled(300);
    assert_eq!(log.compare(&positions[2], &positions[300]), Ok(Ordering::Less));
    assert_eq!(log.compare(&positions[256], &positions[255]), Ok(Ordering::Greater));
    assert_eq!(log.compare(&positions[7], &positions[7].clone()), Ok(Ordering::Equal));
}

/// Promise 4: with several contributing snapshots the position is the minimum of theirs.
#[test]
fn the_minimum_of_positions_is_the_earliest_in_any_order() {
    let (log, positions) = filled(9);
    let pick = |order: [usize; 3]| log.minimum(&order.map(|n| positions[n].clone())).unwrap();
    for order in [[3, 5, 8], [5, 3, 8], [8, 5, 3], [3, 3, 8]] {
        assert_eq!(pick(order), Some(positions[3].clone()));
    }
    assert_eq!(log.minimum(&[]), Ok(None));
}

#[test]
fn one_incomparable_position_spoils_the_minimum_wherever_it_stands() {
    let (log, positions) = filled(3);
    let other = MemoryLog::new("other").unwrap().append("x").unwrap();
    let (a, b) = (positions[1].clone(), positions[2].clone());
    for order in [vec![other.clone()], vec![other.clone(), a.clone()], vec![a, b, other]] {
        assert!(matches!(log.minimum(&order), Err(Incomparable::OtherLog { .. })), "{order:?}");
    }
}

#[tokio::test]
async fn the_oldest_records_go_when_the_log_is_full() {
    let three_records = ByteCount(3 * (RECORD_OVERHEAD.0 + 1));
    let log = MemoryLog::with_retention("wal", three_records).unwrap();
    let start = log.latest().await.unwrap();
    for record in ["a", "b", "c", "d", "e"] {
        log.append(record).unwrap();
    }
    let earliest = log.earliest().await.unwrap();
    let kept = log.read(&earliest, ReadLimits::default()).await.unwrap();
    assert_eq!(kept.records, ["c", "d", "e"]);
    assert_eq!(log.read(&start, ReadLimits::default()).await, Err(ReadError::Truncated { earliest }));
}

#[tokio::test]
async fn a_record_or_an_id_over_its_limit_is_refused() {
    let log = log();
    let start = log.latest().await.unwrap();
    let len = RECORD_LEN_MAX.0 + 1;
    let record = vec![0; usize::try_from(len).unwrap()];
    assert_eq!(log.append(record), Err(AppendError(ByteCount(len))));
    assert_eq!(log.latest().await.unwrap(), start, "the log is as it was");
    assert_eq!(MemoryLog::new(&"x".repeat(257)).unwrap_err(), LogIdError(257));
}

#[tokio::test]
async fn clones_share_the_log_and_the_seam_is_an_object() {
    let log = log();
    let seam: Arc<dyn ChangeLog> = Arc::new(log.clone());
    let end = log.append("a").unwrap();
    assert_eq!((seam.log_id(), seam.latest().await.unwrap()), ("wal", end));
}
