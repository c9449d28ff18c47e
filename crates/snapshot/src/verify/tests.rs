//! Single chunks, outlines and tops, good and bad.

use bytes::Bytes;
use peerstream_types::{ChainingValue, Codec, EntryKind, Ordinal};

use super::*;
use crate::content::{digest_of_outline, digest_of_top, top_of_outline};

const KIB: u64 = 1024;

fn entry(content: &[u8]) -> Arc<Entry> {
    Arc::new(Entry {
        ordinal: Ordinal(0),
        key: EntryKey::from_path("f").unwrap(),
        len: content.len() as u64,
        digest: Some(Digest::Blake3(*blake3::hash(content).as_bytes())),
        kind: EntryKind::File,
        codec: Codec::Plain,
        metadata: Vec::new(),
    })
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

fn outline(size: ChunkSize, content: &[u8]) -> Vec<ChainingValue> {
    let chunks = content.chunks(size.bytes() as usize).enumerate();
    chunks.map(|(i, c)| chaining_value(size, ChunkIndex(i as u64), c)).collect()
}

#[test]
fn chunks_of_any_length_merge_to_the_ordinary_hash() {
    let size = ChunkSize::new(1024).unwrap();
    for len in [1025, 2048, 2049, 3000, 5 * 1024, 7 * 1024 + 1, 16 * 1024, 33 * 1024 - 1] {
        let content = content(len);
        let entry = entry(&content);
        let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
        for (i, part) in content.chunks(1024).enumerate().rev() {
            let bytes = Bytes::copy_from_slice(part);
            let index = ChunkIndex(i as u64);
            assert!(VerifiedChunk::check(&entry, size, Some(&outline), index, bytes).is_ok(), "{len}/{i}");
        }
    }
}

/// F-31: what is not what the digest says is found in its chunk, and not kept.
#[test]
fn one_flipped_bit_is_found_in_its_chunk() {
    let size = ChunkSize::new(1024).unwrap();
    let content = content(4000);
    let entry = entry(&content);
    let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
    for index in 0..4 {
        let mut part = content[index * 1024..].iter().copied().take(1024).collect::<Vec<_>>();
        *part.last_mut().unwrap() ^= 1;
        let index = ChunkIndex(index as u64);
        let result = VerifiedChunk::check(&entry, size, Some(&outline), index, part.into());
        assert_eq!(result.unwrap_err(), VerifyError::ChunkMismatch { key: entry.key.clone(), chunk: index });
    }
}

#[test]
fn a_chunk_at_another_place_is_refused() {
    let size = ChunkSize::new(1024).unwrap();
    let content = vec![7u8; 4096];
    let entry = entry(&content);
    let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
    let bytes = Bytes::copy_from_slice(&content[..1024]);
    assert!(VerifiedChunk::check(&entry, size, Some(&outline), ChunkIndex(4), bytes.clone()).is_err());
    assert!(VerifiedChunk::check(&entry, size, None, ChunkIndex(0), bytes).is_err());
}

#[test]
fn a_forged_or_short_outline_is_refused() {
    let size = ChunkSize::new(1024).unwrap();
    let content = content(4000);
    let entry = entry(&content);
    let good = outline(size, &content);
    let mut forged = good.clone();
    forged[2].0[0] ^= 1;
    for bad in [forged, good[..3].to_vec(), [good.clone(), good].concat(), Vec::new()] {
        assert!(VerifiedOutline::check(&entry, size, bad).is_err());
    }
}

/// F-61: an empty entry is verified by its digest alone.
#[test]
fn an_empty_entry_is_checked_against_its_digest() {
    let mut empty = entry(b"").as_ref().clone();
    assert_eq!(scheme(&empty, ChunkSize::DEFAULT), Ok(Scheme::Empty));
    empty.digest = Some(Digest::Blake3([1; 32]));
    assert!(scheme(&empty, ChunkSize::DEFAULT).is_err());
    empty.digest = None;
    assert!(scheme(&empty, ChunkSize::DEFAULT).is_err());
}

#[test]
fn single_chunks_are_checked_with_sha256_too() {
    use sha2::Digest as _;
    let mut with_sha = entry(b"hello").as_ref().clone();
    with_sha.digest = Some(Digest::Sha256(sha2::Sha256::digest(b"hello").into()));
    let with_sha = Arc::new(with_sha);
    let check = |bytes: &'static [u8]| {
        VerifiedChunk::check(&with_sha, ChunkSize::DEFAULT, None, ChunkIndex(0), Bytes::from_static(bytes))
    };
    assert!(check(b"hello").is_ok());
    assert!(check(b"hellO").is_err());
}

