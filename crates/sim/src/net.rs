//! Either network, as the world drives it.

mod line;
mod memory;
mod paths;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerstream_quic::{BindError, CertificateAuthority, Credentials, Determinism, QuicConfig, QuicTransport};
use peerstream_transport::PeerIdentity;
use peerstream_types::{ByteRate, ClusterName};

use crate::clock::SimWallClock;
use crate::fabric::{Fabric, FabricStats};
use crate::fault::Effect;
use crate::network::{LinkSpec, Network};
use crate::node::Uplink;
use memory::LinkedNetwork;
pub(crate) use paths::{Cap, Paths, Way};

/// How long the certificate of an authority is valid: longer than any run.
const AUTHORITY_VALID_DAYS: u32 = 3_650;

#[derive(Debug)]
pub(crate) enum Net {
    Memory(LinkedNetwork),
    Quic {
        fabric: Fabric,
        authorities: Mutex<BTreeMap<ClusterName, Arc<CertificateAuthority>>>,
        /// What each node has, and has again when it starts again.
        issued: Mutex<BTreeMap<SocketAddr, Credentials>>,
    },
}

impl Net {
    pub(crate) fn new(network: Network, seed: u64, link: LinkSpec) -> Self {
        match network {
            Network::Memory => Self::Memory(LinkedNetwork::new(link)),
            Network::Quic => Self::Quic {
                fabric: Fabric::new(seed, link),
                authorities: Mutex::default(),
                issued: Mutex::default(),
            },
        }
    }

    /// A node's way to the others, with a certificate for so many days from now on, or with the one that
    /// the node had before. One that was at this address before is dead from now on. By a clock that is
    /// wrong, the certificate may not be valid.
    pub(crate) fn uplink(
        &self,
        identity: &PeerIdentity,
        addr: SocketAddr,
        seed: u64,
        clock: SimWallClock,
        valid_days: u32,
    ) -> Result<Uplink, BindError> {
        match self {
            Self::Memory(network) => Ok(Uplink::memory(network.node(identity.clone(), addr))),
            Self::Quic { fabric, issued, .. } => {
                let had = lock(issued).get(&addr).cloned();
                let own = had.unwrap_or_else(|| self.issue(identity, addr, valid_days, clock.true_unix_ms()));
                let (config, determinism) = (QuicConfig::default(), Determinism { seed });
                let socket = Arc::new(fabric.socket(addr));
                let transport = QuicTransport::on_socket(socket, &config, &own, Arc::new(clock), determinism);
                transport.map(Uplink::quic)
            }
        }
    }

    /// Gives a node a new certificate from the cluster's own authority. Every cluster has one, so nodes
    /// of two clusters do not trust each other.
    pub(crate) fn issue(
        &self,
        identity: &PeerIdentity,
        addr: SocketAddr,
        valid_days: u32,
        now: u64,
    ) -> Credentials {
        let authority = self.authority(&identity.cluster, now);
        let node = authority.issue(&identity.node, valid_days, now).expect("the clock is in range");
        let new = Credentials::from_pem(authority.certificate_pem(), &node.chain_pem, node.key_pem.expose())
            .expect("the authority's own certificates are usable");
        if let Self::Quic { issued, .. } = self {
            lock(issued).insert(addr, new.clone());
        }
        new
    }

    fn authority(&self, cluster: &ClusterName, now: u64) -> Arc<CertificateAuthority> {
        let new = || {
            let made = CertificateAuthority::init(cluster, AUTHORITY_VALID_DAYS, now);
            Arc::new(made.expect("the clock is in range"))
        };
        match self {
            Self::Memory(_) => new(),
            Self::Quic { authorities, .. } => {
                lock(authorities).entry(cluster.clone()).or_insert_with(new).clone()
            }
        }
    }

    pub(crate) fn crash(&self, addr: SocketAddr) {
        match self {
            Self::Memory(network) => network.crash(addr),
            Self::Quic { fabric, .. } => fabric.crash(addr),
        }
    }

    /// Parts two nodes.
    pub(crate) fn cut(&self, a: SocketAddr, b: SocketAddr, counts_as: Effect) {
        match self {
            Self::Memory(network) => network.cut(a, b, counts_as),
            Self::Quic { fabric, .. } => fabric.with_paths(|paths| paths.part((a, b), counts_as)),
        }
    }

    /// Lets nothing through in one direction.
    pub(crate) fn cut_one_way(&self, way: Way) {
        match self {
            Self::Memory(network) => network.cut_one_way(way),
            Self::Quic { fabric, .. } => fabric.with_paths(|paths| paths.cut(way, Effect::CutOneWay)),
        }
    }

    /// Ends all cuts between two nodes.
    pub(crate) fn heal(&self, a: SocketAddr, b: SocketAddr) {
        match self {
            Self::Memory(network) => network.heal(a, b),
            Self::Quic { fabric, .. } => fabric.with_paths(|paths| paths.heal((a, b))),
        }
    }

    /// Limits what a node sends and receives over all its links.
    pub(crate) fn cap(&self, addr: SocketAddr, up: ByteRate, down: ByteRate) {
        match self {
            Self::Memory(network) => network.with_paths(|paths| paths.cap(addr, up, down)),
            Self::Quic { fabric, .. } => fabric.cap(addr, up, down),
        }
    }

    /// Changes what the ways between nodes are like.
    pub(crate) fn with_paths<T>(&self, change: impl FnOnce(&mut Paths) -> T) -> T {
        match self {
            Self::Memory(network) => network.with_paths(change),
            Self::Quic { fabric, .. } => fabric.with_paths(change),
        }
    }

    pub(crate) fn stats(&self) -> FabricStats {
        match self {
            Self::Memory(network) => network.stats(),
            Self::Quic { fabric, .. } => fabric.stats(),
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
