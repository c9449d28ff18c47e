//! Either network, as the world drives it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use peerstream_quic::{CertificateAuthority, Credentials, Determinism, QuicConfig, QuicTransport};
use peerstream_transport::memory::MemoryNetwork;
use peerstream_transport::{PeerIdentity, Transport};
use peerstream_types::{ClusterName, WallClock};

use crate::clock::SimWallClock;
use crate::fabric::{Fabric, FabricStats};
use crate::network::{LinkSpec, Network};

/// How long certificates of a simulation are valid: longer than any run.
const VALID_DAYS: u32 = 3_650;

#[derive(Debug)]
pub(crate) enum Net {
    Memory(MemoryNetwork),
    Quic { fabric: Fabric, authorities: Mutex<BTreeMap<ClusterName, Arc<CertificateAuthority>>> },
}

impl Net {
    pub(crate) fn new(network: Network, seed: u64, link: LinkSpec) -> Self {
        match network {
            Network::Memory => Self::Memory(MemoryNetwork::new()),
            Network::Quic => Self::Quic { fabric: Fabric::new(seed, link), authorities: Mutex::default() },
        }
    }

    /// A node's way to the others. One that was at this address before is dead from now on.
    pub(crate) fn transport(
        &self,
        identity: PeerIdentity,
        addr: SocketAddr,
        seed: u64,
        clock: SimWallClock,
    ) -> Arc<dyn Transport> {
        match self {
            Self::Memory(network) => {
                network.crash(addr);
                Arc::new(network.node(identity, addr))
            }
            Self::Quic { fabric, .. } => {
                let own = self.credentials(&identity, clock.unix_ms());
                let (config, determinism) = (QuicConfig::default(), Determinism { seed });
                let socket = Arc::new(fabric.socket(addr));
                let transport = QuicTransport::on_socket(socket, &config, &own, Arc::new(clock), determinism);
                Arc::new(transport.expect("the simulation's own settings are fine"))
            }
        }
    }

    /// Every cluster has its own authority, so nodes of two clusters do not trust each other.
    fn credentials(&self, identity: &PeerIdentity, now: u64) -> Credentials {
        let authority = self.authority(&identity.cluster, now);
        let node = authority.issue(&identity.node, VALID_DAYS, now).expect("the clock is in range");
        Credentials::from_pem(authority.certificate_pem(), &node.chain_pem, node.key_pem.expose())
            .expect("the authority's own certificates are usable")
    }

    fn authority(&self, cluster: &ClusterName, now: u64) -> Arc<CertificateAuthority> {
        let new = || {
            let made = CertificateAuthority::init(cluster, VALID_DAYS, now);
            Arc::new(made.expect("the clock is in range"))
        };
        match self {
            Self::Memory(_) => new(),
            Self::Quic { authorities, .. } => {
                let mut authorities = authorities.lock().unwrap_or_else(PoisonError::into_inner);
                authorities.entry(cluster.clone()).or_insert_with(new).clone()
            }
        }
    }

    pub(crate) fn crash(&self, addr: SocketAddr) {
        match self {
            Self::Memory(network) => network.crash(addr),
            Self::Quic { fabric, .. } => fabric.crash(addr),
        }
    }

    pub(crate) fn cut(&self, a: SocketAddr, b: SocketAddr) {
        match self {
            Self::Memory(network) => network.cut(a, b),
            Self::Quic { fabric, .. } => fabric.cut(a, b),
        }
    }

    pub(crate) fn heal(&self, a: SocketAddr, b: SocketAddr) {
        match self {
            Self::Memory(network) => network.heal(a, b),
            Self::Quic { fabric, .. } => fabric.heal(a, b),
        }
    }

    pub(crate) fn shape(&self, a: SocketAddr, b: SocketAddr, link: LinkSpec) {
        match self {
            Self::Memory(_) => {}
            Self::Quic { fabric, .. } => fabric.shape(a, b, link),
        }
    }

    pub(crate) fn stats(&self) -> FabricStats {
        match self {
            Self::Memory(_) => FabricStats::default(),
            Self::Quic { fabric, .. } => fabric.stats(),
        }
    }
}
