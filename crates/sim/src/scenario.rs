//! Scenarios as data: a fleet, its content, its links, what goes wrong, and what is expected of it.
//!
//! ```
//! use peerstream_sim::scenario::Scenario;
//!
//! let scenario: Scenario = "
//!     about = 'one of two donors dies'
//!     [fleet]
//!     donors = 2
//!     [[fault]]
//!     at_ms = 5
//!     kill = 'donor-1'
//! "
//! .parse()?;
//! let done = scenario.run(&scenario.options(7))?;
//! assert!(done.summary.published >= 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alike;
mod bound;
mod levels;
mod numbers;
mod play;
mod shrink;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_snapshot::directory::StoreOptions;
use peerstream_types::{ByteCount, ByteRate, NodeId};
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::fault::{Mix, Timed};
use crate::network::{LinkSpec, Network};
use crate::oracle::Limit;

pub use play::{Done, Failure, Summary};
pub use shrink::Narrowed;

/// Most nodes of one scenario.
pub const NODES_MAX: u32 = 20_000;

/// A scenario. What is left out has the default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a line.
    pub about: String,
    /// Which network, unless the run says another.
    pub network: Network,
    /// Longest virtual time of a run, in seconds.
    pub limit_s: u64,
    /// The nodes.
    pub fleet: Fleet,
    /// What the donors hold.
    pub content: ContentSpec,
    /// The links between all nodes; without it, those of the network.
    pub link: Option<Links>,
    /// If set: the replicas compare what the donors have, at levels drawn from the seed.
    pub levels: Option<LevelDraw>,
    /// Faults that are drawn from the seed, beside those that are listed.
    pub mix: Option<Mix>,
    /// Faults that always come.
    pub fault: Vec<Timed>,
    /// How long after the last fault everything is mended, in milliseconds; as soon as every replica is
    /// up, if that is earlier.
    pub mend_after_ms: u64,
    /// What must have come of it.
    pub expect: Expect,
}

/// The nodes of a scenario: `donor-1`, `donor-2`, … and `replica-1`, `replica-2`, …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fleet {
    /// How many hold the shards at the beginning.
    pub donors: u32,
    /// How many are to be brought up.
    pub replicas: u32,
    /// Where replicas keep what they receive.
    pub store: Store,
    /// How long a read takes at a donor, in milliseconds.
    pub read_ms: u64,
    /// What a replica has under way for one shard with one donor at the most, in KiB.
    pub window_kib: u64,
    /// While less than this is left of a shard, nobody joins those that serve it, in KiB. The default is
    /// that of the engine, more than most scenarios have at all.
    pub join_from_kib: u64,
    /// How much of a shard a replica stores before it makes it durable, in KiB.
    pub checkpoint_kib: u64,
    /// How much of a shard a replica on a disk stores before it writes down that it did, of small entries
    /// and of larger ones each, in KiB.
    pub lag_kib: u64,
    /// How fast a node may send, in KiB per second; zero is without a limit.
    pub up_kib: u64,
    /// How fast a node may receive, in KiB per second; zero is without a limit.
    pub down_kib: u64,
}

/// Where a replica keeps what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// In memory: it survives crashes by itself.
    Memory,
    /// In a directory on a simulated disk.
    Disk,
    /// In a block store on a simulated disk, which merges what the donors have with what its host writes
    /// meanwhile. The donors have one too: of one shard, whose content is drawn from the seed.
    Blocks,
}

/// What a shard holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentSpec {
    /// How many shards there are.
    pub shards: u32,
    /// Entries of 1 to 4 KiB in each.
    pub small: u32,
    /// Larger entries in each.
    pub large: u32,
    /// Their length in KiB.
    pub large_kib: u64,
    /// Entries without a byte in each.
    pub empty: u32,
    /// Larger entries with the same bytes in each.
    pub copies: u32,
    /// Larger entries in each that are equal but for one chunk.
    pub similar: u32,
}

