//! Watches a run: counts what passes, looks at every node now and then, and holds what it sees
//! against the [invariants](crate::invariant).
//!
//! ```
//! use peerstream_sim::watch::Watch;
//! use peerstream_sim::{Content, Network, Sim, shard};
//!
//! Sim::new(Network::Memory, 7).run(async |world| {
//!     let watch = Watch::over(&world); // before the first node starts
//!     let donor = world.donor("donor");
//!     Content::small(100).fill(&donor.store, &shard(0), 1);
//!     let replica = world.replica("replica");
//!     let plan = replica.bring_up(&[shard(0)]);
//!     watch.calm(); // there are no faults, or no more: from here on it has to end
//!     assert!(plan.await.is_completed());
//!     watch.end().await.expect_clean();
//! });
//! ```

mod ballots;
mod blame;
mod books;
mod control_tap;
mod kept;
mod ledger;
mod look;
mod meter;
mod shape_tap;
mod snapshot_tap;
mod store_tap;
mod view;
mod wire_tap;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_engine::{Dataset, Engine, Parts, ShardProgress};
use peerstream_snapshot::{Sink, Source};
use peerstream_types::{NodeId, Timestamp};

pub use ballots::Ballots;
pub use blame::Blame;
pub use books::{Books, Denied, Moved, NodeBooks};
pub use kept::{ChunkName, Stored};
pub use ledger::{Image, Ledger, Seen};
pub use view::{NodeView, View, Visible};

use crate::invariant::{self, Invariant, Violation};
use crate::seam::{Boot, Seam};
use crate::trace::Trace;
use crate::workload::BlockHistory;
use crate::world::SimWorld;
use ballots::Voting;
use books::SharedBooks;
use kept::Toll;
use look::{Glimpses, Looks};
use shape_tap::TapShaper;
use store_tap::{TapSink, TapSource};
use wire_tap::{Place, TapTransport};

/// How often a watch looks, in virtual time: often enough to see a transfer of a few hundred
/// milliseconds several times.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it looks at the least, when nothing changes: minutes of waiting are cheap then.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// Most violations that are kept: one bug shows itself at every look.
const VIOLATIONS_MAX: usize = 64;

/// Changes what is seen of a node before it is checked: a handle that lies.
pub type Distortion = Box<dyn FnMut(&NodeId, &mut NodeView) + Send>;

/// Watches a run, from [`Watch::over`] to [`Watch::end`].
#[derive(Debug)]
pub struct Watch {
    world: SimWorld,
    taps: Arc<Taps>,
    checks: Arc<tokio::sync::Mutex<Checks>>,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

/// What a scenario says to its watch.
#[derive(Debug, Clone, Default)]
struct State {
    blame: Option<Blame>,
    written: Option<BlockHistory>,
    calm_since: Option<Timestamp>,
}

/// What a watch remembers from look to look.
struct Checks {
    invariants: Vec<Box<dyn Invariant>>,
    distortion: Option<Distortion>,
    violations: Vec<Violation>,
    /// Where the plans stood.
    plans: Vec<Vec<ShardProgress>>,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} invariants, {} violations", self.invariants.len(), self.violations.len())
    }
}

/// A node's life, as far as a watch needs it.
#[derive(Debug, Clone)]
struct Life {
    boot: Boot,
    /// `None` while the node is down.
    engine: Option<Engine>,
}

/// The seam of a watch.
#[derive(Debug)]
struct Taps {
    books: SharedBooks,
    looks: Looks,
    lives: Mutex<BTreeMap<NodeId, Life>>,
    /// How often each node had lost its power when it booted last.
    power_losses: Mutex<BTreeMap<NodeId, usize>>,
    trace: Trace,
}

impl Taps {
    fn lives(&self) -> MutexGuard<'_, BTreeMap<NodeId, Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no node that runs has anything under way.
    fn are_settled(&self) -> bool {
        let lives = self.lives();
        let engines = lives.iter().filter_map(|(id, life)| Some((id, life.engine.as_ref()?)));
        let mut busy = engines.filter(|(id, engine)| {
            engine.sessions() > 0
                || self.books.lock().node(id).leases > 0
                || engine.plans().iter().any(|plan| plan.result.is_none())
        });
        busy.next().is_none()
    }

    fn glimpses(&self, boot: &Boot) -> Glimpses {
        Glimpses { boot: boot.clone(), looks: self.looks.clone(), books: self.books.clone() }
    }

