//! Both ways of cleaning, with many seeds: one keeps every promise, the other one is caught.

use std::sync::Arc;
use std::time::Duration;

use consumer_sim::{Cleaning, Tables};
use peerstream_sim::fault::Mix;
use peerstream_sim::watch::{Blame, Verdict, Watch};
use peerstream_sim::{Dataset, Network, NodeSpec, OwnStore, Sim, SimNode, SimWorld, shard};

const SEEDS: std::ops::Range<u64> = 0..60;

/// A node whose tables are merged all the time.
fn donor(world: &SimWorld, name: &str, cleaning: Cleaning) -> SimNode {
    let tables = Tables::new(shard(0), cleaning);
    let files = tables.clone();
    let store = OwnStore::new(move || Dataset { source: Some(Arc::new(files.reopened())), sink: None, ..Dataset::default() });
    let node = world.start(NodeSpec::donor(name).with_store(store));
    node.faults.delay_reads(Duration::from_millis(40));
    let world = world.clone();
    tokio::spawn(async move {
        loop {
            world.sleep(Duration::from_millis(20)).await;
            tables.merge();
        }
    });
    node
}

/// A replica is brought up while anything may happen to it and to one of two donors.
fn trial(seed: u64, cleaning: Cleaning) -> Verdict {
    Sim::new(Network::Memory, seed).run(async |world| {
        let watch = Watch::over(&world);
        watch.blame(Blame::default()); // one donor is spared: nothing excuses a shard that fails
        let (donor, _spared) = (donor(&world, "donor", cleaning), donor(&world, "spared", cleaning));
        let replica = world.replica("replica");
        let mix = Mix { disks: false, ..Mix::default() };
        let faults = mix.draw(seed, world.network(), &[donor.id], std::slice::from_ref(&replica.id));
        let up = tokio::spawn({
            let world = world.clone();
            async move { world.bring_up(&replica.id, &[shard(0)]).await }
        });
        world.inject_all(&faults).await;
        let _supervisor = world.mend(&faults);
        watch.calm();
        up.await.expect("it is brought up in the end");
        watch.end().await
    })
}

#[test]
fn cleaning_when_idle_keeps_every_promise() {
    for seed in SEEDS {
        let violations = trial(seed, Cleaning::WhenIdle).violations;
        assert_eq!(violations, [], "seed {seed}");
    }
}

#[test]
fn cleaning_at_once_is_caught() {
    let caught = |seed: &u64| !trial(*seed, Cleaning::AtOnce).violations.is_empty();
    let seed = SEEDS.into_iter().find(caught).expect("some seed shows that a table is missing");
    let again = |_| trial(seed, Cleaning::AtOnce).violations;
    assert_eq!(again(1), again(2), "and shows it again");
}
