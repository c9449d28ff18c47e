//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one: the soft limit is 1,024 on most systems, for
/// the sake of programs that use `select`. A failure leaves what is there.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        tracing::debug!(?current, ?maximum, "raised the limit on open files");
    }
}
