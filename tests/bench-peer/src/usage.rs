//! What this process has used so far, and how many files it may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Seconds of processor time, user and system, of all threads.
pub(crate) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// As the node does: the soft limit on open files goes up to the hard one.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A failure leaves what is there.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
}
