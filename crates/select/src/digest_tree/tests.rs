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

fn entries(tree: &DigestTree) -> u64 {
    tree.root().map_or(0, |root| root.entries)
}

fn ask(comparison: &mut Comparison, own: &DigestTree, peer: &DigestTree) -> bool {
    let Some(NodesRequest { level, range }) = comparison.poll_request() else { return false };
    let own = own.nodes(level, &range).unwrap_or_default();
    comparison.handle_nodes(own, peer.nodes(level, &range).unwrap()).unwrap();
    true
}

/// What of the peer's inventory is equal, and what is not, and how many questions it took.
fn parts(own: &DigestTree, peer: &DigestTree) -> (Vec<Part>, usize) {
    let mut comparison = Comparison::new(peer.levels(), entries(peer)).unwrap();
    let mut questions = 0;
    while ask(&mut comparison, own, peer) {
        questions += 1;
    }
    assert!(comparison.is_done());
    (comparison.into_parts(), questions)
}

/// Where they differ, and how many questions it took.
fn compare(own: &DigestTree, peer: &DigestTree) -> (Vec<KeyRange>, usize) {
    let (parts, questions) = parts(own, peer);
    (parts.into_iter().filter(|part| !part.is_equal).map(|part| part.range).collect(), questions)
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

/// P-50: pins the encoding: nodes of different releases have to agree on it.
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

/// What only the peer has differs as a whole; what only the other one has is no part of the peer's.
#[test]
fn an_empty_inventory_differs_everywhere() {
    let (empty, full) = (DigestTree::default(), small(&lines(50)));
    assert_eq!(compare(&empty, &full).0, vec![KeyRange::default()]);
    assert_eq!(parts(&full, &empty), (vec![], 0));
}

/// The parts are all of the peer's inventory, with its own ordinals.
#[test]
fn parts_say_where_the_peer_has_them() {
    let own = lines(300);
    let mut peer = own.clone();
    for number in [0, 450, 452] {
        peer.insert(number, Some(77));
    }
    let (parts, _) = parts(&small(&own), &small(&peer));
    assert!(parts.iter().any(|part| part.is_equal) && parts.iter().any(|part| !part.is_equal));
    let mut next = 0;
    for part in parts {
        assert_eq!(part.first, Ordinal(next));
        let mut here = peer.iter().skip(next as usize).take(part.entries as usize);
        assert!(here.all(|(number, _)| part.range.contains(&key(*number))));
        let own = own.iter().filter(|(number, _)| part.range.contains(&key(**number)));
        assert_eq!(own.eq(peer.iter().skip(next as usize).take(part.entries as usize)), part.is_equal);
        next += part.entries;
    }
    assert_eq!(next, peer.len() as u64);
}

/// What was not asked for, because it would have taken too long, counts as differing.
#[test]
fn a_comparison_may_end_early() {
    let own = lines(300);
    let peer: Lines =
        own.iter().map(|(&number, &byte)| (number, byte.filter(|_| number % 30 != 0))).collect();
    let (own, peer) = (small(&own), small(&peer));
    let mut comparison = Comparison::new(peer.levels(), 300).unwrap();
    for _ in 0..4 {
        assert!(ask(&mut comparison, &own, &peer));
    }
    let parts = comparison.into_parts();
    assert_eq!(parts.iter().map(|part| part.entries).sum::<u64>(), 300);
    assert!(parts.last().is_some_and(|part| !part.is_equal && part.range.end.is_none()));
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
    assert_eq!(Comparison::new(LEVELS_MAX + 1, 1).unwrap_err(), NodesFault::TooHigh(LEVELS_MAX + 1));
    assert_eq!(Comparison::new(0, 1).unwrap_err(), NodesFault::Missing);
    let mut comparison = Comparison::new(peer.levels(), 200).unwrap();
    let root = peer.root().unwrap().clone();
    let take = |comparison: &mut Comparison, nodes: &[TreeNode]| comparison.handle_nodes(&[], nodes);
    assert_eq!(take(&mut comparison, std::slice::from_ref(&root)), Err(NodesFault::Unasked));
    let asked = comparison.poll_request();
    assert_eq!(take(&mut comparison, &[]), Err(NodesFault::Missing));
    assert_eq!(take(&mut comparison, &[root.clone(), root.clone()]), Err(NodesFault::TooMany(2)));
    let more = TreeNode { entries: 201, ..root.clone() };
    assert_eq!(take(&mut comparison, &[more]), Err(NodesFault::Miscounted { expected: 200, found: 201 }));
    let huge = TreeNode { entries: u64::MAX, ..root.clone() };
    let mut countless = Comparison::new(2, u64::MAX).unwrap();
    countless.poll_request();
    countless.handle_nodes(&[], std::slice::from_ref(&huge)).unwrap();
    countless.poll_request();
    let refused = countless.handle_nodes(&[], &[root.clone(), TreeNode { first: key(99_999), ..huge }]);
    assert!(matches!(refused, Err(NodesFault::Miscounted { .. })), "{refused:?}");
    assert_eq!(comparison.poll_request(), None, "one question at a time");
    comparison.handle_failed();
    assert_eq!(comparison.poll_request(), asked, "the same again");
    comparison.handle_nodes(&own.levels[own.levels() - 1], &[root]).unwrap();
    let request = comparison.poll_request().unwrap();
    let mut nodes = peer.nodes(request.level, &request.range).unwrap().to_vec();
    nodes.reverse();
    assert!(matches!(take(&mut comparison, &nodes), Err(NodesFault::OutOfPlace(_))));
    assert_eq!(take(&mut comparison, &vec![nodes[0].clone(); 257]), Err(NodesFault::TooMany(257)));
}

#[test]
fn more_parts_than_are_kept_are_joined() {
    let own = lines(5_000);
    let peer: Lines =
        own.iter().map(|(&number, &byte)| (number, byte.filter(|_| number % 120 != 0))).collect();
    let (own, peer_tree) = (small(&own), small(&peer));
    assert!(compare(&own, &peer_tree).0.len() > 50);
    let mut few = Comparison::new(peer_tree.levels(), 5_000).unwrap();
    few.parts_max = 10;
    while ask(&mut few, &own, &peer_tree) {}
    let parts = few.into_parts();
    assert!((10..=11).contains(&parts.len()), "{}", parts.len());
    assert_eq!(parts.iter().map(|part| part.entries).sum::<u64>(), 5_000);
    for number in peer.iter().filter(|line| line.1.is_none()).map(|line| *line.0) {
        let differs = |part: &Part| !part.is_equal && part.range.contains(&key(number));
        assert!(parts.iter().any(differs), "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(150) })]

    /// Every key of which the two say different things lies in a part that differs, what is said to be
    /// equal is, and the parts are all of the peer's inventory, in order.
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
        let (parts, _) = parts(&small(&own), &small(&peer));
        for number in 0..3000 {
            if peer.contains_key(&number) && own.get(&number) != peer.get(&number) {
                let differs = |part: &Part| !part.is_equal && part.range.contains(&key(number));
                prop_assert!(parts.iter().any(differs), "{}", number);
            }
        }
        for part in parts.iter().filter(|part| part.is_equal) {
            let within = |lines: &Lines| -> Vec<_> {
                let lines = lines.iter().filter(|(number, _)| part.range.contains(&key(**number)));
                lines.map(|(number, byte)| (*number, *byte)).collect()
            };
            prop_assert_eq!(within(&own), within(&peer));
            prop_assert_eq!(within(&peer).len() as u64, part.entries);
        }
        prop_assert_eq!(parts.iter().map(|part| part.entries).sum::<u64>(), peer.len() as u64);
        prop_assert!(parts.windows(2).all(|pair| pair[0].range.end.is_some() && pair[0].range.end == pair[1].range.start));
    }
}
