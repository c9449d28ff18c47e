//! Stores that cannot give, or cannot take, what they should.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, shard};
use peerstream_snapshot::BoxFuture;
use peerstream_snapshot::directory::{HookError, PublishHook, StoreOptions};
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::Fault;
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{EntryKey, ManifestHeader, ShardId};

use super::donor;

pub(crate) fn run(reach: &mut Reach) {
    broken_source(reach);
    unfit_content(reach);
    two_writers(reach);
    unwilling_host(reach);
}

/// The disk of the only source fails.
fn broken_source(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 870), async |world| {
        let donor = world.start(NodeSpec::donor("donor").with_store(DiskSpec::default()));
        donor.fill(&shard(0), &Content::small(3), 1).await;
        world.fail_disk(&donor, Fault { times: u64::MAX, ..Fault::next(DiskErrorKind::Other) });
        let replica = world.replica("replica");
        let plan = replica.bring_up(&[shard(0)]);
        world.sleep(Duration::from_secs(2)).await;
        world.heal_disk(&donor);
        plan.await;
    });
}

/// Content that its store may hold, and others may not: a state that is too long, a key that is no path.
fn unfit_content(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 871), async |world| {
        let donor = donor(world, "donor");
        let replica = world.start(NodeSpec::replica("replica").with_store(DiskSpec::default()));
        donor.store.set_state(&shard(0), vec![7; STATE_LEN_MAX + 1]);
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
        donor.store.put(&shard(1), EntryKey::new(*b"../no/path").unwrap(), "content", Vec::new());
        assert!(!replica.bring_up(&[shard(1)]).await.is_completed());
    });
}

/// Two plans bring one shard up: the later one goes on alone.
fn two_writers(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 872), async |world| {
        let (donor, replica) = (donor(world, "donor"), world.replica("replica"));
        donor.faults.delay_reads(Duration::from_millis(20));
        let first = replica.bring_up(&[shard(0)]);
        world.until(|| first.state().bytes_done() > 0).await;
        let second = replica.bring_up(&[shard(0)]);
        assert!(!first.await.is_completed());
        assert!(second.await.is_completed());
    });
}

/// A host that does not take the new generation at first.
fn unwilling_host(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 873), async |world| {
        let hook: Option<Arc<dyn PublishHook>> = Some(Arc::new(Unwilling::default()));
        let store = StoreOptions { hook, ..StoreOptions::default() };
        let spec = NodeSpec::replica("replica").with_store(DiskSpec { store, ..DiskSpec::default() });
        let (_donor, replica) = (donor(world, "donor"), world.start(spec));
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    });
}

/// Refuses the first generation that it is shown.
#[derive(Debug, Default)]
struct Unwilling(AtomicU32);

impl PublishHook for Unwilling {
    fn prepare<'a>(
        &'a self,
        _: &'a ShardId,
        _: &'a Path,
        _: &'a ManifestHeader,
    ) -> BoxFuture<'a, Result<(), HookError>> {
        let is_first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move { if is_first { Err(HookError("not now".to_owned())) } else { Ok(()) } })
    }

    fn shown<'a>(&'a self, _: &'a ShardId, _: &'a Path, _: &'a ManifestHeader) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
