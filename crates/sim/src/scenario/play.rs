//! A scenario is run: the fleet starts, faults come, they end, and progress is demanded.

use std::fmt;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_types::{ByteCount, ByteRate, NodeId, ShardId};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Fleet, RunOptions, Scenario, Store, donor_names, replica_names};
use crate::disk::DiskSpec;
use crate::fault::{Fault, Timed};
use crate::flows::Flows;
use crate::network::UNLIMITED;
use crate::node::{NodeSpec, SimNode, shard};
use crate::sim::Sim;
use crate::watch::Watch;
use crate::world::SimWorld;

/// How long a replica waits before it is brought up again after a plan that did not complete.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Done {
    /// What happened, line by line; equal for equal runs.
    pub trace: String,
    /// In figures.
    pub summary: Summary,
    /// Who fed whom.
    pub flows: Flows,
}

/// A run in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Shards published at replicas.
    pub published: u64,
    /// Virtual time from the beginning until the last one was.
    pub took: Duration,
    /// Faults that came.
    pub faults: u64,
    /// Plans that replicas needed.
    pub plans: u64,
    /// Bytes of all shards at all replicas.
    pub bytes: u64,
    /// Bulk bytes that all nodes sent.
    pub sent: u64,
}

/// How a run failed. Neither way to print it prints the trace, which has thousands of lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// What happened before, as far as it was kept.
    pub trace: String,
}

impl Failure {
    /// Whether it is the same failure as another, but for numbers.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |what: &str| what.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        shape(&self.what) == shape(&other.what)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, with a trace of {} lines", self.what, self.trace.lines().count())
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published, took, faults, plans, bytes, sent } = self;
        write!(f, "{published} shards published after {took:?}, with {faults} faults and {plans} plans; ")?;
        write!(f, "{sent} bytes sent for {bytes}")
    }
}

impl Scenario {
    /// Runs it once.
    ///
    /// # Errors
    ///
    /// What does not hold, or how something panicked.
    pub fn run(&self, options: &RunOptions) -> Result<Done, Failure> {
        if let Err(error) = self.check(options.replicas) {
            return Err(Failure { what: error.to_string(), trace: String::new() });
        }
        let sim = Sim::new(options.network, options.seed)
            .link(self.link(options.network))
            .limit(Duration::from_secs(self.limit_s));
        let ran = sim.try_run(async |world| Play::new(self, options, world).run().await);
        match ran {
            Ok((Ok((summary, flows)), trace)) => match self.too_slow(options, &summary) {
                None => Ok(Done { trace, summary, flows }),
                Some(what) => Err(Failure { what, trace }),
            },
            Ok((Err(what), trace)) => Err(Failure { what, trace }),
            Err((what, trace)) => Err(Failure { what, trace }),
        }
    }

    fn too_slow(&self, options: &RunOptions, summary: &Summary) -> Option<String> {
        let percent = self.expect.percent_of_bound?;
        let most = self.bound(options)? * percent / 100;
        let took = summary.took;
        (took > most).then(|| format!("it took {took:?}, and may take {most:?}"))
    }
}

