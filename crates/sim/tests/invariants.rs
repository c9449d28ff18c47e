//! Every promise holds under random faults, in memory and over QUIC, with stores in memory and on
//! disks.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::content::key;
use peerstream_sim::invariant::repeatable::Repeatable;
use peerstream_sim::random::Random;
use peerstream_sim::watch::Watch;
use peerstream_sim::{Content, DiskSpec, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteCount;

const MIB: u64 = 1024 * 1024;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(MIB);
    config.recovery.fetch_bytes = ByteCount(MIB / 4);
    config.checkpoint_bytes = ByteCount(MIB);
    config
}

fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    for index in 0..2 {
        let content = Content { large: 3, large_len: MIB, empty: 1, ..Content::small(40) };
        content.fill(&donor.store, &shard(index), 1 + u64::from(index));
    }
    donor.faults.delay_reads(Duration::from_millis(10));
    donor
}

/// One fault, or the end of one.
fn disturb(world: &SimWorld, random: &mut Random, donors: &mut [SimNode], replica: &mut SimNode) {
    let which = random.below(donors.len() as u64) as usize;
    match random.below(12) {
        0 => world.crash(&donors[which]),
        1 => donors[which] = world.restart(&donors[which]),
        2 => world.cut(&donors[which], replica),
        3 | 4 => world.heal(&donors[which], replica),
        5 => donors[which].faults.stall_after(random.below(MIB)),
        6 => donors[which].faults.corrupt(key("large", random.below(3) as u32)),
        7 => donors[which].faults.change_entry(key("small", random.below(40) as u32)),
        8 => {
            world.crash(replica);
            *replica = world.restart(replica);
            drop(replica.bring_up(&[shard(0), shard(1)]));
        }
        9 if replica.has_disk() => {
            world.lose_power(replica);
            *replica = world.restart(replica);
            drop(replica.bring_up(&[shard(0), shard(1)]));
        }
        10 => world.slow_disk(replica, 1 + random.below(20) as u32),
        _ => {
            let loss_ppm = random.below(50_000) as u32;
            world.shape(&donors[which], replica, LinkSpec { loss_ppm, ..world.network().link() });
        }
    }
}

fn mend(world: &SimWorld, donors: &mut [SimNode], replica: &SimNode) {
    for donor in donors {
        *donor = world.restart(donor);
        donor.faults.clear();
        world.heal(donor, replica);
        world.shape(donor, replica, world.network().link());
    }
}

async fn storm(world: SimWorld, watch: Watch) {
    let mut random = Random::fork(world.seed(), 98);
    let mut donors = [donor(&world, "a"), donor(&world, "b"), donor(&world, "c")];
    let mut spec = NodeSpec { config: config(), ..NodeSpec::replica("replica") };
    if world.seed() % 2 == 1 {
        spec = spec.with_store(DiskSpec::default());
    }
    let mut replica = world.start(spec);
    drop(replica.bring_up(&[shard(0), shard(1)]));
    for _ in 0..12 {
        world.sleep(Duration::from_millis(random.below(120))).await;
        disturb(&world, &mut random, &mut donors, &mut replica);
    }
    mend(&world, &mut donors, &replica);
    watch.calm();
    watch.settle().await;
    let last = replica.bring_up(&[shard(0), shard(1)]).await;
    assert!(last.is_completed(), "nothing is broken any more: {last:?}");
    for index in 0..2 {
        assert_eq!(replica.digest(&shard(index)).await, donors[0].digest(&shard(index)).await);
    }
    watch.end().await.expect_clean();
}

fn weather(network: Network, seed: u64) -> Sim {
    Sim::new(network, seed).limit(Duration::from_secs(7_200))
}

#[test]
fn promises_hold_in_any_weather_in_memory() {
    for seed in 0..24 {
        weather(Network::Memory, seed).run(async |world| {
            let watch = Watch::over(&world);
            storm(world, watch).await;
        });
    }
}

#[test]
fn promises_hold_in_any_weather_over_quic() {
    for seed in 0..8 {
        weather(Network::Quic, seed).run(async |world| {
            let watch = Watch::over(&world);
            storm(world, watch).await;
        });
    }
}

/// Promise 11, with disks, power losses and losses on the way: line by line, while it runs.
#[test]
fn any_weather_comes_again() {
    for (network, seed) in Network::ALL.into_iter().flat_map(|network| [(network, 3), (network, 4)]) {
        let run = |before: Option<&str>| {
            let checks = before.map(|before| Box::new(Repeatable::against(before)) as _);
            weather(network, seed)
                .run_traced(async |world| {
                    let watch = Watch::with(&world, checks.into_iter().collect());
                    storm(world, watch).await;
                })
                .1
        };
        let first = run(None);
        assert_eq!(first, run(Some(&first)), "{network} {seed}");
    }
}