    /// What the end of a node's last life may have cost. A loss of power may come after a kill, before
    /// the node is started again.
    fn toll(&self, boot: &Boot) -> Toll {
        let lost = format!(" {}: power is lost", boot.node());
        let losses = self.trace.count(|line| line.contains(&lost));
        let mut known = self.power_losses.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(boot.node().clone(), losses).unwrap_or(0);
        if losses > before || self.trace.is_full() {
            let (config, recovery) = (&boot.config, &boot.config.recovery);
            let windows = recovery.window.0.saturating_mul(recovery.sources_max.into());
            let unsynced = config.checkpoint_bytes.0.saturating_add(windows);
            return Toll::PowerLost { unsynced };
        }
        Toll::Killed { lag: boot.lag.map(|lag| lag.0) }
    }

    fn booted(&self, boot: &Boot) {
        let is_first = self.books.lock().node(boot.node()).boots == 0;
        // Nothing is lost at the beginning, and a trace is long to search.
        let toll = (!is_first).then(|| self.toll(boot));
        {
            let mut books = self.books.lock();
            let books = books.node(boot.node());
            books.boots += 1;
            books.leases = 0;
            books.offers.clear();
            toll.into_iter().for_each(|toll| books.stored.booted(toll));
        }
        self.glimpses(boot).take_all();
    }
}

impl Seam for Taps {
    fn wrap(&self, boot: &Boot, parts: Parts) -> Parts {
        let (node, books) = (boot.node().clone(), self.books.clone());
        self.booted(boot);
        let datasets = parts.datasets.names();
        for name in &datasets {
            let Some(Dataset { source, sink, kind, positions }) = parts.datasets.get(name) else { continue };
            let (node, books) = (node.clone(), books.clone());
            let source = source.zip(boot.store.source.clone()).map(|(inner, truth)| {
                let (node, books) = (node.clone(), books.clone());
                Arc::new(TapSource { inner, truth, node, books }) as Arc<dyn Source>
            });
            let (truth, glimpses) = (boot.store.source.clone(), self.glimpses(boot));
            let twice_per_mille = boot.config.recovery.twice_per_mille;
            let voting = Voting {
                node: node.clone(),
                kind,
                levels: parts.levels.clone(),
                placement: parts.placement.clone(),
            };
            let sink = sink.map(|inner| {
                let tap = TapSink { inner, truth, glimpses, node, books, twice_per_mille, voting };
                Arc::new(tap) as Arc<dyn Sink>
            });
            parts.datasets.insert(name.clone(), Dataset { source, sink, kind, positions });
        }
        let place = Place { node: node.clone(), access: boot.access.clone(), datasets, books: books.clone() };
        let transport = Arc::new(TapTransport { inner: parts.transport, place });
        let shaper = Arc::new(TapShaper { inner: parts.shaper, node, books });
        Parts { transport, shaper, ..parts }
    }

    fn started(&self, boot: &Boot, engine: &Engine) {
        let life = Life { boot: boot.clone(), engine: Some(engine.clone()) };
        self.lives().insert(boot.node().clone(), life);
    }

    fn crashed(&self, node: &NodeId) {
        let life = self.lives().get_mut(node).map(|life| (life.boot.clone(), life.engine.take()));
        if let Some((boot, Some(engine))) = life {
            self.glimpses(&boot).take_all();
            self.books.lock().reach.visited(&engine.visited());
        }
    }
}

impl Watch {
    /// Watches all nodes that start from now on, and checks every invariant that holds in any run.
    pub fn over(world: &SimWorld) -> Self {
        Self::with(world, invariant::all())
    }

    /// Watches with these invariants.
    pub fn with(world: &SimWorld, invariants: Vec<Box<dyn Invariant>>) -> Self {
        let taps = Arc::new(Taps {
            books: SharedBooks::default(),
            looks: Looks::default(),
            lives: Mutex::default(),
            power_losses: Mutex::default(),
            trace: world.trace().clone(),
        });
        world.attach(taps.clone());
        let checks = Checks { invariants, distortion: None, violations: Vec::new(), plans: Vec::new() };
        let checks = Arc::new(tokio::sync::Mutex::new(checks));
        let state: Arc<Mutex<State>> = Arc::default();
        let task = {
            let (world, taps, checks, state) =
                (world.clone(), taps.clone(), checks.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                let mut every = LOOK_EVERY;
                loop {
                    tokio::time::sleep(every).await;
                    let has_changed = checks.lock().await.look(&world, &taps, &state, false).await;
                    every = if has_changed { LOOK_EVERY } else { LOOK_AT_LEAST_EVERY.min(2 * every) };
                }
            })
        };
        Self { world: world.clone(), taps, checks, state, task }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is broken for good; everything else has to come up all the same.
    pub fn blame(&self, blame: Blame) {
        self.state().blame = Some(blame);
    }

