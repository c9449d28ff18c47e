//! Facts about trees and comparisons, and a property over inventories that differ anywhere.

use std::collections::BTreeMap;

use peerstream_types::{Codec, EntryKind, Ordinal};
use proptest::prelude::*;

use super::build::Cut;
use super::*;

/// Small parts, so that small inventories make high trees.
const LEAVES: Cut = Cut { least: 2, one_in: 4, most: 8 };
const NODES: Cut = Cut { least: 2, one_in: 4, most: 8 };

/// Keys, and what is said of them: `None` for mutable.
type Lines = BTreeMap<u32, Option<u8>>;

fn key(number: u32) -> EntryKey {
    EntryKey::new(number.to_be_bytes()).unwrap()
}

fn entry(number: u32, byte: Option<u8>) -> Entry {
    let digest = byte.map(|byte| Digest::Blake3([byte; 32]));
    let (kind, codec, metadata) = (EntryKind::Block, Codec::Plain, b"host=a".to_vec());
    Entry { ordinal: Ordinal(0), key: key(number), len: 1, digest, kind, codec, metadata }
}

fn build(mut builder: TreeBuilder, lines: &Lines) -> DigestTree {
    for (&number, &byte) in lines {
        builder.push(&entry(number, byte)).unwrap();
    }
    builder.finish()
}

fn small(lines: &Lines) -> DigestTree {
    build(TreeBuilder::with_cuts(LEAVES, NODES), lines)
}

fn lines(count: u32) -> Lines {
    (0..count).map(|number| (number * 3, Some(number as u8))).collect()
}

/// What differs, and how many questions it took.
fn compare(own: &DigestTree, peer: &DigestTree) -> (Vec<KeyRange>, usize) {
    let mut comparison = Comparison::new(own, peer.levels()).unwrap();
    let mut questions = 0;
    while let Some(request) = comparison.poll_request() {
        questions += 1;
        comparison.handle_nodes(peer.nodes(request.level, &request.range).unwrap()).unwrap();
    }
    assert!(comparison.is_done());
    (comparison.differing().to_vec(), questions)
}

fn listed(ranges: &[KeyRange], lines: &Lines) -> usize {
    lines.keys().filter(|number| ranges.iter().any(|range| range.contains(&key(**number)))).count()
}

/// Equal inventories are known to be equal after one question, whatever their size.
#[test]
fn equal_inventories_take_one_question() {
    let lines = lines(30_000);
    let (own, peer) = (build(TreeBuilder::default(), &lines), build(TreeBuilder::default(), &lines));
    assert_eq!(own, peer);
    assert!(own.levels() >= 2, "{}", own.levels());
    assert_eq!(own.root().unwrap().entries, 30_000);
    assert_eq!(compare(&own, &peer), (vec![], 1));
    assert_eq!(compare(&DigestTree::default(), &DigestTree::default()), (vec![], 0));
}

/// One entry that differs, is missing or is too many leads to little more than its leaf.
#[test]
fn a_difference_narrows_to_its_leaf() {
    let own = lines(30_000);
    let tree = build(TreeBuilder::default(), &own);
    for number in [0, 1, 45_000, 45_001, 89_997, 100_000] {
        let mut peer = own.clone();
        if peer.remove(&number).is_none() {
            peer.insert(number, Some(1));
        }
        let (ranges, questions) = compare(&tree, &build(TreeBuilder::default(), &peer));
        assert!(ranges.iter().any(|range| range.contains(&key(number))), "{number}: {ranges:?}");
        let listed = listed(&ranges, &own);
        assert!(listed <= 4 * LEAF_ENTRIES_MAX as usize, "{number}: {listed} entries are listed");
        assert!(questions <= 4, "{number}: {questions}");
    }
}

/// The ordinals are each replica's own, and everything else counts.
#[test]
fn all_but_the_ordinal_counts() {
    let root = |entry: &Entry| DigestTree::of([entry]).unwrap().root().unwrap().digest;
    let one = entry(1, Some(1));
    assert_eq!(root(&one), root(&Entry { ordinal: Ordinal(7), ..one.clone() }));
    let others = [
        entry(2, Some(1)),
        entry(1, Some(2)),
        entry(1, None),
        Entry { len: 2, ..one.clone() },
        Entry { kind: EntryKind::Tombstone, ..one.clone() },
        Entry { metadata: vec![], ..one.clone() },
        Entry { digest: Some(Digest::Sha256([1; 32])), ..one.clone() },
    ];
    for other in others {
        assert_ne!(root(&one), root(&other), "{other:?}");
    }
}

/// Pins the encoding: nodes of different releases have to agree on it.
#[test]
fn the_encoding_is_pinned() {
    let root = small(&lines(100)).root().unwrap().digest.to_string();
    assert_eq!(root, "blake3:bba5e7a6cae9adebfcfbe5216fa52d656717dd02bbc32f677ddbc2933c6a78d3");
}

/// Mutable entries have no digest to compare, so their leaf is always listed.
#[test]
fn a_mutable_entry_is_never_equal() {
    let mut own = lines(300);
    own.insert(301, None);
    let (ranges, _) = compare(&small(&own), &small(&own));
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].contains(&key(301)) && listed(&ranges, &own) <= 8);
}

