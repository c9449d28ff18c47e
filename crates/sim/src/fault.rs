//! Faults as data: what goes wrong, to whom, when. A scenario lists them or has them drawn from its seed,
//! and any of them can be left out when a failure is narrowed down.

mod effect;
mod inject;
mod mix;
mod numbers;
mod storm;
mod timed;

use peerstream_types::NodeId;
use serde::{Deserialize, Serialize};

pub(crate) use effect::{Effect, Tally};
pub use mix::Mix;
pub(crate) use numbers::within;
pub use storm::Supervisor;
pub use timed::Timed;

/// Something that goes wrong, or is right again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Two nodes cannot reach each other.
    Cut {
        /// One of them.
        a: NodeId,
        /// The other.
        b: NodeId,
    },
    /// What one node sends to another does not arrive.
    CutOneWay {
        /// Who sends.
        from: NodeId,
        /// Who does not receive.
        to: NodeId,
    },
    /// Two nodes reach each other again, both ways, over links as they were at the beginning.
    Heal {
        /// One of them.
        a: NodeId,
        /// The other.
        b: NodeId,
    },
    /// Two nodes are cut and healed again and again.
    Flap {
        /// One of them.
        a: NodeId,
        /// The other.
        b: NodeId,
        /// Milliseconds of one cut, and of the time until the next.
        period_ms: u64,
        /// How often.
        times: u32,
    },
    /// The links between two nodes are slow.
    Slow {
        /// One of them.
        a: NodeId,
        /// The other.
        b: NodeId,
        /// KiB per second, each way.
        rate_kib: u64,
    },
    /// The links between two nodes lose, double and damage datagrams.
    Lossy {
        /// One of them.
        a: NodeId,
        /// The other.
        b: NodeId,
        /// Datagrams lost, per million.
        loss_ppm: u32,
        /// Datagrams that arrive twice, per million.
        duplicate_ppm: u32,
        /// Datagrams that arrive with a bit flipped, per million.
        corrupt_ppm: u32,
    },
    /// The process of a node ends; what it wrote is there.
    Kill(NodeId),
    /// The process of a node ends between two of its steps.
    KillAtStep {
        /// Whose.
        node: NodeId,
        /// How many steps it still takes.
        after_steps: u64,
    },
    /// The power of a node fails; what was not synced may be gone, in part or out of order.
    PowerLoss(NodeId),
    /// The power fails at the given change of the node's disk from now on.
    PowerLossAtDisk {
        /// Whose.
        node: NodeId,
        /// How many changes of the disk there still are.
        after_changes: u64,
    },
    /// A node is started again, if it is down.
    Restart(NodeId),
    /// Reads of a node's store answer no more after this many KiB.
    Stall {
        /// Whose.
        node: NodeId,
        /// How much is still read.
        after_kib: u64,
    },
    /// One entry of a node's store is read with a wrong bit.
    CorruptEntry {
        /// Whose.
        node: NodeId,
        /// Which of its large entries.
        entry: u32,
    },
    /// One entry of a node's store was rewritten since it was listed.
    ChangeEntry {
        /// Whose.
        node: NodeId,
        /// Which of its small entries.
        entry: u32,
    },
    /// A node's disk has no more room than this.
    FullDisk {
        /// Whose.
        node: NodeId,
        /// Room that is left, in KiB.
        free_kib: u64,
    },
    /// Operations of a node's disk fail for a while.
    FailDisk {
        /// Whose.
        node: NodeId,
        /// Which operations.
        of: Operations,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// A bit of something on a node's disk is flipped.
    Rot(NodeId),
    /// Operations of a node's disk take longer.
    SlowDisk {
        /// Whose.
        node: NodeId,
        /// How many times longer.
        factor: u32,
    },
    /// Everything that a node hashes takes longer.
    SlowCpu {
        /// Whose.
        node: NodeId,
        /// How long a batch takes, in milliseconds.
        job_ms: u64,
    },
    /// A node's wall clock is wrong.
    Clock {
        /// Whose.
        node: NodeId,
        /// By so many milliseconds; behind, if negative.
        offset_ms: i64,
    },
    /// A node gets a new certificate while it works.
    RotateCertificate(NodeId),
    /// A node's store, disk and processor behave well again.
    Recover(NodeId),
}

