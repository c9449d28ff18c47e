//! A scenario is run: the fleet starts, faults come, they end, and progress is demanded.

use std::cell::OnceCell;
use std::fmt;
use std::time::Duration;

use peerstream_engine::EngineConfig;
use peerstream_snapshot::directory::StoreOptions;
use peerstream_types::{ByteCount, ByteRate, DatasetKind, NodeId, ShardId};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::alike::are_alike;
use super::levels::Drawn;
use super::{Fleet, RunOptions, Scenario, Store, donor_names, replica_names};
use crate::disk::DiskSpec;
use crate::fault::{Fault, Supervisor, Timed};
use crate::flows::Flows;
use crate::invariant::VIOLATED;
use crate::network::UNLIMITED;
use crate::node::{BlockSpec, NodeSpec, SimNode, shard};
use crate::oracle::Account;
use crate::sim::Sim;
use crate::trace::Trace;
use crate::watch::{Blame, Watch};
use crate::workload::{BlockHistory, spoiled_key};
use crate::world::SimWorld;

/// How often the host of a block store writes to it, and how often in all.
const WRITE_EVERY: Duration = Duration::from_millis(20);
const WRITES: u64 = 50;

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
    /// Those of them that did something to somebody before everything was mended.
    pub acted: u64,
    /// Plans that replicas needed.
    pub plans: u64,
    /// Bytes of all shards at all replicas.
    pub bytes: u64,
    /// Bulk bytes that all nodes sent.
    pub sent: u64,
    /// Bytes that replicas received for nothing: they were there already, or were thrown away.
    pub wasted: u64,
}

/// How a run failed. Neither way to print it prints the trace, which has thousands of lines.
#[derive(Clone)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// What happened before, as far as it was kept.
    pub trace: String,
    /// Who fed whom until then; none if nothing was run.
    pub flows: Option<Flows>,
    /// The virtual time at which its trace ends; none if there is none.
    pub at: Option<Duration>,
}

impl Failure {
    /// Whether it is the same failure as another, but for numbers, hashes and ids.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        are_alike(&self.what, &other.what)
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
        let Self { published, took, faults, acted, plans, bytes, sent, wasted } = self;
        write!(f, "{published} shards published after {took:?}, with {plans} plans and {faults} faults, ")?;
        write!(f, "of which {acted} did something; ")?;
        write!(f, "{sent} bytes sent for {bytes}, {wasted} of them for nothing")
    }
}

impl Scenario {
    /// Runs it once.
    ///
    /// # Errors
    ///
    /// What does not hold, or how something panicked.
    pub fn run(&self, options: &RunOptions) -> Result<Done, Failure> {
        if let Err(error) = self.check(options) {
            return Err(Failure { what: error.to_string(), trace: String::new(), flows: None, at: None });
        }
        // They are found here however the run ends.
        let kept = OnceCell::new();
        let sim = Sim::new(options.network, options.seed)
            .link(self.link(options.network))
            .limit(Duration::from_secs(self.limit_s));
        let ran = sim.try_run(async |world| {
            let lines = world.trace().clone();
            let play = Play::new(self, options, world);
            kept.get_or_init(|| (play.flows.clone(), lines));
            play.run().await
        });
        let failure = |what, trace| {
            let (flows, lines): (Option<Flows>, Option<Trace>) = kept.get().cloned().unzip();
            Failure { what, trace, flows, at: lines.map(|lines| lines.last()) }
        };
        match ran {
            Ok((Ok((summary, flows)), trace)) => match self.falls_short(options, &summary) {
                None => Ok(Done { trace, summary, flows }),
                Some(what) => Err(failure(what, trace)),
            },
            Ok((Err(what), trace)) => Err(failure(what, trace)),
            Err((what, trace)) => Err(failure(with_found(&what, &trace), trace)),
        }
    }

