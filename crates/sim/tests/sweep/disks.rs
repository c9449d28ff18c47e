//! Nodes that crash, lose their power, and have bad, slow or full disks.

use std::cell::Cell;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::reach::{Group, Item, Reach, universe};
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault, Side};
use peerstream_types::{ByteCount, ChunkSize};

use super::donor;

/// Changes of a disk from one that is the last to the next.
const CHANGES_APART: u64 = 7;
/// Files of a shard: more than are made durable one by one.
const FILES: u32 = 40;

fn replica(world: &SimWorld) -> SimNode {
    let mut config = EngineConfig { checkpoint_bytes: ByteCount(256 * 1024), ..EngineConfig::default() };
    config.recovery.window = ByteCount(512 * 1024);
    config.recovery.fetch_bytes = ByteCount(256 * 1024);
    world.start(NodeSpec { config, ..NodeSpec::replica("replica") }.with_store(DiskSpec::default()))
}

pub(crate) fn run(reach: &mut Reach) {
    many_files(reach);
    changes(reach);
    for step in [1, 3, 10, 20, 40, 80, 160] {
        crash(reach, 100 + step, |world, replica| world.crash_at_step(replica, step));
    }
    crash(reach, 200, |world, replica| world.crash_after(replica, Duration::from_millis(20)));
    trouble(reach);
}

/// The power is lost at one change of the disk after the other, until the replica comes up before; and
/// at others, as long as there is a kind of change that was never the last.
fn changes(reach: &mut Reach) {
    let dies_at = |reach: &mut Reach, change| {
        crash(reach, change, |world, replica| world.crash_at_disk(replica, change, side(change)))
    };
    for first in (0..CHANGES_APART).rev() {
        let changes = (first..).step_by(CHANGES_APART as usize);
        let deaths = changes.take_while(|change| dies_at(reach, *change)).count();
        assert!(deaths > 10, "{deaths} deaths");
        let is_left = |(group, kind): &Item| *group == Group::CrashPoint && reach.count(*group, kind) == 0;
        if !universe().iter().any(is_left) {
            return;
        }
    }
}

fn side(change: u64) -> Side {
    if change.is_multiple_of(2) { Side::Before } else { Side::After }
}

/// A replica dies somewhere, starts again, and comes up. Says whether it died before it was up.
fn crash(reach: &mut Reach, seed: u64, plan_crash: impl Fn(&SimWorld, &SimNode)) -> bool {
    let has_died = Cell::new(false);
    super::run(reach, Sim::new(Network::Memory, seed), async |world| {
        let (donor, replica) = (world.donor("donor"), replica(world));
        let content = Content { large: 8, large_len: 300 << 10, empty: 1, ..Content::small(30) };
        content.fill(&donor.store, &shard(0), 1);
        donor.faults.delay_reads(Duration::from_millis(1));
        plan_crash(world, &replica);
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| !replica.is_running() || plan.state().result.is_some()).await;
        has_died.set(!replica.is_running());
        world.disarm(&replica);
        let again = world.restart(&replica);
        assert!(again.bring_up(&[shard(0)]).await.is_completed());
    });
    has_died.get()
}

/// The power is lost when many files are made durable, all of them at once.
fn many_files(reach: &mut Reach) {
    for change in 1..3 {
        super::run(reach, Sim::new(Network::Memory, 220 + change), async |world| {
            let store = MemoryStore::with_chunk_size(ChunkSize::new(1024).unwrap());
            let donor = world.start(NodeSpec::donor("donor").with_store(store));
            Content::large(FILES, 2048).fill(&donor.store, &shard(0), 1);
            let stored = u64::from(FILES - 2) * 2048;
            donor.faults.stall_after(stored);
            let config =
                EngineConfig { checkpoint_interval: Duration::from_secs(1), ..EngineConfig::default() };
            let spec = NodeSpec { config, ..NodeSpec::replica("replica") };
            let replica = world.start(spec.with_store(DiskSpec::default()));
            let plan = replica.bring_up(&[shard(0)]);
            // Nothing more is written until it is time for a checkpoint.
            world.sleep(Duration::from_millis(500)).await;
            assert!(plan.state().bytes_done() >= stored);
            world.crash_at_disk(&replica, change, side(change));
            world.until(|| !replica.is_running()).await;
            donor.faults.clear();
            let again = world.restart(&replica);
            assert!(again.bring_up(&[shard(0)]).await.is_completed());
        });
    }
}

fn trouble(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Quic, 210), async |world| {
        let (donor, replica) = (donor(world, "donor"), replica(world));
        donor.faults.delay_reads(Duration::from_millis(1));
        world.slow_disk(&replica, 20);
        world.recover(&replica);
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
    super::run(reach, Sim::new(Network::Memory, 212), async |world| {
        let (donor, replica) = (donor(world, "donor"), replica(world));
        donor.faults.delay_reads(Duration::from_millis(20));
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| plan.state().bytes_done() > 1 << 20).await;
        world.fill_disk(&replica, ByteCount(0));
        assert!(!plan.await.is_completed(), "others took the room that was reserved");
        world.empty_disk(&replica);
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
