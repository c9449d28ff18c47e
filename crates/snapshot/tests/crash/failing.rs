//! One operation fails, and the disk works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault, Side};
use peerstream_snapshot::{BoxFuture, Generation, Held, SinkError, Staging, VerifiedChunk};
use peerstream_types::{Entry, ManifestHeader, Ordinal};

use crate::Case;
use crate::checks::Stage;
use crate::every_stop::{Stopped, run_until};
use crate::receiver::{self, Progress};

/// Repeats a call that failed on the disk, once.
#[derive(Debug)]
struct Retrying {
    staging: Arc<dyn Staging>,
    retries: AtomicUsize,
}

impl Retrying {
    /// Whether a call is to be made again.
    fn again<T>(&self, result: &Result<T, SinkError>) -> bool {
        match result {
            Ok(_) => false,
            Err(SinkError::Disk(error)) => {
                assert_eq!(error.kind, DiskErrorKind::Other, "{error}");
                self.retries.fetch_add(1, Ordering::Relaxed) == 0
            }
            Err(error) => panic!("the disk failed, and not {error}"),
        }
    }
}

macro_rules! twice {
    ($self:ident, $call:expr) => {
        Box::pin(async move {
            let result = $call.await;
            if $self.again(&result) { $call.await } else { result }
        })
    };
}

impl Staging for Retrying {
    fn begin<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        twice!(self, self.staging.begin(header))
    }

    fn contribute<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        twice!(self, self.staging.contribute(header))
    }

    fn admit(&self, entries: Vec<Arc<Entry>>) -> BoxFuture<'_, Result<Vec<Held>, SinkError>> {
        twice!(self, self.staging.admit(entries.clone()))
    }

    fn store(&self, chunks: Vec<VerifiedChunk>) -> BoxFuture<'_, Result<(), SinkError>> {
        twice!(self, self.staging.store(chunks.clone()))
    }

    fn leave_out(&self, ordinal: Ordinal) -> BoxFuture<'_, Result<(), SinkError>> {
        twice!(self, self.staging.leave_out(ordinal))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        twice!(self, self.staging.checkpoint())
    }

    fn seal<'a>(&'a self, header: &'a ManifestHeader) -> BoxFuture<'a, Result<(), SinkError>> {
        twice!(self, self.staging.seal(header))
    }

    fn publish(&self) -> BoxFuture<'_, Result<Generation, SinkError>> {
        twice!(self, self.staging.publish())
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        twice!(self, self.staging.discard())
    }
}

/// So many bytes that records of several calls wait for each other.
const LAG: u64 = 9_000;

/// F-55, C19: the same call again does it, whichever operation failed, and whether it had taken effect
/// or not.
#[tokio::test]
async fn a_call_that_failed_is_repeated() {
    for stage in [Stage::second().await, Stage::second_lagging(LAG).await] {
        repeat_what_failed(&stage).await;
    }
}

async fn repeat_what_failed(stage: &Stage) {
    let mut retries = 0;
    for skip in 0..stage.operations {
        for side in [Side::Before, Side::After] {
            let _case = Case::new(format!("{side:?} operation {skip}"));
            let disk = stage.disk();
            let store = stage.open(&disk).await;
            let staging = receiver::writer(&store).await.unwrap();
            let staging = Retrying { staging, retries: AtomicUsize::new(0) };
            disk.fail(Fault { skip, side, ..Fault::next(DiskErrorKind::Other) });
            receiver::receive(&staging, &stage.new, &mut Progress::default()).await.unwrap();
            disk.heal();
            retries += staging.retries.load(Ordering::Relaxed);
            assert!(stage.new_is_visible(&store).await);
            drop((staging, store));
            stage.check_end(&disk).await;
        }
    }
    println!("failed calls: {retries}");
    assert!(retries > 300, "{retries} are too few to mean anything");
}

/// F-55, F-28, C19, D1: a transfer that was given up loses nothing, and another one finishes it.
#[tokio::test]
async fn a_transfer_that_failed_is_finished_by_another() {
    for stage in [Stage::second().await, Stage::second_lagging(LAG).await] {
        finish_what_failed(&stage).await;
    }
}

async fn finish_what_failed(stage: &Stage) {
    let mut failures = 0;
    for skip in 0..stage.operations {
        let _case = Case::new(format!("before operation {skip}"));
        let disk = stage.disk();
        let store = stage.open(&disk).await;
        disk.fail(Fault { skip, ..Fault::next(DiskErrorKind::Other) });
        let (staging, mut progress) = (receiver::writer(&store).await.unwrap(), Progress::default());
        failures += u64::from(receiver::receive(&*staging, &stage.new, &mut progress).await.is_err());
        disk.heal();
        if stage.new_is_visible(&store).await {
            assert!(progress.publishing, "it is visible, and publish was not called");
        } else {
            assert!(!progress.published, "it is not visible, and publish has returned");
            stage.finish(&store, &progress.stored).await;
        }
        drop((staging, store));
        stage.check_end(&disk).await;
    }
    assert!(failures > 150, "{failures} are too few to mean anything");
}

/// F-55, C19, D1: what the store cannot clean up today it cleans up tomorrow.
#[tokio::test]
async fn a_store_that_could_not_be_opened_is_opened_later() {
    let stage = Stage::second().await;
    let mut failures = 0;
    for change in (0..stage.changes).step_by(7).chain(stage.changes - 12..stage.changes) {
        let Stopped { disk, progress, at } = run_until(&stage, change, Side::After).await;
        for skip in 0.. {
            let _case = Case::new(format!("{at}; before operation {skip} of opening"));
            let killed = disk.fork().kill();
            killed.fail(Fault { skip, ..Fault::next(DiskErrorKind::Other) });
            let failed = receiver::try_open(&killed).await.map_or(true, |store| !store.faults().is_empty());
            killed.heal();
            stage.check(killed, &progress, &progress.stored).await;
            if !failed {
                break;
            }
            failures += 1;
        }
    }
    assert!(failures > 100, "{failures} are too few to mean anything");
}
