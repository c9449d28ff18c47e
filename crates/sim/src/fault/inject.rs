//! Faults happen to a running simulation.

use std::time::Duration;

use peerstream_snapshot::disk::crash::Side;
use peerstream_types::{ByteCount, ByteRate, NodeId};

use super::Fault;
use crate::content::key;
use crate::network::LinkSpec;
use crate::node::SimNode;
use crate::world::SimWorld;

impl SimWorld {
    /// Lets something go wrong now. What is about a node that is down, waits for it where it is a matter
    /// of its machine, and is nothing where it is a matter of its process.
    ///
    /// # Panics
    ///
    /// If a node that it names was never started.
    pub fn inject(&self, fault: &Fault) {
        match fault {
            Fault::Cut { a, b } => self.cut(a, b),
            Fault::CutOneWay { from, to } => self.cut_one_way(from, to),
            Fault::Heal { a, b } => {
                self.heal(a, b);
                self.shape(a, b, self.link());
            }
            Fault::Flap { a, b, period_ms, times } => {
                self.flap(a, b, Duration::from_millis(*period_ms), *times);
            }
            Fault::Slow { a, b, rate_kib } => {
                let rate = ByteRate::per_sec(rate_kib << 10);
                self.shape(a, b, LinkSpec { rate, ..self.link() });
            }
            Fault::Lossy { a, b, loss_ppm, duplicate_ppm, corrupt_ppm } => {
                let odds = LinkSpec {
                    loss_ppm: *loss_ppm,
                    duplicate_ppm: *duplicate_ppm,
                    corrupt_ppm: *corrupt_ppm,
                    ..self.link()
                };
                self.shape(a, b, odds);
            }
            Fault::Kill(node) => self.crash(&self.named(node)),
            Fault::KillAtStep { node, after_steps } => self.crash_at_step(&self.named(node), *after_steps),
            Fault::PowerLoss(node) => self.lose_power(&self.named(node)),
            Fault::PowerLossAtDisk { node, after_changes } => {
                self.crash_at_disk(&self.named(node), *after_changes, Side::After);
            }
            Fault::Restart(node) => self.start_again(&self.named(node)),
            Fault::Stall { node, after_kib } => self.named(node).faults.stall_after(after_kib << 10),
            Fault::CorruptEntry { node, entry } => self.named(node).faults.corrupt(key("large", *entry)),
            Fault::ChangeEntry { node, entry } => self.named(node).faults.change_entry(key("small", *entry)),
            Fault::FullDisk { node, free_kib } => {
                self.fill_disk(&self.named(node), ByteCount(free_kib << 10));
            }
            Fault::Rot(node) => drop(self.rot(&self.named(node))),
            Fault::SlowDisk { node, factor } => self.slow_disk(&self.named(node), *factor),
            Fault::SlowCpu { node, job_ms } => {
                self.slow_cpu(&self.named(node), Duration::from_millis(*job_ms));
            }
            Fault::Clock { node, offset_ms } => self.set_clock(&self.named(node), *offset_ms),
            Fault::RotateCertificate(node) => self.rotate_certificate(&self.named(node)),
            Fault::Recover(node) => self.recover(&self.named(node)),
        }
    }

    fn named(&self, id: &NodeId) -> SimNode {
        self.node(id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    /// One that runs goes on; one whose disk does not let it start stays down.
    fn start_again(&self, node: &SimNode) {
        if !node.is_running() {
            self.try_restart(node).ok();
        }
    }

    /// Ends everything that is wrong with the machine of a node.
    fn recover(&self, node: &SimNode) {
        node.faults.clear();
        self.empty_disk(node);
        self.heal_disk(node);
        self.slow_disk(node, 1);
        self.slow_cpu(node, Duration::ZERO);
        self.set_clock(node, 0);
    }
}
