//! Disks without room for what is to come.

use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, shard};
use peerstream_snapshot::directory::{Room, StoreOptions};
use peerstream_types::ByteCount;

/// Promise 7: small entries need their room twice, which is known only page by page. A page for which there
/// is none ends the shard with that reason: it is not held against the sources, one after the other.
#[test]
fn a_page_without_room_is_no_fault_of_its_source() {
    Sim::new(Network::Memory, 880).run(async |world| {
        let donors = ["first", "second"].map(|name| world.donor(name));
        donors.iter().for_each(|donor| Content::small(300).fill(&donor.store, &shard(0), 1));
        let room = Some(Room { keep_free: 0, usable_permille: 1000 });
        let store = StoreOptions { room, ..StoreOptions::default() };
        let spec = NodeSpec::replica("replica").with_store(DiskSpec { store, ..DiskSpec::default() });
        let replica = world.start(spec);
        let bytes = donors[0].header(&shard(0)).await.unwrap().counts.bytes;
        world.fill_disk(&replica, ByteCount(bytes * 3 / 2));

        let plan = replica.bring_up(&[shard(0)]).await;
        let outcome = plan.shards[0].outcome.to_string();
        assert!(outcome.contains("staging failed: no room for shard"), "{outcome}");
        assert_eq!(donors[1].engine.plans(), [], "the second one was not even asked");
    });
}
