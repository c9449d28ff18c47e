//! Who fed whom: bulk bytes by sender, receiver and time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_engine::Parts;
use peerstream_shape::{Charge, Direction, Shaper};
use peerstream_types::NodeId;
use tokio::time::Instant;

use crate::seam::{Boot, Seam};
use crate::world::SimWorld;

/// Width of a step of time at the beginning; it doubles whenever [`STEPS_MAX`] are used up.
const STEP: Duration = Duration::from_millis(1);
/// Most steps of time that are told apart: more than a screen shows.
const STEPS_MAX: usize = 512;

/// A sender and a receiver.
pub type Pair = (NodeId, NodeId);

/// The bulk bytes of a run. Clones share them.
#[derive(Debug, Clone)]
pub struct Flows {
    origin: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    step: Duration,
    sent: BTreeMap<Pair, Vec<u64>>,
}

impl Flows {
    /// Those of all nodes that start from now on.
    pub fn of(world: &SimWorld) -> Self {
        let flows = Self::start();
        world.attach(Arc::new(flows.clone()));
        flows
    }

    fn start() -> Self {
        let state = State { step: STEP, sent: BTreeMap::new() };
        Self { origin: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, from: &NodeId, to: &NodeId, bytes: u64) {
        let (at, mut state) = (self.origin.elapsed(), self.lock());
        while at.as_nanos() / state.step.as_nanos() >= STEPS_MAX as u128 {
            state.widen();
        }
        let place = (at.as_nanos() / state.step.as_nanos()) as usize;
        let steps = state.sent.entry((from.clone(), to.clone())).or_default();
        if steps.len() <= place {
            steps.resize(place + 1, 0);
        }
        steps[place] += bytes;
    }

    /// The width of a step, and by pair the bytes sent in each.
    pub fn by_pair(&self) -> (Duration, BTreeMap<Pair, Vec<u64>>) {
        let state = self.lock();
        (state.step, state.sent.clone())
    }

    /// All bytes by pair.
    pub fn totals(&self) -> BTreeMap<Pair, u64> {
        self.lock().sent.iter().map(|(pair, steps)| (pair.clone(), steps.iter().sum())).collect()
    }
}

impl State {
    /// Steps of twice the width.
    fn widen(&mut self) {
        self.step *= 2;
        for steps in self.sent.values_mut() {
            *steps = steps.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }
}

impl Seam for Flows {
    fn wrap(&self, boot: &Boot, parts: Parts) -> Parts {
        let (node, flows) = (boot.node().clone(), self.clone());
        let shaper = Arc::new(Telling { node, flows, inner: parts.shaper });
        Parts { shaper, ..parts }
    }
}

/// A node's shaper, which tells the flows what the node sends.
#[derive(Debug)]
struct Telling {
    node: NodeId,
    flows: Flows,
    inner: Arc<dyn Shaper>,
}

impl Shaper for Telling {
    fn charge(&self, charge: &Charge<'_>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        if let (Direction::Send, Some(peer)) = (charge.direction, charge.peer) {
            self.flows.add(&self.node, peer, charge.bytes);
        }
        self.inner.charge(charge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_told_apart_by_time_as_long_as_there_is_room() {
        let (flows, a, b) = (Flows::start(), node("a"), node("b"));
        flows.add(&a, &b, 1);
        tokio::time::advance(STEP).await;
        flows.add(&a, &b, 2);
        flows.add(&b, &a, 4);
        let pair = (a.clone(), b.clone());
        assert_eq!(flows.by_pair().1[&pair], [1, 2]);
        tokio::time::advance(STEP * STEPS_MAX as u32).await;
        flows.add(&a, &b, 8);
        let (step, by_pair) = flows.by_pair();
        assert_eq!((step, by_pair[&pair].len()), (2 * STEP, 1 + STEPS_MAX / 2));
        assert_eq!(flows.totals()[&pair], 11);
        assert_eq!(flows.totals()[&(b, a)], 4);
    }
}
