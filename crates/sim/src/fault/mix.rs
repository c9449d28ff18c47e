//! Faults drawn from a seed.

use peerstream_types::NodeId;
use serde::{Deserialize, Serialize};

use super::{Fault, Timed};
use crate::random::Random;

/// Label of the stream of chance that faults are drawn from.
const FAULTS: u64 = 0x00fa_0017;

/// How many faults, of what kinds, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// How many.
    pub count: u32,
    /// They come within this time, in milliseconds.
    pub within_ms: u64,
    /// Most datagrams that a bad link loses, per million.
    pub loss_ppm: u32,
    /// Whether replicas lose power, and their disks fill up and slow down.
    pub disks: bool,
}

impl Default for Mix {
    /// The standard mix: twenty faults in two seconds, loss up to 5 %, disks too.
    fn default() -> Self {
        Self { count: 20, within_ms: 2_000, loss_ppm: 50_000, disks: true }
    }
}

impl Mix {
    /// Draws the faults for a fleet.
    pub fn draw(&self, seed: u64, donors: &[NodeId], replicas: &[NodeId]) -> Vec<Timed> {
        let mut random = Random::fork(seed, FAULTS);
        let mut faults: Vec<Timed> = (0..self.count)
            .filter_map(|_| {
                let at_ms = random.below(self.within_ms);
                Some(Timed { at_ms, fault: self.one(&mut random, donors, replicas)? })
            })
            .collect();
        faults.sort_by_key(|timed| timed.at_ms);
        faults
    }

    fn one(&self, random: &mut Random, donors: &[NodeId], replicas: &[NodeId]) -> Option<Fault> {
        let (donor, replica) = (pick(random, donors)?, pick(random, replicas)?);
        let node = if random.below(3) == 0 { replica.clone() } else { donor.clone() };
        let (a, b) = (donor.clone(), replica.clone());
        let disk = self.disks;
        Some(match random.below(20) {
            0 => Fault::Kill(node),
            1 => Fault::KillAtStep { node, after_steps: random.below(2_000) },
            2 if disk => Fault::PowerLoss(replica),
            3 if disk => Fault::PowerLossAtDisk { node: replica, after_changes: random.below(60) },
            4 if disk => Fault::FullDisk { node: replica, free_kib: random.below(1_024) },
            5 if disk => Fault::SlowDisk { node: replica, factor: 2 + random.below(50) as u32 },
            2..=6 => Fault::Restart(node),
            7 => Fault::Cut { a, b },
            8 => Fault::CutOneWay { from: a, to: b },
            9 => Fault::CutOneWay { from: b, to: a },
            10 => Fault::Flap { a, b, period_ms: 2 + random.below(200), times: 1 + random.below(4) as u32 },
            11 => Fault::Slow { a, b, rate_kib: 16 + random.below(4_096) },
            12 => self.lossy(random, a, b),
            13 => Fault::Stall { node: donor, after_kib: random.below(1_024) },
            14 => Fault::CorruptEntry { node: donor, entry: random.below(4) as u32 },
            15 => Fault::ChangeEntry { node: donor, entry: random.below(40) as u32 },
            16 => Fault::RotateCertificate(node),
            17 => Fault::SlowCpu { node, job_ms: random.below(50) },
            18 => Fault::Heal { a, b },
            _ => Fault::Recover(node),
        })
    }

    fn lossy(&self, random: &mut Random, a: NodeId, b: NodeId) -> Fault {
        let mut ppm = || random.below(u64::from(self.loss_ppm) + 1) as u32;
        Fault::Lossy { a, b, loss_ppm: ppm(), duplicate_ppm: ppm(), corrupt_ppm: ppm() }
    }
}

fn pick(random: &mut Random, nodes: &[NodeId]) -> Option<NodeId> {
    let at = usize::try_from(random.below(nodes.len() as u64)).ok()?;
    nodes.get(at).cloned()
}