/// What links are like, each way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Links {
    /// How long a datagram is under way, in milliseconds.
    pub latency_ms: u64,
    /// How fast datagrams leave, in KiB per second.
    pub rate_kib: u64,
    /// How many KiB may wait to leave.
    pub queue_kib: u64,
    /// Datagrams lost, per million.
    pub loss_ppm: u32,
}

/// At which levels replicas compare what the donors have: one of all six in the beginning, and another one
/// from a time on. Both and the time are drawn from the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LevelDraw {
    /// The level is another one after so many milliseconds at the latest.
    pub within_ms: u64,
}

/// What must have come of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Every replica has every shard within this many seconds after everything was mended.
    pub within_s: u64,
    /// If set: the run takes at most so much of [`Scenario::bound`], in percent. Caps or links have to
    /// bound it.
    pub percent_of_bound: Option<u32>,
    /// If set: of the bytes that replicas received, at most so many thousandths had not to come: they
    /// were there already, or were thrown away.
    pub wasted_per_mille: Option<u32>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: String::new(),
            network: Network::Memory,
            limit_s: 6_000,
            fleet: Fleet::default(),
            content: ContentSpec::default(),
            link: None,
            levels: None,
            mix: None,
            fault: Vec::new(),
            mend_after_ms: 1_000,
            expect: Expect::default(),
        }
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            donors: 3,
            replicas: 1,
            store: Store::Memory,
            read_ms: 0,
            window_kib: 1024,
            join_from_kib: EngineConfig::default().recovery.join_from.0 >> 10,
            checkpoint_kib: EngineConfig::default().checkpoint_bytes.0 >> 10,
            lag_kib: StoreOptions::default().lag >> 10,
            up_kib: 0,
            down_kib: 0,
        }
    }
}

impl Default for ContentSpec {
    fn default() -> Self {
        Self { shards: 1, small: 40, large: 4, large_kib: 1024, empty: 1, copies: 0, similar: 0 }
    }
}

impl Default for Links {
    fn default() -> Self {
        let LinkSpec { latency, rate, queue, loss_ppm, .. } = LinkSpec::default();
        Self {
            latency_ms: latency.as_millis() as u64,
            rate_kib: rate.bytes_per_sec() >> 10,
            queue_kib: queue.0 >> 10,
            loss_ppm,
        }
    }
}

impl Default for LevelDraw {
    fn default() -> Self {
        Self { within_ms: 1_000 }
    }
}

impl Default for Expect {
    fn default() -> Self {
        Self { within_s: 300, percent_of_bound: None, wasted_per_mille: None }
    }
}

/// What distinguishes one run of a scenario from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// Which network.
    pub network: Network,
    /// How many replicas.
    pub replicas: u32,
    /// Faults that are left out, by their place in [`Scenario::faults`].
    pub without: BTreeSet<usize>,
}

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not what a scenario looks like.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// Nothing stands in it: a wrong file, more likely than one that wants all defaults.
    #[error("the scenario is empty; it needs at least a line, like `about = \"all defaults\"`")]
    Empty,
    /// A fault names a node that the fleet does not have.
    #[error("fault {place} names {node}, and the fleet has {has}")]
    NoSuchNode {
        /// Which fault.
        place: usize,
        /// The name.
        node: NodeId,
        /// What there is.
        has: String,
    },
    /// Without donors or replicas nothing happens; with more than [`NODES_MAX`] of them nothing ends.
    #[error("a fleet has at least one donor and one replica, and at most {NODES_MAX} nodes")]
    Fleet,
    /// A number that cannot be meant.
    #[error("{0}")]
    Number(String),
    /// How long it takes cannot be held against what nothing bounds.
    #[error("percent_of_bound needs caps (up_kib, down_kib) or links with a rate: nothing bounds this run")]
    NothingBounds,
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        if toml::from_str::<toml::Table>(text)?.is_empty() {
            return Err(ScenarioError::Empty);
        }
        let scenario: Self = toml::from_str(text)?;
        scenario.check(&scenario.options(0))?;
        Ok(scenario)
    }
}

impl Scenario {
    /// The run of a seed.
    pub fn options(&self, seed: u64) -> RunOptions {
        let (network, replicas) = (self.network, self.fleet.replicas);
        RunOptions { seed, network, replicas, without: BTreeSet::new() }
    }

