//! Promise 11: with the same seed, a run gives the same trace, byte for byte.

use std::time::Duration;

use peerstream_sim::{Content, DiskSpec, History, LinkSpec, Network, NodeSpec, Sim, SimWorld, Writer, shard};
use peerstream_types::ByteCount;

/// A run with everything in it that chance could touch: losses, a crash, a corrupt entry, a retry.
async fn eventful(world: SimWorld) {
    let donors = [world.donor("donor-1"), world.donor("donor-2")];
    for donor in &donors {
        Content { large: 4, large_len: 1 << 20, empty: 1, ..Content::small(300) }.fill(
            &donor.store,
            &shard(0),
            world.seed(),
        );
        donor.faults.delay_reads(Duration::from_millis(2));
    }
    donors[0].faults.corrupt(peerstream_sim::content::key("large", 1));
    let replica = world.replica("replica");
    let plan = replica.bring_up(&[shard(0)]);
    world.until(|| plan.state().bytes_done() > 1 << 20).await;
    world.crash(&donors[0]);
    assert!(plan.await.is_completed());
}

/// The same for nodes with disks: a shard that moves, power that is lost, a disk that is full.
async fn eventful_disks(world: SimWorld) {
    let on_disk = |spec: NodeSpec| world.start(spec.with_store(DiskSpec::default()));
    let donors = [on_disk(NodeSpec::donor("donor-1")), on_disk(NodeSpec::donor("donor-2"))];
    let content = Content { large: 4, large_len: 1 << 20, copies: 2, copy_len: 5_000, ..Content::small(30) };
    let history = History::new(shard(0), content, world.seed());
    let writer = Writer::start(&world, history, &donors, Duration::from_secs(1)).await;
    world.sleep(Duration::from_secs(2)).await;
    let replica = on_disk(NodeSpec::replica("replica"));
    let plan = replica.bring_up(&[shard(0)]);
    world.until(|| plan.state().bytes_done() > 1 << 20).await;
    world.lose_power(&replica);
    world.crash_at_step(&donors[0], 50);
    let replica = world.restart(&replica);
    world.fill_disk(&replica, ByteCount(100_000));
    replica.bring_up(&[shard(0)]).await;
    world.empty_disk(&replica);
    world.restart(&donors[0]);
    assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    drop(writer);
}

#[test]
fn the_same_seed_gives_the_same_trace_on_disks() {
    for network in Network::ALL {
        let trace = |seed| Sim::new(network, seed).run_traced(eventful_disks).1;
        let first = trace(7);
        assert!(first.contains("power is lost") && first.contains("writes version"), "{first}");
        assert_eq!(first, trace(7), "{network}");
        assert_ne!(first, trace(8), "{network}");
    }
}

fn trace(network: Network, seed: u64) -> String {
    let link = LinkSpec { loss_ppm: 20_000, ..LinkSpec::default() };
    Sim::new(network, seed).link(link).run_traced(eventful).1
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for network in Network::ALL {
        let first = trace(network, 7);
        assert!(first.lines().count() > 5, "{first}");
        assert_eq!(first, trace(network, 7), "{network}");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    for network in Network::ALL {
        assert_ne!(trace(network, 7), trace(network, 8), "{network}");
    }
}

/// What ran before in the same process leaves nothing behind.
#[test]
fn the_order_of_runs_makes_no_difference() {
    let (one, two) = (trace(Network::Quic, 1), trace(Network::Quic, 2));
    let (two_first, one_later) = (trace(Network::Quic, 2), trace(Network::Quic, 1));
    assert_eq!((one, two), (one_later, two_first));
}

/// Many wait for one thing, and then it comes.
async fn many_wait(world: SimWorld) {
    let donor = world.donor("donor");
    let shards: Vec<_> = (0..4).map(shard).collect();
    let content = Content { large: 1, large_len: 300_000, ..Content::small(5) };
    shards.iter().for_each(|shard| content.fill(&donor.store, shard, 1));
    let replicas: Vec<_> = (0..4).map(|number| world.replica(&format!("replica-{number}"))).collect();
    let up = || replicas.iter().map(|replica| replica.bring_up(&shards)).collect::<Vec<_>>();
    donor.faults.stall_after(100_000);
    let plans = up();
    world.sleep(Duration::from_secs(5)).await;
    // Reads that are stalled go on, and shards of plans are called off.
    donor.faults.clear();
    world.sleep(Duration::from_millis(1)).await;
    plans.iter().for_each(|plan| plan.abort("enough"));
    for plan in plans {
        plan.await;
    }
    donor.faults.stall_after(100_000);
    let plans = up();
    world.sleep(Duration::from_secs(5)).await;
    // Shards of sessions lose their peer.
    world.crash(&donor);
    for plan in plans {
        plan.await;
    }
}

/// Those who wait go on in the order in which they began to. Found by comparing processes: reads that
/// had been stalled went on in another order in each, and so did shards of plans that were called off.
#[test]
fn those_who_wait_go_on_in_their_order() {
    for network in Network::ALL {
        let trace = || Sim::new(network, 12).run_traced(many_wait).1;
        let first = trace();
        for _ in 0..3 {
            assert_eq!(first, trace(), "{network}");
        }
    }
}
