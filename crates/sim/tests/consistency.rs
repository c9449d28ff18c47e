//! Every level, under every fault, changed at a random time: what is published was agreed on, what is merged
//! has all that it must, and bugs in either are caught.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::select::{Level, LevelScope};
use peerstream_sim::planted::{Bug, Planted};
use peerstream_sim::scenario::shipped;
use peerstream_sim::watch::{Verdict, Watch};
use peerstream_sim::{BlockHistory, BlockSpec, Content, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_types::{DatasetKind, NodeId};

/// Seeds of each scenario here; `cargo xtask sim consistency --seeds 0..5000` runs more of them.
const SEEDS: u64 = 24;

/// F-15, F-20: whatever the level is, and whatever it becomes.
#[test]
fn equal_replicas_are_compared_at_every_level_under_faults() {
    holds("consistency");
}

/// F-08, F-09, F-20, F-30, F-36: the same of replicas that are merged, and written to meanwhile.
#[test]
fn unequal_replicas_are_merged_at_every_level_under_faults() {
    holds("consistency-blocks");
}

fn holds(name: &str) {
    let scenario = shipped(name).unwrap();
    for (seed, network) in (100..100 + SEEDS).zip(Network::ALL.into_iter().cycle()) {
        let mut options = scenario.options(seed);
        options.network = network;
        scenario.run(&options).unwrap_or_else(|failure| panic!("{name}, {seed}, {network}: {failure}"));
    }
}

/// A run that repeats itself.
#[test]
fn merging_is_repeatable() {
    let scenario = shipped("consistency-blocks").unwrap();
    let run = || scenario.run(&scenario.options(7)).unwrap().trace;
    assert_eq!(run(), run());
}

fn names() -> Vec<NodeId> {
    (0..3).map(|number| NodeId::new(format!("donor-{number}")).unwrap()).collect()
}

fn start(world: &SimWorld, spec: NodeSpec, level: Level) -> SimNode {
    let replica = world.start(spec);
    replica.levels.set(LevelScope::Node, level).unwrap();
    replica
}

/// Two of three donors are there, and the third comes after a minute.
fn compared(seed: u64, level: Level, bug: Option<Bug>) -> Verdict {
    Sim::new(Network::Memory, seed).run(async |world| {
        let watch = Watch::over(&world);
        let donors = world.fleet(3, |number| NodeSpec::donor(&format!("donor-{number}")));
        donors.iter().for_each(|donor| Content::small(50).fill(&donor.store, &shard(0), 1));
        world.crash(&donors[1]);
        bug.into_iter().for_each(|bug| world.attach(Arc::new(Planted::new(bug, MemoryStore::new()))));
        let spec = NodeSpec { kind: DatasetKind::Identical, ..NodeSpec::replica("replica") };
        let replica = start(&world, spec, level);
        let plan = replica.bring_up(&[shard(0)]);
        world.sleep(Duration::from_secs(60)).await;
        world.restart(&donors[1]);
        assert!(plan.await.is_completed());
        watch.end().await
    })
}

/// Three donors that have different things, all of which are heard.
fn merged(seed: u64, bug: Option<Bug>) -> Verdict {
    Sim::new(Network::Memory, seed).run(async |world| {
        let watch = Watch::over(&world);
        let written = BlockHistory::draw(seed, &shard(0), &names());
        watch.written(&written);
        for donor in names() {
            written
                .fill(&world.start(NodeSpec::donor(donor.as_str()).with_store(BlockSpec::default())))
                .await;
        }
        bug.into_iter().for_each(|bug| world.attach(Arc::new(Planted::new(bug, MemoryStore::new()))));
        let spec = NodeSpec::replica("replica").with_store(BlockSpec::default());
        let replica = start(&world, spec, Level::All);
        let plan = replica.bring_up(&[shard(0)]);
        let writing = written.write_meanwhile(&world, &replica.id, Duration::from_millis(5), 40);
        let (outcome, ()) = tokio::join!(plan, writing);
        assert!(outcome.is_completed(), "{outcome:?}");
        watch.end().await
    })
}

fn broken(verdict: &Verdict) -> BTreeSet<&'static str> {
    verdict.violations.iter().map(|violation| violation.invariant).collect()
}

/// F-18: a recovery that counts itself, or does not wait for its level, is caught; one that waits is not.
#[test]
fn what_is_published_without_its_level_is_caught() {
    for level in [Level::Majority, Level::All] {
        compared(1, level, None).expect_clean();
        let early = compared(1, level, Some(Bug::SucceedsTooEarly));
        assert_eq!(broken(&early), BTreeSet::from([Bug::SucceedsTooEarly.breaks()]), "{level}");
    }
    let own = compared(1, Level::Majority, Some(Bug::CountsItself));
    assert_eq!(broken(&own), BTreeSet::from([Bug::CountsItself.breaks()]));
}

/// F-36, and the horizon of deletes: lost tags and deletes that are undone are caught.
#[test]
fn what_is_merged_wrongly_is_caught() {
    let mut caught = Vec::new();
    for seed in 0..4 {
        merged(seed, None).expect_clean();
        for bug in [Bug::LosesTags, Bug::ForgetsDeletes] {
            let broken = broken(&merged(seed, Some(bug)));
            assert!(broken.is_subset(&BTreeSet::from([bug.breaks()])), "{seed}, {bug:?}: {broken:?}");
            // A delete that all donors have heard of needs no tombstone.
            caught.extend((!broken.is_empty()).then_some(bug));
        }
    }
    assert_eq!(caught.iter().filter(|bug| **bug == Bug::LosesTags).count(), 4);
    assert!(caught.iter().filter(|bug| **bug == Bug::ForgetsDeletes).count() >= 2, "{caught:?}");
}
