//! The levels of a run: drawn from its seed, changed at a time drawn from it, and in force again after a
//! restart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerstream_engine::Parts;
use peerstream_engine::select::{Level, LevelScope};
use peerstream_types::NodeId;

use super::LevelDraw;
use crate::random::Random;
use crate::seam::{Boot, Seam};
use crate::world::SimWorld;

/// The stream of numbers that levels are drawn from.
const LEVELS: u64 = 7_000;

/// What a run is to go by.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    first: Level,
    second: Level,
    after: Duration,
    now: Arc<InForce>,
}

/// What a node that boots is told, as one is that keeps its levels on a disk.
#[derive(Debug)]
struct InForce(Mutex<Level>);

impl Seam for InForce {
    fn wrap(&self, _: &Boot, parts: Parts) -> Parts {
        let level = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.levels.set(LevelScope::Node, level).expect("one level is not too many");
        parts
    }
}

impl Drawn {
    pub(super) fn new(draw: &LevelDraw, seed: u64) -> Self {
        let mut random = Random::fork(seed, LEVELS);
        let mut level = || Level::ALL[random.below(Level::ALL.len() as u64) as usize];
        let (first, second) = (level(), level());
        let after = Duration::from_millis(random.below(draw.within_ms));
        Self { first, second, after, now: Arc::new(InForce(Mutex::new(first))) }
    }

    /// Tells every node that boots from now on.
    pub(super) fn begin(&self, world: &SimWorld) {
        world
            .trace()
            .note("levels", format_args!("{} first, {} after {:?}", self.first, self.second, self.after));
        world.attach(self.now.clone());
    }

    /// Changes the level when it is time to, at the nodes that run and at those that boot later.
    pub(super) async fn change(self, world: SimWorld, nodes: Vec<NodeId>) {
        tokio::time::sleep(self.after).await;
        *self.now.0.lock().unwrap_or_else(PoisonError::into_inner) = self.second;
        world.trace().note("levels", format_args!("now {}", self.second));
        for node in nodes.iter().filter_map(|node| world.node(node)) {
            node.levels.set(LevelScope::Node, self.second).expect("one level is not too many");
        }
    }
}
