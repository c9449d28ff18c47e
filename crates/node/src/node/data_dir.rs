//! The node's own directory: one process at a time, a boot counter, and the address in use.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use peerstream_types::{Incarnation, WallClock};

use crate::failure::{Failure, Result};

/// The data directory of a running node. Locked as long as this lives.
///
/// ```text
/// <data_dir>/lock          held by the running node
/// <data_dir>/incarnation   which boot this is
/// <data_dir>/consistency.toml  levels that were set while the node ran
/// <data_dir>/listen        the UDP address in use, while the node runs
/// <data_dir>/admin.sock    the admin socket, unless the config names another place
/// <data_dir>/store/        received shards
/// <data_dir>/served/       manifests and hashes of directories that are served
/// <data_dir>/checkpoints/  stores that were frozen on demand, unless the config names another place
/// ```
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| Failure::new(format!("data_dir {}: {error}", path.display()));
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failure::new(format!("data_dir {} is in use", path.display()))
                .hint("another node runs on it; stop that one or give this one a directory of its own"),
            TryLockError::Error(error) => failed(error),
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where received shards are.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Where manifests and hashes of what is served are kept.
    pub(super) fn served(&self) -> PathBuf {
        self.path.join("served")
    }

    /// Where levels that were set are kept.
    pub(super) fn consistency(&self) -> PathBuf {
        self.path.join("consistency.toml")
    }

    /// Where checkpoints are made.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Counts this boot: the time in milliseconds, and above all boots before, also if the clock was
    /// set back since.
    pub(super) fn next_incarnation(&self, clock: &dyn WallClock) -> Result<Incarnation> {
        let path = self.path.join("incarnation");
        let failed = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse::<u64>().map_err(|_| {
                failed(&"not a number").hint("restore the file, or delete it if the clock was never set back")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(&error)),
        };
        let next = clock.unix_ms().max(last.saturating_add(1));
        replace(&path, &format!("{next}\n")).map_err(|error| failed(&error))?;
        Ok(Incarnation(next))
    }

    /// Writes down where peers reach this node, for those who chose port 0.
    pub(super) fn tell_listen_addr(&self, addr: SocketAddr) -> Result<()> {
        let path = self.path.join("listen");
        let written = replace(&path, &format!("{addr}\n"));
        written.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }

    /// The address is no longer in use.
    pub(super) fn forget_listen_addr(&self) {
        // A file that is left behind says where the node was, and is replaced by the next boot.
        fs::remove_file(self.path.join("listen")).ok();
    }
}

/// Replaces a small file in one step that survives a power loss.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stopped(u64);

    impl WallClock for Stopped {
        fn unix_ms(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_second_node_on_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let refused = DataDir::open(dir.path()).unwrap_err();
        assert!(refused.what().ends_with("is in use"), "{refused}");
        drop(first);
        assert!(DataDir::open(dir.path()).is_ok());
    }

    #[test]
    fn incarnations_grow_also_when_the_clock_was_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let boots = [1_000, 2_000, 500, 500].map(|now| data.next_incarnation(&Stopped(now)).unwrap().0);
        assert_eq!(boots, [1_000, 2_000, 2_001, 2_002]);
    }

    #[test]
    fn a_damaged_boot_counter_is_an_error_and_not_a_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("incarnation"), "x").unwrap();
        assert!(data.next_incarnation(&Stopped(1)).unwrap_err().what().ends_with("not a number"));
    }
}
