//! What goes wrong with a node that still runs: its disk, its processor, its clock, its certificate.
//!
//! Everything here works on the machine, so it lasts over a restart. What concerns a disk has no effect
//! on a node that keeps its shards in memory, except that it can be full.

use std::path::PathBuf;
use std::time::Duration;

use peerstream_snapshot::disk::crash::Fault;
use peerstream_transport::PeerIdentity;
use peerstream_types::ByteCount;

use super::SimWorld;
use crate::disk::DiskUnit;
use crate::fault::Effect;
use crate::node::SimNode;

impl SimWorld {
    /// Leaves so much room on a node's disk, or in its store in memory for content.
    pub fn fill_disk(&self, node: &SimNode, free: ByteCount) {
        self.0.trace.note(node.id.as_str(), format_args!("disk is full but for {free}"));
        match node.machine.medium.disk() {
            Some(disk) => disk.leave_room(free),
            None => node.machine.faults.leave_room(free.0),
        }
    }

    /// There is as much room as in the beginning.
    pub fn empty_disk(&self, node: &SimNode) {
        self.0.trace.note(node.id.as_str(), "disk has room again");
        match node.machine.medium.disk() {
            Some(disk) => disk.make_room(),
            None => node.machine.faults.make_room(),
        }
    }

    /// Lets operations of a node's disk fail.
    pub fn fail_disk(&self, node: &SimNode, fault: Fault) {
        self.0.trace.note(node.id.as_str(), format_args!("disk fails with {:?}", fault.kind));
        if let Some(disk) = node.machine.medium.disk() {
            disk.fail(fault);
        }
    }

    /// Lets operations of a node's disk fail for some time: all that the fault fits, however many.
    pub fn fail_disk_for(&self, node: &SimNode, fault: Fault, time: Duration) {
        self.0.trace.note(node.id.as_str(), format_args!("disk fails with {:?} for {time:?}", fault.kind));
        let Some(disk) = node.machine.medium.disk().cloned() else { return };
        let number = disk.begin_failure(Fault { skip: 0, times: u64::MAX, ..fault });
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            disk.end_failure(number);
        });
    }

    /// Whether something is wrong with a node's machine that [`SimWorld::recover`] ends.
    pub(crate) fn is_ill(&self, node: &SimNode) -> bool {
        let machine = &node.machine;
        let (is_slow, is_wrong) = (machine.cpu.is_slow(), machine.clock.offset_ms() != 0);
        is_slow || is_wrong || machine.faults.any() || machine.medium.disk().is_some_and(DiskUnit::is_bad)
    }

    /// Ends all that is wrong with a node's machine: its store, disk, processor and clock.
    pub fn recover(&self, node: &SimNode) {
        if self.is_ill(node) {
            node.machine.tally.hit(Effect::Recovered);
        }
        node.faults.clear();
        self.empty_disk(node);
        self.heal_disk(node);
        self.slow_disk(node, 1);
        self.slow_cpu(node, Duration::ZERO);
        self.set_clock(node, 0);
    }

    /// Ends what [`SimWorld::fail_disk`] and [`SimWorld::fail_disk_for`] began.
    pub fn heal_disk(&self, node: &SimNode) {
        self.0.trace.note(node.id.as_str(), "disk fails no more");
        if let Some(disk) = node.machine.medium.disk() {
            disk.heal();
        }
    }

    /// Flips a bit of a file on a node's disk, which the seed tells. Says which file, or `None` if there
    /// is none.
    pub fn rot(&self, node: &SimNode) -> Option<PathBuf> {
        self.rot_below(node, "")
    }

    /// The same, of a file whose path contains `part`: `data/` for one that is published, say.
    pub fn rot_below(&self, node: &SimNode, part: &str) -> Option<PathBuf> {
        let disk = node.machine.medium.disk()?;
        let mut files = disk.files();
        files.retain(|(path, _)| path.to_string_lossy().contains(part));
        let (path, len) = files.get(usize::try_from(self.chance(files.len() as u64)).ok()?)?.clone();
        let bit = self.chance(8 * len);
        self.0.trace.note(node.id.as_str(), format_args!("bit {bit} of {} flips", path.display()));
        disk.flip(&path, bit).ok()?;
        node.machine.tally.hit(Effect::Rotted);
        Some(path)
    }

    /// Makes every operation of a node's disk take so many times as long; once is as it was.
    pub fn slow_disk(&self, node: &SimNode, times: u32) {
        self.0.trace.note(node.id.as_str(), format_args!("disk takes {times} times as long"));
        if let Some(disk) = node.machine.medium.disk() {
            disk.set_slower(times);
        }
    }

    /// Makes every batch that is hashed take so long, one after another; zero is as it was.
    pub fn slow_cpu(&self, node: &SimNode, job: Duration) {
        self.0.trace.note(node.id.as_str(), format_args!("hashing takes {job:?} per batch"));
        node.machine.cpu.set_job_time(job);
    }

    /// Puts a node's wall clock wrong by so many milliseconds: behind, if negative.
    pub fn set_clock(&self, node: &SimNode, offset_ms: i64) {
        self.0.trace.note(node.id.as_str(), format_args!("clock is wrong by {offset_ms} ms"));
        node.machine.clock.set_offset_ms(offset_ms);
    }

    /// Gives a node a new certificate of its cluster's authority, as valid as its first one was, and
    /// lets it take that in while it runs. There are none on [`Network::Memory`](crate::Network::Memory).
    pub fn rotate_certificate(&self, node: &SimNode) {
        let node = self.present(node);
        self.0.trace.note(node.id.as_str(), "certificate is rotated");
        let identity = PeerIdentity { cluster: node.spec.cluster.clone(), node: node.id.clone() };
        let (days, now) = (node.spec.certificate_days, self.0.clock.true_unix_ms());
        if node.process.uplink.reload(|| self.0.net.issue(&identity, node.addr, days, now)) {
            node.machine.tally.hit(Effect::Rotated);
        }
    }
}
