//! Networks that double, spoil, swallow, or carry one way only: a bring-up ends equal, or says why not.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::{Content, FabricStats, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteCount;

const TOTAL: u64 = 16 * 1024 * 1024;
const WINDOW: u64 = 2 * 1024 * 1024;
/// Connections that hear nothing are lost after this; a source that brings nothing, after twice it.
const LOST: Duration = Duration::from_secs(30);

/// Brings a mixed shard up over QUIC on such links; what the network counted.
fn brings_up_over(seed: u64, link: LinkSpec) -> FabricStats {
    Sim::new(Network::Quic, seed).link(link).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::mixed().fill(&donor.store, &shard(0), 1);
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        world.datagrams()
    })
}

#[test]
fn duplicates_change_nothing() {
    let stats = brings_up_over(80, LinkSpec { duplicate_ppm: 50_000, ..LinkSpec::default() });
    assert!(stats.duplicated > 100, "{stats:?}");
}

/// QUIC drops a datagram with a wrong bit: corruption is a loss.
#[test]
fn corrupt_datagrams_cost_time_only() {
    let stats = brings_up_over(81, LinkSpec { corrupt_ppm: 20_000, ..LinkSpec::default() });
    assert!(stats.corrupted > 100, "{stats:?}");
}

#[test]
fn everything_at_once_is_survived() {
    let link = LinkSpec {
        loss_ppm: 20_000,
        duplicate_ppm: 20_000,
        corrupt_ppm: 20_000,
        mtu: 1_300,
        queue: ByteCount::kib(64),
        ..LinkSpec::default()
    };
    let stats = brings_up_over(82, link);
    assert!(
        stats.lost > 0 && stats.duplicated > 0 && stats.corrupted > 0 && stats.too_large > 0,
        "{stats:?}"
    );
    assert_eq!(stats, brings_up_over(82, link), "the same seed");
}

/// QUIC probes for larger datagrams, and does without where they vanish.
#[test]
fn a_small_mtu_is_found_out() {
    let stats = brings_up_over(83, LinkSpec { mtu: 1_250, ..LinkSpec::default() });
    assert!(stats.too_large > 0, "{stats:?}");
}

/// A path whose MTU shrinks under a running transfer swallows full datagrams until QUIC notices.
#[test]
fn an_mtu_that_shrinks_is_survived() {
    Sim::new(Network::Quic, 84).run(async |world| {
        let (first, _, replica) = cluster(&world);
        let plan = replica.bring_up(&[shard(0)]);
        world.until(|| plan.state().bytes_done() > TOTAL / 2).await;
        world.shape(&first, &replica, LinkSpec { mtu: 1_250, ..LinkSpec::default() });
        let outcome = plan.await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(replica.digest(&shard(0)).await, first.digest(&shard(0)).await);
        assert!(world.datagrams().too_large > 0);
    });
}

/// QUIC needs datagrams of 1,200 bytes: a path without them is no path, and the plan says so.
#[test]
fn a_path_that_is_too_small_for_quic_fails_with_a_reason() {
    Sim::new(Network::Quic, 85).link(LinkSpec { mtu: 1_100, ..LinkSpec::default() }).run(async |world| {
        let (donor, replica) = (world.donor("donor"), world.replica("replica"));
        Content::small(5).fill(&donor.store, &shard(0), 1);
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(!outcome.is_completed());
        let shown = outcome.shards[0].outcome.to_string();
        assert!(shown.contains("no answer within"), "{shown}");
    });
}

/// Two donors with the same content that take their time, and a replica with a small window.
fn cluster(world: &SimWorld) -> (SimNode, SimNode, SimNode) {
    let donor = |name| {
        let donor = world.donor(name);
        Content::large(16, TOTAL / 16).fill(&donor.store, &shard(0), 1);
        donor.faults.delay_reads(Duration::from_millis(20));
        donor
    };
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(WINDOW);
    config.recovery.fetch_bytes = ByteCount(WINDOW / 4);
    let replica = NodeSpec { config, ..NodeSpec::replica("replica") };
    (donor("donor-1"), donor("donor-2"), world.start(replica))
}

/// A source that is heard no more, or hears no more, is replaced by another one.
#[test]
fn a_one_way_cut_is_noticed_and_another_source_is_taken() {
    for network in Network::ALL {
        for from_donor in [true, false] {
            Sim::new(network, 86).run(async |world| {
                let (first, second, replica) = cluster(&world);
                let plan = replica.bring_up(&[shard(0)]);
                world.until(|| plan.state().bytes_done() > TOTAL / 2).await;
                match from_donor {
                    true => world.cut_one_way(&first, &replica),
                    false => world.cut_one_way(&replica, &first),
                }
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
                assert_eq!(replica.digest(&shard(0)).await, second.digest(&shard(0)).await);
                assert!(second.sent() > 0);
                let took = world.now().since_origin();
                assert!(took >= LOST && took < 3 * LOST, "{network}, {from_donor}: {took:?}");
                assert!(replica.asked_for() <= TOTAL + 2 * WINDOW, "{}", replica.asked_for());
            });
        }
    }
}

/// A link that comes and goes costs the windows that were under way, and no more.
#[test]
fn a_flapping_link_is_got_over() {
    for network in Network::ALL {
        Sim::new(network, 87).run(async |world| {
            let (first, second, replica) = cluster(&world);
            world.crash(&second);
            let plan = replica.bring_up(&[shard(0)]);
            world.until(|| plan.state().bytes_done() > TOTAL / 4).await;
            world.flap(&first, &replica, Duration::from_millis(400), 3);
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, first.digest(&shard(0)).await);
            assert!(replica.asked_for() <= TOTAL + 3 * WINDOW, "{}", replica.asked_for());
        });
    }
}

/// A queue that is too short for a burst loses some of it over QUIC, and holds the writer up in memory.
#[test]
fn a_short_queue_is_survived() {
    let link = LinkSpec {
        rate: peerstream_types::ByteRate::mib_per_sec(8),
        queue: ByteCount::kib(32),
        ..LinkSpec::default()
    };
    for network in Network::ALL {
        Sim::new(network, 88).link(link).run(async |world| {
            let (first, _, replica) = cluster(&world);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, first.digest(&shard(0)).await);
            assert_eq!(world.datagrams().overflowed > 0, network == Network::Quic);
            assert!(world.now().since_origin() >= Duration::from_secs(2), "16 MiB at 8 MiB/s");
        });
    }
}
