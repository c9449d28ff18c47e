//! What a job is told by tasks that it has given up.

use std::time::Duration;

use peerstream_placement::StaticPlacement;
use peerstream_recovery::{Action, Job, Outcome};
use peerstream_shape::PassThrough;
use peerstream_snapshot::{Fence, MemoryStore, SinkError, offload::Inline};
use peerstream_transport::PeerIdentity;
use peerstream_transport::access::{AccessRules, SharedAccess};
use peerstream_transport::memory::MemoryNetwork;
use peerstream_types::{ByteCount, ClusterName, EntryKey, Incarnation, NodeId, Operation, PlanId, WallClock};

use super::*;
use crate::known::Known;
use crate::parts::{Datasets, Parts};

#[derive(Debug)]
struct Stopped;

impl WallClock for Stopped {
    fn unix_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

fn shared() -> Arc<Shared> {
    let (node, cluster) = (NodeId::new("replica").unwrap(), ClusterName::new("demo.internal").unwrap());
    let identity = PeerIdentity { cluster: cluster.clone(), node: node.clone() };
    let parts = Parts {
        node,
        cluster,
        incarnation: Incarnation(1),
        transport: Arc::new(MemoryNetwork::new().node(identity, ([10, 0, 0, 1], 1).into())),
        datasets: Datasets::new(),
        placement: Arc::new(StaticPlacement::new([]).unwrap()),
        access: SharedAccess::new(AccessRules::members_may_read()),
        shaper: Arc::new(PassThrough::default()),
        offload: Arc::new(Inline),
        levels: Default::default(),
        wall_clock: Arc::new(Stopped),
        seed: 7,
    };
    Arc::new(Shared::new(EngineConfig::default(), parts))
}

/// A job that has begun to open its one candidate.
async fn running() -> Running {
    let (shared, shard): (_, ShardId) = (shared(), "metrics@1/0".parse().unwrap());
    let sink = Arc::new(MemoryStore::new());
    let staging = sink.stage(&shard, &Selector::All, Fence(1)).await.unwrap();
    let candidates = vec![NodeId::new("donor").unwrap()];
    let job = Job::new(shard.clone(), Selector::All, candidates.clone());
    let recovery = Recovery::new(shared.clock.now(), shared.config.recovery.clone(), job).unwrap();
    let whom = Whom::new(&shared, &shard, candidates, &Known::default());
    let plan = PlanId::from_parts(1, 1);
    let record = PlanRecord::new(plan, Operation::Bootstrap, None, shared.clock, Vec::new());
    let job = ShardJob {
        shared,
        record,
        index: 0,
        shard,
        selector: Selector::All,
        class: Class::of(Operation::Bootstrap),
        sink,
        origin: Origin::Spent("a test".into()),
        whom,
        abort: watch::channel(None).1,
    };
    Running {
        job,
        recovery,
        staging,
        sources: BTreeMap::new(),
        fetches: BTreeMap::new(),
        retiring: BTreeMap::new(),
        outlines: Outlines::default(),
        listing: 0,
        admitting: None,
        joined: None,
        joined_next: None,
        compares: true,
        opening: BTreeMap::new(),
        checkpoints: Checkpoints::new(ByteCount::mib(1), Duration::from_secs(30)),
        waits: BTreeSet::new(),
        closes: BTreeSet::new(),
        events: mpsc::channel(1).0,
        fetch_events: mpsc::channel(1).0,
    }
}

fn refusal() -> SinkError {
    SinkError::NotAdmitted(EntryKey::from_path("other").unwrap())
}

/// A fetch whose source was closed may get as far as the store once more, which knows nothing of its
/// entries by then.
#[tokio::test]
async fn what_the_store_says_to_a_fetch_that_was_given_up_is_not_the_jobs_end() {
    let mut running = running().await;
    let Some(Action::Open { source, .. }) = running.recovery.poll_action() else { panic!("no source") };
    running.fetch_event(FetchId(9), FetchEvent::StoreFailed(refusal()));
    running.event(JobEvent::Admitted(7, Err(NotAdmitted::Failed(refusal()))));
    assert_eq!(running.recovery.outcome(), None);
    running.fetches.insert(FetchId(9), source);
    running.fetch_event(FetchId(9), FetchEvent::StoreFailed(refusal()));
    assert!(matches!(running.recovery.outcome(), Some(Outcome::Failed { .. })));
}
