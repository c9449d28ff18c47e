//! What this process has used so far.

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// Seconds of processor time, user and system, of this thread.
pub(crate) fn thread_seconds() -> f64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// The most memory that this process ever had, in MiB: what the kernel calls the high-water mark of its
/// resident set.
pub(crate) fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.ok_or("the kernel says nothing of VmHWM")?.parse::<f64>()? / 1024.0)
}
