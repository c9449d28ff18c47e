//! Whatever the peers do: it ends, it never fetches twice, it keeps its limits, and what it publishes
//! is whole. Promises 1, 3, 6, 8 and 9 of the architecture, for the part that is here.

use std::time::Duration;

use peerstream_recovery::{Config, Outcome};
use peerstream_types::ByteCount;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::CHUNK;
use crate::world::{Mood, Plan, World};

fn config() -> impl Strategy<Value = Config> {
    let sizes = (1..12 * CHUNK, 1..6 * CHUNK, 1..5u32, 1..10u32, 1..20u64);
    let several = (1..5u32, 1..8 * CHUNK, prop_oneof![Just(0), Just(10), Just(500)]);
    let budgets = (1..4u32, 1..4u32);
    (sizes, several, budgets, any::<u64>()).prop_map(|(sizes, several, budgets, seed)| {
        let (sources_max, join_from, twice_per_mille) = several;
        let (attempts_per_source, opens_per_peer) = budgets;
        let (window, fetch, fetch_spans, entries_ahead, outline_values) = sizes;
        let (window, fetch_bytes) = (ByteCount(window), ByteCount(fetch));
        Config {
            window,
            fetch_bytes,
            fetch_spans,
            entries_ahead,
            outline_values,
            attempts_per_source,
            opens_per_peer,
            sources_max,
            join_from: ByteCount(join_from),
            twice_per_mille,
            seed,
            ..Config::default()
        }
    })
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => Just(Mood::Mixed),
        1 => Just(Mood::Honest),
        1 => Just(Mood::Different),
        1 => Just(Mood::Refusing),
        1 => Just(Mood::Silent),
        1 => Just(Mood::Stalling),
        1 => Just(Mood::Dropping),
        1 => Just(Mood::Lying),
        1 => Just(Mood::Short),
        1 => Just(Mood::Busy),
        1 => Just(Mood::Forgetful),
        1 => Just(Mood::Forging),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let lens = prop::collection::vec(prop_oneof![0..CHUNK, 0..6 * CHUNK], 0..30);
    let moods = prop::collection::vec(mood(), 0..5);
    let abort = prop::option::weighted(0.1, (0..20_000u64).prop_map(Duration::from_millis));
    (any::<u64>(), config(), lens, moods, 1..8usize, abort).prop_map(
        |(seed, config, lens, moods, page_entries, abort_after)| Plan {
            seed,
            config,
            lens,
            moods,
            page_entries,
            abort_after,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(50),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// F-11, F-35, F-50, A25: see `World` for what is checked at every step.
    #[test]
    fn every_run_ends_and_keeps_its_limits(plan in plan()) {
        World::new(plan).run();
    }
}

/// Entries of several groups among small ones.
fn grouped_plan() -> impl Strategy<Value = Plan> {
    let len = prop_oneof![0..3 * CHUNK, 1023 * CHUNK..1026 * CHUNK, 2047 * CHUNK..2600 * CHUNK];
    let sizes = (16 * CHUNK..400 * CHUNK, 8 * CHUNK..200 * CHUNK, 1..5000u64);
    (plan(), prop::collection::vec(len, 1..4), sizes).prop_map(|(plan, lens, (window, fetch, values))| Plan {
        lens,
        config: Config {
            window: ByteCount(window),
            fetch_bytes: ByteCount(fetch),
            outline_values: values,
            ..plan.config
        },
        ..plan
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: RngSeed::Fixed(51),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The same with outlines of two levels: tops before groups, groups before chunks, and few of them
    /// at a time.
    #[test]
    fn every_run_over_groups_ends_and_keeps_its_limits(plan in grouped_plan()) {
        World::new(plan).run();
    }
}

/// The runs above really visit the ends that they could have: a world in which nothing fails, or
/// everything does, proves nothing.
#[test]
fn the_worlds_reach_every_end() {
    let run = |moods: &[Mood], seed| {
        let plan = Plan {
            seed,
            config: Config {
                window: ByteCount(8 * CHUNK),
                fetch_bytes: ByteCount(2 * CHUNK),
                ..Config::default()
            },
            lens: vec![10, 3000, 0, 900, 5000, 20],
            moods: moods.to_vec(),
            page_entries: 2,
            abort_after: None,
        };
        World::new(plan).run()
    };
    use Mood::{Different, Forgetful, Honest, Lying, Mixed, Refusing, Stalling};
    assert!(matches!(run(&[Honest], 1), Outcome::Published { .. }));
    assert!(matches!(run(&[Stalling, Lying, Different], 2), Outcome::Published { .. }));
    assert!(matches!(run(&[Lying], 3), Outcome::Incomplete { entries: 5, .. }));
    assert!(matches!(run(&[Forgetful, Forgetful], 4), Outcome::Incomplete { .. } | Outcome::NoSource { .. }));
    assert!(matches!(run(&[Refusing, Stalling], 5), Outcome::NoSource { .. }));
    let published = (0..200).filter(|seed| matches!(run(&[Mixed], *seed), Outcome::Published { .. })).count();
    assert!((20..=180).contains(&published), "{published} of 200 mixed worlds were published");
}
