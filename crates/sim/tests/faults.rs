//! Faults do what they say, each by itself, and end.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::fault::{Fault, Operations, Timed};
use peerstream_sim::scenario::{Scenario, shipped};
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::{ByteCount, NodeId};

const MIB: u64 = 1024 * 1024;

fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// A donor that takes its time, and a replica on a disk.
async fn pair(world: &SimWorld) -> (SimNode, SimNode) {
    let donor = world.donor("donor");
    donor.fill(&shard(0), &Content::large(8, MIB), 1).await;
    donor.faults.delay_reads(Duration::from_millis(5));
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(MIB);
    config.recovery.fetch_bytes = ByteCount(MIB / 4);
    let spec = NodeSpec { config, ..NodeSpec::replica("replica") };
    (donor, world.start(spec.with_store(DiskSpec::default())))
}

/// A disk fails for a while, whatever is asked of it, and then works again.
#[test]
fn a_disk_that_fails_for_a_while_costs_plans_only() {
    for of in [Operations::All, Operations::Open, Operations::Read, Operations::Write, Operations::Sync] {
        Sim::new(Network::Memory, 400).run(async |world| {
            let (donor, replica) = pair(&world).await;
            let fails = Fault::FailDisk { node: id("replica"), of, for_ms: 200 };
            let up = {
                let world = world.clone();
                tokio::spawn(async move { world.bring_up(&id("replica"), &[shard(0)]).await })
            };
            world.sleep(Duration::from_millis(20)).await;
            world.inject(&fails);
            up.await.unwrap();
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            let acts = matches!(of, Operations::All | Operations::Write | Operations::Sync);
            assert!(world.faults_that_acted() == 1 || !acts, "{of:?}");
        });
    }
}

/// What fails for a while is not ended by what ends earlier.
#[test]
fn failures_of_a_disk_end_each_by_itself() {
    Sim::new(Network::Memory, 401).run(async |world| {
        let (_, replica) = pair(&world).await;
        let fails = |of, for_ms| world.inject(&Fault::FailDisk { node: id("replica"), of, for_ms });
        fails(Operations::Write, 1_000);
        fails(Operations::Sync, 10);
        world.sleep(Duration::from_millis(100)).await;
        assert!(!replica.bring_up(&[shard(0)]).await.is_completed(), "it cannot be written to");
        world.sleep(Duration::from_secs(1)).await;
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    });
}

/// A link that was made slow and lossy is both.
#[test]
fn slow_and_lossy_leave_each_other() {
    let slow = Fault::Slow { a: id("donor"), b: id("replica"), rate_kib: 2_048 };
    let (a, b) = (id("replica"), id("donor"));
    let lossy = Fault::Lossy { a, b, loss_ppm: 50_000, duplicate_ppm: 0, corrupt_ppm: 0 };
    for faults in [[&slow, &lossy], [&lossy, &slow]] {
        Sim::new(Network::Quic, 402).run(async |world| {
            let (_, replica) = pair(&world).await;
            faults.into_iter().for_each(|fault| world.inject(fault));
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            assert!(world.now().since_origin() > Duration::from_secs(3), "8 MiB at 2 MiB/s");
            assert!(world.datagrams().lost > 10, "{:?}", world.datagrams());
            assert_eq!(world.faults_that_acted(), 2);
        });
    }
}

/// A link that comes up again between two flaps is still cut by what cut it.
#[test]
fn a_flap_does_not_end_a_cut() {
    for network in Network::ALL {
        Sim::new(network, 403).run(async |world| {
            let (_, replica) = pair(&world).await;
            let (a, b) = (id("donor"), id("replica"));
            world.inject(&Fault::Flap { a: a.clone(), b: b.clone(), period_ms: 20, times: 2 });
            world.sleep(Duration::from_millis(5)).await;
            world.inject(&Fault::Cut { a, b });
            world.sleep(Duration::from_secs(1)).await;
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(100)).await;
            assert_eq!(plan.state().bytes_done(), 0, "{network}: they are parted");
        });
    }
}

/// A one-way cut is there still after a flap.
#[test]
fn a_flap_does_not_end_a_one_way_cut() {
    for network in Network::ALL {
        Sim::new(network, 404).run(async |world| {
            let (_, replica) = pair(&world).await;
            let (a, b) = (id("donor"), id("replica"));
            world.inject(&Fault::CutOneWay { from: b.clone(), to: a.clone() });
            world.inject(&Fault::Flap { a, b, period_ms: 20, times: 2 });
            world.sleep(Duration::from_secs(1)).await;
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(100)).await;
            assert_eq!(plan.state().bytes_done(), 0, "{network}: one direction is cut");
        });
    }
}

