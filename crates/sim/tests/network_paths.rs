//! Links, caps and zones take the time that they say, on both networks.

use std::time::Duration;

use peerstream_engine::StreamPlan;
use peerstream_sim::{Content, LinkSpec, Network, Sim, SimNode, SimWorld, UNLIMITED, shard};
use peerstream_types::{ByteCount, ByteRate, Operation};

const MIB: u64 = 1024 * 1024;
/// What the network adds to the bytes of a shard: headers, acknowledgements, a slow start.
const ALLOWED: Duration = Duration::from_millis(1_200);

/// 20 ms round trip, 4 MiB/s, a queue of 40 ms.
fn slow() -> LinkSpec {
    LinkSpec {
        latency: Duration::from_millis(10),
        rate: ByteRate::mib_per_sec(4),
        queue: ByteCount::kib(160),
        ..LinkSpec::default()
    }
}

fn late(ms: u64) -> LinkSpec {
    LinkSpec { latency: Duration::from_millis(ms), ..LinkSpec::default() }
}

/// A donor with two shards of 8 MiB.
fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    for index in 0..2 {
        Content::large(8, MIB).fill(&donor.store, &shard(index), 1);
    }
    donor
}

/// How long it takes to bring a shard up.
async fn time_of(world: &SimWorld, replica: &SimNode, donor: &SimNode, index: u32) -> Duration {
    let began = world.now();
    let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard(index), [donor.id.clone()]);
    let outcome = replica.execute(plan).expect("the plan is fine").await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(replica.digest(&shard(index)).await, donor.digest(&shard(index)).await);
    world.now() - began
}

fn assert_takes(network: Network, took: Duration, secs: u64) {
    let wanted = Duration::from_secs(secs);
    assert!(took >= wanted && took < wanted + ALLOWED, "{network}: {took:?} for {secs} s");
}

#[test]
fn a_transfer_takes_the_time_of_its_link() {
    for network in Network::ALL {
        Sim::new(network, 60).link(slow()).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            assert_takes(network, time_of(&world, &replica, &donor, 0).await, 2);
        });
    }
}

/// The way to the donor carries requests only: how slow it is makes little difference.
#[test]
fn each_direction_has_a_link_of_its_own() {
    for network in Network::ALL {
        Sim::new(network, 61).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            world.shape_one_way(&donor, &replica, slow());
            assert_takes(network, time_of(&world, &replica, &donor, 0).await, 2);
            world.shape(&donor, &replica, LinkSpec::default());
            world.shape_one_way(&replica, &donor, slow());
            assert_takes(network, time_of(&world, &replica, &donor, 1).await, 0);
        });
    }
}

/// A link is slowed and mended while bytes move.
#[test]
fn a_link_changes_while_bytes_move() {
    for network in Network::ALL {
        Sim::new(network, 62).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            world.shape(&donor, &replica, slow());
            let plan = replica.bring_up(&[shard(0)]);
            world.sleep(Duration::from_secs(1)).await;
            let done = plan.state().bytes_done();
            assert!((2 * MIB..=4 * MIB + MIB / 2).contains(&done), "{network}: {done}");
            world.shape(&donor.id, &replica.id, LinkSpec::default());
            assert!(plan.await.is_completed());
            let took = world.now().since_origin();
            assert!(took < Duration::from_millis(1_700), "{network}: {took:?}");
        });
    }
}

/// Two receivers share what a donor may send, and a receiver of two donors what it may receive.
#[test]
fn links_share_the_caps_of_their_nodes() {
    for network in Network::ALL {
        Sim::new(network, 63).run(async |world| {
            let donors = [donor(&world, "donor-1"), donor(&world, "donor-2")];
            let replicas = ["replica-1", "replica-2", "replica-3"].map(|name| world.replica(name));
            world.cap(&donors[0], ByteRate::mib_per_sec(4), UNLIMITED);
            let (one, two) = tokio::join!(
                time_of(&world, &replicas[0], &donors[0], 0),
                time_of(&world, &replicas[1], &donors[0], 0),
            );
            assert_takes(network, one.max(two), 4);
            world.cap(&donors[0], UNLIMITED, UNLIMITED);
            world.cap(&replicas[2], UNLIMITED, ByteRate::mib_per_sec(4));
            let (one, two) = tokio::join!(
                time_of(&world, &replicas[2], &donors[0], 0),
                time_of(&world, &replicas[2], &donors[1], 1),
            );
            assert_takes(network, one.max(two), 4);
        });
    }
}

/// Nodes of one zone are near each other, those of two are far apart; a link of two nodes' own wins.
#[test]
fn zones_give_latency() {
    for network in Network::ALL {
        Sim::new(network, 64).run(async |world| {
            let (donor, near, far) = (world.donor("donor"), world.replica("near"), world.replica("far"));
            Content::none().fill(&donor.store, &shard(0), 1);
            world.shape_zones("east", "west", late(50));
            world.shape_zones("east", "east", late(1));
            for (node, zone) in [(&donor, "east"), (&near, "east"), (&far, "west")] {
                world.zone(node, zone);
            }
            let near_took = time_of(&world, &near, &donor, 0).await;
            let far_took = time_of(&world, &far, &donor, 0).await;
            assert!(near_took < Duration::from_millis(30), "{network}: {near_took:?}");
            assert!(far_took > Duration::from_millis(300), "{network}: {far_took:?}");
            let other = world.replica("other");
            world.zone(&other, "west");
            world.shape(&other, &donor.addr, late(1));
            assert!(time_of(&world, &other, &donor, 0).await < Duration::from_millis(30));
        });
    }
}

/// Everything that changes the network is one line of the trace.
#[test]
fn what_happens_to_the_network_is_traced() {
    let (_, trace) = Sim::new(Network::Quic, 65).run_traced(async |world| {
        let (a, b) = (world.donor("a"), world.replica("b"));
        world.cut(&a, &b);
        world.cut_one_way(&a, &b);
        world.heal(&a, &b);
        world.flap(&a, &b, Duration::from_secs(2), 3);
        world.shape(&a, &b, LinkSpec { loss_ppm: 5, ..late(2) });
        world.shape_one_way(&a, &b, LinkSpec::instant());
        world.cap(&a, ByteRate::mib_per_sec(1), UNLIMITED);
        world.zone(&a, "east");
        world.shape_zones("east", "west", late(50));
    });
    for line in [
        "a: cut from b",
        "a: cut on the way to b",
        "a: healed with b",
        "a: flaps with b, 3 times every 2s",
        "a: to and from b: latency 2ms, rate 119 MiB/s, queue 1.00 MiB, mtu 1472, loss 5 ppm",
        "a: to b: latency 0ns, any rate, mtu 1472",
        "a: capped at 1.00 MiB/s up",
        "a: in zone east",
        "network: zone east to and from zone west: latency 50ms",
    ] {
        assert_eq!(trace.lines().filter(|found| found.contains(line)).count(), 1, "{line} in\n{trace}");
    }
}
