//! A running simulation: its nodes, its network, its faults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_engine::{Engine, Parts};
use peerstream_shape::PassThrough;
use peerstream_snapshot::offload::Inline;
use peerstream_transport::access::SharedAccess;
use peerstream_types::{Incarnation, Timestamp};

use crate::clock::SimWallClock;
use crate::fabric::FabricStats;
use crate::faults::Faults;
use crate::net::Net;
use crate::network::{LinkSpec, Network};
use crate::node::{NodeSpec, SimNode};
use crate::placement::SimPlacement;
use crate::random::Random;
use crate::trace::Trace;

/// How often [`SimWorld::until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A running simulation. Clones are the same one.
#[derive(Debug, Clone)]
pub struct SimWorld(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    network: Network,
    net: Net,
    clock: SimWallClock,
    trace: Trace,
    placement: SimPlacement,
    nodes: Mutex<BTreeMap<SocketAddr, SimNode>>,
}

impl SimWorld {
    pub(crate) fn new(seed: u64, network: Network, link: LinkSpec) -> Self {
        Self(Arc::new(Inner {
            seed,
            network,
            net: Net::new(network, seed, link),
            clock: SimWallClock::start(),
            trace: Trace::start(),
            placement: SimPlacement::default(),
            nodes: Mutex::default(),
        }))
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

    /// What crossed the datagram network; nothing on [`Network::Memory`].
    pub fn datagrams(&self) -> FabricStats {
        self.0.net.stats()
    }

    /// Starts a node that holds shards.
    ///
    /// # Panics
    ///
    /// If the name is taken or is none.
    pub fn donor(&self, name: &str) -> SimNode {
        self.start(NodeSpec::donor(name))
    }

    /// Starts a node to be brought up.
    ///
    /// # Panics
    ///
    /// If the name is taken or is none.
    pub fn replica(&self, name: &str) -> SimNode {
        self.start(NodeSpec::replica(name))
    }

    /// Starts a node.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn start(&self, spec: NodeSpec) -> SimNode {
        let number = u16::try_from(self.nodes().len() + 1).expect("at most 65,535 nodes");
        let [high, low] = number.to_be_bytes();
        let taken =
            self.nodes().values().any(|node| node.id == spec.node && node.spec.cluster == spec.cluster);
        assert!(!taken, "{} is running already", spec.node);
        self.boot(spec, ([10, 0, high, low], 7400).into(), Incarnation(1), Faults::none())
    }

    /// Starts a node again after a crash: the same name, place and store, a newer boot.
    pub fn restart(&self, node: &SimNode) -> SimNode {
        let incarnation = Incarnation(node.incarnation.0 + 1);
        self.boot(node.spec.clone(), node.addr, incarnation, node.faults.clone())
    }

    fn boot(&self, spec: NodeSpec, addr: SocketAddr, incarnation: Incarnation, faults: Faults) -> SimNode {
        let world = &self.0;
        let salt = addr_number(addr) << 16 | incarnation.0;
        let seed = Random::fork(world.seed, salt).draw();
        let identity =
            peerstream_transport::PeerIdentity { cluster: spec.cluster.clone(), node: spec.node.clone() };
        world.placement.add(&spec.node, addr);
        if spec.holder {
            world.placement.add_holder(&spec.node);
        }
        let datasets = SimNode::datasets_of(&spec, &faults);
        let (shaper, access) = (Arc::new(PassThrough::default()), SharedAccess::new(spec.access.clone()));
        let parts = Parts {
            node: spec.node.clone(),
            cluster: spec.cluster.clone(),
            incarnation,
            transport: world.net.transport(identity, addr, seed, world.clock),
            datasets: datasets.clone(),
            placement: Arc::new(world.placement.clone()),
            access: access.clone(),
            shaper: shaper.clone(),
            offload: Arc::new(Inline),
            wall_clock: Arc::new(world.clock),
            seed,
        };
        world.trace.note(spec.node.as_str(), format_args!("boot {incarnation} at {addr}"));
        let node = SimNode {
            id: spec.node.clone(),
            addr,
            engine: Engine::start(spec.config.clone(), parts),
            store: spec.store.clone(),
            faults,
            shaper,
            access,
            datasets,
            spec,
            incarnation,
            trace: world.trace.clone(),
        };
        self.nodes().insert(addr, node.clone());
        node
    }

    /// Kills a node as `kill -9` and a pulled plug do; its store stays. On [`Network::Quic`] its
    /// peers hear nothing more and find out by themselves; in memory they are told at once.
    pub fn crash(&self, node: &SimNode) {
        self.0.trace.note(node.id.as_str(), "crash");
        self.0.net.crash(node.addr);
    }

    /// Parts two nodes, until [`SimWorld::heal`].
    pub fn cut(&self, a: &SimNode, b: &SimNode) {
        self.0.trace.note(a.id.as_str(), format_args!("cut from {}", b.id));
        self.0.net.cut(a.addr, b.addr);
    }

    /// Lets two nodes reach each other again.
    pub fn heal(&self, a: &SimNode, b: &SimNode) {
        self.0.trace.note(a.id.as_str(), format_args!("healed with {}", b.id));
        self.0.net.heal(a.addr, b.addr);
    }

    /// Changes the links between two nodes; without effect on [`Network::Memory`].
    pub fn shape(&self, a: &SimNode, b: &SimNode, link: LinkSpec) {
        self.0.net.shape(a.addr, b.addr, link);
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
    }
}

fn addr_number(addr: SocketAddr) -> u64 {
    match addr.ip() {
        std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => ip.to_bits() as u64,
    }
}
