//! Random faults of nodes with disks, from a seed: whatever happens, nothing wrong is visible, and it
//! ends.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::random::Random;
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::directory::StoreOptions;
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault, Side};
use peerstream_types::ByteCount;

const KIB: u64 = 1024;

struct Cluster {
    world: SimWorld,
    random: Random,
    donors: Vec<SimNode>,
    replica: SimNode,
}

impl Cluster {
    /// Two donors in memory, one on a disk, and a replica on a disk.
    async fn start(world: SimWorld) -> Self {
        let on_disk = |spec: NodeSpec, lag| {
            let store = StoreOptions { lag, ..StoreOptions::default() };
            world.start(spec.with_store(DiskSpec { store, ..DiskSpec::default() }))
        };
        let donors = vec![world.donor("a"), world.donor("b"), on_disk(NodeSpec::donor("c"), 0)];
        let content =
            Content { large: 5, large_len: 700 * KIB, copies: 2, copy_len: 300 * KIB, ..Content::small(40) };
        for donor in &donors {
            donor.fill(&shard(0), &content, 1).await;
            donor.faults.delay_reads(Duration::from_millis(20));
        }
        let mut config = EngineConfig { checkpoint_bytes: ByteCount(512 * KIB), ..EngineConfig::default() };
        config.recovery.window = ByteCount(1024 * KIB);
        config.recovery.fetch_bytes = ByteCount(256 * KIB);
        let replica = on_disk(NodeSpec { config, ..NodeSpec::replica("replica") }, 256 * KIB);
        let random = Random::fork(world.seed(), 98);
        Self { world, random, donors, replica }
    }

    /// One fault, or the end of one.
    fn disturb(&mut self) {
        let (world, random, replica) = (&self.world, &mut self.random, &self.replica);
        let which = random.below(self.donors.len() as u64) as usize;
        let side = if random.below(2) == 0 { Side::Before } else { Side::After };
        match random.below(12) {
            0 => world.crash(replica),
            1 => world.lose_power(replica),
            2 | 3 => world.crash_at_disk(replica, random.below(60), side),
            4 => world.crash_at_step(replica, random.below(200)),
            5 => world.fill_disk(replica, ByteCount(random.below(1024 * KIB))),
            6 => world.empty_disk(replica),
            7 => world.fail_disk(replica, Fault { side, ..Fault::next(DiskErrorKind::Other) }),
            8 => world.slow_disk(replica, 1 + random.below(50) as u32),
            9 => world.slow_cpu(replica, Duration::from_millis(random.below(20))),
            10 => drop(world.rot_below(&self.donors[2], "/data/")),
            _ => match self.donors[which].is_running() {
                true => world.crash(&self.donors[which]),
                false => self.donors[which] = world.restart(&self.donors[which]),
            },
        }
    }

    /// The replica again, if it is down. A disk that does not let it start is healed.
    fn raise(&mut self) {
        while !self.replica.is_running() {
            match self.world.try_restart(&self.replica) {
                Ok(again) => self.replica = again,
                Err(_) => self.world.heal_disk(&self.replica),
            }
        }
    }

    fn mend(&mut self) {
        self.world.disarm(&self.replica);
        self.raise();
        self.world.heal_disk(&self.replica);
        self.world.empty_disk(&self.replica);
        self.world.slow_disk(&self.replica, 1);
        self.world.slow_cpu(&self.replica, Duration::ZERO);
        self.donors.iter_mut().for_each(|donor| *donor = self.world.restart(donor));
    }

    /// Nothing is visible, or all of it.
    async fn check(&self) {
        let visible = self.replica.current(&shard(0)).await.map(|(_, header)| header.digest);
        let right = self.donors[0].digest(&shard(0)).await;
        assert!(visible.is_none_or(|visible| visible == right));
    }
}

async fn scenario(world: SimWorld) {
    let mut cluster = Cluster::start(world.clone()).await;
    let mut plan = cluster.replica.bring_up(&[shard(0)]);
    for _ in 0..16 {
        world.sleep(Duration::from_millis(cluster.random.below(60))).await;
        cluster.disturb();
        cluster.check().await;
        let was_running = cluster.replica.is_running();
        cluster.raise();
        if !was_running || plan.state().result.is_some() {
            plan = cluster.replica.bring_up(&[shard(0)]);
        }
    }
    world.sleep(Duration::from_secs(1)).await;
    world.crash(&cluster.replica);
    cluster.mend();
    let outcome = cluster.replica.bring_up(&[shard(0)]).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    cluster.check().await;
    let has = cluster.replica.published(&shard(0)).await;
    assert_eq!(has.map(|has| has.entries.len()), Some(47));
    assert_eq!(cluster.replica.digest(&shard(0)).await, cluster.donors[1].digest(&shard(0)).await);
}

/// Promises 1 to 4 and 8.
#[test]
fn chaos_on_disks_in_memory_ends_well() {
    (0..24).for_each(|seed| Sim::new(Network::Memory, seed).run(scenario));
}

/// Promises 1 to 4 and 8.
#[test]
fn chaos_on_disks_over_quic_ends_well() {
    (0..12).for_each(|seed| Sim::new(Network::Quic, seed).run(scenario));
}
