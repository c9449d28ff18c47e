//! The few files that are kept open between operations.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::OpenMode;
use crate::limits::OPEN_FILES_MAX;
use crate::{Disk, DiskError, DiskFile};

/// At most [`OPEN_FILES_MAX`] open files; the one that was not used for longest makes room.
#[derive(Debug)]
pub(super) struct OpenFiles<K>(Mutex<Used<K>>);

#[derive(Debug)]
struct Used<K> {
    files: BTreeMap<K, (u64, Arc<dyn DiskFile>)>,
    clock: u64,
}

impl<K: Ord + Clone> OpenFiles<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Used { files: BTreeMap::new(), clock: 0 }))
    }

    /// The file if it is open.
    pub(super) fn get(&self, key: &K) -> Option<Arc<dyn DiskFile>> {
        let mut used = self.lock();
        used.clock += 1;
        let clock = used.clock;
        let (last, file) = used.files.get_mut(key)?;
        *last = clock;
        Some(file.clone())
    }

    /// Closes all of them.
    pub(super) fn clear(&self) {
        self.lock().files.clear();
    }

    /// Keeps an open file.
    pub(super) fn keep(&self, key: K, file: Arc<dyn DiskFile>) {
        let mut used = self.lock();
        used.clock += 1;
        let clock = used.clock;
        used.files.insert(key, (clock, file));
        if used.files.len() > OPEN_FILES_MAX {
            let oldest = used.files.iter().min_by_key(|(_, (last, _))| *last).map(|(key, _)| key.clone());
            oldest.and_then(|key| used.files.remove(&key));
        }
    }

    /// The file, opened if it is not.
    pub(super) async fn open(
        &self,
        disk: &dyn Disk,
        key: K,
        path: &Path,
        mode: OpenMode,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        if let Some(file) = self.get(&key) {
            return Ok(file);
        }
        let file = disk.open(path, mode).await?;
        self.keep(key, file.clone());
        Ok(file)
    }

    /// Closes a file.
    pub(super) fn forget(&self, key: &K) {
        self.lock().files.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Used<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    #[tokio::test]
    async fn no_more_files_are_open_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let files = OpenFiles::new();
        let disk = RealDisk::new();
        for i in 0..OPEN_FILES_MAX + 5 {
            files.open(&disk, i, &dir.path().join(i.to_string()), OpenMode::Create).await.unwrap();
            files.get(&0).expect("what is used stays open");
        }
        assert_eq!(files.lock().files.len(), OPEN_FILES_MAX);
        assert!(files.get(&1).is_none(), "what was not used is closed");
    }
}
