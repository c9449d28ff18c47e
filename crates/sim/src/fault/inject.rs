//! Faults happen to a running simulation.

use std::time::Duration;

use peerstream_snapshot::disk::crash::Side;
use peerstream_types::{ByteCount, ByteRate};

use super::Fault;
use crate::content::key;
use crate::network::LinkSpec;
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
                self.shape(a, b, self.network().link());
            }
            Fault::Flap { a, b, period_ms, times } => {
                self.flap(a, b, Duration::from_millis(*period_ms), *times);
            }
            Fault::Slow { a, b, rate_kib } => {
                let rate = ByteRate::per_sec(rate_kib << 10);
                self.shape(a, b, LinkSpec { rate, ..self.network().link() });
            }
            Fault::Lossy { a, b, loss_ppm, duplicate_ppm, corrupt_ppm } => {
                let odds = LinkSpec {
                    loss_ppm: *loss_ppm,
                    duplicate_ppm: *duplicate_ppm,
                    corrupt_ppm: *corrupt_ppm,
                    ..self.network().link()
                };
                self.shape(a, b, odds);
            }
            Fault::Kill(_)
            | Fault::KillAtStep { .. }
            | Fault::PowerLoss(_)
            | Fault::PowerLossAtDisk { .. }
            | Fault::Restart(_)
            | Fault::Stall { .. }
            | Fault::CorruptEntry { .. }
            | Fault::ChangeEntry { .. }
            | Fault::FullDisk { .. }
            | Fault::Rot(_)
            | Fault::SlowDisk { .. }
            | Fault::SlowCpu { .. }
            | Fault::Clock { .. }
            | Fault::RotateCertificate(_)
            | Fault::Recover(_) => self.trouble(fault),
        }
    }

    /// What is about one node.
    fn trouble(&self, fault: &Fault) {
        let nodes = fault.nodes();
        let Some(id) = nodes.first() else { return };
        let node = self.node(id).unwrap_or_else(|| panic!("there is no node {id}"));
        match fault {
            Fault::Kill(_) => self.crash(&node),
            Fault::KillAtStep { after_steps, .. } => self.crash_at_step(&node, *after_steps),
            Fault::PowerLoss(_) => self.lose_power(&node),
            Fault::PowerLossAtDisk { after_changes, .. } => {
                self.crash_at_disk(&node, *after_changes, Side::After);
            }
            Fault::Restart(_) if !node.is_running() => drop(self.try_restart(&node)),
            Fault::Stall { after_kib, .. } => node.faults.stall_after(after_kib << 10),
            Fault::CorruptEntry { entry, .. } => node.faults.corrupt(key("large", *entry)),
            Fault::ChangeEntry { entry, .. } => node.faults.change_entry(key("small", *entry)),
            Fault::FullDisk { free_kib, .. } => self.fill_disk(&node, ByteCount(free_kib << 10)),
            Fault::Rot(_) => drop(self.rot(&node)),
            Fault::SlowDisk { factor, .. } => self.slow_disk(&node, *factor),
            Fault::SlowCpu { job_ms, .. } => self.slow_cpu(&node, Duration::from_millis(*job_ms)),
            Fault::Clock { offset_ms, .. } => self.set_clock(&node, *offset_ms),
            Fault::RotateCertificate(_) => self.rotate_certificate(&node),
            Fault::Recover(_) => {
                node.faults.clear();
                self.empty_disk(&node);
                self.heal_disk(&node);
                self.slow_disk(&node, 1);
                self.slow_cpu(&node, Duration::ZERO);
                self.set_clock(&node, 0);
            }
            _ => {}
        }
    }
}
