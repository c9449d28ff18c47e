//! Checkpoints of directories of plain files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use peerstream_types::{Position, ShardId};

use super::checkpointer::{CheckpointError, Checkpointer};
use super::limits::{DIRS_MAX, FREEZE_ATTEMPTS, FREEZE_JOBS, LISTED_AT_ONCE, MUTABLE_FILES_MAX};
use super::pattern::FilePattern;
use crate::disk::{DirEntry, DiskErrorKind, FileKind, Metadata};
use crate::{BoxFuture, Disk, DiskError};

/// What a [`TreeCheckpointer`] does with which file. Patterns match names of files, not directories.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeRules {
    /// Files that nobody writes to once they have their name, such as `*.sst`: they are hard linked,
    /// which costs nothing. A file that is written to after all changes in the checkpoint, too. Default
    /// none.
    pub immutable: Vec<FilePattern>,
    /// Files that do not belong to the shard, such as `LOCK` or `*.tmp`. Default none.
    pub ignored: Vec<FilePattern>,
}

/// Freezes directories of plain files: immutable files are hard linked, all others cloned where the
/// file system shares blocks, and copied elsewhere.
///
/// The checkpoint holds all files as they were together at one moment: a file that is not immutable and
/// changes, or a name that comes or goes, before all are copied makes the freeze begin anew, and the
/// third time fail. Changes are told by length, time and identity, so two changes within one tick of the file system's clock (a few
/// milliseconds) look like one. What a store keeps writing to has to be frozen by the store itself: then
/// implement [`Checkpointer`]. Directories without files are left out.
///
/// Its shards have no log position. A host that has one implements [`Checkpointer`] and calls
/// [`TreeCheckpointer::freeze`].
#[derive(Debug)]
pub struct TreeCheckpointer {
    disk: Arc<dyn Disk>,
    rules: TreeRules,
    trees: Mutex<BTreeMap<ShardId, PathBuf>>,
}

/// Why a tree was not frozen in one attempt.
enum Failed {
    /// It was changed meanwhile.
    Changed(String),
    Refused(CheckpointError),
}

impl<E: Into<CheckpointError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// A file that was copied, or a directory that was listed, as it was before.
struct Seen {
    path: PathBuf,
    before: Metadata,
}

impl TreeCheckpointer {
    /// Freezes nothing yet.
    pub fn new(disk: Arc<dyn Disk>, rules: TreeRules) -> Self {
        Self { disk, rules, trees: Mutex::default() }
    }

    /// Takes a live directory as the content of a shard. Nothing is read before the first checkpoint.
    pub fn add(&self, shard: &ShardId, live: impl Into<PathBuf>) {
        self.lock().insert(shard.clone(), live.into());
    }

