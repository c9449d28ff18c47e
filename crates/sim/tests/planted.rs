//! Each invariant is shown to fail: a run that keeps every promise breaks exactly the one that a
//! planted bug is made for.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::{EngineConfig, StreamPlan};
use peerstream_sim::content::key;
use peerstream_sim::invariant::repeatable::Repeatable;
use peerstream_sim::invariant::{self, Invariant};
use peerstream_sim::planted::{Bug, Planted};
use peerstream_sim::watch::{Blame, Verdict, Watch};
use peerstream_sim::{Content, DiskSpec, Network, NodeSpec, Sim, SimNode, SimWorld, shard};
use peerstream_snapshot::MemoryStore;
use peerstream_snapshot::directory::StoreOptions;
use peerstream_transport::access::{AccessRules, DatasetPattern, Rule, Verb};
use peerstream_types::{ByteCount, Operation};

const MIB: u64 = 1024 * 1024;
/// Longer than it takes to find that something does not end.
const LIMIT: Duration = Duration::from_secs(7_200);

/// What the first shard of the donor holds.
fn donor_content() -> Content {
    Content { large: 3, large_len: MIB, ..Content::small(60) }
}

/// A donor of three shards, which serves the replica and nobody else. One entry of the second shard is
/// bad.
fn donor(world: &SimWorld) -> SimNode {
    let verbs = [Verb::List, Verb::Fetch].into_iter().collect();
    let rule = Rule { who: "replica".parse().unwrap(), datasets: DatasetPattern::any(), verbs };
    let access = AccessRules::new(vec![rule]).unwrap();
    let donor = world.start(NodeSpec { access, ..NodeSpec::donor("donor") });
    donor_content().fill(&donor.store, &shard(0), 1);
    Content::large(5, MIB).fill(&donor.store, &shard(1), 2);
    Content::small(20).fill(&donor.store, &shard(2), 3);
    donor.faults.delay_reads(Duration::from_millis(10));
    donor.faults.corrupt(key("large", 4));
    donor
}

fn replica(world: &SimWorld, store: MemoryStore) -> SimNode {
    let mut config = EngineConfig::default();
    config.recovery.window = ByteCount(MIB);
    config.recovery.fetch_bytes = ByteCount(MIB / 4);
    world.start(NodeSpec { config, ..NodeSpec::replica("replica") }.with_store(store))
}

/// Half a transfer that is called off, the whole of it, a shard with a bad entry, a stranger.
async fn scenario(world: &SimWorld, store: MemoryStore, watch: &Watch) {
    let (donor, replica) = (donor(world), replica(world, store));
    let stranger = world.replica("stranger");
    watch.blame(Blame::default().entry(&shard(1), key("large", 4)).shard(&shard(2)).peer(&donor.id));
    let half = replica.bring_up(&[shard(0)]);
    let done = || half.state().result.is_some();
    world.until(|| half.state().bytes_done() > MIB || done()).await;
    half.abort("half is enough for now");
    half.await;
    // Dropping the handles lets the plans go on.
    drop(replica.bring_up(&[shard(0), shard(1)]));
    let from_donor = StreamPlan::new(Operation::Bootstrap).request_from(shard(2), [donor.id.clone()]);
    drop(stranger.execute(from_donor).unwrap());
    watch.calm();
    watch.settle().await;
}

fn run(
    network: Network,
    bug: Option<&Planted>,
    store: MemoryStore,
    checks: Vec<Box<dyn Invariant>>,
) -> (Verdict, String) {
    let sim = Sim::new(network, 5).limit(LIMIT);
    sim.run_traced(async |world| {
        let watch = Watch::with(&world, checks);
        if let Some(bug) = bug {
            world.attach(Arc::new(bug.clone()));
        }
        scenario(&world, store, &watch).await;
        watch.end().await
    })
}

fn broken(verdict: &Verdict) -> BTreeSet<&'static str> {
    verdict.violations.iter().map(|violation| violation.invariant).collect()
}

#[test]
fn the_run_without_a_bug_keeps_every_promise() {
    for network in Network::ALL {
        let (verdict, _) = run(network, None, MemoryStore::new(), invariant::all());
        verdict.expect_clean();
        let replica = &verdict.books.nodes[&"replica".parse().unwrap()];
        assert!(replica.stored.bytes > 7 * MIB, "there was something to check: {:?}", replica.stored.bytes);
    }
}