    /// Says what was written to block stores, and is written from now on.
    pub fn written(&self, history: &BlockHistory) {
        self.state().written = Some(history.clone());
    }

    /// Says that no fault is left: from now on everything has to end.
    pub fn calm(&self) {
        let now = self.world.now();
        self.state().calm_since.get_or_insert(now);
    }

    /// Says that there are faults again.
    pub fn stormy(&self) {
        self.state().calm_since = None;
    }

    /// Changes what is seen of nodes before it is checked.
    pub async fn distort(&self, distortion: impl FnMut(&NodeId, &mut NodeView) + Send + 'static) {
        self.checks.lock().await.distortion = Some(Box::new(distortion));
    }

    /// Looks at what was counted so far.
    pub fn books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.taps.books.lock())
    }

    /// Waits until every plan and every session of every node has ended and no snapshot is open, or
    /// [`ends`](invariant::ends) says that it takes too long.
    pub async fn settle(&self) {
        let until = self.world.now() + invariant::ends::WITHIN + LOOK_EVERY;
        let mut every = LOOK_EVERY;
        while !self.taps.are_settled() && self.world.now() < until {
            tokio::time::sleep(every).await;
            every = LOOK_AT_LEAST_EVERY.min(2 * every);
        }
    }

    /// Looks a last time; gives all that was found.
    pub async fn end(self) -> Verdict {
        self.task.abort();
        let mut checks = self.checks.lock().await;
        // Where a shorter run with the same seed would differ from a longer one.
        self.world.trace().note("watch", "looks for the last time");
        checks.look(&self.world, &self.taps, &self.state, true).await;
        let engines: Vec<_> = self.taps.lives().values().filter_map(|life| life.engine.clone()).collect();
        let mut books = self.taps.books.lock();
        engines.iter().for_each(|engine| books.reach.visited(&engine.visited()));
        Verdict { violations: std::mem::take(&mut checks.violations), books: std::mem::take(&mut *books) }
    }
}

impl Checks {
    /// Holds a moment against the invariants; says whether plans stand elsewhere than before.
    async fn look(&mut self, world: &SimWorld, taps: &Taps, state: &Mutex<State>, is_last: bool) -> bool {
        let lives = taps.lives().clone();
        let mut nodes = taps.looks.look(&lives, &taps.books, is_last).await;
        if let Some(distortion) = &mut self.distortion {
            nodes.iter_mut().for_each(|(id, node)| distortion(id, node));
        }
        let plans =
            nodes.values().flat_map(|node| node.plans.iter().map(|plan| plan.shards.clone())).collect();
        let before = std::mem::replace(&mut self.plans, plans);
        let has_changed = before != self.plans;
        let State { blame, written, calm_since } =
            state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut books = taps.books.lock();
        for (id, node) in &nodes {
            node.visible.iter().for_each(|(shard, visible)| books.node(id).shows(shard, visible.generation));
        }
        let (now, trace, blame, written) = (world.now(), world.trace(), blame.as_ref(), written.as_ref());
        let view = View { now, nodes: &nodes, books: &books, trace, blame, written, calm_since, is_last };
        for invariant in &mut self.invariants {
            for finding in invariant.check(&view) {
                let violation = Violation { invariant: invariant.name(), at: now, finding };
                let is_new = self.violations.iter().all(|known| !known.is_same(&violation));
                if is_new && self.violations.len() < VIOLATIONS_MAX {
                    trace.note("watch", &violation);
                    self.violations.push(violation);
                }
            }
        }
        books.glimpses.clear();
        has_changed
    }
}

/// What a watch has found.
#[derive(Debug)]
pub struct Verdict {
    /// Broken promises, in the order in which they were seen.
    pub violations: Vec<Violation>,
    /// What was counted.
    pub books: Books,
}

impl Verdict {
    /// Demands that nothing was found.
    ///
    /// # Panics
    ///
    /// With everything that was found.
    pub fn expect_clean(&self) {
        let shown: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "{}", shown.join("\n"));
    }
}
