//! A placement that a file says.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use peerstream_types::{NodeId, ShardId};

use crate::document::{self, DocumentError, FILE_LEN_MAX};
use crate::{Changes, Holder, Placement, ReplaceablePlacement, StaticPlacement};

/// Why a placement file was not taken. What was in force before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("placement file {}: {fault}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a placement file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// It cannot be read: it is missing, say, or not a file. The words of the system.
    #[error("{0}")]
    Unreadable(String),
    /// It is too long: a wrong path, most likely.
    #[error("{0} bytes, at most {FILE_LEN_MAX} are allowed")]
    TooLong(u64),
    /// It says something wrong.
    #[error(transparent)]
    Wrong(#[from] DocumentError),
}

/// What a look at the file brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is as it was at the last look, good or bad.
    Same,
    /// It was read, and is in force now.
    Taken,
    /// It was not taken, for another reason than at the last look.
    Refused(FileError),
}

/// A placement that a file says, read again when the file changes.
///
/// Somebody has to [look](Self::look), now and then, on a thread that may block; everything else answers
/// from memory. The file is taken as a whole or not at all: write another one beside it, and rename that.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    current: ReplaceablePlacement,
    /// What the file was like when it was read last; `None` if it could not be. Locked for a whole look,
    /// so that two of them do not mix.
    seen: Mutex<Option<Stamp>>,
    fault: RwLock<Option<FileError>>,
}

/// Differs after every change: a file that is replaced has another inode, one that is written to another
/// time or length.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self { modified: found.modified().ok(), len: found.len(), inode: inode(found) }
    }
}

#[cfg(unix)]
fn inode(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_found: &Metadata) -> u64 {
    0
}

impl WatchedFile {
    /// Reads the file for the first time. Blocks.
    ///
    /// # Errors
    ///
    /// [`FileError`]: there is nothing good to begin with.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let (stamp, read) = read(&path).map_err(|fault| FileError { path: path.clone(), fault })?;
        let placement = read.map_err(|fault| FileError { path: path.clone(), fault })?;
        let current = ReplaceablePlacement::new(placement);
        Ok(Self { path, current, seen: Mutex::new(Some(stamp)), fault: RwLock::default() })
    }

    /// Reads the file if it is another one than at the last look. Blocks.
    pub fn look(&self) -> Look {
        let mut seen = self.seen();
        if let Ok(found) = fs::metadata(&self.path)
            && *seen == Some(Stamp::of(&found))
        {
            return Look::Same;
        }
        self.take(&mut seen)
    }

    /// Reads the file, changed or not. Blocks.
    pub fn look_again(&self) -> Look {
        self.take(&mut self.seen())
    }

    /// What was wrong with the file at the last look; what was good before is in force.
    pub fn fault(&self) -> Option<FileError> {
        self.fault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn seen(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, seen: &mut Option<Stamp>) -> Look {
        let (stamp, placement) = match read(&self.path) {
            Ok((stamp, placement)) => (Some(stamp), placement),
            Err(fault) => (None, Err(fault)),
        };
        *seen = stamp;
        let fault = match placement {
            Ok(placement) => {
                self.current.replace(placement);
                None
            }
            Err(fault) => Some(FileError { path: self.path.clone(), fault }),
        };
        let mut last = self.fault.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = *last != fault;
        last.clone_from(&fault);
        match fault {
            None => Look::Taken,
            Some(error) if is_new => Look::Refused(error),
            Some(_) => Look::Same,
        }
    }
}

/// What the file is like, and what it says; an error if it is not even like anything.
fn read(path: &Path) -> Result<(Stamp, Result<StaticPlacement, FileFault>), FileFault> {
    let unreadable = |error: std::io::Error| FileFault::Unreadable(error.to_string());
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(FileFault::Unreadable("not a file".to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    // From before the content: what changes meanwhile is read again at the next look.
    let stamp = Stamp::of(&found);
    if found.len() > FILE_LEN_MAX {
        return Ok((stamp, Err(FileFault::TooLong(found.len()))));
    }
    let mut text = String::new();
    file.take(FILE_LEN_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok((stamp, document::parse(&text).map_err(FileFault::from)))
}

impl Placement for WatchedFile {
    fn holders(&self, shard: &ShardId) -> Vec<Holder> {
        self.current.holders(shard)
    }

    fn addr_of(&self, node: &NodeId) -> Option<SocketAddr> {
        self.current.addr_of(node)
    }

    fn replication(&self, shard: &ShardId) -> Option<u32> {
        self.current.replication(shard)
    }

    fn changes(&self) -> Changes {
        self.current.changes()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn text(node: &str) -> String {
        format!("[[node]]\nnode = \"{node}\"\naddr = \"10.0.0.1:1\"\n")
    }

    fn replace(dir: &TempDir, text: &str) {
        let beside = dir.path().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, dir.path().join("placement.toml")).unwrap();
    }

    fn begin() -> (TempDir, WatchedFile) {
        let dir = tempfile::tempdir().unwrap();
        replace(&dir, &text("a"));
        let watched = WatchedFile::open(dir.path().join("placement.toml")).unwrap();
        (dir, watched)
    }

    fn knows(placement: &WatchedFile, node: &str) -> bool {
        placement.addr_of(&NodeId::new(node).unwrap()).is_some()
    }

    /// F-75: a file that was replaced is taken as a whole, and those who wait hear of it.
    #[test]
    fn a_new_file_is_taken_and_an_old_one_is_not_read_again() {
        let (dir, watched) = begin();
        let mut changes = watched.changes();
        assert_eq!((watched.look(), changes.take()), (Look::Same, false));
        replace(&dir, &text("b"));
        assert_eq!((watched.look(), changes.take()), (Look::Taken, true));
        assert!(knows(&watched, "b") && !knows(&watched, "a"));
        assert_eq!((watched.look_again(), changes.take()), (Look::Taken, false), "it says the same");
    }

    #[test]
    fn a_bad_file_is_said_once_and_the_last_good_one_stays() {
        let (dir, watched) = begin();
        let mut changes = watched.changes();
        replace(&dir, "[[node]]\naddr = 7\n");
        let Look::Refused(error) = watched.look() else { panic!("it was taken") };
        let said = error.to_string();
        assert!(said.contains("placement.toml: line 2: "), "{said}");
        assert_eq!((watched.look(), watched.look_again()), (Look::Same, Look::Same));
        assert!(knows(&watched, "a") && !changes.take());
        assert_eq!(watched.fault(), Some(error));
        replace(&dir, &text("b"));
        assert_eq!((watched.look(), watched.fault()), (Look::Taken, None));
    }

    #[test]
    fn a_file_that_is_missing_comes_back() {
        let (dir, watched) = begin();
        fs::rename(watched.path(), dir.path().join("away")).unwrap();
        assert!(matches!(watched.look(), Look::Refused(FileError { fault: FileFault::Unreadable(_), .. })));
        assert_eq!(watched.look(), Look::Same);
        assert!(knows(&watched, "a"));
        fs::rename(dir.path().join("away"), watched.path()).unwrap();
        assert_eq!((watched.look(), watched.fault()), (Look::Taken, None), "though it is the same file");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let refused = WatchedFile::open(dir.path()).unwrap_err();
        assert_eq!(refused.fault, FileFault::Unreadable("not a file".to_owned()));
        let path = dir.path().join("long");
        File::create(&path).unwrap().set_len(FILE_LEN_MAX + 1).unwrap();
        assert_eq!(WatchedFile::open(&path).unwrap_err().fault, FileFault::TooLong(FILE_LEN_MAX + 1));
    }
}
