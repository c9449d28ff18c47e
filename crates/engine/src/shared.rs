//! What all tasks of an engine share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_snapshot::Fence;
use peerstream_types::{NodeId, PlanId};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::parts::Parts;
use crate::peers::{PeerTable, Room};
use crate::plans::Plans;
use crate::receive::Buffers;
use crate::regards::Regards;
use crate::serve::Trees;
use crate::session::SessionTable;
use crate::visited::Visited;

/// Most peers whose address is remembered beyond what the placement says.
const ADDRS_HEARD_MAX: usize = 4096;

/// What all tasks of an engine share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) parts: Parts,
    pub(crate) clock: Clock,
    pub(crate) peers: PeerTable,
    pub(crate) room: Arc<Room>,
    pub(crate) sessions: SessionTable,
    pub(crate) plans: Plans,
    pub(crate) serve_slots: Arc<Semaphore>,
    pub(crate) buffers: Buffers,
    pub(crate) regards: Arc<Regards>,
    pub(crate) trees: Trees,
    draining: AtomicBool,
    heard: Mutex<BTreeMap<NodeId, SocketAddr>>,
    counter: AtomicU64,
    visited: Mutex<Visited>,
}

impl Shared {
    pub(crate) fn new(mut config: EngineConfig, parts: Parts) -> Self {
        // A session waits for an offer as long as the job that wants it: a source may have to hash.
        let session = &mut config.session;
        session.prepare_timeout = session.prepare_timeout.max(config.recovery.open_timeout);
        Self {
            clock: Clock::start(),
            peers: PeerTable::new(parts.node.clone()),
            room: Arc::new(Room::new(config.connections_max)),
            sessions: SessionTable::new(config.sessions_max),
            plans: Plans::new(config.plans_max, config.plans_remembered),
            serve_slots: Arc::new(Semaphore::new(config.serves_in_parallel)),
            buffers: Buffers::default(),
            regards: Arc::default(),
            trees: Trees::default(),
            draining: AtomicBool::new(false),
            heard: Mutex::default(),
            counter: AtomicU64::new(0),
            visited: Mutex::default(),
            config,
            parts,
        }
    }

    /// A number that is the same in every run with the same seed, and never comes again in one.
    pub(crate) fn next_random(&self) -> u64 {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        // splitmix64 of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
        let mut z = self.parts.seed.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Some part of a wait, drawn like [`next_random`](Self::next_random).
    pub(crate) fn part_of(&self, wait: Duration) -> Duration {
        let share = self.next_random() >> 32;
        let nanos = (wait.as_nanos() * u128::from(share)) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(crate) fn new_plan_id(&self) -> PlanId {
        let random = u128::from(self.next_random()) << 64 | u128::from(self.next_random());
        PlanId::from_parts(self.parts.wall_clock.unix_ms(), random)
    }

    /// A fence above all that this and earlier boots of the node have used.
    pub(crate) fn new_fence(&self) -> Fence {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        Fence(self.parts.incarnation.0.saturating_mul(1 << 16).saturating_add(count))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Adds to what was visited, or looks at it.
    pub(crate) fn visited<T>(&self, look: impl FnOnce(&mut Visited) -> T) -> T {
        look(&mut self.visited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers where a peer was reached, for peers that the placement knows by address only.
    pub(crate) fn hear_of(&self, node: &NodeId, addr: SocketAddr) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < ADDRS_HEARD_MAX || heard.contains_key(node) {
            heard.insert(node.clone(), addr);
        }
    }

    pub(crate) fn addr_heard_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied()
    }
}
