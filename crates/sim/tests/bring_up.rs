//! An empty replica is brought up: whole, equal, in one step.

use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, shard};

/// M-32, MI-01: the main job: an empty replica gets the bytes, keys, kinds, metadata, position and state of
/// its donor (row F-36 for the metadata), among them an entry without a byte (rows A30 and F-61).
#[test]
fn an_empty_replica_is_brought_up() {
    for network in Network::ALL {
        Sim::new(network, 1).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            Content::mixed().fill(&donor.store, &shard(0), 1);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            let published = replica.store.published(&shard(0)).unwrap();
            assert_eq!(published.entries.len(), 2_004);
            assert_eq!(published.entries[&peerstream_sim::content::key("empty", 0)].len(), 0);
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// M-30, row F-61: a shard without entries is brought up as one, because its manifest says so.
#[test]
fn an_empty_shard_is_brought_up() {
    for network in Network::ALL {
        Sim::new(network, 2).run(async |world| {
            let (donor, replica) = (world.donor("donor"), world.replica("replica"));
            Content::none().fill(&donor.store, &shard(0), 1);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert!(replica.store.published(&shard(0)).unwrap().entries.is_empty());
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// MI-15: what was brought up is served from then on, from memory and from a disk, without whom it came from.
#[test]
fn a_node_serves_what_it_was_brought_up_with() {
    for network in Network::ALL {
        Sim::new(network, 3).run(async |world| {
            let donor = world.donor("donor");
            Content::small(300).fill(&donor.store, &shard(0), 1);
            let memory = world.donor("memory");
            let disk = world.start(NodeSpec::donor("disk").with_store(DiskSpec::default()));
            for first in [&memory, &disk] {
                world.placement().set_holders([donor.id.clone()]);
                assert!(first.bring_up(&[shard(0)]).await.is_completed());
            }
            world.crash(&donor);
            for first in [&memory, &disk] {
                world.placement().set_holders([first.id.clone()]);
                let second = world.replica(&format!("from-{}", first.id));
                let outcome = second.bring_up(&[shard(0)]).await;
                assert!(outcome.is_completed(), "{outcome:?}");
                assert_eq!(second.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            }
        });
    }
}