#[test]
fn every_planted_bug_is_caught_by_its_invariant() {
    let others = [
        Bug::TakesEverySession,
        Bug::RollsDice,
        Bug::ForgetsAtBoot,
        Bug::SkipsCheckpoints,
        // Where replicas are compared: in `consistency.rs`.
        Bug::CountsItself,
        Bug::SucceedsTooEarly,
        Bug::LosesTags,
        Bug::ForgetsDeletes,
    ];
    for bug in Bug::ALL.into_iter().filter(|bug| !others.contains(bug)) {
        let store = MemoryStore::new();
        let planted = Planted::new(bug, store.clone());
        let (verdict, trace) = run(Network::Memory, Some(&planted), store, invariant::all());
        let broken = broken(&verdict);
        assert!(broken.contains(bug.breaks()), "{bug:?} broke {broken:?} only\n{trace}");
    }
}

/// How the replica's process ends in the middle of a transfer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Killed,
    PowerLost,
}

/// A replica on a disk, whose process ends when half of a shard has come.
fn end_in_the_middle(seed: u64, end: End, bug: Option<Bug>) -> Verdict {
    Sim::new(Network::Memory, seed).limit(LIMIT).run(async |world| {
        let watch = Watch::over(&world);
        let planted = bug.map(|bug| Planted::new(bug, MemoryStore::new()));
        planted.into_iter().for_each(|bug| world.attach(Arc::new(bug)));
        let donor = world.donor("donor");
        Content { large: 8, large_len: MIB, ..Content::small(40) }.fill(&donor.store, &shard(0), 1);
        donor.faults.delay_reads(Duration::from_millis(2));
        let mut config = EngineConfig::default();
        config.recovery.window = ByteCount(MIB / 4);
        config.recovery.fetch_bytes = ByteCount(MIB / 8);
        config.checkpoint_bytes = ByteCount(MIB);
        let store = StoreOptions { lag: MIB / 2, ..StoreOptions::default() };
        let spec = NodeSpec { config, ..NodeSpec::replica("replica") };
        let replica = world.start(spec.with_store(DiskSpec { store, ..DiskSpec::default() }));
        let half = replica.bring_up(&[shard(0)]);
        world.until(|| half.state().bytes_done() > 6 * MIB).await;
        match end {
            End::Killed => world.crash(&replica),
            End::PowerLost => world.lose_power(&replica),
        }
        let replica = world.restart(&replica);
        assert!(replica.bring_up(&[shard(0)]).await.is_completed());
        watch.calm();
        watch.settle().await;
        watch.end().await
    })
}

/// Promise 2: what an end of the process costs has a limit, and a store that keeps less is caught.
#[test]
fn a_store_that_forgets_at_an_end_is_caught() {
    let mut caught = BTreeSet::new();
    for seed in 0..6 {
        for (end, bug) in [(End::Killed, Bug::ForgetsAtBoot), (End::PowerLost, Bug::SkipsCheckpoints)] {
            end_in_the_middle(seed, end, None).expect_clean();
            let broken = broken(&end_in_the_middle(seed, end, Some(bug)));
            assert!(broken.is_subset(&BTreeSet::from([bug.breaks()])), "{bug:?} broke {broken:?}");
            // A disk that keeps everything when it loses its power needs no checkpoint.
            caught.extend((!broken.is_empty()).then_some((bug, seed)));
            assert!(end == End::PowerLost || caught.contains(&(bug, seed)), "{seed}");
        }
    }
    assert!(caught.iter().any(|(bug, _)| *bug == Bug::SkipsCheckpoints), "{caught:?}");
}

/// A limit of the engine cannot be broken from outside: what it shows is.
#[test]
fn more_sessions_than_there_may_be_are_caught() {
    let verdict = Sim::new(Network::Memory, 5).limit(LIMIT).run(async |world| {
        let watch = Watch::over(&world);
        let sessions = |node: &mut peerstream_sim::watch::NodeView| {
            node.sessions += node.config.sessions_max * usize::from(node.sessions > 0);
        };
        watch.distort(move |_, node| sessions(node)).await;
        scenario(&world, MemoryStore::new(), &watch).await;
        watch.end().await
    });
    assert_eq!(broken(&verdict), BTreeSet::from([Bug::TakesEverySession.breaks()]));
}

