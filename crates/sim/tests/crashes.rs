//! Nodes that end at any moment: what they had verified is there again, and what is visible is whole.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::random::Random;
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, StoreSpec, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_snapshot::directory::StoreOptions;
use peerstream_snapshot::disk::crash::Side;
use peerstream_types::{ByteCount, Digest};

const MIB: u64 = 1024 * 1024;
const TOTAL: u64 = 8 * MIB;
const LAG: u64 = MIB;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(2 * MIB);
    config.recovery.fetch_bytes = ByteCount(MIB / 2);
    config.checkpoint_bytes = ByteCount(2 * MIB);
    config
}

fn disk() -> StoreSpec {
    let store = StoreOptions { lag: LAG, ..StoreOptions::default() };
    DiskSpec { store, ..DiskSpec::default() }.into()
}

async fn donor(world: &SimWorld, content: &Content) -> SimNode {
    let donor = world.donor("donor");
    donor.fill(&shard(0), content, 2).await;
    donor.faults.delay_reads(Duration::from_millis(5));
    donor
}

fn replica(world: &SimWorld, store: StoreSpec) -> SimNode {
    world.start(NodeSpec { config: config(), ..NodeSpec::replica("replica") }.with_store(store))
}

/// Promise 2: a receiver that is killed at any tenth of a transfer fetches the rest and, on a disk, at
/// most what its store may keep unwritten.
#[test]
fn a_killed_receiver_fetches_the_rest_and_little_more() {
    for (network, tenth) in Network::ALL.into_iter().flat_map(|network| (1..10).map(move |t| (network, t))) {
        Sim::new(network, 210 + tenth).run(async |world| {
            let donor = donor(&world, &Content::large(16, TOTAL / 16)).await;
            let replica = replica(&world, disk());
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= TOTAL * tenth / 10).await;
            let done = plan.state().bytes_done();
            world.crash(&replica);
            let again = world.restart(&replica);
            let outcome = again.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(again.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            let most = TOTAL - done + LAG;
            assert!(again.asked_for() <= most, "{} after {done}, at most {most}", again.asked_for());
        });
    }
}

/// The same ten times in one transfer: each kill costs the window and what waits to be written down, and
/// nothing that was verified before.
#[test]
fn a_receiver_killed_at_every_tenth_fetches_little_again() {
    for network in Network::ALL {
        Sim::new(network, 211).run(async |world| {
            let donor = donor(&world, &Content::large(16, TOTAL / 16)).await;
            let mut replica = replica(&world, disk());
            for tenth in 1..=9 {
                let plan = replica.bring_up(&[shard(0)]);
                world.until(|| plan.state().bytes_done() >= TOTAL * tenth / 10).await;
                assert!(plan.state().result.is_none(), "it was over before kill {tenth}");
                world.crash(&replica);
                replica = world.restart(&replica);
            }
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            let window = config().recovery.window.0;
            let most = TOTAL + 9 * (window + LAG);
            assert!(donor.sent() <= most + TOTAL / 100, "{} for {TOTAL}, at most {most}", donor.sent());
        });
    }
}

/// What the power may be lost at: changes of the disk from the start of a transfer to its end.
async fn changes(world: SimWorld) -> u64 {
    let (_, replica, _) = second_generation(&world).await;
    let before = replica.disk_changes();
    assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    replica.disk_changes() - before
}

fn next_content() -> Content {
    Content { large: 4, large_len: MIB / 2, copies: 2, copy_len: MIB, ..Content::small(60) }
}

/// A donor, and a replica that shows an old generation; with what that is.
async fn second_generation(world: &SimWorld) -> (SimNode, SimNode, Option<Digest>) {
    let (donor, replica) = (donor(world, &next_content()).await, replica(world, disk()));
    replica.fill(&shard(0), &Content { large: 2, large_len: MIB, ..Content::small(30) }, 1).await;
    let old = replica.digest(&shard(0)).await;
    (donor, replica, old)
}

/// All bytes of what a node shows, as it shows them.
async fn assert_whole(node: &SimNode, old: Option<Digest>, donor: &SimNode) -> bool {
    let is_new = node.digest(&shard(0)).await != old;
    let shown = node.published(&shard(0)).await.expect("a generation is visible, and all of it is there");
    let model = MemoryStore::new();
    match is_new {
        true => next_content().fill(&model, &shard(0), 2),
        false => Content { large: 2, large_len: MIB, ..Content::small(30) }.fill(&model, &shard(0), 1),
    }
    let probe = MemoryStore::new();
    for (key, bytes) in &shown.entries {
        let text = String::from_utf8_lossy(key.as_bytes()).into_owned();
        let (kind, number) = text.trim_end_matches(".sst").split_once('/').expect("a key of ours");
        let metadata = format!("{kind} {}", number.parse::<u32>().expect("a number"));
        probe.put(&shard(0), key.clone(), bytes.clone(), metadata.into_bytes());
    }
    probe.set_position(&shard(0), shown.header.position.clone());
    probe.set_state(&shard(0), shown.header.state.clone());
    assert_eq!(digest(&probe).await, digest(&model).await, "a mixture of generations");
    assert!(!is_new || node.digest(&shard(0)).await == donor.digest(&shard(0)).await);
    is_new
}

