//! What a plan shows of the replicas of its shards while it runs, and what it tells in the end.

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::select::Level;
use peerstream_engine::snapshot::{MemoryStore, Source};
use peerstream_engine::transport::memory::MemoryNetwork;
use peerstream_engine::types::{DatasetKind, NodeId, Operation, ShardId};
use peerstream_engine::{
    Dataset, Engine, EngineConfig, PlanHandle, ReplicaStanding, ShardOutcome, ShardProgress, StreamPlan,
};

use crate::pair::{REPLICA, engine_among, key, shard, within};

const HOLDERS: [(&str, ([u8; 4], u16)); 3] =
    [("store-1", ([10, 0, 2, 1], 1)), ("store-2", ([10, 0, 2, 2], 1)), ("store-3", ([10, 0, 2, 3], 1))];
/// After so long, everybody who is known has been asked.
const FIRST_ATTEMPTS: Duration = Duration::from_millis(10);

fn other_shard() -> ShardId {
    "metrics@1/1".parse().unwrap()
}

fn store(shard: &ShardId, keys: &[&str]) -> MemoryStore {
    let store = MemoryStore::new();
    for path in keys {
        store.put(shard, key(path), path.as_bytes().to_vec(), Vec::new());
    }
    store
}

/// A network in which three nodes are known, and those that were started are there.
struct World {
    network: MemoryNetwork,
    replica: Engine,
    sink: MemoryStore,
    engines: Vec<Engine>,
}

impl World {
    fn new() -> Self {
        let (network, sink) = (MemoryNetwork::new(), MemoryStore::new());
        let into = Dataset {
            sink: Some(Arc::new(sink.clone())),
            kind: DatasetKind::Identical,
            ..Dataset::default()
        };
        let replica = engine_among(&network, "replica", REPLICA, into, EngineConfig::default(), &HOLDERS);
        Self { network, replica, sink, engines: Vec::new() }
    }

    fn start(&mut self, holder: usize, source: impl Source + 'static) {
        let from =
            Dataset { source: Some(Arc::new(source)), kind: DatasetKind::Identical, ..Dataset::default() };
        let (name, addr) = HOLDERS[holder];
        self.engines.push(engine_among(&self.network, name, addr, from, EngineConfig::default(), &HOLDERS));
    }

    fn bring_up(&self, shards: &[ShardId]) -> PlanHandle {
        let plan = StreamPlan::new(Operation::Bootstrap);
        let plan = shards.iter().fold(plan, |plan, shard| plan.request(shard.clone()));
        self.replica.execute(plan).unwrap()
    }
}

fn shown(plan: &PlanHandle) -> ShardProgress {
    plan.state().shards[0].clone()
}

/// While the level is not met, it is shown who was heard, what became of the others, and since when it
/// waits and until when. Once another one answers, it goes on, and what was shown stays true.
#[tokio::test(start_paused = true)]
async fn a_level_that_is_not_met_is_shown_with_its_replicas() {
    within(async {
        let mut world = World::new();
        world.start(0, store(&shard(), &["a"]));
        let mut plan = world.bring_up(&[shard()]);
        tokio::time::sleep(FIRST_ATTEMPTS).await;
        let progress = shown(&plan);
        let standing = progress.standing.expect("it has asked");
        assert_eq!(standing.level, Some(Level::Majority));
        assert_eq!((standing.required, standing.heard, standing.agreed), (3, 1, 1), "of four replicas");
        assert!(!standing.is_met());
        let state = |name: &str| {
            let peer = NodeId::new(name).unwrap();
            standing.replicas.iter().find(|replica| replica.peer == peer).unwrap().state.clone()
        };
        assert_eq!(state("store-1"), ReplicaStanding::Offered);
        for dead in ["store-2", "store-3"] {
            assert!(matches!(state(dead), ReplicaStanding::Failed { .. }), "{:?}", state(dead));
        }
        assert_eq!(progress.waiting.as_deref(), Some("level majority: 1 of 3 replicas"));
        let at = plan.state().at;
        assert!(progress.waiting_since.is_some_and(|since| since <= at));
        assert!(progress.waiting_until.is_some_and(|until| until > at), "{:?}", progress.waiting_until);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = plan.state();
        let waited = later.at - later.shards[0].waiting_since.unwrap();
        assert!(waited >= Duration::from_secs(60), "{waited:?} since it asked first");

        world.start(1, store(&shard(), &["a"]));
        world.start(2, store(&shard(), &["a"]));
        let outcome = (&mut plan).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let ended = shown(&plan);
        assert_eq!(
            (ended.standing, ended.waiting, ended.waiting_since, ended.waiting_until),
            (None, None, None, None)
        );
    })
    .await;
}

/// F-10: what one replica alone had is in the outcome, with its key, and in what is shown.
#[tokio::test(start_paused = true)]
async fn what_one_replica_alone_had_is_told() {
    within(async {
        let mut world = World::new();
        for (holder, keys) in [&["a", "b"][..], &["a", "c"], &["a", "c"]].into_iter().enumerate() {
            world.start(holder, store(&shard(), keys));
        }
        let mut plan = world.bring_up(&[shard()]);
        let outcome = (&mut plan).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        let alone = &outcome.shards[0].findings.alone;
        assert_eq!((alone.count, alone.keys.as_slice()), (1, [key("b")].as_slice()));
        assert_eq!(shown(&plan).findings, outcome.shards[0].findings);
        assert_eq!(world.sink.published(&shard()).unwrap().entries.len(), 3, "it was taken");
    })
    .await;
}

/// F-76: a shard that nobody can serve fails alone; so does one of which an entry is to be had from nobody.
#[tokio::test(start_paused = true)]
async fn the_failure_of_one_shard_does_not_stop_the_others() {
    within(async {
        let mut world = World::new();
        for holder in 0..HOLDERS.len() {
            world.start(holder, store(&other_shard(), &["a", "b"]));
        }
        let third: ShardId = "metrics@1/2".parse().unwrap();
        let outcome = world.bring_up(&[shard(), other_shard(), third.clone()]).await;
        assert!(!outcome.is_completed());
        let [failed, good, also_failed] = outcome.shards.as_slice() else { panic!("{outcome:?}") };
        for shard in [failed, also_failed] {
            assert!(matches!(shard.outcome, ShardOutcome::Failed { .. }), "{shard:?}");
            assert!(world.sink.published(&shard.shard).is_none());
        }
        assert_eq!(good.outcome, ShardOutcome::Published { generation: Some(1) });
        assert_eq!(world.sink.published(&other_shard()).unwrap().entries.len(), 2);
    })
    .await;
}
