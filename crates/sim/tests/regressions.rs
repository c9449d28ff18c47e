//! What sweeps over many seeds have found, each with its seed and the faults that it takes.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use peerstream_sim::scenario::{Done, Scenario};

/// A run of the fleet of the disk fault mix in memory with these faults.
fn on_disks(seed: u64, faults: &[(u64, &str)]) -> Done {
    let mut text = "[fleet]\ndonors = 3\nreplicas = 2\nread_ms = 10\nstore = 'disk'\n".to_owned();
    for (at, fault) in faults {
        text += &format!("[[fault]]\nat_ms = {at}\n{fault}\n");
    }
    let scenario: Scenario = text.parse().unwrap();
    let done = scenario.run(&scenario.options(seed)).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((done.summary.faults, done.summary.published), (faults.len() as u64, 2));
    done
}

/// It ran on without a disk.
#[test]
fn a_node_that_loses_power_while_it_starts_is_down() {
    let dies_after =
        |changes| format!("power-loss-at-disk = {{ node = 'replica-2', after_changes = {changes} }}");
    let (first, second, start) = (dies_after(44), dies_after(4), "restart = 'replica-2'");
    let done = on_disks(21, &[(218, &first), (1072, &second), (1080, start)]);
    let losses = done.trace.lines().filter(|line| line.contains("power is lost at")).count();
    assert_eq!(losses, 2, "{}", done.trace);
}

/// A full disk refuses the next manifest, and the power goes: the checkpoint at the end of the plan did
/// nothing without a manifest, and all was fetched again.
#[test]
fn a_refused_manifest_does_not_keep_a_checkpoint_from_what_is_stored() {
    let full = "full-disk = { node = 'replica-1', free_kib = 618 }";
    let cut = "cut = { a = 'donor-1', b = 'replica-1' }";
    let done = on_disks(275, &[(124, full), (267, cut), (1073, "power-loss = 'replica-1'")]);
    assert!(done.trace.contains("no room for shard"), "it was refused");
}

/// The disk is full and slow: while a failed job made durable what it had, it said that it was publishing.
#[test]
fn a_failed_job_says_that_it_keeps_what_it_has() {
    let slow = "slow-disk = { node = 'replica-2', factor = 51 }";
    let full = "full-disk = { node = 'replica-2', free_kib = 767 }";
    // So that nothing is mended before.
    let last = "heal = { a = 'donor-1', b = 'replica-1' }";
    let done = on_disks(1272, &[(59, slow), (76, full), (1092, last)]);
    assert!(done.trace.contains("stage: Keeping"), "{}", done.trace);
}

/// The process ends between the publish and the moment in which it is told: what the next life fetches for
/// another generation was taken for lost progress.
#[test]
fn what_was_published_with_the_last_breath_is_not_staged() {
    let scenario = peerstream_sim::scenario::shipped("fault-mix").unwrap();
    let mut options = scenario.options(7580);
    options.without = (0..20).filter(|fault| ![4, 10].contains(fault)).collect();
    let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(done.trace.contains("generation: Some(2)"), "the first one was published by the life before");
}

/// The job had given a dead donor's debts to another one, and left out what nobody had before it closed the
/// dead one's fetches: on a slow disk they stored in the meantime what was then fetched again.
#[test]
fn a_source_that_is_given_up_stores_nothing_more() {
    let scenario = peerstream_sim::scenario::shipped("consistency-blocks").unwrap();
    for (seed, needed) in [(75, [0, 1, 6]), (2193, [1, 2, 6])] {
        let mut options = scenario.options(seed);
        options.network = peerstream_sim::Network::Memory;
        options.replicas = 1;
        options.without = (0..10).filter(|fault| !needed.contains(fault)).collect();
        let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(done.summary.faults, 3, "{seed}");
    }
}
