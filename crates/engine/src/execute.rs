//! Carrying a plan out: its requests as jobs, its transfers as offers, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerstream_recovery::Candidate;
use peerstream_shape::Class;
use peerstream_types::{NodeId, Selector, ShardId};
use peerstream_wire::message::RequestV1;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::discover::Whom;
use crate::job::{Asked, Origin, PlanSessions, ShardJob};
use crate::known::Finder;
use crate::plan::{
    PlanOutcome, PlanRecord, PlanResult, ShardOutcome, ShardProgress, ShardResult, StreamPlan, Task,
};
use crate::regards::Incident;
use crate::session::Wanted;
use crate::shared::Shared;
use crate::spread::spread;
use crate::transfer::{Transfer, first_offers};
use crate::watch;

/// A request with the sources it may use.
struct Request {
    index: usize,
    shard: ShardId,
    selector: Selector,
    whom: Whom,
    first: Option<(NodeId, Asked)>,
}

/// Carries a plan out to its end.
pub(crate) async fn execute(
    shared: Arc<Shared>,
    plan: StreamPlan,
    record: PlanRecord,
    abort: watch::Receiver<Option<String>>,
) -> PlanOutcome {
    let called_off = abort.clone();
    let finder = Finder::new(&shared, &plan);
    tokio::select! {
        biased;
        Ok(_) = called_off.wait_for(Option::is_some) => {}
        () = finder.look() => {}
    }
    let known = finder.known();
    let sessions = Arc::new(PlanSessions::new(shared.clone(), record.plan, plan.operation(), abort));
    let (mut requests, mut transfers) = (Vec::new(), Vec::new());
    for (index, task) in plan.tasks().iter().enumerate() {
        match task {
            Task::Request { shard, selector, sources } => {
                let whom = Whom::new(&shared, shard, sources.clone(), &known);
                let (shard, selector) = (shard.clone(), selector.clone());
                requests.push(Request { index, shard, selector, whom, first: None });
            }
            Task::Transfer { shard, selector, to } => {
                let (shard, selector, to) = (shard.clone(), selector.clone(), to.clone());
                let (sessions, record) = (sessions.clone(), record.clone());
                transfers.push(Transfer { sessions, record, index, shard, selector, to, first: None });
            }
        }
    }
    spread(&shared, requests.iter_mut().map(|request| (&request.shard, &mut request.whom)));
    // What is opened for a transfer may take minutes to freeze.
    tokio::select! {
        biased;
        Ok(_) = called_off.wait_for(Option::is_some) => {}
        () = open_first(&sessions, &mut requests, &mut transfers) => {}
    }
    let mut work = JoinSet::new();
    let room = Arc::new(Semaphore::new(shared.config.shards_in_parallel.max(1)));
    for request in requests {
        spawn_request(&mut work, &sessions, &record, &room, request);
    }
    for transfer in transfers {
        work.spawn(async move { (transfer.index, transfer.run().await) });
    }
    let mut outcomes = BTreeMap::new();
    let all = async {
        while let Some(ended) = work.join_next().await {
            if let Ok((index, outcome)) = ended {
                outcomes.insert(index, outcome);
            }
        }
    };
    tokio::select! {
        biased;
        () = all => {}
        never = finder.keep_looking() => match never {},
    }
    conclude(&record, outcomes)
}

fn spawn_request(
    work: &mut JoinSet<(usize, ShardOutcome)>,
    sessions: &Arc<PlanSessions>,
    record: &PlanRecord,
    room: &Arc<Semaphore>,
    request: Request,
) {
    let Request { index, shard, selector, whom, first } = request;
    let shared = sessions.shared.clone();
    // From before its turn, so that buffers are kept from one shard of a plan to the next.
    let receiving = shared.buffers.receiving();
    let Some(sink) = shared.parts.datasets.sink(&shard.dataset) else {
        let reason = format!("dataset {} is not received here", shard.dataset);
        record.end_shard(index, ShardOutcome::Failed { reason });
        return;
    };
    let job = ShardJob {
        shared,
        record: record.clone(),
        index,
        shard,
        selector,
        class: Class::of(sessions.operation),
        sink,
        origin: Origin::Plan { sessions: sessions.clone(), first },
        whom,
        abort: sessions.abort.clone(),
    };
    let room = room.clone();
    work.spawn(async move {
        let _receiving = receiving;
        let _place = room.acquire_owned().await;
        (index, job.run().await)
    });
}

/// Opens one session per peer for all that can begin at once: the first requests and all transfers
/// (row C03). What comes later gets sessions of its own.
async fn open_first(sessions: &Arc<PlanSessions>, requests: &mut [Request], transfers: &mut [Transfer]) {
    let mut sought: BTreeMap<NodeId, (Incident, Vec<Wanted>)> = BTreeMap::new();
    let shared = &sessions.shared;
    let now = shared.clock.now();
    for request in requests.iter_mut().take(shared.config.shards_in_parallel) {
        let candidates = request.whom.candidates(|peer| shared.regards.of(now, peer, 0));
        let Some(peer) = Candidate::first(&candidates, now).cloned() else { continue };
        let (reply, answer) = oneshot::channel();
        let (shard, selector) = (request.shard.clone(), request.selector.clone());
        let (incident, wanted) = sought.entry(peer.clone()).or_default();
        wanted.push(Wanted { request: RequestV1 { shard, selector }, reply });
        request.first = Some((peer, Asked { answer, incident: incident.clone() }));
    }
    let mut offers = first_offers(transfers).await;
    let peers: BTreeSet<NodeId> = sought.keys().chain(offers.keys()).cloned().collect();
    for peer in peers {
        let (incident, wanted) = sought.remove(&peer).unwrap_or_default();
        sessions.open(&peer, incident, wanted, offers.remove(&peer).unwrap_or_default());
    }
}

fn conclude(record: &PlanRecord, mut outcomes: BTreeMap<usize, ShardOutcome>) -> PlanOutcome {
    let shards: Vec<ShardResult> = record
        .state()
        .shards
        .into_iter()
        .enumerate()
        .map(|(index, shard)| {
            let ended = outcomes.remove(&index).or(shard.outcome);
            let lost = || ShardOutcome::Failed { reason: "its task ended without an outcome".to_owned() };
            let outcome = ended.unwrap_or_else(lost);
            record.end_shard(index, outcome.clone());
            let ShardProgress { shard, direction, findings, .. } = shard;
            ShardResult { shard, direction, outcome, findings }
        })
        .collect();
    let result = PlanResult::of(shards.iter().map(|shard| &shard.outcome));
    record.end(result);
    PlanOutcome { plan: record.plan, result, shards }
}