    fn falls_short(&self, options: &RunOptions, summary: &Summary) -> Option<String> {
        self.too_slow(options, summary).or_else(|| self.too_much(summary))
    }

    fn too_much(&self, summary: &Summary) -> Option<String> {
        let Summary { wasted, bytes, .. } = *summary;
        let most = (bytes + wasted) / 1000 * u64::from(self.expect.wasted_per_mille?);
        (wasted > most).then(|| format!("{wasted} bytes came for nothing beside {bytes}, at most {most} may"))
    }

    fn too_slow(&self, options: &RunOptions, summary: &Summary) -> Option<String> {
        let percent = self.expect.percent_of_bound?;
        let most = self.bound(options)? * percent / 100;
        let took = summary.took;
        (took > most).then(|| format!("it took {took:?}, and may take {most:?}"))
    }
}

/// A panic, behind what the watch had found before.
fn with_found(what: &str, trace: &str) -> String {
    let found = trace.lines().filter_map(|line| line.split_once(" watch: ").map(|(_, found)| found));
    found.filter(|found| found.contains(VIOLATED)).chain([what]).collect::<Vec<_>>().join("\n")
}

/// What may go wrong for a while: every fault may make a shard fail, but entries are missing only where
/// one was spoiled, and only who was told to spoil it is named.
fn blame(faults: &[Timed], shards: &[ShardId], has_blocks: bool) -> Blame {
    let spoils =
        |timed: &Timed| matches!(timed.fault, Fault::CorruptEntry { .. } | Fault::ChangeEntry { .. });
    let mut blame = Blame::default();
    if !faults.iter().all(spoils) {
        blame = blame.outages();
    }
    for timed in faults {
        let (node, key) = if let Fault::CorruptEntry { node, entry } = &timed.fault {
            (node, spoiled_key(has_blocks, "large", *entry))
        } else if let Fault::ChangeEntry { node, entry } = &timed.fault {
            (node, spoiled_key(has_blocks, "small", *entry))
        } else {
            continue;
        };
        blame = shards.iter().fold(blame.peer(node), |blame, shard| blame.entry(shard, key.clone()));
    }
    blame
}

/// A replica that is brought up.
struct Rising {
    name: NodeId,
    task: JoinHandle<(u64, Instant)>,
    /// Plans that it took, and when it was up.
    up: Option<(u64, Instant)>,
}

impl Rising {
    fn begin(play: &Play<'_>, name: NodeId) -> Self {
        play.start_replica(&name);
        let (world, shards, id) = (play.world.clone(), play.shards.clone(), name.clone());
        let task = tokio::spawn(async move {
            let plans = world.bring_up(&id, &shards).await;
            (plans, Instant::now())
        });
        Self { name, task, up: None }
    }

    /// Waits until all are up; may be dropped and called again. One whose task panicked never is: the
    /// run fails by that.
    async fn all(rising: &mut [Self]) {
        for replica in rising.iter_mut().filter(|replica| replica.up.is_none()) {
            match (&mut replica.task).await {
                Ok(up) => replica.up = Some(up),
                Err(_) => std::future::pending().await,
            }
        }
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
    /// What is written to block stores, if there are any.
    written: Option<BlockHistory>,
    levels: Option<Drawn>,
    summary: Summary,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, options: &'a RunOptions, world: SimWorld) -> Self {
        let shards: Vec<_> = (0..scenario.content.shards).map(shard).collect();
        let (watch, flows) = (Watch::over(&world), Flows::of(&world));
        let faults = scenario.faults(options);
        let has_blocks = scenario.fleet.store == Store::Blocks;
        watch.blame(blame(&faults, &shards, has_blocks));
        let donors: Vec<NodeId> = donor_names(scenario.fleet.donors).collect();
        let written = has_blocks.then(|| BlockHistory::draw(options.seed, &shards[0], &donors));
        written.iter().for_each(|written| watch.written(written));
        let levels = scenario.levels.as_ref().map(|draw| Drawn::new(draw, options.seed));
        let summary = Summary::default();
        Self { scenario, options, world, watch, flows, faults, shards, written, levels, summary }
    }

