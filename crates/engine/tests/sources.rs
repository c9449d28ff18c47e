//! Whom an engine asks first, over all of its recoveries: by load, by what a peer did before, by what the
//! operator allows, and evenly.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[path = "sources/blame.rs"]
mod blame;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_engine::placement::{Holder, ShardState, StaticPlacement};
use peerstream_engine::select::{Offence, SourceRules};
use peerstream_engine::shape::PassThrough;
use peerstream_engine::snapshot::{
    BoxFuture, MemoryStore, Overlay, Snapshot, Source, SourceError, offload::Inline,
};
use peerstream_engine::transport::access::{AccessRules, SharedAccess};
use peerstream_engine::transport::memory::{MemoryNetwork, MemoryTransport};
use peerstream_engine::transport::{ConnectError, Connection, Lane, PeerIdentity, Target, Transport};
use peerstream_engine::types::{
    ClusterName, EntryKey, Incarnation, NodeId, Operation, Ordinal, PlanId, Selector, ShardId, WallClock,
};
use peerstream_engine::{
    Dataset, Datasets, Engine, EngineConfig, Parts, PlanHandle, PlanOutcome, ShardOutcome, StreamPlan,
};
use tokio::sync::Notify;

/// Longest that a test may take: what hangs fails at once in virtual time.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// After so long, everything that can happen without time has happened.
const A_MOMENT: Duration = Duration::from_millis(10);
/// After so long, nothing is held against anybody any more.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Shards that every donor has.
const SHARDS: u32 = 30;
/// One more, with a file where another needs a directory: no store takes it.
const UNKEEPABLE: u32 = 99;

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

fn shard(index: u32) -> ShardId {
    ShardId::new("metrics".parse().unwrap(), 1, index)
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// Every node has an address of its own, whether it lives or not.
fn addr(name: &str) -> SocketAddr {
    let last = name.bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    ([10, 0, 0, last], 1).into()
}

/// What a donor does with what it has.
#[derive(Debug, Default)]
struct Mood {
    lies: AtomicBool,
    hangs: AtomicBool,
    goes_on: Notify,
}

/// A donor's shards.
#[derive(Debug)]
struct Moody(MemoryStore, Arc<Mood>);

#[derive(Debug)]
struct MoodySnapshot(Arc<dyn Snapshot>, Arc<Mood>);

impl Source for Moody {
    fn open<'a>(
        &'a self,
        shard: &'a ShardId,
        selector: &'a Selector,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, SourceError>> {
        Box::pin(async move {
            let snapshot = self.0.open(shard, selector).await?;
            Ok(Arc::new(MoodySnapshot(snapshot, self.1.clone())) as Arc<dyn Snapshot>)
        })
    }
}

impl Overlay for MoodySnapshot {
    fn under(&self) -> &dyn Snapshot {
        &*self.0
    }

    fn read(&self, ordinal: Ordinal, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, SourceError>> {
        Box::pin(async move {
            if self.1.hangs.load(Ordering::Relaxed) {
                self.1.goes_on.notified().await;
            }
            let bytes = self.0.read(ordinal, offset, len).await?;
            let is_lie = self.1.lies.load(Ordering::Relaxed);
            Ok(if is_lie { bytes.iter().map(|byte| !byte).collect() } else { bytes })
        })
    }
}

/// The in-memory transport, and who was dialled.
#[derive(Debug)]
struct Recorded {
    inner: MemoryTransport,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
    /// How long a dial takes, in milliseconds.
    dial_ms: Arc<AtomicU64>,
}

impl Transport for Recorded {
    fn connect(
        &self,
        target: &Target,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        self.dialled.lock().unwrap().push(target.addr);
        let takes = Duration::from_millis(self.dial_ms.load(Ordering::Relaxed));
        let dial = self.inner.connect(target, lane);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            dial.await
        })
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

/// A replica, and donors that have everything.
struct World {
    network: MemoryNetwork,
    replica: Engine,
    donors: BTreeMap<String, (Engine, Arc<Mood>)>,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
    dial_ms: Arc<AtomicU64>,
}

impl World {
    /// These donors live, and the placement names them and no others.
    fn new(donors: &[&str]) -> Self {
        Self::placed(list(donors), donors, SourceRules::default())
    }

    fn placed(placement: StaticPlacement, donors: &[&str], sources: SourceRules) -> Self {
        Self::with(placement, donors, EngineConfig { sources, ..EngineConfig::default() })
    }