/// An entry of several groups, its top, and the chaining values of its chunks.
fn grouped(chunks: u64) -> (Arc<Entry>, Vec<u8>, Vec<ChainingValue>, Vec<ChainingValue>) {
    let size = ChunkSize::new(KIB).unwrap();
    let content = content((chunks * KIB - 5) as usize);
    let (entry, values) = (entry(&content), outline(size, &content));
    let top = top_of_outline(size, entry.len, &values);
    (entry, content, top, values)
}

fn group_of(values: &[ChainingValue], group: usize) -> Vec<ChainingValue> {
    values.chunks(GROUP_CHUNKS as usize).nth(group).unwrap().to_vec()
}

#[test]
fn groups_merge_to_the_ordinary_hash_and_vouch_for_their_chunks() {
    let size = ChunkSize::new(KIB).unwrap();
    for chunks in [1025, 2048, 2500, 3073] {
        let (entry, content, top, values) = grouped(chunks);
        assert_eq!(scheme(&entry, size), Ok(Scheme::Groups));
        assert_eq!(Some(digest_of_outline(size, entry.len, &values)), entry.digest);
        assert_eq!(Some(digest_of_top(size, entry.len, &top)), entry.digest);
        let top = VerifiedTop::check(&entry, size, top).unwrap();
        for group in (0..entry.groups(size)).rev() {
            let own = group_of(&values, group as usize);
            let outline =
                VerifiedOutline::check_group(&entry, size, &top, GroupIndex(group), own.clone()).unwrap();
            assert_eq!((outline.values(), outline.group()), (&own[..], GroupIndex(group)));
            assert_eq!(outline.top().unwrap().values(), top.values());
            let range = size.chunks_of(GroupIndex(group), entry.len);
            assert_eq!(outline.first(), range.first);
            for index in [range.first, ChunkIndex(range.end() - 1)] {
                let from = (index.0 * KIB) as usize;
                let part = &content[from..(from + KIB as usize).min(content.len())];
                let check = |index, bytes: &[u8]| {
                    let bytes = Bytes::copy_from_slice(bytes);
                    VerifiedChunk::check(&entry, size, Some(&outline), index, bytes)
                };
                assert!(check(index, part).is_ok(), "{chunks}/{index}");
                let mut flipped = part.to_vec();
                flipped[0] ^= 1;
                let key = entry.key.clone();
                assert_eq!(
                    check(index, &flipped).unwrap_err(),
                    VerifyError::ChunkMismatch { key, chunk: index }
                );
            }
        }
    }
}

#[test]
fn a_chunk_needs_the_outline_of_its_own_group() {
    let size = ChunkSize::new(KIB).unwrap();
    let (entry, content, top, values) = grouped(2048);
    let top = VerifiedTop::check(&entry, size, top).unwrap();
    let first =
        VerifiedOutline::check_group(&entry, size, &top, GroupIndex(0), group_of(&values, 0)).unwrap();
    let bytes = Bytes::copy_from_slice(&content[1024 * 1024..][..1024]);
    for outline in [Some(&first), None] {
        let checked = VerifiedChunk::check(&entry, size, outline, ChunkIndex(1024), bytes.clone());
        assert_eq!(checked.unwrap_err(), VerifyError::WrongOutline { key: entry.key.clone() });
    }
}

#[test]
fn a_forged_top_or_group_is_refused() {
    let size = ChunkSize::new(KIB).unwrap();
    let (entry, _, good, values) = grouped(2500);
    let mut forged = good.clone();
    forged[1].0[0] ^= 1;
    for bad in [forged, good[..2].to_vec(), [good.clone(), good.clone()].concat(), Vec::new(), values.clone()]
    {
        let refused = VerifiedTop::check(&entry, size, bad).unwrap_err();
        assert_eq!(refused, VerifyError::OutlineMismatch { key: entry.key.clone() });
    }
    assert!(VerifiedOutline::check(&entry, size, values.clone()).is_err(), "not all chunks at once");
    let top = VerifiedTop::check(&entry, size, good).unwrap();
    let mut forged = group_of(&values, 2);
    forged[7].0[0] ^= 1;
    for bad in [forged, group_of(&values, 0), group_of(&values, 2)[1..].to_vec(), Vec::new()] {
        let refused = VerifiedOutline::check_group(&entry, size, &top, GroupIndex(2), bad).unwrap_err();
        assert_eq!(refused, VerifyError::GroupMismatch { key: entry.key.clone(), group: GroupIndex(2) });
    }
    for none in [3, u64::MAX] {
        assert!(VerifiedOutline::check_group(&entry, size, &top, GroupIndex(none), Vec::new()).is_err());
    }
    let (other, _, _, values) = grouped(2048);
    let foreign = VerifiedOutline::check_group(&other, size, &top, GroupIndex(0), group_of(&values, 0));
    assert_eq!(foreign.unwrap_err(), VerifyError::WrongOutline { key: other.key.clone() });
}