    /// Plays it to its end. What the watch has found comes first: whatever else failed may follow from
    /// it.
    async fn run(mut self) -> Result<(Summary, Flows), String> {
        let played = self.play().await;
        let verdict = self.watch.end().await;
        let found = verdict.violations.iter().map(ToString::to_string);
        let wrong: Vec<String> = found.chain(played.err()).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        self.summary.sent = self.flows.totals().values().sum();
        let books = replica_names(self.options.replicas).filter_map(|name| verdict.books.nodes.get(&name));
        self.summary.wasted = books.map(Account::of).map(|account| account.duplicate + account.wasted).sum();
        Ok((self.summary, self.flows))
    }

    async fn play(&mut self) -> Result<(), String> {
        for name in donor_names(self.scenario.fleet.donors) {
            self.start_donor(name).await;
        }
        let started = Instant::now();
        let beside = self.begin_beside();
        let mut rising: Vec<_> =
            replica_names(self.options.replicas).map(|name| Rising::begin(self, name)).collect();
        let come = |(place, _): &(usize, _)| !self.options.without.contains(place);
        let faults: Vec<&Timed> =
            self.faults.iter().enumerate().filter(come).map(|(_, timed)| timed).collect();
        self.world.inject_all(faults.iter().copied()).await;
        self.summary.faults = faults.len() as u64;
        let mend_after = Duration::from_millis(self.scenario.mend_after_ms);
        let all_up = tokio::time::timeout(mend_after, Rising::all(&mut rising)).await.is_ok();
        self.summary.acted = self.world.faults_that_acted();
        let supervisor = self.mend();
        self.watch.calm();
        let within = Duration::from_secs(self.scenario.expect.within_s);
        if !all_up && tokio::time::timeout(within, Rising::all(&mut rising)).await.is_err() {
            let late = rising.iter().find(|replica| replica.up.is_none());
            let late = late.map(|replica| replica.name.to_string()).unwrap_or_default();
            return Err(format!("{late} is not up {within:?} after everything was mended"));
        }
        for (plans, up) in rising.into_iter().filter_map(|replica| replica.up) {
            self.summary.plans += plans;
            self.summary.took = self.summary.took.max(up - started);
        }
        drop(beside);
        self.watch.settle().await;
        drop(supervisor);
        self.check_equal().await
    }

    /// What goes on beside the bring-up: levels change, and hosts write.
    fn begin_beside(&self) -> JoinSet<()> {
        let (mut beside, replicas) =
            (JoinSet::new(), replica_names(self.options.replicas).collect::<Vec<NodeId>>());
        if let Some(levels) = &self.levels {
            levels.begin(&self.world);
            beside.spawn(levels.clone().change(self.world.clone(), replicas.clone()));
        }
        for (written, node) in
            self.written.iter().flat_map(|written| replicas.iter().map(move |n| (written, n)))
        {
            let (written, world, node) = (written.clone(), self.world.clone(), node.clone());
            beside.spawn(async move { written.write_meanwhile(&world, &node, WRITE_EVERY, WRITES).await });
        }
        beside
    }

