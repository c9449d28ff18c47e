//! Networks that part nodes, lose, repeat and garble datagrams, and are slow.

use std::time::Duration;

use peerstream_sim::reach::Reach;
use peerstream_sim::{LinkSpec, Network, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteRate;

use super::donor;

type Fault = fn(&SimWorld, &SimNode, &SimNode);

const FAULTS: &[Fault] = &[
    |world, donor, replica| world.cut(donor, replica),
    |world, donor, replica| world.cut_one_way(donor, replica),
    |world, donor, replica| world.flap(donor, replica, Duration::from_millis(50), 3),
    |world, donor, _| world.crash(donor),
    |world, donor, _| drop(world.restart(donor)),
    |world, donor, replica| {
        let link =
            LinkSpec { loss_ppm: 20_000, duplicate_ppm: 20_000, corrupt_ppm: 20_000, ..LinkSpec::default() };
        world.shape(donor, replica, link);
    },
    |world, donor, replica| world.slow_link(donor, replica, ByteRate::mib_per_sec(2)),
    |world, donor, replica| {
        world.zone(donor, "near");
        world.zone(replica, "far");
        let latency = Duration::from_millis(3);
        world.shape_zones("near", "far", LinkSpec { latency, ..LinkSpec::default() });
        world.cap(donor, ByteRate::mib_per_sec(4), ByteRate::mib_per_sec(4));
    },
];

pub(crate) fn run(reach: &mut Reach) {
    for (seed, fault) in (300..).zip(FAULTS) {
        for (network, heal) in [(Network::Memory, true), (Network::Quic, true), (Network::Quic, false)] {
            super::run(reach, Sim::new(network, seed), async |world| {
                let (first, second) = (donor(world, "first"), donor(world, "second"));
                for donor in [&first, &second] {
                    donor.faults.delay_reads(Duration::from_millis(10));
                }
                let replica = world.replica("replica");
                let plan = replica.bring_up(&[shard(0)]);
                world.until(|| plan.state().bytes_done() > 1 << 19).await;
                fault(world, &first, &replica);
                if heal {
                    world.sleep(Duration::from_secs(3)).await;
                    world.heal(&first, &replica);
                }
                let outcome = plan.await;
                assert!(outcome.is_completed(), "{outcome:?}");
                world.sleep(Duration::from_secs(40)).await;
            });
        }
    }
}
