//! Crashes while the store recovers from a crash, and again.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_snapshot::disk::crash::{CrashDisk, Side, Survival};
use peerstream_snapshot::{Sink, SinkError};

use crate::Case;
use crate::checks::{Stage, tree};
use crate::every_stop::{End, Stopped, run_until};
use crate::offer::{Piece, shard};
use crate::receiver::{self, Progress};

/// What comes before anything is fetched again: the store is opened, the manifest admitted.
async fn recover(stage: &Stage, disk: &CrashDisk) -> Result<(), SinkError> {
    let store = receiver::try_open(disk).await?;
    let visible = store.current(&shard()).await?.map(|(generation, _)| generation);
    if visible == stage.old.as_ref().map(|(old, _)| *old) {
        let staging = receiver::writer(&store).await?;
        receiver::begin(&*staging, &stage.new).await?;
    }
    Ok(())
}

/// Crashes in the middle of a recovery.
async fn stop_recovery(stage: &Stage, disk: &CrashDisk, change: u64, end: End) -> CrashDisk {
    disk.stop_at(change, Side::Before);
    // The store notices, or what it looks at is not what it changes.
    recover(stage, disk).await.ok();
    end.of(disk)
}

/// How many changes a recovery makes.
async fn changes(stage: &Stage, disk: &CrashDisk) -> u64 {
    let start = disk.counts().changes;
    recover(stage, disk).await.unwrap();
    disk.counts().changes - start
}

/// One crash for each kind of work that a recovery may find: what was left when it began.
async fn crashes(stage: &Stage, end: End) -> Vec<Stopped> {
    let mut kinds = BTreeMap::new();
    for change in 0..stage.changes {
        let stopped = run_until(stage, change, Side::After).await;
        let disk = end.of(&stopped.disk.fork());
        let work = changes(stage, &disk).await;
        let dirs: BTreeSet<_> = tree(&disk).await.into_keys().map(|path| path.components().count()).collect();
        kinds.insert((work, dirs, stopped.progress.publishing), stopped);
    }
    kinds.into_values().collect()
}

async fn crash_in_every_recovery(end: End, twice: End) -> usize {
    let stage = Stage::second().await;
    let mut points = 0;
    for Stopped { disk, progress, at } in crashes(&stage, end).await {
        let crashed = end.of(&disk);
        for change in 0..changes(&stage, &crashed.fork()).await {
            let _case =
                Case::new(format!("{at}, {end:?}; before change {change} of recovery, {twice:?}, twice"));
            let once = stop_recovery(&stage, &crashed.fork(), change, twice).await;
            let again = stop_recovery(&stage, &once, change / 2, twice).await;
            stage.check(again, &progress, safe(&progress, end, twice)).await;
            points += 1;
        }
    }
    println!("crash points: {points}");
    points
}

fn safe(progress: &Progress, first: End, then: End) -> &BTreeSet<Piece> {
    match then {
        End::Kill => first.safe(0, progress),
        End::Power(_) => &progress.durable,
    }
}

/// F-37, F-55, C19, D1: recovery may be killed as often as one likes.
#[tokio::test]
async fn a_killed_recovery_is_recovered_from() {
    let points = crash_in_every_recovery(End::Kill, End::Kill).await;
    assert!(points > 100, "{points} are too few to mean anything");
}

/// F-37, F-55, C19, D1: the power may go during recovery, twice.
#[tokio::test]
async fn a_recovery_without_power_is_recovered_from() {
    let (some, other) = (End::Power(Survival::Mixture(11)), End::Power(Survival::Mixture(12)));
    let mut points = crash_in_every_recovery(some, other).await;
    points += crash_in_every_recovery(End::Kill, End::Power(Survival::Nothing)).await;
    assert!(points > 200, "{points} are too few to mean anything");
}

/// D8: leftovers of one attempt are not added to those of the one before.
#[tokio::test]
async fn crash_after_crash_does_not_fill_the_disk() {
    let stage = Stage::second().await;
    let mut disk = stage.disk();
    let most = disk.used() + 2 * stage.new.header.counts.bytes;
    for round in 0..20 {
        let _case = Case::new(format!("round {round}"));
        disk.stop_at(8 + round % 5, Side::After);
        if let Ok(store) = receiver::try_open(&disk).await {
            let staging = receiver::writer(&store).await.unwrap();
            receiver::receive(&*staging, &stage.new, &mut Progress::default()).await.ok();
        }
        disk = disk.crash(Survival::Mixture(round));
        assert!(disk.used() < most, "{} bytes, {most} are plenty", disk.used());
    }
    stage.check(disk, &Progress { publishing: true, ..Progress::default() }, &BTreeSet::new()).await;
}
