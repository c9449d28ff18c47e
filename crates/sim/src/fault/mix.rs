//! Faults drawn from a seed.

use std::collections::BTreeSet;

use peerstream_types::NodeId;
use serde::{Deserialize, Serialize};

use super::{Fault, Operations, Timed};
use crate::network::Network;
use crate::random::Random;

/// Label of the stream of chance that faults are drawn from.
const FAULTS: u64 = 0x00fa_0017;
/// One of so many faults is early: half of these are lossy links, where datagrams can be lost, since
/// most of them are sent at the beginning.
const EARLY: usize = 4;
/// How often a fault is drawn again that could not do anything.
const DRAWS_MAX: usize = 64;

/// How many faults, of what kinds, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// How many.
    pub count: u32,
    /// They come within this time, in milliseconds, and rather at its beginning: a bring-up that nothing
    /// disturbs is soon over.
    pub within_ms: u64,
    /// Most datagrams that a bad link loses, per million.
    pub loss_ppm: u32,
    /// Whether replicas lose power, and their disks fail, fill up and slow down.
    pub disks: bool,
}

impl Default for Mix {
    /// The standard mix: twenty faults in two seconds, loss up to 5 %, disks too.
    fn default() -> Self {
        Self { count: 20, within_ms: 2_000, loss_ppm: 50_000, disks: true }
    }
}

impl Mix {
    /// Draws the faults for a fleet on a network. One that cannot do anything after those before it is
    /// drawn again: to start what runs, or to heal what is well.
    pub fn draw(&self, seed: u64, network: Network, donors: &[NodeId], replicas: &[NodeId]) -> Vec<Timed> {
        let mut random = Random::fork(seed, FAULTS);
        let mut times: Vec<u64> = (0..self.count)
            .map(|_| {
                let before = 1 + random.below(self.within_ms.max(1));
                random.below(before)
            })
            .collect();
        times.sort_unstable();
        let mut state = State { has_datagrams: network == Network::Quic, ..State::default() };
        let mut draw = |(place, at_ms): (usize, u64)| {
            let is_early = place < times.len() / EARLY;
            let may_lose = state.has_datagrams && is_early;
            let one = |random: &mut Random| match may_lose && random.below(2) == 0 {
                true => {
                    let (a, b) = (pick(random, donors)?, pick(random, replicas)?);
                    Some(self.lossy(random, a, b))
                }
                false => self.one(random, donors, replicas),
            };
            let mut fault = one(&mut random)?;
            for _ in 0..DRAWS_MAX {
                if state.lets_act(&fault) {
                    break;
                }
                fault = one(&mut random)?;
            }
            state.note(&fault);
            Some(Timed { at_ms, fault })
        };
        times.iter().copied().enumerate().filter_map(&mut draw).collect()
    }

    fn one(&self, random: &mut Random, donors: &[NodeId], replicas: &[NodeId]) -> Option<Fault> {
        let (donor, replica) = (pick(random, donors)?, pick(random, replicas)?);
        let node = if random.below(3) == 0 { replica.clone() } else { donor.clone() };
        let (a, b) = (donor.clone(), replica.clone());
        let kinds = if self.disks { KINDS } else { KINDS_WITHOUT_DISK };
        Some(match random.below(kinds) {
            0 => Fault::Kill(node),
            1 => Fault::KillAtStep { node, after_steps: 1 + random.below(400) },
            2 => Fault::Restart(node),
            3 => Fault::Cut { a, b },
            4 => Fault::CutOneWay { from: a, to: b },
            5 => Fault::CutOneWay { from: b, to: a },
            6 => Fault::Flap { a, b, period_ms: 2 + random.below(200), times: 1 + random.below(4) as u32 },
            7 => Fault::Slow { a, b, rate_kib: 16 + random.below(4_096) },
            8..=10 => self.lossy(random, a, b),
            11 => Fault::Stall { node: donor, after_kib: random.below(1_024) },
            12 => Fault::CorruptEntry { node: donor, entry: random.below(4) as u32 },
            13 => Fault::ChangeEntry { node: donor, entry: random.below(40) as u32 },
            14 => Fault::RotateCertificate(node),
            15 => Fault::SlowCpu { node, job_ms: 1 + random.below(50) },
            16 => Fault::Heal { a, b },
            17 => Fault::Recover(node),
            18 => Fault::PowerLoss(replica),
            19 => Fault::PowerLossAtDisk { node: replica, after_changes: random.below(60) },
            20 => Fault::FullDisk { node: replica, free_kib: random.below(1_024) },
            21 => Fault::SlowDisk { node: replica, factor: 2 + random.below(50) as u32 },
            _ => Fault::FailDisk { node: replica, of: operations(random), for_ms: 1 + random.below(300) },
        })
    }