#[test]
fn a_run_that_does_not_repeat_is_caught() {
    let checks = |trace: &str| -> Vec<Box<dyn Invariant>> { vec![Box::new(Repeatable::against(trace))] };
    let (_, first) = run(Network::Memory, None, MemoryStore::new(), Vec::new());
    let (verdict, _) = run(Network::Memory, None, MemoryStore::new(), checks(&first));
    verdict.expect_clean();

    let store = MemoryStore::new();
    let bug = Planted::new(Bug::RollsDice, store.clone());
    let (_, first) = run(Network::Memory, Some(&bug), store, Vec::new());
    let store = MemoryStore::new();
    let (verdict, _) = run(Network::Memory, Some(&bug.again(store.clone())), store, checks(&first));
    assert_eq!(broken(&verdict), BTreeSet::from([Bug::RollsDice.breaks()]));
}

/// What readers get for a moment, as long as nothing is published and the node ends in that moment.
#[test]
fn what_is_visible_at_a_crash_is_seen() {
    let run = |is_shown: bool| {
        Sim::new(Network::Memory, 5).limit(LIMIT).run(async |world| {
            let watch = Watch::over(&world);
            donor(&world);
            let replica = replica(&world, MemoryStore::new());
            let half = replica.bring_up(&[shard(0)]);
            world.until(|| half.state().bytes_done() > MIB).await;
            if is_shown {
                replica.store.put(&shard(0), key("large", 0), &b"garbage"[..], Vec::new());
            }
            world.crash(&replica);
            // From now on it shows what the donor has, and nothing is wrong with that.
            donor_content().fill(&replica.store, &shard(0), 1);
            world.sleep(Duration::from_secs(1)).await;
            watch.end().await
        })
    };
    run(false).expect_clean();
    assert!(broken(&run(true)).contains("all or nothing"));
}

/// Promise 8: a session or an open snapshot that outlives all plans is caught.
#[test]
fn what_is_left_after_all_plans_is_caught() {
    let run = |sessions: usize, leases: u64| {
        Sim::new(Network::Memory, 5).limit(LIMIT).run(async |world| {
            let watch = Watch::over(&world);
            watch
                .distort(move |_, node| {
                    node.sessions += sessions;
                    node.leases += leases;
                })
                .await;
            donor(&world);
            let replica = replica(&world, MemoryStore::new());
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            watch.calm();
            watch.settle().await;
            world.sleep(invariant::ends::WITHIN + Duration::from_secs(1)).await;
            watch.end().await
        })
    };
    run(0, 0).expect_clean();
    assert_eq!(broken(&run(1, 0)), BTreeSet::from(["ends"]));
    assert_eq!(broken(&run(0, 1)), BTreeSet::from(["ends"]));
}

/// A run that ends before the other one does differs from it.
#[test]
fn a_run_that_stops_early_is_caught() {
    let run = |steps: u32, before: Option<&str>| {
        let checks = before.map(|before| Box::new(Repeatable::against(before)) as Box<dyn Invariant>);
        Sim::new(Network::Memory, 5).run_traced(async |world| {
            let watch = Watch::with(&world, checks.into_iter().collect());
            (0..steps).for_each(|step| world.trace().note("test", step));
            watch.end().await
        })
    };
    let (_, first) = run(3, None);
    run(3, Some(&first)).0.expect_clean();
    assert_eq!(broken(&run(2, Some(&first)).0), BTreeSet::from(["repeatable"]));
}

#[test]
fn every_invariant_has_a_bug() {
    let bugs: BTreeSet<_> = Bug::ALL.into_iter().map(Bug::breaks).collect();
    let invariants = invariant::all();
    let mut names: BTreeSet<_> = invariants.iter().map(|invariant| invariant.name()).collect();
    names.insert(Repeatable::against("").name());
    assert_eq!(bugs, names);
    assert!(invariants.iter().all(|invariant| !invariant.statement().is_empty()));
}
