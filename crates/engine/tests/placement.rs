//! What is changed while a recovery waits, chooses or streams: its placement, and its level.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_engine::placement::{Holder, Placement, ReplaceablePlacement, ShardState, StaticPlacement};
use peerstream_engine::select::{Level, LevelScope, SourceRules};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{BoxFuture, MemoryStore, Snapshot, Source, SourceError, offload::Inline};
use peerstream_engine::transport::access::{AccessRules, SharedAccess};
use peerstream_engine::transport::memory::{MemoryNetwork, MemoryTransport};
use peerstream_engine::transport::{ConnectError, Connection, Lane, PeerIdentity, Target, Transport};
use peerstream_engine::types::{
    ClusterName, DatasetKind, EntryKey, Incarnation, NodeId, Operation, Selector, ShardId, WallClock,
};
use peerstream_engine::{
    Dataset, Datasets, Engine, EngineConfig, Levels, Parts, PlanHandle, PlanOutcome, ShardOutcome, StreamPlan,
};

/// Longest that a test may take: what hangs fails at once in virtual time.
const DEADLINE: Duration = Duration::from_secs(3600);
/// After so long, everybody who is known has been tried and the recovery waits.
const FIRST_ATTEMPTS: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

fn shard() -> ShardId {
    "metrics@1/0".parse().unwrap()
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// Every node has an address of its own, whether it lives or not.
fn addr(name: &str) -> SocketAddr {
    let last = name.bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    ([10, 0, 0, last], 1).into()
}

fn list(names: &[&str]) -> StaticPlacement {
    StaticPlacement::new(names.iter().map(|name| Holder::everything(node(name), addr(name)))).unwrap()
}

/// The same nodes, with states of the shard.
fn states(replicas: &[(&str, ShardState)]) -> StaticPlacement {
    let names: Vec<&str> = replicas.iter().map(|(name, _)| *name).collect();
    let mut placement = list(&names);
    let replicas = replicas.iter().map(|(name, state)| (node(name), *state));
    placement.place(shard(), replicas, None).unwrap();
    placement
}

/// The in-memory transport, and who was dialled.
#[derive(Debug)]
struct Recorded {
    inner: MemoryTransport,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Transport for Recorded {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        self.dialled.lock().unwrap().push(target.addr);
        self.inner.connect(target, lane)
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Connection>>> {
        self.inner.accept()
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

/// The same nodes by their addresses only.
fn nameless(names: &[&str]) -> Addresses {
    let holder = |name: &&str| Holder { node: None, ..Holder::everything(node(name), addr(name)) };
    Addresses(names.iter().map(holder).collect())
}

/// A placement without names.
#[derive(Debug)]
struct Addresses(Vec<Holder>);

impl Placement for Addresses {
    fn holders(&self, _: &ShardId) -> Vec<Holder> {
        self.0.clone()
    }

    fn addr_of(&self, _: &NodeId) -> Option<SocketAddr> {
        None
    }
}

/// A placement that says nothing when it changes.
#[derive(Debug)]
struct Silent(Mutex<StaticPlacement>);

impl Placement for Silent {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        self.0.lock().unwrap().holders(shard)
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.0.lock().unwrap().addr_of(node)
    }
}

/// A replica with this placement, and a network with donors.
struct World {
    network: MemoryNetwork,
    donors: Vec<Engine>,
    replica: Engine,
    store: MemoryStore,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
    levels: Levels,
}

impl World {
    fn new(placement: Arc<dyn Placement>) -> Self {
        Self::of(DatasetKind::Local, placement, SourceRules::default())
    }

    /// The replicas are compared, and that many have to agree.
    fn at(level: Level, placement: Arc<dyn Placement>) -> Self {
        Self::ruled(level, placement, SourceRules::default())
    }

    fn ruled(level: Level, placement: Arc<dyn Placement>, rules: SourceRules) -> Self {
        let world = Self::of(DatasetKind::Identical, placement, rules);
        world.levels.set(LevelScope::Node, level).unwrap();
        world
    }

    fn of(kind: DatasetKind, placement: Arc<dyn Placement>, sources: SourceRules) -> Self {
        let (network, store) = (MemoryNetwork::new(), MemoryStore::new());
        let dialled = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let into = Dataset { sink: Some(Arc::new(store.clone())), kind, ..Dataset::default() };
        let levels = Levels::default();
        let config = EngineConfig { sources, ..EngineConfig::default() };
        let replica = engine(&network, "replica", (config, into), (placement, &levels), &dialled);
        Self { network, donors: Vec::new(), replica, store, dialled, levels }
    }

    /// Starts a donor that has the shard.
    fn donor(&mut self, name: &str, source: Option<Arc<dyn Source>>) {
        let source = source.unwrap_or_else(|| Arc::new(full()));
        let from = Dataset { source: Some(source), sink: None, ..Dataset::default() };
        let seams = (Arc::new(StaticPlacement::default()) as Arc<dyn Placement>, &Levels::default());
        let parts = (EngineConfig::default(), from);
        self.donors.push(engine(&self.network, name, parts, seams, &Arc::default()));
    }

    fn bring_up(&self) -> PlanHandle {
        self.replica.execute(StreamPlan::new(Operation::Bootstrap).request(shard())).unwrap()
    }

    /// How often a node was dialled.
    fn dials(&self, name: &str) -> usize {
        self.dialled.lock().unwrap().iter().filter(|dialled| **dialled == addr(name)).count()
    }
}

fn full() -> MemoryStore {
    let store = MemoryStore::new();
    store.put(&shard(), EntryKey::from_path("a").unwrap(), "content", Vec::new());
    store
}

fn engine(
    network: &MemoryNetwork,
    name: &str,
    (config, dataset): (EngineConfig, Dataset),
    (placement, levels): (Arc<dyn Placement>, &Levels),
    dialled: &Arc<Mutex<Vec<SocketAddr>>>,
) -> Engine {
    let (node, cluster) = (node(name), ClusterName::new("demo.internal").unwrap());
    let datasets = Datasets::new();
    datasets.insert(shard().dataset, dataset);
    let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
    let transport = Recorded { inner: network.node(identity, addr(name)), dialled: dialled.clone() };
    let parts = Parts {
        node,
        cluster,
        incarnation: Incarnation(1),
        transport: Arc::new(transport),
        datasets,
        placement,
        levels: levels.clone(),
        access: SharedAccess::new(AccessRules::members_may_read()),
        shaper: Arc::new(PassThrough::default()),
        offload: Arc::new(Inline),
        wall_clock: Arc::new(Stopped),
        seed: 7,
    };
    Engine::start(config, parts)
}

async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}

fn reason(outcome: &PlanOutcome) -> String {
    let ShardOutcome::Failed { reason } = &outcome.shards[0].outcome else {
        panic!("it did not fail: {outcome:?}")
    };
    reason.clone()
}

/// G-10, F-75: a recovery that waits hears of a new holder and asks it at once; the one that left is not
/// dialled again.
#[tokio::test(start_paused = true)]
async fn a_recovery_that_waits_turns_to_a_new_holder_at_once() {
    let placement = Arc::new(ReplaceablePlacement::new(list(&["gone"])));
    let mut world = World::new(placement.clone());
    world.donor("donor", None);
    let plan = world.bring_up();
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    let (began, dials) = (tokio::time::Instant::now(), world.dials("gone"));
    assert!(dials > 0 && plan.state().result.is_none(), "it waits for the one that is gone");
    placement.replace(list(&["donor"]));
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "it did not wait for its back-off");
    assert_eq!(world.dials("gone"), dials);
    assert!(world.store.published(&shard()).is_some());
}

/// F-75: a placement that says nothing is asked afresh for every attempt.
#[tokio::test(start_paused = true)]
async fn a_silent_placement_is_asked_for_every_attempt() {
    let placement = Arc::new(Silent(Mutex::new(list(&["gone"]))));
    let mut world = World::new(placement.clone());
    world.donor("donor", None);
    let plan = world.bring_up();
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    let dials = world.dials("gone");
    *placement.0.lock().unwrap() = list(&["donor"]);
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(world.dials("gone"), dials, "the next attempt is not at the one that left");
}

/// G-24, F-21: a replica that is initializing is not dialled; once it is available, it is.
#[tokio::test(start_paused = true)]
async fn a_replica_that_becomes_available_is_asked() {
    use ShardState::{Available, Initializing};
    let placement =
        Arc::new(ReplaceablePlacement::new(states(&[("gone", Available), ("donor", Initializing)])));
    let mut world = World::new(placement.clone());
    world.donor("donor", None);
    let plan = world.bring_up();
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    assert_eq!(world.dials("donor"), 0);
    let dials = world.dials("gone");
    placement.replace(states(&[("gone", Initializing), ("donor", Available)]));
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(world.dials("gone"), dials);
}

/// MI-16, F-21: a replica that leaves still has the data and serves.
#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_serves() {
    let placement = states(&[("donor", ShardState::Leaving), ("other", ShardState::Initializing)]);
    let mut world = World::new(Arc::new(placement));
    world.donor("donor", None);
    assert!(within(world.bring_up()).await.is_completed());
    assert_eq!(world.dials("other"), 0);
}