/// Operations of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operations {
    /// Whatever is asked of it.
    All,
    /// Files that are there are opened.
    Open,
    /// Files are read, and directories listed.
    Read,
    /// Files are made, written to and cut.
    Write,
    /// Something is made durable.
    Sync,
}

impl Fault {
    /// The name of its kind, as a scenario writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::CutOneWay { .. } => "cut-one-way",
            Self::Heal { .. } => "heal",
            Self::Flap { .. } => "flap",
            Self::Slow { .. } => "slow",
            Self::Lossy { .. } => "lossy",
            Self::Kill(_) => "kill",
            Self::KillAtStep { .. } => "kill-at-step",
            Self::PowerLoss(_) => "power-loss",
            Self::PowerLossAtDisk { .. } => "power-loss-at-disk",
            Self::Restart(_) => "restart",
            Self::Stall { .. } => "stall",
            Self::CorruptEntry { .. } => "corrupt-entry",
            Self::ChangeEntry { .. } => "change-entry",
            Self::FullDisk { .. } => "full-disk",
            Self::FailDisk { .. } => "fail-disk",
            Self::Rot(_) => "rot",
            Self::SlowDisk { .. } => "slow-disk",
            Self::SlowCpu { .. } => "slow-cpu",
            Self::Clock { .. } => "clock",
            Self::RotateCertificate(_) => "rotate-certificate",
            Self::Recover(_) => "recover",
        }
    }

    /// What it does to whom it is about, if it does anything.
    pub(crate) fn effects(&self) -> &'static [Effect] {
        match self {
            Self::Cut { .. } => &[Effect::Cut],
            Self::CutOneWay { .. } => &[Effect::CutOneWay],
            Self::Heal { .. } => &[Effect::Healed],
            Self::Flap { .. } => &[Effect::Flapped],
            Self::Slow { .. } => &[Effect::SlowLink],
            Self::Lossy { .. } => &[Effect::Lost, Effect::Doubled, Effect::Spoiled],
            Self::Kill(_) => &[Effect::Killed],
            Self::KillAtStep { .. } => &[Effect::KilledAtStep],
            Self::PowerLoss(_) => &[Effect::PowerLost],
            Self::PowerLossAtDisk { .. } => &[Effect::PowerLostAtDisk],
            Self::Restart(_) => &[Effect::Restarted],
            Self::Stall { .. } => &[Effect::Stalled],
            Self::CorruptEntry { .. } => &[Effect::ReadWrong],
            Self::ChangeEntry { .. } => &[Effect::ReadChanged],
            Self::FullDisk { .. } => &[Effect::NoRoom],
            Self::FailDisk { .. } => &[Effect::DiskFailed],
            Self::Rot(_) => &[Effect::Rotted],
            Self::SlowDisk { .. } => &[Effect::SlowDisk],
            Self::SlowCpu { .. } => &[Effect::SlowCpu],
            Self::Clock { .. } => &[Effect::WrongTime],
            Self::RotateCertificate(_) => &[Effect::Rotated],
            Self::Recover(_) => &[Effect::Recovered],
        }
    }

    /// The nodes that it is about.
    pub fn nodes(&self) -> Vec<&NodeId> {
        match self {
            Self::Cut { a, b }
            | Self::Heal { a, b }
            | Self::Flap { a, b, .. }
            | Self::Slow { a, b, .. }
            | Self::Lossy { a, b, .. }
            | Self::CutOneWay { from: a, to: b } => vec![a, b],
            Self::Kill(node)
            | Self::PowerLoss(node)
            | Self::PowerLossAtDisk { node, .. }
            | Self::Restart(node)
            | Self::Stall { node, .. }
            | Self::CorruptEntry { node, .. }
            | Self::ChangeEntry { node, .. }
            | Self::FullDisk { node, .. }
            | Self::FailDisk { node, .. }
            | Self::Rot(node)
            | Self::SlowCpu { node, .. }
            | Self::Clock { node, .. }
            | Self::KillAtStep { node, .. }
            | Self::SlowDisk { node, .. }
            | Self::RotateCertificate(node)
            | Self::Recover(node) => vec![node],
        }
    }
}
