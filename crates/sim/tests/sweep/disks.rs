//! Nodes that crash, lose their power, and have bad, slow or full disks.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::reach::Reach;
use peerstream_sim::{DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault, Side};
use peerstream_types::ByteCount;

use super::donor;

/// Changes of a disk that are the last: one of each kind that comes before the seal.
const CHANGES: [u64; 12] = [0, 10, 11, 12, 13, 14, 20, 29, 36, 38, 57, 64];

fn replica(world: &SimWorld) -> SimNode {
    let mut config = EngineConfig { checkpoint_bytes: ByteCount(256 * 1024), ..EngineConfig::default() };
    config.recovery.window = ByteCount(512 * 1024);
    config.recovery.fetch_bytes = ByteCount(256 * 1024);
    world.start(NodeSpec { config, ..NodeSpec::replica("replica") }.with_store(DiskSpec::default()))
}

pub(crate) fn run(reach: &mut Reach) {
    for change in CHANGES {
        let side = if change % 2 == 0 { Side::Before } else { Side::After };
        crash(reach, change, |world, replica| world.crash_at_disk(replica, change, side));
    }
    for step in [1, 3, 10, 20, 40, 80, 160] {
        crash(reach, 100 + step, |world, replica| world.crash_at_step(replica, step));
    }
    crash(reach, 200, |world, replica| world.crash_after(replica, Duration::from_millis(20)));
    trouble(reach);
}

/// A replica dies somewhere, starts again, and comes up.
fn crash(reach: &mut Reach, seed: u64, plan_crash: impl Fn(&SimWorld, &SimNode)) {
    super::run(reach, Sim::new(Network::Memory, seed), async |world| {
        let (donor, replica) = (donor(world, "donor"), replica(world));
        donor.faults.delay_reads(Duration::from_millis(1));
        plan_crash(world, &replica);
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| !replica.is_running() || plan.state().result.is_some()).await;
        let again = world.restart(&replica);
        assert!(again.bring_up(&[shard(0)]).await.is_completed());
    });
}

fn trouble(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Quic, 210), async |world| {
        let (donor, replica) = (donor(world, "donor"), replica(world));
        donor.faults.delay_reads(Duration::from_millis(1));
        world.slow_disk(&replica, 20);
        world.slow_cpu(&replica, Duration::from_millis(1));
        world.set_clock(&replica, -5_000);
        world.rotate_certificate(&replica);
        world.fill_disk(&replica, ByteCount(64 * 1024));
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed(), "there is no room");
        world.empty_disk(&replica);
        world.fail_disk(&replica, Fault::next(DiskErrorKind::Other));
        let _ = replica.bring_up(&[shard(0)]).await;
        world.heal_disk(&replica);
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    });
    super::run(reach, Sim::new(Network::Memory, 211), async |world| {
        let (donor, replica) = (donor(world, "donor"), replica(world));
        donor.faults.delay_reads(Duration::from_millis(20));
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| plan.state().bytes_done() > 1 << 20).await;
        world.lose_power(&replica);
        world.rot_below(&replica, "stag");
        let again = world.restart(&replica);
        assert!(again.bring_up(&[shard(0)]).await.is_completed());
    });
}