/// F-75: a source in use goes on, also if the placement forgets it.
#[tokio::test(start_paused = true)]
async fn a_source_in_use_is_not_disturbed() {
    #[derive(Debug)]
    struct Forgotten(MemoryStore, Arc<ReplaceablePlacement>);

    impl Source for Forgotten {
        fn open<'a>(
            &'a self,
            shard: &'a ShardId,
            selector: &'a Selector,
        ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
            self.1.replace(list(&["other"]));
            self.0.open(shard, selector)
        }
    }

    let placement = Arc::new(ReplaceablePlacement::new(list(&["donor"])));
    let mut world = World::new(placement.clone());
    world.donor("donor", Some(Arc::new(Forgotten(full(), placement.clone()))));
    assert!(within(world.bring_up()).await.is_completed());
    assert!(placement.addr_of(&node("donor")).is_none(), "it was forgotten meanwhile");
}

/// MI-06, MI-08, G-15, F-21, F-22, F-23: without a replica that has the data nothing is attempted, and why is
/// said at once.
#[tokio::test(start_paused = true)]
async fn without_data_anywhere_nobody_is_dialled_and_why_is_said() {
    use ShardState::{Available, Initializing, Unknown};
    let cases = [
        (
            states(&[("replica", Initializing), ("b", Initializing), ("a", Initializing)]),
            "no source: all its replicas are initializing, each waits for the others: a, b, replica; it \
             never had data, or all of them lost it",
        ),
        (
            states(&[("replica", Available), ("a", Initializing)]),
            "no source: all its other replicas are initializing: a",
        ),
        (states(&[("replica", Initializing)]), "no source: this node is its only replica"),
        (list(&[]), "no source: the placement names no replica of it"),
        (
            states(&[("a", Initializing), ("b", Unknown)]),
            "no source: the placement says no known state for the replica at b",
        ),
    ];
    for (placement, expected) in cases {
        let world = World::new(Arc::new(placement));
        let outcome = within(world.bring_up()).await;
        assert_eq!(reason(&outcome), expected);
        assert!(world.dialled.lock().unwrap().is_empty());
    }
}