    async fn start_donor(&self, name: NodeId) {
        let Fleet { read_ms, .. } = self.scenario.fleet;
        let spec = NodeSpec::donor(name.as_str());
        if let Some(written) = &self.written {
            let node = self.world.start(spec.with_store(BlockSpec::default()));
            self.cap(&name);
            node.faults.delay_reads(Duration::from_millis(read_ms));
            return written.fill(&node).await;
        }
        let node = self.world.start(spec);
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
        config.recovery.join_from = ByteCount(fleet.join_from_kib << 10);
        config.checkpoint_bytes = ByteCount(fleet.checkpoint_kib << 10);
        let kind = if self.levels.is_some() { DatasetKind::Identical } else { DatasetKind::Local };
        let spec = NodeSpec { config, kind, ..NodeSpec::replica(name.as_str()) };
        self.world.start(match fleet.store {
            Store::Memory => spec,
            Store::Disk => {
                let store = StoreOptions { lag: fleet.lag_kib << 10, ..StoreOptions::default() };
                spec.with_store(DiskSpec { store, ..DiskSpec::default() })
            }
            Store::Blocks => spec.with_store(BlockSpec::default()),
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

    /// Everything works again, as it did in the beginning.
    fn mend(&self) -> Supervisor {
        let supervisor = self.world.mend(&self.faults);
        let read = Duration::from_millis(self.scenario.fleet.read_ms);
        self.world.all_nodes().iter().for_each(|node| node.faults.delay_reads(read));
        supervisor
    }

    /// Everything that was published somewhere is the same everywhere. What is merged is for the watch.
    async fn check_equal(&mut self) -> Result<(), String> {
        let donor = self.node(donor_names(1).next());
        for name in replica_names(self.options.replicas) {
            let replica = self.node(Some(name));
            for shard in &self.shards {
                let (theirs, ours) = (donor.digest(shard).await, replica.digest(shard).await);
                if theirs != ours && self.written.is_none() || replica.current(shard).await.is_none() {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peerstream_snapshot::MemoryStore;

    use super::*;
    use crate::content::key;
    use crate::network::Network;
    use crate::planted::{Bug, Planted};

    fn failure(scenario: &Scenario, tamper: impl FnOnce(&SimWorld)) -> String {
        let options = scenario.options(1);
        let ran = Sim::new(Network::Memory, 1).try_run(async |world| {
            let play = Play::new(scenario, &options, world.clone());
            tamper(&world);
            play.run().await.map(drop)
        });
        ran.unwrap().0.unwrap_err()
    }

    #[test]
    fn what_the_watch_found_comes_before_what_followed_from_it() {
        let scenario = Scenario::default();
        let bug = Planted::new(Bug::PublishesNothing, MemoryStore::new());
        let what = failure(&scenario, |world| world.attach(Arc::new(bug)));
        let lines: Vec<&str> = what.lines().collect();
        assert!(lines[0].contains("is violated"), "{what}");
        assert!(lines.last().unwrap().contains("has another"), "{what}");
    }

    #[test]
    fn what_the_watch_found_comes_before_a_panic() {
        let trace = "0:00:00 a: boot\n0:00:01 watch: 0:00:01 ends is violated at a: it hangs\n0:00:02 a: x";
        assert_eq!(with_found("panicked", trace), "0:00:01 ends is violated at a: it hangs\npanicked");
    }

    /// Promise 9: an entry that no fault of the scenario spoiled may not be missing.
    #[test]
    fn a_scenario_answers_for_what_it_spoils_only() {
        let mut scenario: Scenario =
            "[fleet]\ndonors = 1\nread_ms = 5\n[content]\nlarge_kib = 64\n[expect]\nwithin_s = 5
            [[fault]]\nat_ms = 0\nrotate-certificate = 'donor-1'"
                .parse()
                .unwrap();
        let spoil = |world: &SimWorld| {
            let world = world.clone();
            tokio::spawn(async move {
                loop {
                    world.sleep(Duration::from_micros(1)).await;
                    world.all_nodes().iter().for_each(|node| node.faults.corrupt(key("large", 1)));
                }
            });
        };
        let what = failure(&scenario, spoil);
        assert!(what.contains("faults stay small is violated"), "{what}");
        scenario.fault = vec!["at_ms = 0\ncorrupt-entry = { node = 'donor-1', entry = 1 }"]
            .into_iter()
            .map(|text| toml::from_str(text).unwrap())
            .collect();
        let what = failure(&scenario, spoil);
        assert!(!what.contains("is violated"), "{what}");
    }
}
