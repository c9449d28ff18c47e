//! The process or the power ends before and after every change of begin, admit, store, checkpoint,
//! seal and publish.

use std::collections::BTreeSet;

use peerstream_snapshot::SinkError;
use peerstream_snapshot::disk::crash::{CrashDisk, Side, Survival};

use crate::Case;
use crate::checks::Stage;
use crate::offer::Piece;
use crate::receiver::{self, BATCH, Progress, UNSYNCED_MAX};

/// How a machine ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Kill,
    Power(Survival),
}

impl End {
    pub(crate) fn of(self, disk: &CrashDisk) -> CrashDisk {
        match self {
            Self::Kill => disk.kill(),
            Self::Power(survival) => disk.crash(survival),
        }
    }

    /// What has to be held afterwards.
    pub(crate) fn safe(self, lag: u64, progress: &Progress) -> &BTreeSet<Piece> {
        match self {
            Self::Kill if lag == 0 => &progress.stored,
            Self::Kill | Self::Power(_) => &progress.durable,
        }
    }

    /// How many of the pieces that were stored may have to come again. A record stands for 4 KiB at least:
    /// one of a small entry, and one of a run of chunks, which a batch has three of at the most.
    fn refetched_max(self, lag: u64) -> usize {
        match self {
            Self::Kill => (lag / 4096) as usize * (1 + BATCH),
            Self::Power(_) => UNSYNCED_MAX,
        }
    }
}

/// A transfer that was stopped.
pub(crate) struct Stopped {
    pub(crate) disk: CrashDisk,
    pub(crate) progress: Progress,
    pub(crate) at: String,
}

/// Runs a transfer until it is stopped.
pub(crate) async fn run_until(stage: &Stage, change: u64, side: Side) -> Stopped {
    let disk = stage.disk();
    disk.stop_at(change, side);
    let mut progress = Progress::default();
    if let Ok(store) = receiver::try_open_lagging(&disk, stage.lag).await {
        let staging = receiver::writer(&store).await.unwrap();
        // Once the new generation is visible, publish has nothing to complain of any more.
        match receiver::receive(&*staging, &stage.new, &mut progress).await {
            Ok(_) => {}
            Err(SinkError::Disk(error)) => assert!(error.why.contains("power"), "{error}"),
            Err(error) => panic!("the disk failed, and not {error}"),
        }
    }
    let stopped = disk.stopped().expect("an undisturbed transfer comes that far");
    let at = format!("{side:?} change {change}, {:?} of {}", stopped.kind, stopped.path.display());
    Stopped { disk, progress, at }
}

/// Stops everywhere and goes on after each of the ends. Says how many crashes that were, and how many
/// pieces had to come again at the most.
async fn stop_everywhere(stage: &Stage, ends: &[End]) -> (usize, usize) {
    let (mut points, mut most) = (0, 0);
    let all = stage.new.pieces().len();
    for change in 0..stage.changes {
        for side in [Side::Before, Side::After] {
            let Stopped { disk, progress, at } = run_until(stage, change, side).await;
            for end in ends {
                let _case = Case::new(format!("{at}, {end:?}"));
                let fetched =
                    stage.check(end.of(&disk.fork()), &progress, end.safe(stage.lag, &progress)).await;
                let refetched = progress.stored.intersection(&fetched).count();
                assert!(refetched <= end.refetched_max(stage.lag), "{refetched} chunks had to come again");
                most = most.max(refetched);
                points += 1;
            }
        }
    }
    println!("crash points: {points}; at most {most} of {all} chunks had to come again");
    (points, most)
}

/// F-37, F-38, F-55, C19, A29, F-28, D1: whatever the moment, either generation is visible, whole and
/// with its own position; all but the batch in flight is held; what is held is right.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_stored() {
    let (points, _) = stop_everywhere(&Stage::second().await, &[End::Kill]).await;
    assert!(points > 200, "{points} are too few to mean anything");
}

/// F-37, F-38, F-55, C19, A29, F-28, D1: as above, but for what is stored and not yet written down.
#[tokio::test]
async fn a_killed_process_loses_no_more_than_the_lag() {
    let (points, most) = stop_everywhere(&Stage::second_lagging(9_000).await, &[End::Kill]).await;
    assert!(points > 150, "{points} are too few to mean anything");
    assert!(most > 0, "nothing ever waited");
}

/// F-37, F-38, F-55, C19, A29, F-28, D1: as above, and what no checkpoint covers may be gone: no more
/// than that, whether it was written down or not.
#[tokio::test]
async fn what_waits_to_be_written_down_is_written_by_the_checkpoint() {
    let ends = [End::Power(Survival::Nothing), End::Power(Survival::Mixture(6))];
    let (points, _) = stop_everywhere(&Stage::second_lagging(1 << 20).await, &ends).await;
    assert!(points > 300, "{points} are too few to mean anything");
}

/// F-37, F-38, F-55, C19, A29, F-28, D1: as above, up to the last checkpoint.
#[tokio::test]
async fn lost_power_loses_nothing_before_the_last_checkpoint() {
    let ends = [End::Power(Survival::Nothing), End::Power(Survival::Everything)];
    let (points, _) = stop_everywhere(&Stage::second().await, &ends).await;
    assert!(points > 400, "{points} are too few to mean anything");
}

/// F-37, F-38, F-55, C19, A29, F-28, D1: as above, when some of the rest survives, torn and out of
/// order.
#[tokio::test]
async fn lost_power_that_leaves_a_part_loses_nothing_before_the_last_checkpoint() {
    let ends = [1, 2, 3, 4].map(|seed| End::Power(Survival::Mixture(seed)));
    let (points, _) = stop_everywhere(&Stage::second().await, &ends).await;
    assert!(points > 800, "{points} are too few to mean anything");
}

/// F-37, F-55, C19, D1: the first generation of an empty store is visible whole or not at all.
#[tokio::test]
async fn a_first_generation_is_there_whole_or_not_at_all() {
    let ends = [End::Kill, End::Power(Survival::Nothing), End::Power(Survival::Mixture(5))];
    let (points, _) = stop_everywhere(&Stage::first().await, &ends).await;
    assert!(points > 500, "{points} are too few to mean anything");
}

/// F-55, D8: what is thrown away goes whole, and what stays is used or goes later.
#[tokio::test]
async fn a_stopped_discard_leaves_no_mess() {
    let stage = Stage::second().await;
    let Stopped { disk: staged, .. } = run_until(&stage, stage.changes / 2, Side::After).await;
    let staged = staged.kill();
    for change in 0.. {
        let disk = staged.fork();
        let store = receiver::open(&disk).await;
        let staging = receiver::writer(&store).await.unwrap();
        disk.stop_at(change, Side::After);
        staging.discard().await.ok();
        if disk.stopped().is_none() {
            assert!(change > 3, "only {change} changes");
            break;
        }
        for end in [End::Kill, End::Power(Survival::Nothing), End::Power(Survival::Mixture(change))] {
            let _case = Case::new(format!("after change {change}, {end:?}"));
            stage.check(end.of(&disk.fork()), &Progress::default(), &BTreeSet::new()).await;
        }
    }
}
