//! What sweeps over many seeds have found, each with its seed and the faults that it takes.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use peerstream_sim::scenario::{Done, shipped};

/// A run of the disk fault mix in memory with only these of its twenty faults.
fn disk_mix(seed: u64, faults: &[usize]) -> Done {
    let scenario = shipped("fault-mix-disk").unwrap();
    let mut options = scenario.options(seed);
    options.without = (0..20).filter(|fault| !faults.contains(fault)).collect();
    let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((done.summary.faults, done.summary.published), (faults.len() as u64, 2));
    done
}

/// It ran on without a disk.
#[test]
fn a_node_that_loses_power_while_it_starts_is_down() {
    disk_mix(21, &[4, 16]);
}

/// A full disk refuses the next manifest, and the power goes: the checkpoint at the end of the plan did
/// nothing without a manifest, and all was fetched again.
#[test]
fn a_refused_manifest_does_not_keep_a_checkpoint_from_what_is_stored() {
    let done = disk_mix(275, &[1, 5, 19]);
    assert!(done.trace.contains("no room for shard"), "it was refused");
}

/// The disk is full and slow: while a failed job made durable what it had, it said that it was publishing.
#[test]
fn a_failed_job_says_that_it_keeps_what_it_has() {
    let done = disk_mix(1272, &[0, 1, 19]);
    assert!(done.trace.contains("stage: Keeping"), "{}", done.trace);
}
