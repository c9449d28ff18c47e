//! Shards that move while they are brought up, and fleets.

use std::time::Duration;

use peerstream_sim::{Content, DiskSpec, History, Network, NodeSpec, Sim, SimNode, SimWorld, Writer, shard};

const MIB: u64 = 1024 * 1024;

/// Two donors of a shard that moves, one in memory and one on a disk.
async fn moving(world: &SimWorld) -> (Writer, [SimNode; 2]) {
    let donors =
        [world.donor("memory"), world.start(NodeSpec::donor("disk").with_store(DiskSpec::default()))];
    let history = History::new(shard(0), Content::large(4, MIB), world.seed());
    let writer = Writer::start(world, history, &donors, Duration::from_millis(300)).await;
    (writer, donors)
}

/// What a node has is one version, whole, with the position of that version. Says which.
async fn version(node: &SimNode, writer: &Writer) -> u64 {
    let header = node.header(&shard(0)).await.expect("it has the shard");
    let version = header.position.as_ref().and_then(History::version).expect("a position of the writer");
    assert_eq!(Some(header), writer.history().header(version).await, "version {version}");
    version
}

/// Promise 4: a replica that is brought up from donors that move has the data of one version, and just
/// its position; brought up again, it has a later one.
#[test]
fn a_moving_shard_is_brought_up_as_one_version() {
    for network in Network::ALL {
        Sim::new(network, 250).run(async |world| {
            let (writer, donors) = moving(&world).await;
            donors.iter().for_each(|donor| donor.faults.delay_reads(Duration::from_millis(50)));
            for store in [None, Some(DiskSpec::default())] {
                let name = if store.is_some() { "on-disk" } else { "in-memory" };
                let spec = NodeSpec::replica(name);
                let replica = world.start(match store {
                    None => spec,
                    Some(disk) => spec.with_store(disk),
                });
                assert!(replica.bring_up(&[shard(0)]).await.is_completed());
                let first = version(&replica, &writer).await;
                world.until(|| donors.iter().all(|d| writer.version(&d.id) > Some(first + 3))).await;
                assert!(replica.bring_up(&[shard(0)]).await.is_completed());
                let second = version(&replica, &writer).await;
                assert!(second > first, "{second} after {first}");
            }
        });
    }
}

/// Donors are at different versions at the same time, go on after a crash, and stop when told so.
#[test]
fn donors_move_each_at_its_own_pace() {
    Sim::new(Network::Memory, 251).run(async |world| {
        let (writer, donors) = moving(&world).await;
        let at = |number: usize| writer.version(&donors[number].id).unwrap();
        world.until(|| at(0) != at(1)).await;
        world.crash(&donors[1]);
        let (stood, from) = (at(1), at(0));
        world.until(|| at(0) > from + 5).await;
        assert_eq!(at(1), stood, "it is down");
        world.restart(&donors[1]);
        world.until(|| at(1) > stood + 5).await;
        for donor in &donors {
            version(&world.node(&donor.id).unwrap(), &writer).await;
        }
        writer.stop();
        let stood = (at(0), at(1));
        world.sleep(Duration::from_secs(60)).await;
        assert_eq!((at(0), at(1)), stood);
    });
}

/// A fleet of a few hundred nodes in memory is brought up by a few donors.
#[test]
fn a_fleet_is_brought_up() {
    Sim::new(Network::Memory, 252).run(async |world| {
        let donors = world.fleet(3, |number| NodeSpec::donor(&format!("donor-{number}")));
        for donor in &donors {
            donor.fill(&shard(0), &Content::small(3), 1).await;
        }
        let replicas = world.fleet(200, |number| NodeSpec::replica(&format!("replica-{number}")));
        let plans: Vec<_> = replicas.iter().map(|replica| replica.bring_up(&[shard(0)])).collect();
        for plan in plans {
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
        }
        for replica in &replicas {
            assert_eq!(replica.digest(&shard(0)).await, donors[0].digest(&shard(0)).await);
        }
    });
}
