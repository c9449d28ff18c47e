//! Replicas that have to agree, and do not.

use std::time::Duration;

use peerstream_sim::reach::Reach;
use peerstream_sim::{Content, Network, NodeSpec, Sim, shard};
use peerstream_types::DatasetKind;

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