async fn digest(store: &MemoryStore) -> Option<Digest> {
    use peerstream_snapshot::Source;
    use peerstream_types::Selector;
    store.open(&shard(0), &Selector::All).await.ok()?.header().digest
}

/// The power is lost somewhere in a transfer, and once more after its end.
async fn lose_power_at(world: SimWorld, change: u64, side: Side) -> bool {
    let (donor, replica, old) = second_generation(&world).await;
    let plan = replica.bring_up(&[shard(0)]);
    world.crash_at_disk(&replica, change, side);
    world.until(|| !replica.is_running() || plan.state().result.is_some()).await;
    let ended = plan.state().result.is_some();
    world.lose_power(&replica);
    let replica = world.restart(&replica);
    let is_new = assert_whole(&replica, old, &donor).await;
    assert!(is_new || !ended, "what was published is gone");
    let outcome = replica.bring_up(&[shard(0)]).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    world.lose_power(&replica);
    assert!(assert_whole(&world.restart(&replica), old, &donor).await, "published, and lost");
    is_new
}

/// Promises 3 and 4, D1, F-37: wherever the power goes, the old generation is visible or the new one,
/// each with its own position and state; afterwards the transfer goes on and ends, and that stays.
#[test]
fn power_may_be_lost_at_any_change() {
    for network in Network::ALL {
        let all = Sim::new(network, 220).run(changes);
        assert!(all > 100, "{all} changes are too few to mean anything");
        let mut new = 0;
        for seed in 0..25 {
            let mut random = Random::fork(seed, 1);
            // The last ones are those of seal and publish: they get half of the crashes.
            let change = if seed % 2 == 0 { random.below(all) } else { all - 1 - random.below(all / 8) };
            let side = if random.below(2) == 0 { Side::Before } else { Side::After };
            let is_new =
                Sim::new(network, seed).run(async move |world| lose_power_at(world, change, side).await);
            new += u32::from(is_new);
        }
        assert!((1..25).contains(&new), "{new} of 25 crashes came after the new generation was visible");
    }
}

/// Promise 2: a node may end at any await of its engine, in memory and on a disk, as receiver and as
/// donor; it goes on after its restart.
#[test]
fn a_node_may_end_at_any_step() {
    let stores = [MemoryStore::new().into(), disk()];
    for (network, store) in Network::ALL.into_iter().flat_map(|n| stores.clone().map(|store| (n, store))) {
        for seed in 0..16 {
            let store = match &store {
                StoreSpec::Memory(_) => MemoryStore::new().into(),
                StoreSpec::Disk(_) | StoreSpec::Blocks(_) | StoreSpec::Own(_) => store.clone(),
            };
            Sim::new(network, seed).run(async move |world| end_at_a_step(world, store).await);
        }
    }
}

async fn end_at_a_step(world: SimWorld, store: StoreSpec) {
    let mut random = Random::fork(world.seed(), 2);
    let content = Content { large: 3, large_len: MIB, ..Content::small(20) };
    let (donor, replica) = (donor(&world, &content).await, replica(&world, store));
    let plan = replica.bring_up(&[shard(0)]);
    let who = if random.below(4) == 0 { &donor } else { &replica };
    world.crash_at_step(who, 1 + random.below(150));
    world.until(|| !who.is_running() || plan.state().result.is_some()).await;
    let who = who.clone();
    let was_running = who.is_running();
    world.sleep(Duration::from_secs(1)).await;
    let steps = who.steps();
    world.sleep(Duration::from_secs(60)).await;
    assert!(was_running || who.steps() == steps, "it goes on after its end");
    let (donor, replica) = (world.restart(&donor), world.restart(&replica));
    let outcome = replica.bring_up(&[shard(0)]).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
}

/// A dead process writes nothing: what a kill left on the disk stays as it was, however long it takes.
#[test]
fn nothing_of_a_dead_process_reaches_its_disk() {
    for network in Network::ALL {
        Sim::new(network, 230).run(async |world| {
            let _donor = donor(&world, &Content::large(16, MIB)).await;
            let replica = replica(&world, disk());
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() >= 4 * MIB).await;
            world.crash(&replica);
            let changes = replica.disk_changes();
            world.sleep(Duration::from_secs(300)).await;
            assert_eq!(replica.disk_changes(), changes);
            assert!(replica.current(&shard(0)).await.is_none());
        });
    }
}

/// A crash that was asked for at an instant is one of the life that ran then, not of the next.
#[test]
fn a_crash_does_not_outlive_its_life() {
    Sim::new(Network::Memory, 231).run(async |world| {
        let node = world.replica("node");
        world.crash_after(&node, Duration::from_secs(10));
        let again = world.restart(&node);
        world.sleep(Duration::from_secs(20)).await;
        assert!(again.is_running() && !node.is_running());
        assert_eq!(world.node(&node.id).map(|node| node.is_running()), Some(true));
    });
}