/// A run under way.
struct Play<'a> {
    scenario: &'a Scenario,
    options: &'a RunOptions,
    world: SimWorld,
    watch: Watch,
    flows: Flows,
    faults: Vec<Timed>,
    shards: Vec<ShardId>,
    summary: Summary,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, options: &'a RunOptions, world: SimWorld) -> Self {
        let shards = (0..scenario.content.shards).map(shard).collect();
        let (watch, flows) = (Watch::over(&world), Flows::of(&world));
        let faults = scenario.faults(options);
        Self { scenario, options, world, watch, flows, faults, shards, summary: Summary::default() }
    }

    async fn run(mut self) -> Result<(Summary, Flows), String> {
        for name in donor_names(self.scenario.fleet.donors) {
            self.start_donor(name).await;
        }
        let started = Instant::now();
        let mut replicas = Vec::new();
        for name in replica_names(self.options.replicas) {
            self.start_replica(&name);
            replicas.push(tokio::spawn(bring_up(self.world.clone(), name, self.shards.clone())));
        }
        self.disturb(started).await;
        let supervisor = self.mend().await;
        self.watch.calm();
        let within = Duration::from_secs(self.scenario.expect.within_s);
        let ended = Instant::now() + within;
        for (name, replica) in replica_names(self.options.replicas).zip(replicas) {
            let plans = tokio::time::timeout_at(ended, replica).await;
            let plans = plans.map_err(|_| format!("{name} is not up {within:?} after the last fault"))?;
            let (plans, up) = plans.map_err(|error| error.to_string())?;
            self.summary.plans += plans;
            self.summary.took = self.summary.took.max(up - started);
        }
        supervisor.abort();
        self.check_equal().await?;
        let verdict = self.watch.end().await;
        if let Some(first) = verdict.violations.first() {
            return Err(first.to_string());
        }
        self.summary.sent = self.flows.totals().values().sum();
        Ok((self.summary, self.flows))
    }

    async fn start_donor(&self, name: NodeId) {
        let Fleet { read_ms, .. } = self.scenario.fleet;
        let node = self.world.start(NodeSpec::donor(name.as_str()));
        self.cap(&name);
        node.faults.delay_reads(Duration::from_millis(read_ms));
        let content = self.scenario.content();
        for shard in &self.shards {
            node.fill(shard, &content, self.options.seed).await;
        }
    }

    fn start_replica(&self, name: &NodeId) {
        let fleet = &self.scenario.fleet;
        let mut config = EngineConfig::default();
        config.recovery.window = ByteCount(fleet.window_kib << 10);
        config.recovery.fetch_bytes = ByteCount((fleet.window_kib << 10) / 4);
        let spec = NodeSpec { config, ..NodeSpec::replica(name.as_str()) };
        self.world.start(match fleet.store {
            Store::Memory => spec,
            Store::Disk => spec.with_store(DiskSpec::default()),
        });
        self.cap(name);
    }

    fn cap(&self, node: &NodeId) {
        let Fleet { up_kib, down_kib, .. } = self.scenario.fleet;
        let rate = |kib: u64| if kib == 0 { UNLIMITED } else { ByteRate::per_sec(kib << 10) };
        if up_kib > 0 || down_kib > 0 {
            self.world.cap(node, rate(up_kib), rate(down_kib));
        }
    }

    /// Faults come at their times.
    async fn disturb(&mut self, started: Instant) {
        for (place, timed) in self.faults.iter().enumerate() {
            if self.options.without.contains(&place) {
                continue;
            }
            tokio::time::sleep_until(started + timed.at()).await;
            self.world.inject(&timed.fault);
            self.summary.faults += 1;
        }
    }

    /// Everything works again, and what ends all the same (it was told to, some steps from then) is
    /// started again.
    async fn mend(&self) -> AbortHandle {
        let nodes = self.world.all_nodes();
        for node in &nodes {
            self.world.inject(&Fault::Recover(node.id.clone()));
            node.faults.delay_reads(Duration::from_millis(self.scenario.fleet.read_ms));
        }
        let link = self.scenario.link(self.options.network);
        for timed in &self.faults {
            if let [a, b] = timed.fault.nodes()[..] {
                self.world.heal(a, b);
                self.world.shape(a, b, link);
            }
        }
        tokio::spawn(supervise(self.world.clone())).abort_handle()
    }

    /// Everything that was published somewhere is the same everywhere.
    async fn check_equal(&mut self) -> Result<(), String> {
        let donor = self.node(donor_names(1).next());
        for name in replica_names(self.options.replicas) {
            let replica = self.node(Some(name));
            for shard in &self.shards {
                let (theirs, ours) = (donor.digest(shard).await, replica.digest(shard).await);
                if theirs != ours || ours.is_none() {
                    return Err(format!("{} has another {shard} than {}", replica.id, donor.id));
                }
                self.summary.published += 1;
                self.summary.bytes += replica.header(shard).await.map_or(0, |header| header.counts.bytes);
            }
        }
        Ok(())
    }

    fn node(&self, name: Option<NodeId>) -> SimNode {
        name.and_then(|name| self.world.node(&name)).expect("it was started")
    }
}

/// Starts again whatever ends.
async fn supervise(world: SimWorld) {
    loop {
        for node in world.all_nodes() {
            world.inject(&Fault::Restart(node.id));
        }
        world.sleep(AGAIN_AFTER).await;
    }
}

/// Brings shards up at a node until it has them, however often it crashes. Says how many plans it took,
/// and when it was done.
async fn bring_up(world: SimWorld, name: NodeId, shards: Vec<ShardId>) -> (u64, Instant) {
    let mut plans = 0;
    loop {
        plans += 1;
        let node = loop {
            let node = world.node(&name).expect("it was started");
            if node.is_running() {
                break node;
            }
            world.sleep(AGAIN_AFTER).await;
        };
        let plan = node.bring_up(&shards);
        let crashed = async {
            // A plan of a process that is gone never ends.
            while node.is_running() {
                world.sleep(AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            biased;
            outcome = plan => if outcome.is_completed() { return (plans, Instant::now()) },
            () = crashed => {}
        }
        world.sleep(AGAIN_AFTER).await;
    }
}