/// F-21: nor without names: a replica that does not have the data is not dialled to learn its name.
#[tokio::test(start_paused = true)]
async fn without_names_and_data_nobody_is_dialled_either() {
    let mut placement = nameless(&["replica", "other"]);
    placement.0.iter_mut().for_each(|holder| holder.state = ShardState::Initializing);
    let world = World::new(Arc::new(placement));
    let said = reason(&within(world.bring_up()).await);
    assert_eq!(
        said,
        format!("no source: none of its other replicas has the data: those at {}", addr("other"))
    );
    assert!(world.dialled.lock().unwrap().is_empty());
}

/// G-15, F-23: replicas that turn to waiting for each other while a recovery waits for them are recognised
/// then.
#[tokio::test(start_paused = true)]
async fn replicas_that_begin_to_wait_for_each_other_are_recognised() {
    use ShardState::{Available, Initializing};
    let placement =
        Arc::new(ReplaceablePlacement::new(states(&[("gone", Available), ("replica", Initializing)])));
    let world = World::new(placement.clone());
    let plan = world.bring_up();
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    assert_eq!(plan.state().result, None, "it waits for the one that is gone");
    placement.replace(states(&[("gone", Initializing), ("replica", Initializing)]));
    let said = reason(&within(plan).await);
    let expected = "no source: all its replicas are initializing, each waits for the others: gone, replica";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("before that: no candidate could serve the shard"), "{said}");
}