    /// Freezes the directory `live` into `dir`, which does not exist.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NotNow`] if it keeps changing, [`CheckpointError::BadContent`] for links,
    /// devices and the like, and if `dir` lies inside `live`. Something may stand at `dir` then.
    pub async fn freeze(&self, live: &Path, dir: &Path) -> Result<(), CheckpointError> {
        if dir.starts_with(live) {
            let what = format!("{} lies inside {}, which it is made of", dir.display(), live.display());
            return Err(CheckpointError::BadContent(what));
        }
        let mut changed = String::new();
        for _ in 0..FREEZE_ATTEMPTS {
            self.disk.remove_dir_all(dir).await?;
            match self.attempt(live, dir).await {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(error)) => return Err(error),
                Err(Failed::Changed(path)) => changed = path,
            }
        }
        let why = format!("{changed} changed while it was copied, {FREEZE_ATTEMPTS} times in a row");
        Err(CheckpointError::NotNow(why))
    }

    async fn attempt(&self, live: &Path, dir: &Path) -> Result<(), Failed> {
        if self.disk.metadata(live).await?.is_none_or(|found| found.kind != FileKind::Dir) {
            let what = format!("{} is no directory", live.display());
            return Err(Failed::Refused(CheckpointError::NotNow(what)));
        }
        self.disk.create_dir_all(dir).await?;
        let (mut copied, mut listed) = (Vec::new(), Vec::new());
        let mut dirs = vec![PathBuf::new()];
        while let Some(below) = dirs.pop() {
            // Other files may be listed after one was made that refers to one that was not there yet.
            let path = live.join(&below);
            let before = self.disk.metadata(&path).await?;
            let before = before.ok_or_else(|| Failed::Changed(path.display().to_string()))?;
            listed.push(Seen { path, before });
            dirs.extend(self.freeze_dir(live, dir, &below, &mut copied).await?);
            if listed.len() + dirs.len() > DIRS_MAX {
                let what = format!("{} has more than {DIRS_MAX} directories", live.display());
                return Err(Failed::Refused(CheckpointError::BadContent(what)));
            }
        }
        for one in copied.iter().chain(&listed) {
            self.check_unchanged(one).await?;
        }
        Ok(())
    }

    /// Freezes the files of one directory, and names the directories in it.
    async fn freeze_dir(
        &self,
        live: &Path,
        dir: &Path,
        below: &Path,
        copied: &mut Vec<Seen>,
    ) -> Result<Vec<PathBuf>, Failed> {
        let (from, to) = (live.join(below), dir.join(below));
        let mut dirs = Vec::new();
        let mut after: Option<OsString> = None;
        loop {
            let page =
                self.disk.list(&from, after.as_deref(), LISTED_AT_ONCE).await.or_else(vanished(&from))?;
            let Some(last) = page.last() else { return Ok(dirs) };
            after = Some(last.name.clone());
            dirs.extend(page.iter().filter(|found| is_dir(found)).map(|found| below.join(&found.name)));
            let files: Vec<_> = page.into_iter().filter(|found| !is_dir(found)).collect();
            if !files.is_empty() {
                self.disk.create_dir_all(&to).await?;
            }
            let jobs = files.into_iter().map(|file| self.freeze_file(&from, &to, file));
            let mut jobs = stream::iter(jobs).buffered(FREEZE_JOBS);
            while let Some(done) = jobs.next().await {
                copied.extend(done?);
                if copied.len() > MUTABLE_FILES_MAX {
                    let what = format!(
                        "{} has more than {MUTABLE_FILES_MAX} files that are not declared immutable",
                        live.display()
                    );
                    return Err(Failed::Refused(CheckpointError::BadContent(what)));
                }
            }
        }
    }

    async fn freeze_file(&self, from: &Path, to: &Path, file: DirEntry) -> Result<Option<Seen>, Failed> {
        let (from, to) = (from.join(&file.name), to.join(&file.name));
        let name = file.name.to_string_lossy();
        if self.rules.ignored.iter().any(|pattern| pattern.matches(&name)) {
            return Ok(None);
        }
        if file.metadata.kind != FileKind::File {
            let what = format!("{} is neither a file nor a directory", from.display());
            return Err(Failed::Refused(CheckpointError::BadContent(what)));
        }
        // Links do not reach across file systems, and some have none: then it is copied like any other.
        if self.rules.immutable.iter().any(|pattern| pattern.matches(&name))
            && linked(self.disk.hard_link(&from, &to).await, &from)?
        {
            return Ok(None);
        }
        self.disk.clone_file(&from, &to).await.or_else(vanished(&from))?;
        Ok(Some(Seen { path: from, before: file.metadata }))
    }

    async fn check_unchanged(&self, seen: &Seen) -> Result<(), Failed> {
        let now = self.disk.metadata(&seen.path).await?;
        if now == Some(seen.before) {
            return Ok(());
        }
        Err(Failed::Changed(seen.path.display().to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, PathBuf>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.metadata.kind == FileKind::Dir
}

/// What was listed and is gone was removed since: a change like any other.
fn vanished<T>(path: &Path) -> impl FnOnce(DiskError) -> Result<T, Failed> {
    let path = path.display().to_string();
    |error| match error.kind {
        DiskErrorKind::NotFound => Err(Failed::Changed(path)),
        DiskErrorKind::Full | DiskErrorKind::Corrupt | DiskErrorKind::Other => Err(error.into()),
    }
}

/// Whether a link was made.
fn linked(result: Result<(), DiskError>, path: &Path) -> Result<bool, Failed> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind == DiskErrorKind::Other => Ok(false),
        Err(error) => vanished(path)(error),
    }
}

impl Checkpointer for TreeCheckpointer {
    fn position<'a>(
        &'a self,
        shard: &'a ShardId,
    ) -> BoxFuture<'a, Result<Option<Position>, CheckpointError>> {
        let held = self.lock().contains_key(shard);
        Box::pin(std::future::ready(if held { Ok(None) } else { Err(CheckpointError::NoSuchShard) }))
    }

    fn checkpoint<'a>(
        &'a self,
        shard: &'a ShardId,
        dir: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<u8>, CheckpointError>> {
        let live = self.lock().get(shard).cloned();
        Box::pin(async move {
            self.freeze(&live.ok_or(CheckpointError::NoSuchShard)?, dir).await.map(|()| Vec::new())
        })
    }
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
