//! The datagram network below simulated QUIC: FIFO links with latency, rate and queue, which lose,
//! double, spoil and swallow what they carry.

mod inbox;
mod socket;
mod stats;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_types::ByteRate;
use tokio::time::Instant;

use crate::fault::Effect;
use crate::net::{Paths, Way};
use crate::network::LinkSpec;
use crate::random::Random;
use inbox::Inbox;
pub(crate) use socket::FabricSocket;
pub use stats::FabricStats;

/// Odds are given in parts of this.
const MILLION: u64 = 1_000_000;
/// What timers are exact to.
const TICK: Duration = Duration::from_millis(1);

/// The network of one simulation. Clones are the same network.
#[derive(Debug, Clone)]
pub(crate) struct Fabric {
    origin: Instant,
    state: Arc<Mutex<State>>,
    /// Datagrams that found the cap of their receiver full.
    overflowed: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    paths: Paths,
    inboxes: BTreeMap<SocketAddr, Arc<Inbox>>,
    random: Random,
    sequence: u64,
    stats: FabricStats,
}

impl Fabric {
    pub(crate) fn new(seed: u64, spec: LinkSpec) -> Self {
        let state = State {
            paths: Paths::new(spec),
            inboxes: BTreeMap::new(),
            random: Random::fork(seed, 1),
            sequence: 0,
            stats: FabricStats::default(),
        };
        Self { origin: Instant::now(), state: Arc::new(Mutex::new(state)), overflowed: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the ways between nodes are like.
    pub(crate) fn with_paths<T>(&self, change: impl FnOnce(&mut Paths) -> T) -> T {
        change(&mut self.lock().paths)
    }

    /// Opens a socket; one that was open at this address before is dead from now on.
    pub(crate) fn socket(&self, addr: SocketAddr) -> FabricSocket {
        let mut state = self.lock();
        let inbox = Arc::new(Inbox::new(state.paths.down(addr), self.overflowed.clone()));
        if let Some(before) = state.inboxes.insert(addr, inbox.clone()) {
            before.kill();
        }
        drop(state);
        FabricSocket::new(self.clone(), addr, inbox)
    }

    /// Silences a node: nothing leaves it or reaches it any more.
    pub(crate) fn crash(&self, addr: SocketAddr) {
        if let Some(inbox) = self.lock().inboxes.remove(&addr) {
            inbox.kill();
        }
    }

    /// Limits what a node sends and receives over all its links.
    pub(crate) fn cap(&self, addr: SocketAddr, up: ByteRate, down: ByteRate) {
        let mut state = self.lock();
        state.paths.cap(addr, up, down);
        if let Some(inbox) = state.inboxes.get(&addr) {
            inbox.cap(down);
        }
    }

    pub(crate) fn stats(&self) -> FabricStats {
        let mut stats = self.lock().stats;
        stats.overflowed += self.overflowed.load(Ordering::Relaxed);
        stats
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let mut state = self.lock();
        state.stats.count(now - self.origin, (from, to), datagram.len());
        state.carry(now, (from, to), datagram);
    }
}

impl State {
    /// Brings a datagram to its receiver, or counts why not.
    fn carry(&mut self, now: Instant, way: Way, datagram: &[u8]) {
        let known = self.inboxes.get(&way.1).cloned();
        let Some(inbox) = known.filter(|_| !self.paths.meets_cut(way)) else {
            self.stats.dropped += 1;
            return;
        };
        let (spec, len) = (self.paths.spec(way), datagram.len());
        if len > usize::from(spec.mtu) {
            self.stats.too_large += 1;
            return;
        }
        if !self.paths.wait_for_room(now, way, Duration::ZERO).is_zero() {
            self.stats.overflowed += 1;
            return;
        }
        let arrives = nearest_tick(now, self.paths.pass(now, way, len));
        if self.strikes(spec.loss_ppm) {
            self.stats.lost += 1;
            self.paths.hit(Effect::Lost, way);
            return;
        }
        let mut datagram = datagram.to_vec();
        if self.strikes(spec.corrupt_ppm) {
            self.stats.corrupted += 1;
            self.paths.hit(Effect::Spoiled, way);
            self.flip_a_bit(&mut datagram);
        }
        if self.strikes(spec.duplicate_ppm) {
            self.stats.duplicated += 1;
            self.paths.hit(Effect::Doubled, way);
            inbox.push(arrives, self.next_number(), way.0, datagram.clone());
        }
        inbox.push(arrives, self.next_number(), way.0, datagram);
    }

    fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Whether chance strikes. What never happens draws no number, so that the other draws of a run
    /// stay what they were.
    fn strikes(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.random.below(MILLION) < u64::from(ppm)
    }

    fn flip_a_bit(&mut self, datagram: &mut [u8]) {
        let bit = self.random.below(8 * datagram.len() as u64);
        if let Some(byte) = datagram.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// The tick nearest to a moment, counted from now, which is one. A timer is never early: left to itself it
/// would make every way nearly a tick longer than it is, and a round trip of 2 ms one of 4.
fn nearest_tick(now: Instant, at: Instant) -> Instant {
    let ticks = (at.saturating_duration_since(now) + TICK / 2).as_millis();
    now + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram is a moment late or early, and both as often, so that a round trip is what it should be.
    #[tokio::test(start_paused = true)]
    async fn moments_go_to_the_nearest_tick() {
        let now = Instant::now();
        let ticks = |micros| (nearest_tick(now, now + Duration::from_micros(micros)) - now).as_millis();
        assert_eq!([0, 40, 499, 500, 1_040, 1_600].map(ticks), [0, 0, 0, 1, 1, 2]);
        assert_eq!(nearest_tick(now + TICK, now), now + TICK, "nothing arrives before it was sent");
    }
}
