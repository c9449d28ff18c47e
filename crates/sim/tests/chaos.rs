//! Random faults from a seed: whatever happens, nothing wrong is published, nothing is lost, and it
//! ends.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::content::key;
use peerstream_sim::random::Random;
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteCount;

const WINDOW: u64 = 1024 * 1024;
const LARGE: u64 = 1024 * 1024;

fn content() -> Content {
    Content { large: 4, large_len: LARGE, empty: 1, ..Content::small(40) }
}

fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    content().fill(&donor.store, &shard(0), 1);
    donor.faults.delay_reads(Duration::from_millis(10));
    donor
}

/// One fault, or the end of one.
fn disturb(world: &SimWorld, random: &mut Random, donors: &mut [SimNode], replica: &SimNode) {
    let which = random.below(donors.len() as u64) as usize;
    let donor = &donors[which];
    match random.below(10) {
        0 => world.crash(donor),
        1 => donors[which] = world.restart(donor),
        2 | 3 => world.cut(donor, replica),
        4 | 5 => world.heal(donor, replica),
        6 => donor.faults.stall_after(random.below(LARGE)),
        7 => donor.faults.corrupt(key("large", random.below(4) as u32)),
        8 => donor.faults.change_entry(key("small", random.below(40) as u32)),
        _ => {
            donor.faults.clear();
            let loss_ppm = random.below(100_000) as u32;
            world.shape(donor, replica, LinkSpec { loss_ppm, ..LinkSpec::default() });
        }
    }
}

/// Everything works again.
fn mend(world: &SimWorld, donors: &mut [SimNode], replica: &SimNode) {
    for donor in donors {
        *donor = world.restart(donor);
        donor.faults.clear();
        world.heal(donor, replica);
        world.shape(donor, replica, LinkSpec::default());
    }
}

async fn scenario(world: SimWorld) {
    let mut random = Random::fork(world.seed(), 99);
    let mut donors = [donor(&world, "a"), donor(&world, "b"), donor(&world, "c")];
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(WINDOW);
    config.recovery.fetch_bytes = ByteCount(WINDOW / 4);
    let replica = world.start(NodeSpec { config, ..NodeSpec::replica("replica") });
    let plan = replica.bring_up(&[shard(0)]);
    let mut done = 0;
    for _ in 0..20 {
        world.sleep(Duration::from_millis(random.below(60))).await;
        disturb(&world, &mut random, &mut donors, &replica);
        let state = plan.state();
        assert!(state.bytes_done() >= done, "progress went back: {state:?}");
        done = state.bytes_done();
        let published = replica.store.published(&shard(0)).is_some();
        assert!(!published || replica.digest(&shard(0)).await == donors[0].digest(&shard(0)).await);
    }
    mend(&world, &mut donors, &replica);
    let first = plan.await;
    let second = replica.bring_up(&[shard(0)]).await;
    assert!(second.is_completed(), "after {first:?}\n{second:?}");
    assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
    let stored = replica.store.stats();
    assert_eq!(stored.chunks_duplicate, 0, "a verified chunk was fetched again: {stored:?}");
    let sessions = |node: &SimNode| node.engine.sessions();
    world.until(|| sessions(&replica) + donors.iter().map(sessions).sum::<usize>() == 0).await;
}

#[test]
fn chaos_in_memory_ends_well() {
    (0..60).for_each(|seed| Sim::new(Network::Memory, seed).run(scenario));
}

#[test]
fn chaos_over_quic_ends_well() {
    (0..20).for_each(|seed| Sim::new(Network::Quic, seed).run(scenario));
}