    /// Between half and all of the losses that there may be: fewer are not noticed in a short run.
    fn lossy(&self, random: &mut Random, a: NodeId, b: NodeId) -> Fault {
        let most = u64::from(self.loss_ppm);
        let mut ppm = || (most.div_ceil(2) + random.below(most / 2 + 1)) as u32;
        Fault::Lossy { a, b, loss_ppm: ppm(), duplicate_ppm: ppm(), corrupt_ppm: ppm() }
    }
}

/// Kinds that are drawn from.
const KINDS: u64 = 23;
/// Those that need no disk come first.
const KINDS_WITHOUT_DISK: u64 = 18;

fn operations(random: &mut Random) -> Operations {
    match random.below(5) {
        0 => Operations::All,
        1 => Operations::Open,
        2 => Operations::Read,
        3 => Operations::Write,
        _ => Operations::Sync,
    }
}

/// What the faults so far have left, as far as it can be told before a run.
#[derive(Debug, Default)]
struct State {
    /// Datagrams can be lost, and nodes have certificates.
    has_datagrams: bool,
    /// Down until they are started.
    down: BTreeSet<NodeId>,
    /// To go down at a moment that only the run knows.
    doomed: BTreeSet<NodeId>,
    /// Something is wrong with the machine.
    ill: BTreeSet<NodeId>,
    /// Parted, in one direction at least.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Something is wrong with the links, cut or not.
    bad: BTreeSet<(NodeId, NodeId)>,
}

impl State {
    fn lets_act(&self, fault: &Fault) -> bool {
        let nodes = fault.nodes();
        let are_up = nodes.iter().all(|node| !self.down.contains(node));
        let is_cut = matches!(nodes[..], [a, b] if self.cut.contains(&pair(a, b)));
        let needs_datagrams = matches!(fault, Fault::Lossy { .. } | Fault::RotateCertificate(_));
        if let Fault::Restart(node) = fault {
            self.down.contains(node) || self.doomed.contains(node)
        } else if let Fault::Heal { a, b } = fault {
            self.bad.contains(&pair(a, b))
        } else if let Fault::Recover(node) = fault {
            self.ill.contains(node)
        } else {
            are_up && !is_cut && (self.has_datagrams || !needs_datagrams)
        }
    }

    fn note(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill(node) | Fault::PowerLoss(node) => drop(self.down.insert(node.clone())),
            Fault::KillAtStep { node, .. } | Fault::PowerLossAtDisk { node, .. } => {
                self.doomed.insert(node.clone());
            }
            Fault::Restart(node) => {
                self.down.remove(node);
                self.doomed.remove(node);
            }
            Fault::Heal { a, b } => {
                self.cut.remove(&pair(a, b));
                self.bad.remove(&pair(a, b));
            }
            Fault::Cut { a, b } | Fault::CutOneWay { from: a, to: b } => {
                self.cut.insert(pair(a, b));
                self.bad.insert(pair(a, b));
            }
            Fault::Flap { a, b, .. } | Fault::Slow { a, b, .. } | Fault::Lossy { a, b, .. } => {
                self.bad.insert(pair(a, b));
            }
            Fault::Recover(node) => drop(self.ill.remove(node)),
            Fault::Stall { node, .. }
            | Fault::CorruptEntry { node, .. }
            | Fault::ChangeEntry { node, .. }
            | Fault::FullDisk { node, .. }
            | Fault::FailDisk { node, .. }
            | Fault::SlowDisk { node, .. }
            | Fault::SlowCpu { node, .. }
            | Fault::Clock { node, .. } => drop(self.ill.insert(node.clone())),
            Fault::Rot(_) | Fault::RotateCertificate(_) => {}
        }
    }
}

/// Two nodes, either way round.
fn pair(a: &NodeId, b: &NodeId) -> (NodeId, NodeId) {
    (a.min(b).clone(), a.max(b).clone())
}

fn pick(random: &mut Random, nodes: &[NodeId]) -> Option<NodeId> {
    let at = usize::try_from(random.below(nodes.len() as u64)).ok()?;
    nodes.get(at).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &str, count: u32) -> Vec<NodeId> {
        (1..=count).map(|number| NodeId::new(format!("{kind}-{number}")).unwrap()).collect()
    }

    /// Every fault in its order could do something after those before it.
    #[test]
    fn what_cannot_act_is_drawn_again() {
        let (donors, replicas) = (names("donor", 3), names("replica", 2));
        for (seed, network) in (0..200).flat_map(|seed| Network::ALL.map(|network| (seed, network))) {
            let faults = Mix::default().draw(seed, network, &donors, &replicas);
            assert_eq!(faults.len(), 20);
            assert!(faults.is_sorted_by_key(|timed| timed.at_ms));
            let mut state = State { has_datagrams: network == Network::Quic, ..State::default() };
            for Timed { fault, .. } in faults {
                assert!(state.lets_act(&fault), "{seed}, {network}: {fault:?} after {state:?}");
                state.note(&fault);
            }
        }
    }
}