    /// The replica has these settings.
    fn with(placement: StaticPlacement, donors: &[&str], config: EngineConfig) -> Self {
        let network = MemoryNetwork::new();
        let (dialled, dial_ms) = <(Arc<Mutex<Vec<SocketAddr>>>, Arc<AtomicU64>)>::default();
        let into = Dataset { sink: Some(Arc::new(MemoryStore::new())), ..Dataset::default() };
        let replica = engine(&network, "replica", into, (placement, config), (&dialled, &dial_ms));
        let donor = |name: &&str| {
            let mood = Arc::<Mood>::default();
            let from = Dataset { source: Some(Arc::new(Moody(full(), mood.clone()))), ..Dataset::default() };
            let alone = (StaticPlacement::default(), EngineConfig::default());
            let unseen = (&Arc::default(), &Arc::default());
            ((*name).to_owned(), (engine(&network, name, from, alone, unseen), mood))
        };
        let donors = donors.iter().map(donor).collect();
        Self { network, replica, donors, dialled, dial_ms }
    }

    fn mood(&self, donor: &str) -> &Mood {
        &self.donors[donor].1
    }

    /// Begins to bring these shards up.
    fn bring_up(&self, shards: impl IntoIterator<Item = u32>) -> PlanHandle {
        let plan = StreamPlan::new(Operation::Bootstrap);
        self.replica.execute(shards.into_iter().fold(plan, |plan, index| plan.request(shard(index)))).unwrap()
    }

    /// Brings these up.
    async fn completed(&self, shards: impl IntoIterator<Item = u32>) -> PlanId {
        let outcome = self.bring_up(shards).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        outcome.plan
    }

    /// Brings one up; says who listed it last.
    async fn brought_up_by(&self, index: u32) -> String {
        self.listers(self.completed([index]).await).pop().expect("it has a shard")
    }

    /// Who listed each shard of a plan.
    fn listers(&self, of: PlanId) -> Vec<String> {
        let plans = self.replica.plans();
        let plan = plans.iter().find(|plan| plan.plan == of).expect("it is remembered");
        plan.shards
            .iter()
            .map(|shard| shard.peer.as_ref().map_or("nobody".into(), NodeId::to_string))
            .collect()
    }