    /// Whether it can be run like this.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn check(&self, options: &RunOptions) -> Result<(), ScenarioError> {
        let (donors, replicas) = (self.fleet.donors, options.replicas);
        if donors == 0 || replicas == 0 || donors.saturating_add(replicas) > NODES_MAX {
            return Err(ScenarioError::Fleet);
        }
        self.check_numbers(options).map_err(ScenarioError::Number)?;
        if self.expect.percent_of_bound.is_some() && self.limit(options) == Limit::Nothing {
            return Err(ScenarioError::NothingBounds);
        }
        let known =
            |node: &NodeId| donor_names(donors).chain(replica_names(replicas)).any(|name| name == *node);
        for (place, timed) in self.fault.iter().enumerate() {
            if let Some(node) = timed.fault.nodes().into_iter().find(|node| !known(node)) {
                let has = format!("donor-1 to donor-{donors} and replica-1 to replica-{replicas}");
                return Err(ScenarioError::NoSuchNode { place, node: node.clone(), has });
            }
        }
        Ok(())
    }

    /// All faults of a run, those that are left out included, in the order in which they come.
    pub fn faults(&self, options: &RunOptions) -> Vec<Timed> {
        let donors: Vec<_> = donor_names(self.fleet.donors).collect();
        let replicas: Vec<_> = replica_names(options.replicas).collect();
        let drawn =
            self.mix.iter().flat_map(|mix| mix.draw(options.seed, options.network, &donors, &replicas));
        let mut faults: Vec<Timed> = self.fault.iter().cloned().chain(drawn).collect();
        faults.sort_by_key(|timed| timed.at_ms);
        faults
    }

    fn link(&self, network: Network) -> LinkSpec {
        let Some(link) = &self.link else { return network.link() };
        LinkSpec {
            latency: Duration::from_millis(link.latency_ms),
            rate: ByteRate::per_sec(link.rate_kib << 10),
            queue: ByteCount(link.queue_kib << 10),
            loss_ppm: link.loss_ppm,
            ..LinkSpec::default()
        }
    }

    fn content(&self) -> Content {
        let ContentSpec { small, large, large_kib, empty, copies, similar, .. } = self.content;
        let len = large_kib << 10;
        Content {
            large,
            large_len: len,
            empty,
            copies,
            copy_len: len,
            similar,
            similar_len: len,
            ..Content::small(small)
        }
    }
}

fn donor_names(count: u32) -> impl Iterator<Item = NodeId> {
    names("donor", count)
}

fn replica_names(count: u32) -> impl Iterator<Item = NodeId> {
    names("replica", count)
}

fn names(kind: &'static str, count: u32) -> impl Iterator<Item = NodeId> {
    (1..=count).map(move |number| NodeId::new(format!("{kind}-{number}")).expect("a valid name"))
}

/// The scenarios that come with this crate, by name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("donor-dies", include_str!("../scenarios/donor-dies.toml")),
    ("fault-mix", include_str!("../scenarios/fault-mix.toml")),
    ("fault-mix-disk", include_str!("../scenarios/fault-mix-disk.toml")),
    ("slow-source", include_str!("../scenarios/slow-source.toml")),
    ("capped", include_str!("../scenarios/capped.toml")),
    ("fleet", include_str!("../scenarios/fleet.toml")),
    ("consistency", include_str!("../scenarios/consistency.toml")),
    ("consistency-blocks", include_str!("../scenarios/consistency-blocks.toml")),
    ("several-mix", include_str!("../scenarios/several-mix.toml")),
    ("three-sources-large", include_str!("../scenarios/three-sources-large.toml")),
    ("three-sources-small", include_str!("../scenarios/three-sources-small.toml")),
    ("slowed-source-large", include_str!("../scenarios/slowed-source-large.toml")),
    ("slowed-source-small", include_str!("../scenarios/slowed-source-small.toml")),
];

/// A shipped scenario.
pub fn shipped(name: &str) -> Option<Scenario> {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(text.parse().expect("a test parses every shipped scenario"))
}