/// A length that a manifest only claims costs nothing: it is refused, or waits for its top.
#[test]
fn lengths_beyond_all_bounds_are_unverifiable() {
    let mut huge = entry(b"x").as_ref().clone();
    for (log, len, good) in [
        (10, OUTLINE_CHUNKS_MAX << 10, true),
        (10, (OUTLINE_CHUNKS_MAX << 10) + 1, false),
        (18, 1 << 44, true),
        (18, (1 << 44) + 1, false),
        (10, u64::MAX, false),
        (24, u64::MAX, false),
    ] {
        let size = ChunkSize::try_from(log).unwrap();
        huge.len = len;
        assert_eq!(scheme(&huge, size).is_ok(), good, "{len}");
        assert!(VerifiedTop::check(&huge, size, vec![ChainingValue([1; 32]); 2]).is_err());
    }
}

/// F-32: without a digest there is no scheme, no outline and no chunk, whatever the length.
#[test]
fn an_entry_without_a_digest_is_never_verified() {
    let size = ChunkSize::new(KIB).unwrap();
    for len in [0, 100, 3000, 2000 * KIB as usize] {
        let content = content(len);
        let entry = Arc::new(Entry { digest: None, ..entry(&content).as_ref().clone() });
        let refused = VerifyError::Unverifiable { key: entry.key.clone(), why: "it has no digest" };
        assert_eq!(scheme(&entry, size), Err(refused.clone()));
        let values = outline(size, &content);
        assert_eq!(VerifiedOutline::check(&entry, size, values.clone()).unwrap_err(), refused);
        assert_eq!(VerifiedTop::check(&entry, size, values).unwrap_err(), refused);
        if let Some(first) = content.chunks(KIB as usize).next() {
            let bytes = Bytes::copy_from_slice(first);
            let checked = VerifiedChunk::check(&entry, size, None, ChunkIndex(0), bytes);
            assert_eq!(checked.unwrap_err(), refused);
        }
    }
}

/// F-33: a chunk that is a byte shorter or longer than its place in the entry is refused unhashed.
#[test]
fn a_chunk_of_another_length_is_refused() {
    let size = ChunkSize::new(KIB).unwrap();
    let content = content(2500);
    let entry = entry(&content);
    let outline = VerifiedOutline::check(&entry, size, outline(size, &content)).unwrap();
    for (index, good) in [(0, 1024), (1, 1024), (2, 452)] {
        for got in [0, good - 1, good + 1] {
            let bytes =
                Bytes::copy_from_slice(&[content.clone(), vec![0; 9]].concat()[index * 1024..][..got]);
            let checked = VerifiedChunk::check(&entry, size, Some(&outline), ChunkIndex(index as u64), bytes);
            let (key, chunk) = (entry.key.clone(), ChunkIndex(index as u64));
            let refused = VerifyError::ChunkLength { key, chunk, got: got as u64, expected: good as u64 };
            assert_eq!(checked.unwrap_err(), refused);
        }
    }
}

/// F-33: the right digest under a false length vouches for nothing: as many values as it promises do not
/// make the digest, and an outline of the true length is not its own.
#[test]
fn an_entry_of_another_length_is_refused() {
    let size = ChunkSize::new(KIB).unwrap();
    let content = content(4000);
    let good = entry(&content);
    let values = outline(size, &content);
    let own = VerifiedOutline::check(&good, size, values.clone()).unwrap();
    for len in [2049, 3072, 4097, 5000, 1030 * KIB] {
        let false_one = Arc::new(Entry { len, ..good.as_ref().clone() });
        let mut promised = values.clone();
        promised.resize(size.chunks_in(len) as usize, values[0]);
        assert!(VerifiedOutline::check(&false_one, size, promised.clone()).is_err(), "{len}");
        assert!(VerifiedTop::check(&false_one, size, promised).is_err(), "{len}");
        let bytes = Bytes::copy_from_slice(&content[..1024]);
        let checked = VerifiedChunk::check(&false_one, size, Some(&own), ChunkIndex(0), bytes);
        assert_eq!(checked.unwrap_err(), VerifyError::WrongOutline { key: good.key.clone() });
    }
}
