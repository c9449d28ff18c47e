//! What the admin API says and takes, as JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its id.
    pub node: String,
    /// Its cluster.
    pub cluster: String,
    /// Version of the program.
    pub version: String,
    /// Which boot this is.
    pub incarnation: u64,
    /// Where peers reach it.
    pub listen: SocketAddr,
    /// Whether it takes new work.
    pub ready: bool,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
    /// Why the placement file as it is now is not in force; the last good one is.
    #[serde(default)]
    pub placement_fault: Option<String>,
    /// What it holds.
    pub datasets: Vec<DatasetView>,
    /// Whom it has connections with.
    pub peers: Vec<PeerView>,
    /// Who was a bad source lately, connected or not.
    #[serde(default)]
    pub blamed: Vec<BlamedView>,
    /// Bulk bytes that have passed since the start, by class of traffic.
    pub traffic: BTreeMap<String, TrafficView>,
    /// Running and recent plans, oldest first.
    pub plans: Vec<PlanView>,
}

/// A version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// How many shards it has.
    pub shards: u32,
    /// The directory that is served; without it, shards are received.
    pub served: Option<PathBuf>,
    /// Where its snapshots come from: `in-place`, `freeze` or `command`.
    pub snapshot: String,
    /// The checkpoints that are there.
    pub checkpoints: Vec<CheckpointView>,
    /// The received shards that are published.
    pub published: Vec<PublishedView>,
}

/// A shard that was received and published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedView {
    /// The shard.
    pub shard: String,
    /// The visible generation.
    pub generation: u64,
    /// Entries in it.
    pub entries: u64,
    /// Bytes in it.
    pub bytes: u64,
}

/// A checkpoint that was made because someone asked for the shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointView {
    /// The shard.
    pub shard: String,
    /// Which one.
    pub number: u64,
    /// Milliseconds since it was begun.
    pub age_ms: u64,
    /// How many snapshots hold it; it is removed once nobody does and it is stale.
    pub leases: usize,
    /// Whether it is handed out no more.
    pub stale: bool,
}

/// A peer with open connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// Its id.
    pub node: String,
    /// Where it is.
    pub addr: SocketAddr,
    /// Which boot of it.
    pub incarnation: u64,
    /// How many connections.
    pub connections: usize,
}

/// A peer that was a bad source, for as long as that is held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlamedView {
    /// Its id.
    pub node: String,
    /// What weighs most: `lied`, `stalled`, `failed` or `refused`.
    pub reason: String,
    /// How often it did what, since nothing was held against it.
    pub offences: BTreeMap<String, u32>,
    /// What is held against it; halves every minute.
    pub points: u64,
    /// Milliseconds for which others are asked before it, if it has points enough for that.
    pub avoided_ms: Option<u64>,
}

/// Bytes of one class of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficView {
    /// Sent to peers, outlines and headers included.
    pub sent: u64,
    /// Asked of peers, whether they came or not: the receiver is shaped by what it asks for.
    pub received: u64,
    /// Read from disk for hashing.
    pub read: u64,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Its id.
    pub plan: String,
    /// Why bytes move.
    pub operation: String,
    /// Who started it, if it was a peer.
    pub started_by: Option<String>,
    /// How it ended: `completed`, `failed` or `aborted`; nothing while it runs.
    pub result: Option<ResultView>,
    /// Milliseconds that it has been running, or ran.
    pub elapsed_ms: u64,
    /// Bytes verified and stored, including those held from before.
    pub bytes_done: u64,
    /// Bytes of all its shards, once they are known.
    pub bytes_total: Option<u64>,
    /// Mean rate since it began, without what was held from before, in bytes per second.
    pub bytes_per_sec: u64,
    /// Milliseconds that it will go on at that rate.
    pub eta_ms: Option<u64>,
    /// Its shards.
    pub shards: Vec<ShardView>,
}

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultView {
    /// Every shard was published.
    Completed,
    /// At least one was not.
    Failed,
    /// It was called off.
    Aborted,
}

