//! Outlines of both levels against another implementation of BLAKE3's tree, `bao-tree`.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::Outboard;
use bao_tree::iter::BaoChunk;
use bao_tree::{BlockSize, ChunkNum};
use bytes::Bytes;
use peerstream_snapshot::content::{Described, digest_of_outline, digest_of_top, top_of_outline};
use peerstream_types::{ChainingValue, ChunkSize, Digest, GROUP_CHUNKS};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What a place of the stack of a walk in post order was.
enum Below {
    Block(usize),
    Inner,
}

/// The root and the chaining values of all blocks of `block` bytes, as the oracle has them; no values
/// for a single block.
fn oracle(content: &[u8], block: u64) -> ([u8; 32], Vec<ChainingValue>) {
    let log = u8::try_from(block.ilog2() - 10).unwrap();
    let outboard = PreOrderMemOutboard::create(content, BlockSize::from_chunk_log(log));
    let (mut values, mut below) = (Vec::new(), Vec::new());
    for step in outboard.tree().post_order_chunks_iter() {
        match step {
            BaoChunk::Leaf { start_chunk, is_root, .. } => {
                assert_eq!(start_chunk, ChunkNum((values.len() as u64) << log));
                below.push(Below::Block(values.len()));
                values.extend((!is_root).then_some(ChainingValue([0; 32])));
            }
            BaoChunk::Parent { node, .. } => {
                let (left, right) = outboard.load(node).unwrap().unwrap();
                for hash in [right, left] {
                    if let Below::Block(place) = below.pop().unwrap() {
                        values[place] = ChainingValue(*hash.as_bytes());
                    }
                }
                below.push(Below::Inner);
            }
        }
    }
    (*outboard.root().as_bytes(), values)
}

fn check(log: u32, len: usize) {
    let size = ChunkSize::new(1024 << log).unwrap();
    let mut content = vec![0; len];
    blake3::Hasher::new().update(&len.to_be_bytes()).finalize_xof().fill(&mut content);
    let content = Bytes::from(content);
    let described = Described::of(size, &content);
    let len = content.len() as u64;
    assert_eq!(described.digest.as_bytes(), blake3::hash(&content).as_bytes(), "{size:?} {len}");

    let (root, chunks) = oracle(&content, size.bytes());
    assert_eq!(described.digest, Digest::Blake3(root));
    assert_eq!(described.outline, chunks, "level 0 of {len} bytes in chunks of {}", size.bytes());

    let (_, groups) = oracle(&content, size.bytes() * u64::from(GROUP_CHUNKS));
    let top = top_of_outline(size, len, &described.outline);
    assert_eq!(top, groups, "level 1 of {len} bytes in chunks of {}", size.bytes());

    if !chunks.is_empty() {
        assert_eq!(digest_of_outline(size, len, &chunks), described.digest);
    }
    if !groups.is_empty() {
        assert_eq!(digest_of_top(size, len, &groups), described.digest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        rng_seed: RngSeed::Fixed(31),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// F-31: what a source says and what a receiver checks is the ordinary BLAKE3 tree, at both levels
    /// and whatever the length.
    #[test]
    fn both_levels_are_those_of_the_oracle(log in 0..4u32, len in 1..6_000_000usize) {
        check(log, len);
    }
}

/// The lengths at which chunks and groups begin and end.
#[test]
fn both_levels_are_those_of_the_oracle_at_every_edge() {
    const GROUP: usize = 1024 * 1024;
    let edges = [1024, 2048, 3 * 1024, 7 * 1024, GROUP, 2 * GROUP, 3 * GROUP, 4 * GROUP, 5 * GROUP];
    for edge in edges {
        for len in [edge - 1, edge, edge + 1, edge + 1024, edge + 1025] {
            check(0, len);
        }
    }
}