    fn is_dialled(&self, name: &str) -> bool {
        self.dialled.lock().unwrap().contains(&addr(name))
    }
}

fn holder(name: &str) -> Holder {
    Holder::everything(node(name), addr(name))
}

fn list(names: &[&str]) -> StaticPlacement {
    StaticPlacement::new(names.iter().map(|name| holder(name))).unwrap()
}

fn full() -> MemoryStore {
    let store = MemoryStore::new();
    for index in 0..SHARDS {
        store.put(&shard(index), EntryKey::from_path("a").unwrap(), format!("content {index}"), Vec::new());
    }
    for path in ["d", "d/x"] {
        store.put(&shard(UNKEEPABLE), EntryKey::from_path(path).unwrap(), path, Vec::new());
    }
    store
}

fn engine(
    network: &MemoryNetwork,
    name: &str,
    dataset: Dataset,
    (placement, config): (StaticPlacement, EngineConfig),
    (dialled, dial_ms): (&Arc<Mutex<Vec<SocketAddr>>>, &Arc<AtomicU64>),
) -> Engine {
    let (node, cluster) = (node(name), ClusterName::new("demo.internal").unwrap());
    let datasets = Datasets::new();
    datasets.insert(shard(0).dataset, dataset);
    let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
    let inner = network.node(identity, addr(name));
    let transport = Recorded { inner, dialled: dialled.clone(), dial_ms: dial_ms.clone() };
    let parts = Parts {
        node,
        cluster,
        incarnation: Incarnation(1),
        transport: Arc::new(transport),
        datasets,
        placement: Arc::new(placement),
        levels: Default::default(),
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

/// G-19, F-07: what is outstanding is counted over all recoveries: while one waits for a peer, the next one
/// goes to another; when nothing is outstanding any more, the lowest id is asked again.
#[tokio::test(start_paused = true)]
async fn the_second_shard_goes_to_the_less_loaded_peer() {
    within(async {
        let world = World::new(&["b", "a"]);
        world.mood("a").hangs.store(true, Ordering::Relaxed);
        let first = world.bring_up([0]);
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(world.listers(first.state().plan), ["a"], "the lowest id");
        assert_eq!(world.brought_up_by(1).await, "b", "a has something to do");
        world.mood("a").hangs.store(false, Ordering::Relaxed);
        world.mood("a").goes_on.notify_waiters();
        assert!(first.await.is_completed());
        assert_eq!(world.brought_up_by(2).await, "a");
    })
    .await;
}

/// D6, D14: a corrupt copy is left for another one and named; the next recovery asks the others, and once it
/// is forgotten, the peer is asked first again.
#[tokio::test(start_paused = true)]
async fn a_liar_is_asked_last_until_it_is_forgotten() {
    within(async {
        let world = World::new(&["a", "b"]);
        world.mood("a").lies.store(true, Ordering::Relaxed);
        assert_eq!(world.brought_up_by(0).await, "b", "what a gave was not taken");
        let liar = world.replica.peers().into_iter().find(|peer| peer.node == node("a")).unwrap();
        let penalty = liar.penalty.expect("it is blamed");
        assert_eq!((penalty.reason, penalty.offences[0]), (Offence::Lied, 2), "as often as it was asked");
        assert!(penalty.avoided_until.is_some_and(|until| until > world.replica.now()));
        assert_eq!(world.brought_up_by(1).await, "b");
        let count =
            |name: &str| world.replica.penalties().iter().filter(|(peer, _)| *peer == node(name)).count();
        assert_eq!((count("a"), count("b")), (1, 0));
        world.mood("a").lies.store(false, Ordering::Relaxed);
        tokio::time::sleep(FORGOTTEN).await;
        assert_eq!(world.replica.penalties(), []);
        assert_eq!(world.brought_up_by(2).await, "a");
    })
    .await;
}

/// D14: with nobody else, a peer is asked whatever it did.
#[tokio::test(start_paused = true)]
async fn a_liar_is_asked_where_nobody_else_is() {
    within(async {
        let world = World::new(&["a"]);
        world.mood("a").lies.store(true, Ordering::Relaxed);
        let outcome = world.bring_up([0]).await;
        assert!(matches!(outcome.shards[0].outcome, ShardOutcome::Incomplete { .. }), "{outcome:?}");
        assert!(!world.replica.penalties().is_empty());
        world.mood("a").lies.store(false, Ordering::Relaxed);
        assert_eq!(world.brought_up_by(0).await, "a");
    })
    .await;
}

/// An operator who has replaced a disk need not wait.
#[tokio::test(start_paused = true)]
async fn who_is_forgiven_is_asked_first_again() {
    within(async {
        let world = World::new(&["a", "b"]);
        world.mood("a").lies.store(true, Ordering::Relaxed);
        assert_eq!(world.brought_up_by(0).await, "b");
        world.mood("a").lies.store(false, Ordering::Relaxed);
        world.replica.forgive(&node("a"));
        assert_eq!(world.brought_up_by(1).await, "a");
    })
    .await;
}

/// D6: who cannot be reached is dialled by one recovery or two, and then left alone for a while.
#[tokio::test(start_paused = true)]
async fn who_cannot_be_reached_is_left_alone_for_a_while() {
    within(async {
        let world = World::placed(list(&["a-gone", "b"]), &["b"], SourceRules::default());
        let mut dials = Vec::new();
        for index in 0..4 {
            assert_eq!(world.brought_up_by(index).await, "b");
            let gone = |dialled: &Vec<SocketAddr>| dialled.iter().filter(|at| **at == addr("a-gone")).count();
            dials.push(gone(&world.dialled.lock().unwrap()));
        }
        assert!(dials[0] > 0 && dials[1] > dials[0], "{dials:?}");
        assert_eq!(dials[3], dials[1], "{dials:?}");
        assert_eq!(world.replica.penalties()[0].1.reason, Offence::Failed);
    })
    .await;
}

/// C41: nodes and zones are left out, for all datasets or for one; whom a plan names is asked all the same.
#[tokio::test(start_paused = true)]
async fn who_is_excluded_is_not_asked() {
    within(async {
        let placement = StaticPlacement::new([holder("a"), holder("b").in_zone("far"), holder("c")]).unwrap();
        let mut rules = SourceRules::default();
        rules.everywhere.not_nodes = BTreeSet::from([node("a")]);
        rules.datasets.entry(shard(0).dataset).or_default().not_zones = BTreeSet::from(["far".to_owned()]);
        let world = World::placed(placement, &["a", "b", "c"], rules);
        assert_eq!(world.brought_up_by(0).await, "c");
        assert!(!world.is_dialled("a") && !world.is_dialled("b"));
        let named = StreamPlan::new(Operation::Bootstrap).request_from(shard(1), [node("a")]);
        assert!(world.replica.execute(named).unwrap().await.is_completed());
    })
    .await;
}

/// C41: where the rules leave nobody, nobody is dialled, and it is said who was left out, and why.
#[tokio::test(start_paused = true)]
async fn without_a_source_left_it_says_who_is_excluded() {
    within(async {
        let placement = StaticPlacement::new([holder("a"), holder("b").in_zone("far")]).unwrap();
        let mut rules = SourceRules::default();
        rules.everywhere.not_nodes = BTreeSet::from([node("a")]);
        rules.everywhere.not_zones = BTreeSet::from(["far".to_owned()]);
        let world = World::placed(placement, &["a", "b"], rules);
        assert_eq!(
            reason(&world.bring_up([0]).await),
            "no source: no replica of metrics@1/0 may be a source: a is excluded by a filter, b is in a zone \
             that a filter excludes"
        );
        assert!(world.dialled.lock().unwrap().is_empty());
    })
    .await;
}

/// Replicas of shard 0: one comes here, one leaves, one stays.
fn moving() -> StaticPlacement {
    use ShardState::{Available, Initializing, Leaving};
    let mut placement = list(&["replica", "leaves", "b-stays"]);
    let states = [("replica", Initializing), ("leaves", Leaving), ("b-stays", Available)];
    placement.place(shard(0), states.map(|(name, state)| (node(name), state)), None).unwrap();
    placement
}

/// C41: strict mode takes a shard that moves here from the replica that leaves, and from no other.
#[tokio::test(start_paused = true)]
async fn strict_mode_takes_what_moves_from_who_leaves() {
    within(async {
        let strict = SourceRules { strict: true, ..SourceRules::default() };
        let world = World::placed(moving(), &["leaves", "b-stays"], strict.clone());
        assert_eq!(world.brought_up_by(0).await, "leaves");
        let down = World::placed(moving(), &["b-stays"], strict);
        assert!(reason(&down.bring_up([0]).await).contains("leaves"));
        assert!(!down.is_dialled("b-stays"));
        let lax = World::placed(moving(), &["b-stays"], SourceRules::default());
        assert_eq!(lax.brought_up_by(0).await, "b-stays");
    })
    .await;
}

/// C41: those of this node's own zone are asked before others.
#[tokio::test(start_paused = true)]
async fn the_own_zone_goes_first() {
    within(async {
        let zones = [("replica", "near"), ("a", "far"), ("b", "near")];
        let holders = zones.map(|(name, zone)| holder(name).in_zone(zone));
        let world =
            World::placed(StaticPlacement::new(holders).unwrap(), &["a", "b"], SourceRules::default());
        assert_eq!(world.brought_up_by(0).await, "b");
        assert_eq!(world.listers(world.completed(1..5).await), ["b"; 4], "also where many are spread");
    })
    .await;
}

fn tally(listers: Vec<String>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    listers.into_iter().for_each(|lister| *tally.entry(lister).or_default() += 1);
    tally
}

/// C41, D7: 30 shards that three have are listed and given by each of them for ten; by the other two for
/// fifteen each, if one of them is avoided.
#[tokio::test(start_paused = true)]
async fn the_shards_of_a_plan_are_spread_evenly() {
    within(async {
        let world = World::new(&["a", "b", "c"]);
        let first = world.completed(0..SHARDS).await;
        let even = ["a", "b", "c"].map(|name| (name.to_owned(), 10));
        assert_eq!(tally(world.listers(first)), BTreeMap::from(even));
        world.mood("a").lies.store(true, Ordering::Relaxed);
        let named = StreamPlan::new(Operation::Bootstrap).request_from(shard(0), [node("a")]);
        assert!(!world.replica.execute(named).unwrap().await.is_completed());
        let second = world.completed(0..SHARDS).await;
        let without = ["b", "c"].map(|name| (name.to_owned(), 15));
        assert_eq!(tally(world.listers(second)), BTreeMap::from(without));
    })
    .await;
}

/// C41: whoever alone has some of the shards is spared the others, as far as that makes it even.
#[tokio::test(start_paused = true)]
async fn who_alone_has_some_shards_is_spared_the_others() {
    within(async {
        let mut placement = list(&["a", "b", "c"]);
        for index in SHARDS / 2..SHARDS {
            placement.place(shard(index), [(node("a"), ShardState::Available)], None).unwrap();
        }
        let world = World::placed(placement, &["a", "b", "c"], SourceRules::default());
        let listers = tally(world.listers(world.completed(0..SHARDS).await));
        assert_eq!(listers["a"], 15, "{listers:?}");
        assert!(listers["b"].abs_diff(listers["c"]) <= 1, "{listers:?}");
    })
    .await;
}
