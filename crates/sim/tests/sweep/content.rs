//! Sources that are wrong about what they have, cannot give it, or give it late.

use std::time::Duration;

use peerstream_sim::content::key;
use peerstream_sim::reach::Reach;
use peerstream_sim::{Lie, Network, NodeSpec, Sim, SimNode, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_transport::access::AccessRules;
use peerstream_types::{ChunkSize, EntryKey};

use super::donor;

/// What is wrong with the first of two donors.
type Wrong = fn(&SimNode);

const WRONG: &[Wrong] = &[
    |_| {},
    |donor| donor.faults.corrupt(key("large", 0)),
    |donor| donor.faults.corrupt(key("small", 3)),
    |donor| donor.faults.change_entry(key("small", 5)),
    |donor| donor.faults.change_entry(key("large", 1)),
    |donor| donor.faults.lie(Lie::Manifest),
    |donor| donor.faults.lie(Lie::Outline),
    |donor| donor.faults.refuse_to_open(),
    |donor| donor.faults.stall_after(1 << 19),
    |donor| donor.faults.delay_reads(Duration::from_millis(300)),
];

pub(crate) fn run(reach: &mut Reach) {
    for (seed, wrong) in (0..).zip(WRONG) {
        for network in Network::ALL {
            super::run(reach, Sim::new(network, seed), async |world| {
                let (bad, _good) = (donor(world, "bad"), donor(world, "good"));
                wrong(&bad);
                let replica = world.replica("replica");
                let plan = replica.bring_up(&[shard(0)]).await;
                assert!(plan.is_completed(), "{plan:?}");
            });
        }
    }
    alone(reach);
    groups(reach);
}

/// The only source is wrong, for a while or for good.
fn alone(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 20), async |world| {
        let (donor, replica) = (donor(world, "donor"), world.replica("replica"));
        donor.faults.refuse_to_open();
        let plan = replica.bring_up(&[shard(0)]);
        world.sleep(Duration::from_secs(3)).await;
        donor.faults.clear();
        donor.faults.corrupt(key("large", 1));
        assert!(!plan.await.is_completed());
        donor.faults.clear();
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
    });
}

/// Entries of more than one group, pushed and pulled.
fn groups(reach: &mut Reach) {
    super::run(reach, Sim::new(Network::Memory, 21), async |world| {
        let store = MemoryStore::with_chunk_size(ChunkSize::new(1024).unwrap());
        let spec = NodeSpec::donor("donor").with_store(store.clone());
        store.put(&shard(0), EntryKey::from_path("long").unwrap(), vec![7; 3 << 20], Vec::new());
        let access = AccessRules::members_may_do_everything();
        let (donor, replica) = (world.start(spec), world.replica("replica"));
        let pushed = world.start(NodeSpec { access, ..NodeSpec::replica("pushed") });
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
        assert!(donor.push(&[shard(0)], &pushed).await.is_completed());
    });
}
