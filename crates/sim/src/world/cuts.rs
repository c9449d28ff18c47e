//! What parts nodes, each cut by itself: a flap that ends leaves the others in force.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::task::AbortHandle;

use crate::net::Way;

/// A link that comes and goes.
#[derive(Debug)]
struct Flap {
    pair: Way,
    is_down: bool,
    task: Option<AbortHandle>,
}

/// All cuts of a network.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    whole: BTreeSet<Way>,
    one_way: BTreeSet<Way>,
    flaps: BTreeMap<u64, Flap>,
    flaps_so_far: u64,
}

/// What is left between two nodes once one cut has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// They are parted still.
    Parted,
    /// Only these directions are cut.
    Ways(Vec<Way>),
}

impl Cuts {
    /// They are parted until [`Cuts::end`].
    pub(super) fn part(&mut self, a: SocketAddr, b: SocketAddr) {
        self.whole.insert(pair(a, b));
    }

    /// One direction is cut until [`Cuts::end`].
    pub(super) fn cut(&mut self, way: Way) {
        self.one_way.insert(way);
    }

    /// A flap begins; the number names it.
    pub(super) fn flap(&mut self, a: SocketAddr, b: SocketAddr) -> u64 {
        self.flaps_so_far += 1;
        let flap = Flap { pair: pair(a, b), is_down: false, task: None };
        self.flaps.insert(self.flaps_so_far, flap);
        self.flaps_so_far
    }

    /// Who carries a flap out.
    pub(super) fn carried_out_by(&mut self, number: u64, task: AbortHandle) {
        if let Some(flap) = self.flaps.get_mut(&number) {
            flap.task = Some(task);
        }
    }

    /// A flap parts its nodes. Says whether they were not parted anyway.
    pub(super) fn goes_down(&mut self, number: u64) -> bool {
        let Some(flap) = self.flaps.get_mut(&number) else { return false };
        flap.is_down = true;
        let pair = flap.pair;
        let others = self.flaps.iter().filter(|(other, flap)| **other != number && flap.pair == pair);
        !self.whole.contains(&pair) && !others.into_iter().any(|(_, flap)| flap.is_down)
    }

    /// A flap parts its nodes no more. Says what still does.
    pub(super) fn comes_up(&mut self, number: u64) -> Left {
        let Some(flap) = self.flaps.get_mut(&number) else { return Left::Parted };
        flap.is_down = false;
        let pair = flap.pair;
        if self.whole.contains(&pair) || self.flaps.values().any(|flap| flap.pair == pair && flap.is_down) {
            return Left::Parted;
        }
        let ways = [pair, (pair.1, pair.0)];
        Left::Ways(ways.into_iter().filter(|way| self.one_way.contains(way)).collect())
    }

    /// A flap is over.
    pub(super) fn forget(&mut self, number: u64) {
        self.flaps.remove(&number);
    }

    /// Ends all cuts between two nodes, and flaps with what they still would do. Says whether there was
    /// anything to end.
    pub(super) fn end(&mut self, a: SocketAddr, b: SocketAddr) -> bool {
        let pair = pair(a, b);
        let before = self.flaps.len();
        self.flaps.retain(|_, flap| {
            let goes_on = flap.pair != pair;
            flap.task.iter().filter(|_| !goes_on).for_each(AbortHandle::abort);
            goes_on
        });
        let ended = [
            self.flaps.len() < before,
            self.whole.remove(&pair),
            self.one_way.remove(&pair),
            self.one_way.remove(&(pair.1, pair.0)),
        ];
        ended.contains(&true)
    }
}

/// Two nodes, either way round.
fn pair(a: SocketAddr, b: SocketAddr) -> Way {
    (a.min(b), a.max(b))
}
