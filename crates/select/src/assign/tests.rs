//! Facts about assignments, and a property against every possible one.

use peerstream_types::DatasetName;
use proptest::prelude::*;

use super::*;

fn node(index: usize) -> NodeId {
    NodeId::new(format!("n{index:03}")).unwrap()
}

fn shards(of: &[Vec<usize>]) -> Vec<ShardSources> {
    let dataset = DatasetName::new("metrics").unwrap();
    let shard = |(index, sources): (usize, &Vec<usize>)| ShardSources {
        shard: ShardId::new(dataset.clone(), 1, index as u32),
        sources: sources.iter().map(|source| node(*source)).collect(),
    };
    of.iter().enumerate().map(shard).collect()
}

fn sources(capacities: &[u32]) -> Vec<SourceCapacity> {
    let source =
        |(index, shards_max): (usize, &u32)| SourceCapacity { node: node(index), shards_max: *shards_max };
    capacities.iter().enumerate().map(source).collect()
}

fn loads(of: &[Vec<usize>], capacities: &[u32]) -> Vec<u32> {
    let shards = shards(of);
    let assignment = assign(&shards, &sources(capacities)).unwrap();
    for (shard, source) in &assignment.assigned {
        assert!(shards[shard.index as usize].sources.contains(source), "{shard} at {source}");
    }
    assignment.loads.into_iter().map(|(_, load)| load).collect()
}

/// C41: balanced, also where the first shards could have taken what later ones need.
#[test]
fn shards_are_spread_evenly() {
    assert_eq!(loads(&vec![vec![0, 1, 2]; 9], &[100; 3]), [3, 3, 3]);
    let mut of = vec![vec![0, 1]; 4];
    of.extend(vec![vec![0]; 4]);
    assert_eq!(loads(&of, &[100; 2]), [4, 4], "those that can go to the second one move there");
    assert_eq!(loads(&[vec![0, 1], vec![0, 2], vec![0]], &[1; 3]), [1, 1, 1], "a chain of moves");
}

/// C41: sources fill in proportion to their capacities.
#[test]
fn larger_sources_take_more() {
    assert_eq!(loads(&vec![vec![0, 1]; 12], &[10, 20]), [4, 8]);
}

/// C41: what cannot be assigned is named, with the reason; the rest is.
#[test]
fn unassignable_shards_are_named() {
    let of = [vec![0], vec![], vec![0, 1], vec![7], vec![0], vec![2]];
    let assignment = assign(&shards(&of), &sources(&[1, 1, 0])).unwrap();
    let unassigned: Vec<(u32, Unassigned)> =
        assignment.unassigned.iter().map(|(shard, why)| (shard.index, *why)).collect();
    let (none, full) = (Unassigned::NoSource, Unassigned::SourcesFull);
    assert_eq!(unassigned, [(1, none), (3, none), (4, full), (5, none)]);
    assert_eq!(assignment.assigned.len(), 2);
}

/// C41: nothing but what is given counts, so every run and every node comes to the same.
#[test]
fn the_order_of_the_input_does_not_matter() {
    let of: Vec<Vec<usize>> = (0..40).map(|index| vec![index % 7, index % 5, index % 3]).collect();
    let (mut turned_shards, mut turned_sources) = (shards(&of), sources(&[9; 7]));
    let expected = assign(&turned_shards, &turned_sources).unwrap();
    turned_shards.reverse();
    turned_sources.reverse();
    turned_shards.iter_mut().for_each(|shard| shard.sources.reverse());
    turned_shards.extend(shards(&of));
    turned_sources.extend(sources(&[9; 7]));
    assert_eq!(assign(&turned_shards, &turned_sources).unwrap(), expected);
}

#[test]
fn too_many_sources_are_refused() {
    let many = sources(&vec![1; SOURCES_MAX + 1]);
    assert_eq!(assign(&[], &many), Err(AssignError::TooManySources(SOURCES_MAX + 1)));
}

/// C41: the size that is asked for, three replicas each, evenly to the last shard.
#[test]
fn ten_thousand_shards_over_a_hundred_sources_come_out_even() {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % 100
    };
    let of: Vec<Vec<usize>> = (0..10_000).map(|_| (0..3).map(|_| random()).collect()).collect();
    assert_eq!(loads(&of, &[1000; 100]), [100; 100]);
}

/// The worst case: all want one source, or nearly all. A level that changes nothing is not looked at.
#[test]
fn a_hot_source_takes_what_nobody_else_can() {
    let mut of = vec![vec![0]; 5000];
    of.extend(vec![vec![1, 2]; 10]);
    assert_eq!(loads(&of, &[u32::MAX, 7, 1_000_000]), [5000, 0, 10]);
    assert_eq!(loads(&of, &[4000, 100, 100]), [4000, 5, 5]);
}

/// The best there is by trying everything: most shards placed, then the lowest fullest source.
fn best(of: &[Vec<usize>], capacities: &[u32], loads: &mut [u32]) -> (usize, std::cmp::Reverse<u32>) {
    let Some((first, rest)) = of.split_first() else {
        return (0, std::cmp::Reverse(loads.iter().copied().max().unwrap_or(0)));
    };
    let mut most = best(rest, capacities, loads);
    for &source in first {
        if loads[source] < capacities[source] {
            loads[source] += 1;
            let (placed, fullest) = best(rest, capacities, loads);
            most = most.max((placed + 1, fullest));
            loads[source] -= 1;
        }
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(300) })]

    /// C41: as many shards as can be are placed, and with equal capacities the fullest source is as
    /// empty as it can be.
    #[test]
    fn no_assignment_is_better(
        of in proptest::collection::vec(proptest::collection::btree_set(0usize..4, 0..4), 0..8),
        capacity in 0u32..4,
    ) {
        let of: Vec<Vec<usize>> = of.into_iter().map(|set| set.into_iter().collect()).collect();
        let got = loads(&of, &[capacity; 4]);
        let expected = best(&of, &[capacity; 4], &mut [0; 4]);
        prop_assert_eq!(got.iter().sum::<u32>() as usize, expected.0);
        prop_assert_eq!(got.iter().copied().max().unwrap(), expected.1.0);
    }

    /// C41: also with unequal capacities as many as can be are placed, and no source is overfull.
    #[test]
    fn as_many_as_can_be_are_placed(
        of in proptest::collection::vec(proptest::collection::btree_set(0usize..4, 0..4), 0..8),
        capacities in proptest::collection::vec(0u32..4, 4),
    ) {
        let of: Vec<Vec<usize>> = of.into_iter().map(|set| set.into_iter().collect()).collect();
        let got = loads(&of, &capacities);
        prop_assert!(got.iter().zip(&capacities).all(|(load, capacity)| load <= capacity));
        prop_assert_eq!(got.iter().sum::<u32>() as usize, best(&of, &capacities, &mut [0; 4]).0);
    }
}