/// Nothing that was to come comes after everything was mended.
#[test]
fn what_is_mended_stays_well() {
    for network in Network::ALL {
        Sim::new(network, 405).run(async |world| {
            let (_, replica) = pair(&world).await;
            let (a, b, node) = (id("donor"), id("replica"), id("replica"));
            let faults = [
                Fault::Flap { a, b, period_ms: 2_000, times: 1_000 },
                Fault::KillAtStep { node: node.clone(), after_steps: 40 },
                Fault::PowerLossAtDisk { node: node.clone(), after_changes: 20 },
                Fault::FailDisk { node, of: Operations::Sync, for_ms: 1_000_000 },
            ];
            let faults = faults.map(|fault| Timed { at_ms: 0, fault });
            world.inject_all(&faults).await;
            let _supervisor = world.mend(&faults);
            assert!(replica.bring_up(&[shard(0)]).await.is_completed(), "{network}");
            assert!(replica.is_running(), "it was not to crash any more");
        });
    }
}

/// The power goes at the change that was named, also if the process is another one by then.
#[test]
fn a_kill_does_not_call_a_power_loss_off() {
    Sim::new(Network::Memory, 406).run(async |world| {
        let (_, replica) = pair(&world).await;
        world.inject(&Fault::PowerLossAtDisk { node: id("replica"), after_changes: 20 });
        world.inject(&Fault::Kill(id("replica")));
        world.inject(&Fault::Restart(id("replica")));
        let again = world.node(&replica.id).unwrap();
        let before = again.disk_changes();
        again.bring_up(&[shard(0)]);
        world.until(|| !again.is_running()).await;
        assert!(again.disk_changes() <= before + 22, "{} changes", again.disk_changes() - before);
        assert_eq!(world.faults_that_acted(), 3);
    });
}

/// A store in memory takes as much as there is room for.
#[test]
fn a_full_store_in_memory_takes_what_fits() {
    let stored = |free_kib| {
        Sim::new(Network::Memory, 407).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            donor.fill(&shard(0), &Content::large(8, MIB), 1).await;
            world.inject(&Fault::FullDisk { node: id("replica"), free_kib });
            let is_up = replica.bring_up(&[shard(0)]).await.is_completed();
            (is_up, replica.store.stats().chunks_stored > 0, world.faults_that_acted())
        })
    };
    assert_eq!(stored(0), (false, false, 1));
    assert_eq!(stored(4 * 1024), (false, true, 1));
    assert_eq!(stored(64 * 1024), (true, true, 0), "there is room for everything");
}

/// By a clock that is a day behind, a certificate of today is not valid yet: the node stays down.
#[test]
fn a_node_whose_certificate_is_not_valid_stays_down() {
    Sim::new(Network::Quic, 408).run(async |world| {
        let (donor, replica) = pair(&world).await;
        world.inject(&Fault::Clock { node: id("replica"), offset_ms: -30 * 86_400_000 });
        world.inject(&Fault::Kill(id("replica")));
        world.inject(&Fault::Restart(id("replica")));
        assert!(!world.node(&replica.id).unwrap().is_running());
        world.inject(&Fault::Recover(id("replica")));
        world.inject(&Fault::Restart(id("replica")));
        let again = world.node(&replica.id).unwrap();
        assert!(again.bring_up(&[shard(0)]).await.is_completed());
        assert_eq!(again.digest(&shard(0)).await, donor.digest(&shard(0)).await);
    });
}

/// What nobody met is not counted: a fault on a node or link that does nothing.
#[test]
fn what_does_nothing_has_not_acted() {
    Sim::new(Network::Memory, 409).run(async |world| {
        let _ = pair(&world).await;
        let (a, b, node) = (id("donor"), id("replica"), id("replica"));
        for fault in [
            Fault::Heal { a: a.clone(), b: b.clone() },
            Fault::Slow { a: a.clone(), b: b.clone(), rate_kib: 1 },
            Fault::Cut { a, b },
            Fault::Restart(node.clone()),
            Fault::SlowDisk { node: node.clone(), factor: 9 },
            Fault::Recover(id("donor")),
            Fault::RotateCertificate(node.clone()),
            Fault::Kill(node.clone()),
            Fault::Kill(node),
        ] {
            world.inject(&fault);
        }
        assert_eq!(world.faults_that_acted(), 1, "the first kill");
    });
}

/// Datagrams are really lost in most runs of the mix, and most of its faults do something.
#[test]
fn most_faults_of_the_mix_act() {
    let scenario: Scenario = shipped("fault-mix-disk").unwrap();
    let (mut lost, mut acted, mut came) = (0, 0, 0);
    for seed in 0..20 {
        let mut options = scenario.options(seed);
        options.network = Network::Quic;
        let done = scenario.run(&options).unwrap_or_else(|failure| panic!("{seed}: {failure}"));
        lost += u32::from(done.trace.contains("took effect: lossy link"));
        (acted, came) = (acted + done.summary.acted, came + done.summary.faults);
    }
    assert!(lost > 10, "datagrams were lost in {lost} of 20 runs");
    assert!(acted * 3 > came, "{acted} of {came} faults did something");
}
