//! Block stores of which one was away for longer than deletes are remembered.

use peerstream_blocks::{BlockKey, BlockOptions, LastWriter, Stamp, Tags};
use peerstream_engine::select::{Level, LevelScope};
use peerstream_sim::reach::Reach;
use peerstream_sim::{BlockSpec, Network, NodeSpec, Sim, SimNode, shard};

pub(crate) fn run(reach: &mut Reach) {
    for network in Network::ALL {
        a_source_that_was_away(reach, network);
        a_replica_that_was_away(reach, network);
    }
}

fn spec() -> BlockSpec {
    BlockSpec {
        options: BlockOptions { horizon: 100, ..BlockOptions::new(LastWriter) },
        ..BlockSpec::default()
    }
}

fn key() -> BlockKey {
    BlockKey::new("cpu", Tags::new([("host", "a")]).unwrap(), 0).unwrap()
}

/// Holds a block, and knows of all deletes up to a stamp.
async fn hold(node: &SimNode, synced: u64) {
    let store = node.blocks().unwrap();
    store.create(&shard(0)).await.unwrap();
    store.write(&shard(0), &key(), &LastWriter::encode(Stamp(10), b"value")).await.unwrap();
    store.mark_synced(&shard(0), Stamp(synced)).await.unwrap();
}

/// Holds it, deletes it, and forgets that it did.
async fn forget(node: &SimNode) {
    hold(node, 1_000).await;
    let store = node.blocks().unwrap();
    store.delete(&shard(0), &key(), Stamp(20)).await.unwrap();
    assert_eq!(store.purge(&shard(0), Stamp(1_000)).await.unwrap(), 1);
}

/// One donor has missed a delete that the others have forgotten: it is left out.
fn a_source_that_was_away(reach: &mut Reach, network: Network) {
    super::run(reach, Sim::new(network, 440), async |world| {
        let donors = world.fleet(3, |number| NodeSpec::donor(&format!("donor-{number}")).with_store(spec()));
        hold(&donors[0], 15).await;
        for donor in &donors[1..] {
            forget(donor).await;
        }
        let replica = world.start(NodeSpec::replica("replica").with_store(spec()));
        replica.levels.set(LevelScope::Node, Level::UnstrictAll).unwrap();
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
        assert_eq!(replica.all_blocks(&shard(0)).await, Some(Default::default()), "it is not back");
    });
}

/// The replica itself has missed it: it is told to begin from nothing.
fn a_replica_that_was_away(reach: &mut Reach, network: Network) {
    super::run(reach, Sim::new(network, 441), async |world| {
        let donor = world.start(NodeSpec::donor("donor").with_store(spec()));
        forget(&donor).await;
        let replica = world.start(NodeSpec::replica("replica").with_store(spec()));
        replica.levels.set(LevelScope::Node, Level::One).unwrap();
        hold(&replica, 15).await;
        let outcome = replica.bring_up(&[shard(0)]).await;
        assert!(!outcome.is_completed(), "{outcome:?}");
        replica.blocks().unwrap().clear(&shard(0)).await.unwrap();
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
        assert_eq!(replica.all_blocks(&shard(0)).await, Some(Default::default()), "it is not back");
    });
}