/// F-20: what was set for one recovery goes with it.
#[tokio::test(start_paused = true)]
async fn a_level_of_one_recovery_is_forgotten_with_its_plan() {
    let placement = Arc::new(ReplaceablePlacement::new(list(&["gone"])));
    let mut world = World::new(placement.clone());
    world.donor("donor", None);
    let plan = world.bring_up();
    let scope = LevelScope::Recovery(plan.state().plan, shard());
    assert_eq!(world.levels.set(scope.clone(), Level::One), Ok(None));
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    assert_eq!(world.levels.of(plan.state().plan, Operation::Bootstrap, &shard()), Level::One);
    placement.replace(list(&["donor"]));
    assert!(within(plan).await.is_completed());
    assert_eq!(world.levels.unset(&scope), None);
}

/// Whom an operator names is asked, whatever the placement says of its state.
#[tokio::test(start_paused = true)]
async fn who_is_named_is_asked() {
    let mut world = World::new(Arc::new(states(&[("donor", ShardState::Initializing)])));
    world.donor("donor", None);
    let plan = StreamPlan::new(Operation::Bootstrap).request_from(shard(), [node("donor")]);
    assert!(within(world.replica.execute(plan).unwrap()).await.is_completed());
}

/// What a plan with one shard waits for.
fn waiting(plan: &PlanHandle) -> String {
    plan.state().shards[0].waiting.clone().unwrap_or_default()
}

/// The replicas of a shard that comes here: of two others, one is in this state.
fn one_other(state: ShardState) -> StaticPlacement {
    use ShardState::{Available, Initializing};
    states(&[("replica", Initializing), ("donor", Available), ("other", state)])
}

/// A recovery at level all that has waited for a minute for the other one, which is initializing.
async fn waits_for_the_other(placement: Arc<dyn Placement>) -> (World, PlanHandle) {
    let mut world = World::at(Level::All, placement);
    world.donor("donor", None);
    world.donor("other", None);
    let plan = world.bring_up();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(plan.state().result, None);
    (world, plan)
}

/// F-15, F-21: a replica that is initializing counts for the level that asks for all, though it is not dialled:
/// the recovery waits for it, says so, and asks it once it is available.
#[tokio::test(start_paused = true)]
async fn all_waits_for_a_replica_that_is_initializing() {
    let placement = Arc::new(ReplaceablePlacement::new(one_other(ShardState::Initializing)));
    let (world, plan) = waits_for_the_other(placement.clone()).await;
    let said = waiting(&plan);
    assert!(said.contains("1 of 2 replicas, 1 cannot be asked: initializing"), "{said}");
    assert_eq!(world.dials("other"), 0);
    placement.replace(one_other(ShardState::Available));
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
}

/// F-75: so it does where the placement does not say that it has changed.
#[tokio::test(start_paused = true)]
async fn a_silent_placement_is_looked_at_while_a_level_waits() {
    let placement = Arc::new(Silent(Mutex::new(one_other(ShardState::Initializing))));
    let (_world, plan) = waits_for_the_other(placement.clone()).await;
    *placement.0.lock().unwrap() = one_other(ShardState::Available);
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
}

