//! Where a plan stands.

use std::fmt;
use std::time::Duration;

use peerstream_recovery::{Findings, SourceStatus, Standing, Waiting};
use peerstream_types::{NodeId, Operation, PlanId, ShardId, Timestamp};

use super::{PlanResult, ShardOutcome};

/// Which way a task's bytes go, seen from this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskDirection {
    /// To this node.
    Receive,
    /// To the peer.
    Send,
}

impl fmt::Display for TaskDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Send => "send",
        })
    }
}

/// What a shard is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Its turn has not come.
    Queued,
    /// A source is being reached and asked.
    Opening,
    /// Content is moving.
    Streaming,
    /// Everything is staged; it is being checked and made durable.
    Sealing,
    /// The new generation is being made visible.
    Publishing,
    /// It has failed or was called off; what is verified is being made durable.
    Keeping,
    /// It has ended.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Opening => "opening",
            Self::Streaming => "streaming",
            Self::Sealing => "sealing",
            Self::Publishing => "publishing",
            Self::Keeping => "keeping",
            Self::Done => "done",
        })
    }
}

/// What one source gives of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceProgress {
    /// The source.
    pub peer: NodeId,
    /// Whether it is asked now, or may be.
    pub in_use: bool,
    /// Bytes that came from it, verified and stored.
    pub bytes: u64,
    /// Chunks that came from it and did not fit their digest.
    pub bad_chunks: u64,
}

impl From<SourceStatus> for SourceProgress {
    fn from(status: SourceStatus) -> Self {
        let SourceStatus { peer, in_use, stored_bytes, bad_chunks } = status;
        Self { peer, in_use, bytes: stored_bytes, bad_chunks }
    }
}

/// Where one shard stands. Numbers only grow; what was held from an earlier attempt counts as done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardProgress {
    /// The shard.
    pub shard: ShardId,
    /// Which way it goes.
    pub direction: TaskDirection,
    /// What it is doing.
    pub stage: Stage,
    /// The peer at the other end, once there is one; of several sources, the one that lists.
    pub peer: Option<NodeId>,
    /// All sources in use, and those that gave something before. Empty if the bytes go to the peer.
    pub sources: Vec<SourceProgress>,
    /// What the level asks of the replicas, and where each of them stands. `None` if the bytes go to the peer,
    /// before anybody is asked, and once it has ended.
    pub standing: Option<Standing>,
    /// What it waits for, in words, if it does not move.
    pub waiting: Option<String>,
    /// Since when it waits: the last thing that came, or the moment of asking.
    pub waiting_since: Option<Timestamp>,
    /// When what failed is tried again, if it waits for that.
    pub waiting_until: Option<Timestamp>,
    /// Bytes verified and stored, including what was held before.
    pub bytes_done: u64,
    /// Bytes of the whole shard, once the manifest is known.
    pub bytes_total: Option<u64>,
    /// Entries complete.
    pub entries_done: u64,
    /// Entries of the whole shard, once the manifest is known.
    pub entries_total: Option<u64>,
    /// Bytes that were held from an earlier attempt and not fetched again.
    pub bytes_held: u64,
    /// Bytes that came and were thrown away.
    pub bytes_wasted: u64,
    /// What was taken from one replica alone, and what was done without.
    pub findings: Findings,
    /// How it ended, once it has.
    pub outcome: Option<ShardOutcome>,
}

impl ShardProgress {
    pub(crate) fn new(shard: ShardId, direction: TaskDirection) -> Self {
        Self {
            shard,
            direction,
            stage: Stage::Queued,
            peer: None,
            sources: Vec::new(),
            standing: None,
            waiting: None,
            waiting_since: None,
            waiting_until: None,
            bytes_done: 0,
            bytes_total: None,
            entries_done: 0,
            entries_total: None,
            bytes_held: 0,
            bytes_wasted: 0,
            findings: Findings::default(),
            outcome: None,
        }
    }

    /// Shows what the shard waits for.
    pub(crate) fn waits(&mut self, waiting: Option<Waiting>) {
        self.waiting_since = waiting.as_ref().map(|waiting| waiting.since);
        self.waiting_until = waiting.as_ref().and_then(|waiting| waiting.reason.until());
        self.waiting = waiting.map(|waiting| waiting.reason.to_string());
    }
}

/// Where a plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanState {
    /// The plan.
    pub plan: PlanId,
    /// Why bytes move.
    pub operation: Operation,
    /// The node that started it, if it was not this one.
    pub started_by: Option<NodeId>,
    /// How long it has been running, or ran.
    pub elapsed: Duration,
    /// When this was so, by the clock of the moments in it: the engine's, which counts from its start.
    pub at: Timestamp,
    /// Its shards.
    pub shards: Vec<ShardProgress>,
    /// How it ended, once it has.
    pub result: Option<PlanResult>,
}

impl PlanState {
    /// Bytes done over all shards.
    pub fn bytes_done(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes_done).sum()
    }

    /// Bytes of all shards, once every manifest is known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.shards.iter().map(|shard| shard.bytes_total).sum()
    }

    /// How long it will go on at the mean rate since it began; `None` while nothing can be said.
    pub fn eta(&self) -> Option<Duration> {
        let held: u64 = self.shards.iter().map(|shard| shard.bytes_held).sum();
        let moved = self.bytes_done().checked_sub(held).filter(|moved| *moved > 0)?;
        let left = self.bytes_total()?.saturating_sub(self.bytes_done());
        Some(self.elapsed.mul_f64(left as f64 / moved as f64))
    }
}
