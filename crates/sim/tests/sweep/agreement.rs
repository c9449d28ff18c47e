//! Replicas that have to agree, and do not; and long listings that nearly do.

use std::time::Duration;

use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, Network, NodeSpec, Sim, shard};
use peerstream_types::{DatasetKind, EntryKey};

pub(crate) fn run(reach: &mut Reach) {
    for network in Network::ALL {
        super::run(reach, Sim::new(network, 430), async |world| {
            let donors = world.fleet(3, |number| NodeSpec::donor(&format!("donor-{number}")));
            donors.iter().for_each(|donor| Content::small(20).fill(&donor.store, &shard(0), 1));
            donors[2].store.set_state(&shard(0), b"another".to_vec());
            let replica = NodeSpec { kind: DatasetKind::Identical, ..NodeSpec::replica("replica") };
            let plan = world.start(replica).bring_up(&[shard(0)]);
            tokio::time::sleep(Duration::from_secs(30)).await;
            donors[2].store.set_state(&shard(0), b"state 1".to_vec());
            assert!(plan.await.is_completed(), "now they are as many as a majority of four");
        });
    }
}

/// Long enough that listings are compared before they are asked for.
const LONG: u32 = 8_300;

/// Replicas that hold nearly the same, which is listed once.
pub(crate) fn run_long(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 431), async |world| {
        let donors = world.fleet(3, |number| NodeSpec::donor(&format!("donor-{number}")));
        for (place, donor) in donors.iter().enumerate() {
            Content { small_len: 1..2, ..Content::small(LONG) }.fill(&donor.store, &shard(0), 1);
            for late in 0..place {
                let key = EntryKey::from_path(&format!("late-{late}")).unwrap();
                donor.store.put(&shard(0), key, "not everywhere yet", Vec::new());
            }
        }
        let replica = NodeSpec { kind: DatasetKind::Identical, ..NodeSpec::replica("replica") };
        let plan = world.start(replica).bring_up(&[shard(0)]);
        assert!(plan.await.is_completed());
    });
}
