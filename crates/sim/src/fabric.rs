//! The datagram network below simulated QUIC: FIFO links with latency, rate, queue and loss.

mod link;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::network::LinkSpec;
use crate::random::Random;
use link::Link;
pub(crate) use socket::FabricSocket;
use socket::Inbox;

/// What crossed the network, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FabricStats {
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams lost at random.
    pub lost: u64,
    /// Datagrams that found a queue full.
    pub overflowed: u64,
    /// Datagrams to and from nowhere: cut links, crashed nodes.
    pub dropped: u64,
    /// Time, ends and length of every datagram sent, hashed: equal runs have equal hashes. Content
    /// is left out, because keys and so ciphertexts are never the same.
    pub hash: u64,
}

/// The network of one simulation. Clones are the same network.
#[derive(Debug, Clone)]
pub(crate) struct Fabric {
    origin: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    spec: LinkSpec,
    special: BTreeMap<(SocketAddr, SocketAddr), LinkSpec>,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    inboxes: BTreeMap<SocketAddr, Arc<Inbox>>,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    random: Random,
    sequence: u64,
    stats: FabricStats,
}

impl Fabric {
    pub(crate) fn new(seed: u64, spec: LinkSpec) -> Self {
        let state = State {
            spec,
            special: BTreeMap::new(),
            links: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            random: Random::fork(seed, 1),
            sequence: 0,
            stats: FabricStats::default(),
        };
        Self { origin: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a socket; one that was open at this address before is dead from now on.
    pub(crate) fn socket(&self, addr: SocketAddr) -> FabricSocket {
        let inbox = Arc::new(Inbox::default());
        if let Some(before) = self.lock().inboxes.insert(addr, inbox.clone()) {
            before.kill();
        }
        FabricSocket::new(self.clone(), addr, inbox)
    }

    /// Silences a node: nothing leaves it or reaches it any more.
    pub(crate) fn crash(&self, addr: SocketAddr) {
        if let Some(inbox) = self.lock().inboxes.remove(&addr) {
            inbox.kill();
        }
    }

    pub(crate) fn cut(&self, a: SocketAddr, b: SocketAddr) {
        self.lock().cuts.insert(ordered(a, b));
    }

    pub(crate) fn heal(&self, a: SocketAddr, b: SocketAddr) {
        self.lock().cuts.remove(&ordered(a, b));
    }

    /// Changes both directions between two nodes.
    pub(crate) fn shape(&self, a: SocketAddr, b: SocketAddr, spec: LinkSpec) {
        let mut state = self.lock();
        state.special.insert((a, b), spec);
        state.special.insert((b, a), spec);
    }

    pub(crate) fn stats(&self) -> FabricStats {
        self.lock().stats
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let mut state = self.lock();
        state.count(now - self.origin, from, to, datagram.len());
        let known = state.inboxes.get(&to).cloned().filter(|_| !state.cuts.contains(&ordered(from, to)));
        let Some(inbox) = known else {
            state.stats.dropped += 1;
            return;
        };
        let spec = state.special.get(&(from, to)).copied().unwrap_or(state.spec);
        let Some(arrives) = state.links.entry((from, to)).or_default().admit(now, &spec, datagram.len())
        else {
            state.stats.overflowed += 1;
            return;
        };
        if state.random.below(1_000_000) < u64::from(spec.loss_ppm) {
            state.stats.lost += 1;
            return;
        }
        state.sequence += 1;
        inbox.push((arrives, state.sequence), from, datagram.to_vec());
    }
}

impl State {
    fn count(&mut self, at: std::time::Duration, from: SocketAddr, to: SocketAddr, len: usize) {
        self.stats.sent += 1;
        self.stats.bytes += len as u64;
        let words = [at.as_nanos() as u64, number(from), number(to), len as u64];
        for word in words {
            self.stats.hash = (self.stats.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        }
    }
}

/// An address as a number, for hashing.
fn number(addr: SocketAddr) -> u64 {
    let ip = match addr.ip() {
        std::net::IpAddr::V4(ip) => u128::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => ip.to_bits(),
    };
    (ip as u64) << 16 ^ u64::from(addr.port())
}

fn ordered(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    if a <= b { (a, b) } else { (b, a) }
}
