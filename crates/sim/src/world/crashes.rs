//! How nodes end: killed, without power, at an instant, at a step, at a change of their disk.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use peerstream_snapshot::disk::crash::{Side, Survival};

use super::SimWorld;
use crate::disk::DiskUnit;
use crate::fault::Effect;
use crate::node::{End, SimNode};

impl SimWorld {
    /// Kills a node's process at once, as `kill -9` does. What it had written to its disk is there,
    /// synced or not; a store in memory stays. Nothing of the process goes on: no byte leaves it or
    /// reaches it, and it changes its disk no more. Its plans never end.
    ///
    /// Over [`Network::Quic`](crate::Network::Quic) its peers hear nothing more and find out by
    /// themselves; in memory they are told at once.
    pub fn crash(&self, node: &SimNode) {
        let node = self.present(node);
        if node.is_running() {
            node.machine.tally.hit(Effect::Killed);
            self.end(&node, End::Killed, "crash");
        }
    }

    /// Cuts a node's power. Its process ends as in [`SimWorld::crash`]; of what was not synced, the
    /// seed tells whether the disk keeps nothing, everything or some.
    pub fn lose_power(&self, node: &SimNode) {
        let (node, survival) = (self.present(node), self.survival());
        if node.is_running() {
            node.machine.tally.hit(Effect::PowerLost);
        }
        self.end(&node, End::PowerLost, format_args!("power is lost, {survival:?} survives"));
        self.settle(&node, survival);
    }

    /// Cuts a node's power at a change of its disk, counted from now: `change` of them are carried out,
    /// the next one is the last, or is not done any more. Without effect on a node without a disk.
    pub fn crash_at_disk(&self, node: &SimNode, change: u64, side: Side) {
        if let Some(disk) = self.present(node).machine.medium.disk() {
            let side_name = format!("{side:?}").to_lowercase();
            self.0.trace.note(
                node.id.as_str(),
                format_args!("is to lose its power {side_name} change {change} of its disk"),
            );
            disk.stop_at(change, side);
        }
    }

    /// Kills a node after so many more steps of its process: answers of its transport, store, disk or
    /// offload. That is at any await of its engine, since nothing of an engine can be seen from outside
    /// between two of them.
    pub fn crash_at_step(&self, node: &SimNode, steps: u64) {
        self.0.trace.note(node.id.as_str(), format_args!("is to crash {steps} steps from now"));
        self.present(node).process.life.end_after(steps);
    }

    /// Calls off what [`SimWorld::crash_at_step`] and [`SimWorld::crash_at_disk`] have announced.
    pub fn disarm(&self, node: &SimNode) {
        let node = self.present(node);
        self.0.trace.note(node.id.as_str(), "is not to crash any more");
        node.process.life.end_after(u64::MAX);
        node.machine.medium.disk().map(DiskUnit::disarm);
    }

    /// Kills a node's present life after some time, if it still runs then.
    pub fn crash_after(&self, node: &SimNode, time: Duration) {
        let (world, node) = (self.clone(), self.present(node));
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if node.is_running() {
                world.crash(&node);
            }
        });
    }

    /// Ends the node that runs at an address by itself.
    pub(super) fn end_at(&self, addr: SocketAddr, end: End) {
        let Some(node) = self.nodes().get(&addr).cloned() else { return };
        match end {
            End::Killed => {
                node.machine.tally.hit(Effect::KilledAtStep);
                self.end(&node, end, format_args!("crash at step {}", node.steps()));
            }
            End::PowerLost => {
                node.machine.tally.hit(Effect::PowerLostAtDisk);
                let survival = self.survival();
                let stopped = node.machine.medium.disk().and_then(|disk| disk.present().stopped());
                let at = stopped.map(|at| format!("{:?} of {}", at.kind, at.path.display()));
                let at = at.unwrap_or_default();
                self.end(&node, end, format_args!("power is lost at {at}, {survival:?} survives"));
                self.settle(&node, survival);
            }
        }
    }

    /// Ends a process, if it still runs.
    fn end(&self, node: &SimNode, end: End, what: impl Display) {
        self.0.trace.note(node.id.as_str(), what);
        if !node.is_running() {
            return;
        }
        node.process.life.finish();
        self.0.net.crash(node.addr);
        node.process.uplink.abandon();
        if let (End::Killed, Some(disk)) = (end, node.machine.medium.disk()) {
            disk.kill();
        }
        self.0.seams.crashed(&node.id);
    }

    /// What the disk of a machine without power keeps.
    fn settle(&self, node: &SimNode, survival: Survival) {
        if let Some(disk) = node.machine.medium.disk() {
            disk.lose_power(survival);
        }
    }

    fn survival(&self) -> Survival {
        match self.chance(4) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Mixture(self.chance(u64::MAX)),
        }
    }
}
