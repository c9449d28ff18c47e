//! What all nodes of an in-memory network share: the ways between them, and what goes there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use peerstream_transport::Connection;
use tokio::time::Instant;

use super::journey::Journey;
use crate::fabric::FabricStats;
use crate::fault::Effect;
use crate::net::{Paths, Way};
use crate::network::{LinkSpec, UNLIMITED};

/// Bytes of a stream that arrive together at the least, where a link has a rate.
pub(super) const PIECE: usize = 16 * 1024;
/// The shortest wait that a timer keeps, doubled: queues that are shorter would run dry.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// Names a stream on its way from its opener to who accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamNumber(u64);

impl StreamNumber {
    /// Length on the wire.
    pub(super) const LEN: usize = size_of::<u64>();

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

/// What a writer may do now.
#[derive(Debug)]
pub(super) enum Room {
    /// Write whatever it has: nothing is slow anywhere.
    Any,
    /// Write a piece.
    Piece,
    /// Nothing before this moment.
    NotBefore(Instant),
    /// Nothing before the cut is healed.
    Cut,
}

/// See the [module](self). Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Wires {
    origin: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    paths: Paths,
    /// Cuts of one direction, by number, so that a later one is not taken for an earlier one.
    cuts: BTreeMap<Way, u64>,
    cuts_so_far: u64,
    /// Cuts of both directions, both ways round, with what they count as.
    parted: BTreeMap<Way, Effect>,
    /// Connections that nobody has dropped, by who has them and to whom.
    connections: BTreeMap<Way, Vec<Weak<dyn Connection>>>,
    /// Writers that wait for a cut to be healed.
    stalled: BTreeMap<Way, Vec<Waker>>,
    /// Streams whose first byte nobody has taken yet. Those of a lost connection stay: a run is
    /// short, and their number is that of its faults.
    opened: BTreeMap<StreamNumber, Arc<Journey>>,
    streams: u64,
    stats: FabricStats,
}

impl Wires {
    pub(super) fn new(spec: LinkSpec) -> Self {
        let state = State {
            paths: Paths::new(spec),
            cuts: BTreeMap::new(),
            cuts_so_far: 0,
            parted: BTreeMap::new(),
            connections: BTreeMap::new(),
            stalled: BTreeMap::new(),
            opened: BTreeMap::new(),
            streams: 0,
            stats: FabricStats::default(),
        };
        Self { origin: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_paths<T>(&self, change: impl FnOnce(&mut Paths) -> T) -> T {
        change(&mut self.lock().paths)
    }

    pub(super) fn stats(&self) -> FabricStats {
        self.lock().stats
    }

    /// Cuts one direction; the number names this cut.
    pub(super) fn cut(&self, way: Way) -> u64 {
        let mut state = self.lock();
        state.cuts_so_far += 1;
        let number = state.cuts_so_far;
        state.cuts.insert(way, number);
        state.paths.cut(way, Effect::CutOneWay);
        number
    }

    pub(super) fn is_still_cut(&self, way: Way, number: u64) -> bool {
        self.lock().cuts.get(&way) == Some(&number)
    }

    /// Remembers that two nodes are parted. Connections between them end now, which is an effect.
    pub(super) fn part(&self, (a, b): Way, counts_as: Effect) {
        for way in [(a, b), (b, a)] {
            let known = self.lock().connections.remove(&way).unwrap_or_default();
            let lives = |known: &Weak<dyn Connection>| {
                known.upgrade().is_some_and(|connection| connection.close_reason().is_none())
            };
            let lost = known.iter().any(lives);
            let mut state = self.lock();
            state.parted.insert(way, counts_as);
            if lost {
                state.paths.hit(counts_as, way);
            }
        }
    }

    pub(super) fn is_parted(&self, way: Way) -> bool {
        self.lock().parted.contains_key(&way)
    }

    /// Somebody has a connection.
    pub(super) fn connected(&self, way: Way, connection: &Arc<dyn Connection>) {
        let mut state = self.lock();
        let known = state.connections.entry(way).or_default();
        known.retain(|connection| connection.strong_count() > 0);
        known.push(Arc::downgrade(connection));
    }

    /// Ends cuts between two nodes, of one direction or both.
    pub(super) fn heal(&self, (a, b): Way) {
        let mut state = self.lock();
        state.paths.heal((a, b));
        let mut woken = Vec::new();
        for way in [(a, b), (b, a)] {
            state.parted.remove(&way);
            state.cuts.remove(&way);
            woken.extend(state.stalled.remove(&way).unwrap_or_default());
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whether a dial cannot succeed because one of its directions is cut. One between nodes that are
    /// parted is met by the network itself, and counted here.
    pub(super) fn meets_cut(&self, (a, b): Way) -> bool {
        let mut state = self.lock();
        if let Some(effect) = state.parted.get(&(a, b)).copied() {
            state.paths.hit(effect, (a, b));
        }
        let (out, back) = (state.paths.meets_cut((a, b)), state.paths.meets_cut((b, a)));
        out || back
    }

    /// How long a message and its answer are under way at the least.
    pub(super) fn round_trip(&self, (a, b): Way) -> Duration {
        let mut state = self.lock();
        if state.paths.is_plain() {
            return Duration::ZERO;
        }
        state.paths.spec((a, b)).latency + state.paths.spec((b, a)).latency
    }

    /// What may be written now.
    pub(super) fn room(&self, now: Instant, way: Way) -> Room {
        let mut state = self.lock();
        if state.paths.is_plain() {
            return Room::Any;
        }
        if state.paths.meets_cut(way) {
            return Room::Cut;
        }
        let wait = state.paths.wait_for_room(now, way, TIMER_GRAIN);
        if wait.is_zero() { Room::Piece } else { Room::NotBefore(now + wait) }
    }

    /// Wakes a writer once a cut is healed.
    pub(super) fn wake_when_healed(&self, way: Way, waker: &Waker) {
        let mut state = self.lock();
        let stalled = state.stalled.entry(way).or_default();
        if !stalled.iter().any(|known| known.will_wake(waker)) {
            stalled.push(waker.clone());
        }
    }

    /// Bytes are written; when do they come to the end of their link? `None` if they are read at once,
    /// because no cap waits for them there either.
    pub(super) fn pass(&self, now: Instant, way: Way, len: usize) -> Option<Instant> {
        let mut state = self.lock();
        state.stats.count(now - self.origin, way, len);
        if state.paths.is_plain() {
            return None;
        }
        let at = state.paths.pass(now, way, len);
        (at > now || state.paths.down(way.1) != UNLIMITED).then_some(at)
    }

    /// Bytes have come to the end of their link; when are they through the cap of the node there?
    pub(super) fn arrive(&self, at: Instant, way: Way, len: usize) -> Instant {
        self.lock().paths.arrive(at, way.1, len)
    }

    /// A stream is opened: its number and what both ends will share.
    pub(super) fn open(&self) -> (StreamNumber, Arc<Journey>) {
        let mut state = self.lock();
        state.streams += 1;
        let (number, journey) = (StreamNumber(state.streams), Arc::<Journey>::default());
        state.opened.insert(number, journey.clone());
        (number, journey)
    }

    /// A stream is accepted, or given up before that.
    pub(super) fn take(&self, number: StreamNumber) -> Option<Arc<Journey>> {
        self.lock().opened.remove(&number)
    }
}