/// What only one side has is found as a whole.
#[test]
fn an_empty_inventory_differs_everywhere() {
    let everything = vec![KeyRange::default()];
    let (empty, full) = (DigestTree::default(), small(&lines(50)));
    assert_eq!(compare(&empty, &full), (everything.clone(), 0));
    assert_eq!(compare(&full, &empty), (everything, 0));
}

#[test]
fn sizes_are_bounded_whatever_the_keys() {
    let tree = small(&lines(5_000));
    assert!(tree.levels() <= 12, "{}", tree.levels());
    assert!(tree.levels[0].iter().all(|leaf| leaf.entries <= 8));
    for pair in tree.levels.windows(2) {
        assert!(pair[1].len() <= pair[0].len() / 2 + 1, "every level is half of the one below or less");
        assert_eq!(pair[0].iter().map(|node| node.entries).sum::<u64>(), 5_000);
    }
}

#[test]
fn entries_out_of_order_are_refused() {
    let mut builder = TreeBuilder::default();
    builder.push(&entry(2, Some(1))).unwrap();
    for number in [1, 2] {
        let refused = builder.push(&entry(number, Some(1)));
        assert!(matches!(refused, Err(TreeError::OutOfOrder { .. })), "{refused:?}");
    }
    builder.push(&entry(3, Some(1))).unwrap();
    assert_eq!(builder.finish().root().unwrap().entries, 2);
}

/// A peer's nodes are hostile until checked.
#[test]
fn nodes_that_cannot_be_right_are_refused() {
    let own = small(&lines(300));
    let peer = small(&lines(200));
    assert_eq!(Comparison::new(&own, LEVELS_MAX + 1).unwrap_err(), NodesFault::TooHigh(LEVELS_MAX + 1));
    let mut comparison = Comparison::new(&own, peer.levels()).unwrap();
    let root = peer.root().unwrap().clone();
    assert_eq!(comparison.handle_nodes(std::slice::from_ref(&root)), Err(NodesFault::Unasked));
    let asked = comparison.poll_request();
    assert_eq!(comparison.handle_nodes(&[]), Err(NodesFault::Missing));
    assert_eq!(comparison.handle_nodes(&[root.clone(), root.clone()]), Err(NodesFault::TooMany(2)));
    assert_eq!(comparison.poll_request(), None, "one question at a time");
    comparison.handle_failed();
    assert_eq!(comparison.poll_request(), asked, "the same again");
    comparison.handle_nodes(&[root]).unwrap();
    let request = comparison.poll_request().unwrap();
    let mut nodes = peer.nodes(request.level, &request.range).unwrap().to_vec();
    nodes.reverse();
    assert!(matches!(comparison.handle_nodes(&nodes), Err(NodesFault::OutOfPlace(_))));
    assert_eq!(comparison.handle_nodes(&vec![nodes[0].clone(); 257]), Err(NodesFault::TooMany(257)));
}

#[test]
fn more_ranges_than_are_kept_are_joined() {
    let own = lines(5_000);
    let peer: Lines =
        own.iter().map(|(&number, &byte)| (number, byte.filter(|_| number % 120 != 0))).collect();
    let (own, peer_tree) = (small(&own), small(&peer));
    assert!(compare(&own, &peer_tree).0.len() > 50);
    let mut few = Comparison::new(&own, peer_tree.levels()).unwrap();
    few.ranges_max = 10;
    while let Some(request) = few.poll_request() {
        few.handle_nodes(peer_tree.nodes(request.level, &request.range).unwrap()).unwrap();
    }
    assert_eq!(few.differing().len(), 10);
    for number in peer.iter().filter(|line| line.1.is_none()).map(|line| *line.0) {
        assert!(few.differing().iter().any(|range| range.contains(&key(number))), "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(150) })]

    /// Every key of which the two say different things lies in a range that is found, and the ranges are
    /// in order and apart.
    #[test]
    fn every_difference_is_found(
        common in proptest::collection::btree_map(0u32..3000, 0u8..3, 0..400),
        changes in proptest::collection::vec((0u32..3000, proptest::option::of(0u8..3)), 0..12),
        swap: bool,
    ) {
        let mut own: Lines = common.into_iter().map(|(number, byte)| (number, Some(byte))).collect();
        let mut peer = own.clone();
        for (number, change) in changes {
            match change {
                None => drop(peer.remove(&number)),
                Some(byte) => drop(peer.insert(number, Some(byte))),
            }
        }
        if swap {
            std::mem::swap(&mut own, &mut peer);
        }
        let (ranges, _) = compare(&small(&own), &small(&peer));
        for number in 0..3000 {
            if own.get(&number) != peer.get(&number) {
                prop_assert!(ranges.iter().any(|range| range.contains(&key(number))), "{}", number);
            }
        }
        prop_assert_eq!(own == peer, ranges.is_empty());
        prop_assert!(ranges.windows(2).all(|pair| pair[0].end.is_some() && pair[0].end < pair[1].start));
    }
}
