//! Several sources serve one shard at once, and one of them is not like the others.

use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_sim::content::key;
use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, LinkSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_types::ByteCount;

/// What is special about one of three donors.
type Special = fn(&SimWorld, &SimNode, &SimNode);

const SPECIAL: &[Special] = &[
    |_, _, _| {},
    |_, donor, _| donor.faults.corrupt(key("large", 0)),
    |_, donor, _| donor.faults.change_entry(key("large", 1)),
    |_, donor, _| donor.faults.delay_reads(Duration::from_millis(400)),
    |_, donor, _| donor.store.put(&shard(0), key("small", 0), &b"other"[..], Vec::new()),
    |world, donor, _| world.crash_after(donor, Duration::from_millis(60)),
    // It is not there before the others have given everything; asked first, it makes no offer in time.
    |world, donor, replica| {
        world.shape(donor, replica, LinkSpec { latency: Duration::from_secs(2), ..world.link() });
    },
];

/// Small shards are worth a session, nobody is waited for very long, and the last of a slow source is asked
/// twice.
fn eager() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount::mib(1);
    config.recovery.fetch_bytes = ByteCount(256 << 10);
    config.recovery.join_from = ByteCount(1);
    config.recovery.twice_per_mille = 200;
    config.recovery.open_timeout = Duration::from_secs(1);
    config
}

pub(crate) fn run(reach: &mut Reach) {
    let content = Content { large: 3, large_len: 2 << 20, ..Content::small(30) };
    for (seed, special) in (900..).zip(SPECIAL) {
        for (network, which) in Network::ALL.into_iter().flat_map(|network| [(network, 0), (network, 2)]) {
            super::run(reach, Sim::new(network, seed), async |world| {
                let donors = ["one", "two", "three"].map(|name| world.donor(name));
                for donor in &donors {
                    content.fill(&donor.store, &shard(0), 1);
                    donor.faults.delay_reads(Duration::from_millis(10));
                }
                let replica = world.start(NodeSpec { config: eager(), ..NodeSpec::replica("replica") });
                special(world, &donors[which], &replica);
                let plan = replica.bring_up(&[shard(0)]).await;
                assert!(plan.is_completed(), "{plan:?}");
            });
        }
    }
}