/// One shard of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardView {
    /// The shard.
    pub shard: String,
    /// `receive` or `send`, seen from the node that says it.
    pub direction: String,
    /// What it is doing.
    pub stage: String,
    /// The peer at the other end; of several sources, the one that lists.
    pub peer: Option<String>,
    /// All sources in use, and those that gave something before; none if the bytes go to the peer.
    #[serde(default)]
    pub sources: Vec<SourceView>,
    /// What the level asks of the replicas, and where each of them stands; nothing if the bytes go to the
    /// peer, before anybody was asked, and once it has ended.
    #[serde(default)]
    pub standing: Option<StandingView>,
    /// What it waits for, if it does not move.
    pub waiting: Option<String>,
    /// Milliseconds since the last thing came, or since it asked.
    #[serde(default)]
    pub waiting_ms: Option<u64>,
    /// Milliseconds until what failed is tried again, if it waits for that.
    #[serde(default)]
    pub retry_in_ms: Option<u64>,
    /// Bytes verified and stored.
    pub bytes_done: u64,
    /// Bytes of the shard, once they are known.
    pub bytes_total: Option<u64>,
    /// Entries complete.
    pub entries_done: u64,
    /// Entries of the shard, once they are known.
    pub entries_total: Option<u64>,
    /// Bytes held from an earlier attempt.
    pub bytes_held: u64,
    /// Bytes that came and were thrown away.
    pub bytes_wasted: u64,
    /// Entries that one alone of several replicas reports; they were taken.
    #[serde(default)]
    pub alone: FoundView,
    /// Entries that could be had from nobody, and that level `none` did without.
    #[serde(default)]
    pub dropped: FoundView,
    /// How it ended.
    pub outcome: Option<OutcomeView>,
}

/// Some entries: all of them counted, the first of them named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FoundView {
    /// How many there are.
    pub count: u64,
    /// The first 64 of their keys.
    pub keys: Vec<String>,
}

/// What a recovery asks of the replicas, and how far they go along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// The level; nothing where the word of one source is taken.
    pub level: Option<String>,
    /// How many replicas it asks for.
    pub required: u32,
    /// How many were heard.
    pub heard: u32,
    /// How many of them have the manifest that most have.
    pub agreed: u32,
    /// Whether this node counts itself among them.
    pub own_vote: bool,
    /// Whether enough were heard. Where they differ, each entry is decided by itself.
    pub met: bool,
    /// Every replica that may be asked.
    pub replicas: Vec<ReplicaView>,
    /// The first of the entries that could not be had yet, with who was asked last and why.
    #[serde(default)]
    pub missing: Vec<BadView>,
}

/// Where a replica stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaView {
    /// Which one.
    pub peer: String,
    /// `idle`, `asked`, `offered`, `serving`, `failed` or `given-up`.
    pub state: String,
    /// Whether it is the one of those with its manifest that lists it.
    #[serde(default)]
    pub lists: bool,
    /// The digest of the manifest that it offers, once that is sealed.
    pub manifest: Option<String>,
    /// Whether that is the manifest that most offer; nothing while it has not offered.
    pub agrees: Option<bool>,
    /// How the last attempt ended, if it failed.
    pub why: Option<String>,
    /// Milliseconds since it was asked, while it has not answered.
    pub asked_ms: Option<u64>,
    /// Milliseconds until it is asked again, if it failed.
    pub retry_in_ms: Option<u64>,
}

/// What one source gives of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// The source.
    pub peer: String,
    /// Whether it is asked now, or may be.
    pub in_use: bool,
    /// Bytes that came from it, verified and stored.
    pub bytes: u64,
    /// Chunks that came from it and did not fit their digest: its copy is bad, or it lies.
    #[serde(default)]
    pub bad_chunks: u64,
}

/// How a shard ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeView {
    /// `published`, `incomplete`, `failed` or `aborted`.
    pub kind: String,
    /// The same in words, for people.
    pub text: String,
    /// The published generation, where it is at the node that says it.
    pub generation: Option<u64>,
    /// What could not be had, the first 64 of them.
    pub bad: Vec<BadView>,
    /// What to do next, unless it was published.
    pub next: Option<String>,
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadView {
    /// The entry.
    pub key: String,
    /// Its chunk, where one is to blame.
    pub chunk: Option<u64>,
    /// Who served it.
    pub peer: String,
    /// What is wrong with it.
    pub why: String,
}

/// What is to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "lowercase", deny_unknown_fields)]
pub enum PlanRequest {
    /// Bring shards to this node.
    Bootstrap {
        /// `dataset`, `dataset@version` or `dataset@version/index`.
        what: String,
        /// Whom to ask, in order; nobody means the configured peers.
        #[serde(default)]
        from: Vec<String>,
    },
    /// Bring a shard of this node to a peer.
    Push {
        /// `dataset@version/index`.
        shard: String,
        /// To whom.
        to: String,
    },
}

/// Why a plan is called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortRequest {
    /// In words, for those who look at it later.
    pub reason: String,
}

/// Nothing is held against a peer any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgivenView {
    /// The peer.
    pub node: String,
    /// Whether anything was.
    pub was_blamed: bool,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// What happened.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl PlanView {
    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.result.is_some()
    }

    /// Whether every shard was published.
    pub fn is_completed(&self) -> bool {
        self.result == Some(ResultView::Completed)
    }
}
