//! The files below a directory, in the order of their keys, in bounded memory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use peerstream_types::{EntryKey, ShardId};

use crate::disk::{DirEntry, FileId, FileKind, Metadata};
use crate::limits::{WALK_NAMES_MAX, WALK_NAMES_MIN};
use crate::{Disk, SourceError};

/// A file that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: EntryKey,
    pub(super) path: PathBuf,
    /// When it was found.
    pub(super) metadata: Metadata,
}

/// Lists all files below a root, in byte order of their keys. Directories without files are not
/// seen.
///
/// Refused, with the name, is what would not be accepted elsewhere (rows F-60, A31): symbolic links,
/// devices, sockets and pipes, names that are no keys; and a directory that may not be among them.
///
/// The names of one directory come in byte order, a few at a time. In the order of keys, directory
/// `a` stands where `a/` does: behind `a.b` and before `a0`. So a directory waits until no name can
/// come before it any more, and meanwhile, only names that begin with its own can come.
#[derive(Debug)]
pub(super) struct Walk {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    shard: ShardId,
    not_here: Option<FileId>,
    /// Most names that are listed at once; the deeper, the fewer.
    names_max: usize,
    /// From the root to the directory that is being listed.
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    /// Its path below the root, empty for the root.
    dir: String,
    listed: VecDeque<DirEntry>,
    after: Option<OsString>,
    is_listed: bool,
    /// Directories that wait; each name begins with the one before it, so the last comes first.
    waiting: Vec<String>,
}

impl Walk {
    /// Begins at `root`. The walk fails if it meets the directory `not_here` below it.
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf, shard: ShardId, not_here: Option<FileId>) -> Self {
        let levels = vec![Level::default()];
        Self { disk, root, shard, not_here, names_max: WALK_NAMES_MAX, levels }
    }

    /// The shard whose files they are.
    pub(super) fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// The next files, at most `limit`; none at the end.
    ///
    /// # Errors
    ///
    /// [`SourceError::BadEntry`] names what cannot be served; the walk is over then.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Vec<Found>, SourceError> {
        let mut found = Vec::new();
        while found.len() < limit && !self.levels.is_empty() {
            self.list_more().await?;
            let Some(level) = self.levels.last_mut() else { break };
            match level.step() {
                Step::Up => drop(self.levels.pop()),
                Step::Down(name) => {
                    let dir = join(&level.dir, &name);
                    self.levels.push(Level { dir, ..Level::default() });
                }
                Step::Name(entry) => found.extend(self.take(entry)?),
            }
        }
        Ok(found)
    }

    /// Makes sure that the next name of the innermost directory is known, if there is one.
    async fn list_more(&mut self) -> Result<(), SourceError> {
        let known: usize = self.levels.iter().map(|level| level.listed.len()).sum();
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if level.is_listed || !level.listed.is_empty() {
            return Ok(());
        }
        let limit = (self.names_max.saturating_sub(known) / 2).max(WALK_NAMES_MIN.min(self.names_max));
        let path = self.root.join(&level.dir);
        let listed = self.disk.list(&path, level.after.as_deref(), limit).await?;
        // Names that vanish while they are listed make an answer short, so a short one is no end.
        level.is_listed = listed.is_empty();
        level.after = listed.last().map(|entry| entry.name.clone()).or(level.after.take());
        level.listed = listed.into();
        Ok(())
    }

    /// A file, or a directory that waits from now on.
    fn take(&mut self, entry: DirEntry) -> Result<Option<Found>, SourceError> {
        let level = self.levels.last_mut().expect("a name was taken from it");
        let bad = |why: String| SourceError::BadEntry { shard: self.shard.clone(), why };
        let (name, path, key) = key_of(&level.dir, &entry).map_err(bad)?;
        match entry.metadata.kind {
            FileKind::File => Ok(Some(Found { key, path: self.root.join(path), metadata: entry.metadata })),
            FileKind::Dir if Some(entry.metadata.id) == self.not_here => {
                Err(bad(format!("{path} is where this source keeps its own files")))
            }
            FileKind::Dir => {
                level.waiting.push(name);
                Ok(None)
            }
            FileKind::Other => Err(bad(format!("{path} is neither a file nor a directory"))),
        }
    }
}

enum Step {
    Up,
    Down(String),
    Name(DirEntry),
}

impl Level {
    fn step(&mut self) -> Step {
        let comes_first = |dir: &String| {
            let next = self.listed.front().map(|next| next.name.as_encoded_bytes());
            next.is_none_or(|next| dir.bytes().chain([b'/']).lt(next.iter().copied()))
        };
        if self.waiting.last().is_some_and(comes_first) {
            return self.waiting.pop().map_or(Step::Up, Step::Down);
        }
        self.listed.pop_front().map_or(Step::Up, Step::Name)
    }
}

/// A name, the path below the root, and the key. Checked for directories too, so that the walk ends
/// where no key could be long enough.
fn key_of(dir: &str, entry: &DirEntry) -> Result<(String, String, EntryKey), String> {
    let name = entry.name.to_str().ok_or_else(|| {
        let name = entry.name.as_encoded_bytes().escape_ascii();
        format!("the name {name} in directory {dir:?} is not UTF-8")
    })?;
    let path = join(dir, name);
    let key = EntryKey::from_path(&path).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), path, key))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
#[path = "walk/tests.rs"]
mod tests;
