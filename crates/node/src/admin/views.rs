//! From the engine's words to the API's.

mod blamed;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use peerstream_engine::{
    BadChunk, Found, PeerStatus, PlanResult, PlanState, ShardOutcome, ShardProgress, SourceProgress,
};
use peerstream_snapshot::checkpoint::CheckpointStatus;
use peerstream_snapshot::{CheckpointSource, Sink, SinkError};
use peerstream_types::{ByteCount, ByteRate, ShardId, Timestamp};

use super::model::{
    BadView, CheckpointView, DatasetView, FoundView, NodeView, OutcomeView, PeerView, PlanView,
    PublishedView, ResultView, ShardView, SourceView,
};
use crate::node::{Held, Node};

const WITH_A_GOOD_SOURCE: &str =
    "what was verified stays staged; once a source has the rest, the same command fetches only that";
const ONCE_IT_IS_GONE: &str =
    "what was verified stays staged; once the cause is gone, the same command fetches only the rest";

/// All that a node can say about itself.
pub(super) async fn node(node: &Node) -> Result<NodeView, SinkError> {
    let mut datasets = Vec::new();
    for held in node.held() {
        datasets.extend(dataset_versions(held).await?);
    }
    Ok(NodeView {
        node: node.config().node.to_string(),
        cluster: node.config().cluster.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: node.incarnation().0,
        listen: node.local_addr(),
        ready: node.is_ready(),
        uptime_ms: millis(node.uptime()),
        placement_fault: node.placement_fault(),
        datasets,
        peers: node.engine().peers().into_iter().map(peer).collect(),
        blamed: blamed::views(&node.engine().penalties(), node.engine().now()),
        traffic: node.traffic().into_iter().map(|(class, view)| (class.to_owned(), view)).collect(),
        plans: node.engine().plans().iter().map(plan).collect(),
    })
}

async fn dataset_versions(held: &Arc<Held>) -> Result<Vec<DatasetView>, SinkError> {
    let mut views = Vec::new();
    for (&number, version) in &held.versions {
        let mut published = Vec::new();
        if version.served.is_none() {
            for index in 0..version.shards {
                let shard = ShardId::new(held.name.clone(), number, index);
                let Some((generation, header)) = held.current(&shard).await? else { continue };
                let (entries, bytes) = (header.counts.entries, header.counts.bytes);
                let generation = generation.0;
                published.push(PublishedView { shard: shard.to_string(), generation, entries, bytes });
            }
        }
        views.push(DatasetView {
            name: held.name.to_string(),
            version: number,
            shards: version.shards,
            served: version.served.clone(),
            snapshot: version.snapshot.to_string(),
            checkpoints: version.checkpoints.iter().flat_map(checkpoints).collect(),
            published,
        });
    }
    Ok(views)
}

fn checkpoints(source: &CheckpointSource) -> Vec<CheckpointView> {
    let view = |one: CheckpointStatus| CheckpointView {
        shard: one.shard.to_string(),
        number: one.number,
        age_ms: one.age_ms,
        leases: one.leases,
        stale: one.is_stale,
    };
    source.checkpoints().into_iter().map(view).collect()
}

fn peer(status: PeerStatus) -> PeerView {
    PeerView {
        node: status.node.to_string(),
        addr: status.addr,
        incarnation: status.incarnation.0,
        connections: status.connections,
    }
}

/// A plan.
pub(super) fn plan(state: &PlanState) -> PlanView {
    let held: u64 = state.shards.iter().map(|shard| shard.bytes_held).sum();
    let moved = ByteCount(state.bytes_done().saturating_sub(held));
    PlanView {
        plan: state.plan.to_string(),
        operation: state.operation.to_string(),
        started_by: state.started_by.as_ref().map(ToString::to_string),
        result: state.result.map(result),
        elapsed_ms: millis(state.elapsed),
        bytes_done: state.bytes_done(),
        bytes_total: state.bytes_total(),
        bytes_per_sec: ByteRate::mean(moved, state.elapsed).bytes_per_sec(),
        eta_ms: state.eta().filter(|_| state.result.is_none()).map(millis),
        shards: state.shards.iter().map(|progress| shard(progress, state.at)).collect(),
    }
}

fn result(result: PlanResult) -> ResultView {
    match result {
        PlanResult::Completed => ResultView::Completed,
        PlanResult::Failed => ResultView::Failed,
        PlanResult::Aborted => ResultView::Aborted,
    }
}

fn shard(progress: &ShardProgress, now: Timestamp) -> ShardView {
    ShardView {
        shard: progress.shard.to_string(),
        direction: progress.direction.to_string(),
        stage: progress.stage.to_string(),
        peer: progress.peer.as_ref().map(ToString::to_string),
        sources: progress.sources.iter().map(source).collect(),
        standing: progress.standing.as_ref().map(|asked| standing::view(asked, now)),
        waiting: progress.waiting.clone(),
        waiting_ms: progress.waiting_since.map(|since| millis(now - since)),
        retry_in_ms: progress.waiting_until.map(|until| millis(until - now)),
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
        entries_done: progress.entries_done,
        entries_total: progress.entries_total,
        bytes_held: progress.bytes_held,
        bytes_wasted: progress.bytes_wasted,
        alone: found(&progress.findings.alone),
        dropped: found(&progress.findings.dropped),
        outcome: progress.outcome.as_ref().map(outcome),
    }
}

fn source(source: &SourceProgress) -> SourceView {
    let SourceProgress { peer, in_use, bytes, bad_chunks } = source;
    SourceView { peer: peer.to_string(), in_use: *in_use, bytes: *bytes, bad_chunks: *bad_chunks }
}

fn found(found: &Found) -> FoundView {
    FoundView { count: found.count, keys: found.keys.iter().map(ToString::to_string).collect() }
}

fn outcome(outcome: &ShardOutcome) -> OutcomeView {
    let (kind, generation, bad) = match outcome {
        ShardOutcome::Published { generation } => ("published", *generation, Vec::new()),
        ShardOutcome::Incomplete { bad, .. } => ("incomplete", None, bad.iter().map(bad_chunk).collect()),
        ShardOutcome::Failed { .. } => ("failed", None, Vec::new()),
        ShardOutcome::Aborted { .. } => ("aborted", None, Vec::new()),
    };
    let next = match outcome {
        ShardOutcome::Published { .. } => None,
        ShardOutcome::Incomplete { .. } => Some(WITH_A_GOOD_SOURCE),
        ShardOutcome::Failed { .. } | ShardOutcome::Aborted { .. } => Some(ONCE_IT_IS_GONE),
    };
    let next = next.map(str::to_owned);
    OutcomeView { kind: kind.to_owned(), text: outcome.to_string(), generation, bad, next }
}

fn bad_chunk(bad: &BadChunk) -> BadView {
    BadView { key: bad.key.to_string(), chunk: bad.chunk, peer: bad.peer.to_string(), why: bad.why.clone() }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
