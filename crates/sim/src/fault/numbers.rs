//! Numbers of faults that make sense.

use super::{Fault, Mix, Timed};

/// Latest time of a fault, and longest of one, in milliseconds: more than a week.
const MS_MAX: u64 = 1_000_000_000;
/// Most KiB: eight tebibytes.
const KIB_MAX: u64 = 1 << 33;
/// Furthest that a clock may be wrong, in milliseconds: about ten years.
const CLOCK_MAX: u64 = 320_000_000_000;
/// Most faults of a mix, and most turns of a flap.
const COUNT_MAX: u32 = 10_000;
/// Most times that a disk may take as long as it should.
const FACTOR_MAX: u32 = 1_000_000;
const MILLION: u32 = 1_000_000;

/// Says what is not within its bounds, if anything is not.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(
    what: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), String> {
    match least <= value && value <= most {
        true => Ok(()),
        false => Err(format!("{what} is {value}, and may be {least} to {most}")),
    }
}

impl Timed {
    /// Refuses numbers that cannot be meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("at_ms", self.at_ms, 0, MS_MAX)?;
        self.fault.check()
    }
}

impl Fault {
    fn check(&self) -> Result<(), String> {
        if let [a, b] = self.nodes()[..]
            && a == b
        {
            return Err(format!("{a} has no link to itself"));
        }
        match self {
            Self::Flap { period_ms, times, .. } => {
                within("period_ms", *period_ms, 1, MS_MAX)?;
                within("times", *times, 1, COUNT_MAX)
            }
            Self::Slow { rate_kib, .. } => within("rate_kib", *rate_kib, 1, KIB_MAX),
            Self::Lossy { loss_ppm, duplicate_ppm, corrupt_ppm, .. } => {
                let odds =
                    [("loss_ppm", loss_ppm), ("duplicate_ppm", duplicate_ppm), ("corrupt_ppm", corrupt_ppm)];
                odds.into_iter().try_for_each(|(what, ppm)| within(what, *ppm, 0, MILLION))
            }
            Self::Stall { after_kib, .. } => within("after_kib", *after_kib, 0, KIB_MAX),
            Self::FullDisk { free_kib, .. } => within("free_kib", *free_kib, 0, KIB_MAX),
            Self::FailDisk { for_ms, .. } => within("for_ms", *for_ms, 1, MS_MAX),
            Self::SlowDisk { factor, .. } => within("factor", *factor, 1, FACTOR_MAX),
            Self::SlowCpu { job_ms, .. } => within("job_ms", *job_ms, 0, MS_MAX),
            Self::Clock { offset_ms, .. } => {
                within("offset_ms, either way,", offset_ms.unsigned_abs(), 0, CLOCK_MAX)
            }
            Self::Cut { .. }
            | Self::CutOneWay { .. }
            | Self::Heal { .. }
            | Self::Kill(_)
            | Self::KillAtStep { .. }
            | Self::PowerLoss(_)
            | Self::PowerLossAtDisk { .. }
            | Self::Restart(_)
            | Self::CorruptEntry { .. }
            | Self::ChangeEntry { .. }
            | Self::Rot(_)
            | Self::RotateCertificate(_)
            | Self::Recover(_) => Ok(()),
        }
    }
}

impl Mix {
    /// Refuses numbers that cannot be meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("count", self.count, 0, COUNT_MAX)?;
        within("within_ms", self.within_ms, 1, MS_MAX)?;
        within("loss_ppm", self.loss_ppm, 0, MILLION)
    }
}
