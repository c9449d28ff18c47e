//! Faults happen to a running simulation.

use std::time::Duration;

use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{Fault as DiskFault, OperationKind, Side};
use peerstream_types::{ByteCount, ByteRate, NodeId};

use super::{Fault, Operations};
use crate::node::SimNode;
use crate::workload::spoiled_key;
use crate::world::SimWorld;

impl SimWorld {
    /// Lets something go wrong now. What is about a node that is down, waits for it where it is a matter
    /// of its machine, and is nothing where it is a matter of its process.
    ///
    /// # Panics
    ///
    /// If a node that it names was never started.
    pub fn inject(&self, fault: &Fault) {
        self.remember(fault);
        self.apply(fault);
    }

    /// The same, and does not ask later whether it had an effect.
    pub(super) fn apply(&self, fault: &Fault) {
        match fault {
            Fault::Cut { a, b } => self.cut(a, b),
            Fault::CutOneWay { from, to } => self.cut_one_way(from, to),
            Fault::Heal { a, b } => {
                self.heal(a, b);
                self.restore_link(a, b);
            }
            Fault::Flap { a, b, period_ms, times } => {
                self.flap(a, b, Duration::from_millis(*period_ms), *times);
            }
            Fault::Slow { a, b, rate_kib } => {
                self.slow_link(a, b, ByteRate::per_sec(bytes(*rate_kib)));
            }
            Fault::Lossy { a, b, loss_ppm, duplicate_ppm, corrupt_ppm } => {
                self.spoil_link(a, b, *loss_ppm, *duplicate_ppm, *corrupt_ppm);
            }
            Fault::Kill(node) => self.crash(&self.named(node)),
            Fault::KillAtStep { node, after_steps } => self.crash_at_step(&self.named(node), *after_steps),
            Fault::PowerLoss(node) => self.lose_power(&self.named(node)),
            Fault::PowerLossAtDisk { node, after_changes } => {
                self.crash_at_disk(&self.named(node), *after_changes, Side::After);
            }
            Fault::Restart(node) => self.start_again(&self.named(node)),
            Fault::Stall { node, after_kib } => {
                self.tell(node, format_args!("reads stall after {after_kib} KiB"));
                self.named(node).faults.stall_after(bytes(*after_kib));
            }
            Fault::CorruptEntry { node, entry } => {
                self.tell(node, format_args!("a bit of large entry {entry} is read wrongly"));
                let named = self.named(node);
                named.faults.corrupt(spoiled_key(named.blocks().is_some(), "large", *entry));
            }
            Fault::ChangeEntry { node, entry } => {
                self.tell(node, format_args!("small entry {entry} is rewritten"));
                let named = self.named(node);
                named.faults.change_entry(spoiled_key(named.blocks().is_some(), "small", *entry));
            }
            Fault::FullDisk { node, free_kib } => {
                self.fill_disk(&self.named(node), ByteCount(bytes(*free_kib)));
            }
            Fault::FailDisk { node, of, for_ms } => {
                let fault = DiskFault { of: of.kinds(), ..DiskFault::next(DiskErrorKind::Other) };
                self.fail_disk_for(&self.named(node), fault, Duration::from_millis(*for_ms));
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

    fn tell(&self, node: &NodeId, what: std::fmt::Arguments<'_>) {
        self.trace().note(node.as_str(), what);
    }
}

impl Operations {
    fn kinds(self) -> fn(OperationKind) -> bool {
        match self {
            Self::All => |_| true,
            Self::Open => |kind| kind == OperationKind::Open,
            Self::Read => |kind| matches!(kind, OperationKind::Read | OperationKind::List),
            Self::Write => OperationKind::takes_room,
            Self::Sync => {
                |kind| matches!(kind, OperationKind::Sync | OperationKind::SyncDir | OperationKind::SyncFs)
            }
        }
    }
}

fn bytes(kib: u64) -> u64 {
    kib.saturating_mul(1024)
}