/// F-13, F-20: other levels do without it at once, also if they are set while it is waited for.
#[tokio::test(start_paused = true)]
async fn a_replica_that_is_initializing_holds_up_no_other_level() {
    use ShardState::{Available, Initializing};
    let replicas = [("replica", Initializing), ("donor", Available), ("other", Initializing)];
    for level in [Level::None, Level::UnstrictMajority, Level::UnstrictAll] {
        let mut world = World::at(level, Arc::new(states(&replicas)));
        world.donor("donor", None);
        assert!(within(world.bring_up()).await.is_completed(), "{level}");
        let mut world = World::at(Level::All, Arc::new(states(&replicas)));
        world.donor("donor", None);
        let plan = world.bring_up();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(plan.state().result, None);
        world.levels.set(LevelScope::Node, level).unwrap();
        assert!(within(plan).await.is_completed(), "{level}");
    }
}

/// F-15, C41: whom an operator leaves out has no vote: not if it is there, and not if it is initializing.
#[tokio::test(start_paused = true)]
async fn all_asks_for_no_replica_that_is_excluded() {
    use ShardState::{Available, Initializing};
    let replicas = [("donor", Available), ("bad", Available), ("young", Initializing)];
    let mut rules = SourceRules::default();
    rules.everywhere.not_nodes = BTreeSet::from([node("bad"), node("young")]);
    let mut world = World::ruled(Level::All, Arc::new(states(&replicas)), rules);
    world.donor("donor", None);
    let outcome = within(world.bring_up()).await;
    assert!(outcome.is_completed(), "{outcome:?}");
}

/// F-15: a replica that is known by its address only and does not answer counts too. It is looked for again
/// while the recovery waits.
#[tokio::test(start_paused = true)]
async fn all_waits_for_a_replica_that_is_not_found_at_its_address() {
    let mut world = World::at(Level::All, Arc::new(nameless(&["donor", "late"])));
    world.donor("donor", None);
    let plan = world.bring_up();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(plan.state().result, None);
    let said = waiting(&plan);
    assert!(said.contains("1 of 2 replicas, 1 cannot be asked"), "{said}");
    world.donor("late", None);
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert!(world.dials("late") > 1);
}

/// F-11: and so it is if nobody answers at first.
#[tokio::test(start_paused = true)]
async fn replicas_that_are_found_late_are_asked() {
    let mut world = World::at(Level::Majority, Arc::new(nameless(&["donor", "other"])));
    let plan = world.bring_up();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(plan.state().result, None, "{:?}", plan.state());
    world.donor("donor", None);
    world.donor("other", None);
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
}

/// F-17: a placement without names may list this node too: it is found at its own address, and is no replica
/// besides.
#[tokio::test(start_paused = true)]
async fn this_node_is_recognised_by_its_address() {
    let placement = nameless(&["replica", "donor", "other"]);
    let mut world = World::at(Level::Majority, Arc::new(placement));
    world.donor("donor", None);
    world.donor("other", None);
    let outcome = within(world.bring_up()).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(world.dials("replica"), 0);
}

/// F-17, F-75: the majority is that of the replicas that there are now, not of those that there were when the
/// recovery began.
#[tokio::test(start_paused = true)]
async fn the_majority_is_that_of_the_placement_now() {
    let few = || list(&["replica", "d1", "d2"]);
    let many = || list(&["replica", "d1", "d2", "g3", "g4"]);
    // It grows: two votes are no majority any more.
    let placement = Arc::new(ReplaceablePlacement::new(list(&["replica", "g1", "g2"])));
    let mut world = World::at(Level::Majority, placement.clone());
    world.donor("d1", None);
    world.donor("d2", None);
    let plan = world.bring_up();
    tokio::time::sleep(FIRST_ATTEMPTS).await;
    placement.replace(many());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(plan.state().result, None);
    assert!(waiting(&plan).contains("2 of 3 replicas"), "{}", waiting(&plan));
    // It shrinks: they are again.
    placement.replace(few());
    let outcome = within(plan).await;
    assert!(outcome.is_completed(), "{outcome:?}");
}
