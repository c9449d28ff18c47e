//! Answers in pieces of every length.

use std::sync::Arc;

use peerstream_types::{ChunkIndex, ChunkRange, Codec, Digest, Entry, EntryKey, EntryKind};

use super::super::batch::Checked;
use super::super::expected::Expected;
use super::*;

const SMALL: usize = 700;

fn content(ordinal: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i * 7 + ordinal * 13) as u8).collect()
}

fn expected(ordinal: u64, len: usize) -> Expected {
    let digest = *blake3::hash(&content(ordinal, len)).as_bytes();
    let entry = Entry {
        ordinal: Ordinal(ordinal),
        key: EntryKey::new(format!("{ordinal:06}").as_bytes()).unwrap(),
        len: len as u64,
        digest: Some(Digest::Blake3(digest)),
        kind: EntryKind::Block,
        codec: Codec::Plain,
        metadata: Vec::new(),
    };
    Expected { entry: Arc::new(entry), range: ChunkRange::one(ChunkIndex(0)), outline: None }
}

fn record(ordinal: u64, bytes: &[u8]) -> Vec<u8> {
    let (len, status) = (u32::try_from(bytes.len()).unwrap(), RecordStatus::Content(Codec::Plain));
    [&RecordHeader { ordinal: Ordinal(ordinal), offset: 0, len, status }.encode(), bytes].concat()
}

fn failed(ordinal: u64, why: &str) -> Vec<u8> {
    let (len, status) = (u32::try_from(why.len()).unwrap(), RecordStatus::Failed(Code::NotFound));
    let header = RecordHeader { ordinal: Ordinal(ordinal), offset: 0, len, status }.encode();
    [&header, why.as_bytes()].concat()
}

fn answer(entries: impl IntoIterator<Item = (u64, usize)>, size: ChunkSize) -> Answer {
    let expected = entries.into_iter().map(|(ordinal, len)| expected(ordinal, len));
    Answer::new(size, Expectation::new(expected.collect()), Names::Same, Buffers::default())
}

/// What was good: ordinals and contents.
type Good = Vec<(u64, Vec<u8>)>;

/// Feeds `body` in parts of `part` bytes; the steps met, and all that was checked.
fn feed(answer: &mut Answer, body: &[u8], part: usize) -> (Vec<Step>, Good, usize) {
    let (mut steps, mut good, mut bad) = (Vec::new(), Vec::new(), 0);
    let size = answer.size;
    let mut keep = |batch: Option<Batch>| {
        let Checked { good: fine, bad: wrong } = batch.map(|batch| batch.check(size)).unwrap_or_default();
        good.extend(fine.iter().map(|chunk| (chunk.entry().ordinal.0, chunk.bytes().to_vec())));
        bad += wrong.len();
    };
    for bytes in body.chunks(part) {
        let mut bytes = Bytes::copy_from_slice(bytes);
        loop {
            match answer.take(&mut bytes).unwrap() {
                Step::More => break,
                Step::Full => keep(answer.batch()),
                step @ (Step::Wasted(_) | Step::Failed { .. }) => steps.push(step),
            }
        }
        assert!(bytes.is_empty());
    }
    keep(answer.batch());
    (steps, good, bad)
}

#[test]
fn an_answer_may_be_cut_anywhere() {
    let body = [
        record(1, &content(1, SMALL)),
        record(9, b"foreign"),
        failed(2, "it\x1bis gone"),
        record(3, &content(3, 1)),
        record(1, &content(1, SMALL)),
        record(4, b"wrong"),
    ]
    .concat();
    for part in [1, 7, 23, 24, 25, 1000, body.len()] {
        let mut answer = answer([(1, SMALL), (2, 5), (3, 1), (4, 5)], ChunkSize::DEFAULT);
        let (steps, good, bad) = feed(&mut answer, &body, part);
        let gone = Step::Failed { ordinal: Ordinal(2), code: Code::NotFound, why: "it\\u{1b}is gone".into() };
        assert_eq!(steps, [Step::Wasted(7), gone, Step::Wasted(SMALL as u64)], "{part}");
        assert_eq!(good, [(1, content(1, SMALL)), (3, content(3, 1))], "{part}");
        assert_eq!((bad, answer.is_between_records()), (1, true));
    }
}

/// D12: small records share a batch, of one buffer, and a batch is full before it grows.
#[test]
fn small_records_fill_a_batch() {
    let entries = (0..600).map(|ordinal| (ordinal, SMALL));
    let body: Vec<u8> = entries.clone().flat_map(|(o, len)| record(o, &content(o, len))).collect();
    let mut answer = answer(entries, ChunkSize::DEFAULT);
    let mut bytes = Bytes::from(body);
    let mut lens = Vec::new();
    while answer.take(&mut bytes).unwrap() == Step::Full {
        lens.push(answer.batch().unwrap().len());
    }
    lens.extend(answer.batch().map(|batch| batch.len()));
    assert_eq!(lens, [BUFFER_LEN / SMALL * SMALL, (600 - BUFFER_LEN / SMALL) * SMALL]);
}

#[test]
fn tiny_records_are_bounded_by_their_number() {
    let count = RECORDS_MAX as u64 + 5;
    let body: Vec<u8> = (0..count).flat_map(|ordinal| record(ordinal, &content(ordinal, 1))).collect();
    let mut answer = answer((0..count).map(|ordinal| (ordinal, 1)), ChunkSize::DEFAULT);
    let mut bytes = Bytes::from(body);
    assert_eq!(answer.take(&mut bytes).unwrap(), Step::Full);
    assert_eq!(answer.batch().unwrap().len(), RECORDS_MAX);
}

/// A chunk larger than a buffer is a batch of its own.
#[test]
fn a_large_chunk_is_a_batch_of_its_own() {
    let size = ChunkSize::new(1 << 20).unwrap();
    let lens = [(1, 10), (2, 1 << 20), (3, 10)];
    let body: Vec<u8> = lens.iter().flat_map(|(o, len)| record(*o, &content(*o, *len))).collect();
    let mut answer = answer(lens, size);
    let (_, good, bad) = feed(&mut answer, &body, 1400);
    assert_eq!((good.len(), bad), (3, 0));
    assert_eq!(good[1].1.len(), 1 << 20);
}

/// What is whole is taken out while the next record is still coming, and that one is not lost.
#[test]
fn whole_records_do_not_wait_for_the_next_one() {
    let mut answer = answer([(1, SMALL), (2, SMALL)], ChunkSize::DEFAULT);
    let body = [record(1, &content(1, SMALL)), record(2, &content(2, SMALL))].concat();
    let (now, later) = body.split_at(SMALL + 24 + 24 + 300);
    assert_eq!(feed(&mut answer, now, 100).1, [(1, content(1, SMALL))]);
    assert!(!answer.has_records() && !answer.is_between_records());
    assert_eq!(feed(&mut answer, later, 100).1, [(2, content(2, SMALL))]);
}

#[test]
fn a_header_that_breaks_the_rules_ends_the_answer() {
    let mut answer = answer([(1, SMALL)], ChunkSize::DEFAULT);
    assert!(answer.take(&mut Bytes::from(vec![0xff; 24])).is_err());
}
