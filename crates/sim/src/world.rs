//! A running simulation: its nodes, its network, its faults.

mod boot;
mod crashes;
mod cuts;
mod effects;
mod links;
mod trouble;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_types::{ClusterName, NodeId, Timestamp};

use crate::clock::SimWallClock;
use crate::fabric::FabricStats;
use crate::net::Net;
use crate::network::{LinkSpec, Network};
use crate::node::SimNode;
use crate::placement::SimPlacement;
use crate::random::Random;
use crate::seam::Seams;
use crate::trace::Trace;
pub use boot::StartError;
use cuts::Cuts;
use effects::Injected;
pub use links::Place;

/// The stream of numbers that faults are drawn from.
const CHANCE: u64 = 3_000;
/// How often [`SimWorld::until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Where nodes are, by name and cluster.
type Names = BTreeMap<(NodeId, Option<ClusterName>), SocketAddr>;

/// A running simulation. Clones are the same one.
#[derive(Debug, Clone)]
pub struct SimWorld(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    network: Network,
    link: LinkSpec,
    net: Net,
    clock: SimWallClock,
    trace: Trace,
    placement: SimPlacement,
    seams: Seams,
    nodes: Mutex<BTreeMap<SocketAddr, SimNode>>,
    names: Mutex<Names>,
    chance: Mutex<Random>,
    cuts: Mutex<Cuts>,
    injected: Mutex<Vec<Injected>>,
}

impl SimWorld {
    pub(crate) fn new(seed: u64, network: Network, link: LinkSpec) -> Self {
        Self(Arc::new(Inner {
            seed,
            network,
            link,
            net: Net::new(network, seed, link),
            clock: SimWallClock::start(),
            trace: Trace::start(),
            placement: SimPlacement::default(),
            seams: Seams::default(),
            nodes: Mutex::default(),
            names: Mutex::default(),
            chance: Mutex::new(Random::fork(seed, CHANCE)),
            cuts: Mutex::default(),
            injected: Mutex::default(),
        }))
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cuts(&self) -> MutexGuard<'_, Cuts> {
        self.0.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, SimNode>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The network of the run.
    pub fn network(&self) -> Network {
        self.0.network
    }

    /// What the links of the run are like in the beginning.
    pub fn link(&self) -> LinkSpec {
        self.0.link
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Timestamp {
        self.0.trace.now()
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// Who holds what, as the nodes see it.
    pub fn placement(&self) -> &SimPlacement {
        &self.0.placement
    }

    pub(crate) fn seams(&self) -> &Seams {
        &self.0.seams
    }

    /// What crossed the network: datagrams over QUIC, writes to streams in memory.
    pub fn datagrams(&self) -> FabricStats {
        self.0.net.stats()
    }

    /// A node in its present life, or in its last one if it has crashed. Of nodes of several clusters
    /// with this name, one.
    pub fn node(&self, id: &NodeId) -> Option<SimNode> {
        let names = self.names();
        let (_, addr) = names.range((id.clone(), None)..).next().filter(|((name, _), _)| name == id)?;
        self.nodes().get(addr).cloned()
    }

    /// All nodes, each in its present life, in the order in which they were first started.
    pub fn all_nodes(&self) -> Vec<SimNode> {
        self.nodes().values().cloned().collect()
    }

    /// The present life of a node of which any life is shown.
    fn present(&self, node: &SimNode) -> SimNode {
        self.nodes().get(&node.addr).cloned().unwrap_or_else(|| node.clone())
    }

    /// A number below `limit` that the seed tells, for faults that leave something to chance.
    fn chance(&self, limit: u64) -> u64 {
        self.0.chance.lock().unwrap_or_else(PoisonError::into_inner).below(limit)
    }

    /// Waits in virtual time until something is so.
    pub async fn until(&self, mut is_so: impl FnMut() -> bool) {
        while !is_so() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits in virtual time.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Adds what every node shows of its plans and what the network counted to the trace.
    pub(crate) fn conclude(&self) {
        for node in self.nodes().values() {
            for plan in node.engine.plans() {
                self.0.trace.note(node.id.as_str(), format_args!("{plan:?}"));
            }
            let (sent, asked) = (node.sent(), node.asked_for());
            self.0.trace.note(node.id.as_str(), format_args!("sent {sent}, asked for {asked}"));
        }
        self.0.trace.note("network", format_args!("{:?}", self.datagrams()));
        for (who, effect) in self.effects() {
            self.0.trace.note(&who, format_args!("took effect: {effect}"));
        }
    }
}
