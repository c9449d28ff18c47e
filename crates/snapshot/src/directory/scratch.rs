//! Directories that last no longer than what is in them is used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

use crate::{Disk, DiskError};

/// The next directory of this process. One that is removed in the background goes when its owner is long
/// gone: whoever follows there must not be given the same name.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Hands out directories below one of its own.
#[derive(Debug)]
pub(super) struct Scratch {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Scratch {
    /// Removes what an earlier process left in `dir`. It is made when it is first used: a full disk
    /// serves what needs no directory.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub(super) async fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, DiskError> {
        disk.remove_dir_all(&dir).await?;
        Ok(Self { disk, dir })
    }

    /// A directory that does not exist yet. It is removed, with all that is in it, when this is
    /// dropped; what cannot be removed then, by the next process. Call it within a runtime.
    pub(super) fn take(&self) -> ScratchDir {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(number.to_string());
        ScratchDir { disk: self.disk.clone(), path, runtime: Handle::current() }
    }
}

/// A directory of one's own.
#[derive(Debug)]
pub(super) struct ScratchDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    runtime: Handle,
}

impl ScratchDir {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        let (disk, path) = (self.disk.clone(), self.path.clone());
        // A failure costs room until the next start, which tries again.
        self.runtime.spawn(async move { disk.remove_dir_all(&path).await.ok() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    /// What one source gives back is removed late, perhaps when the next one is at work in the same place.
    #[tokio::test]
    async fn a_late_removal_takes_nothing_from_who_comes_next() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Scratch::open(Arc::new(RealDisk::new()), dir.path().join("scratch"));
        let before = open().await.unwrap().take();
        let after = open().await.unwrap().take();
        std::fs::create_dir_all(after.path()).unwrap();
        let path = before.path().to_owned();
        drop(before);
        let disk = RealDisk::new();
        disk.remove_dir_all(&path).await.unwrap();
        assert!(after.path().exists());
    }
}
