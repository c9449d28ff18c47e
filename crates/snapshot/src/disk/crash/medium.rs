//! The tree of files and directories, seen and durable.

mod ends;
mod entries;
mod files;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::content::Content;
use super::names::{Pending, Place};
use crate::disk::{FileId, FileKind, Metadata, Space};

/// The number of a file or directory; never used twice.
pub(super) type NodeId = u64;

const ROOT: NodeId = 1;
/// Nodes that may come before the first look for those that nothing refers to.
const NODES_MIN: usize = 1024;

/// A file system and its cache.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    nodes: BTreeMap<NodeId, Node>,
    last: NodeId,
    pending: Pending,
    /// How many nodes there may be before the next look for garbage.
    collect_at: usize,
    used: u64,
    capacity: Option<u64>,
    short_writes: bool,
    now_ns: i64,
}

#[derive(Debug, Clone)]
enum Node {
    File(File),
    Dir(Dir),
}

#[derive(Debug, Clone)]
struct File {
    content: Content,
    /// Names that are seen.
    names: u32,
    /// Handles that have it open.
    open: u32,
}

#[derive(Debug, Clone, Default)]
struct Dir {
    seen: BTreeMap<OsString, NodeId>,
    durable: BTreeMap<OsString, NodeId>,
    modified_ns: i64,
}

impl Default for Medium {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]),
            last: ROOT,
            pending: Pending::default(),
            collect_at: NODES_MIN,
            used: 0,
            capacity: None,
            short_writes: false,
            now_ns: 0,
        }
    }
}

fn error(kind: ErrorKind) -> io::Error {
    kind.into()
}

/// The names of a path, from the root on, which is where relative paths begin too.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(error(ErrorKind::InvalidInput)),
        }
    }
    Ok(names)
}

/// Settings and questions.
impl Medium {
    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    pub(super) fn set_short_writes(&mut self, on: bool) {
        self.short_writes = on;
    }

    pub(super) fn set_time_ns(&mut self, now: i64) {
        self.now_ns = now;
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn space(&self, path: &Path) -> io::Result<Space> {
        self.existing(path)?;
        let total = self.capacity.unwrap_or(u64::MAX);
        Ok(Space { free: total.saturating_sub(self.used), total })
    }

    /// What stands at a path. Below a file there is nothing, which is an error of its own.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<NodeId>> {
        let mut at = ROOT;
        for name in names(path)? {
            let Some(next) = self.dir(at)?.seen.get(name) else { return Ok(None) };
            at = *next;
        }
        Ok(Some(at))
    }

    pub(super) fn existing(&self, path: &Path) -> io::Result<NodeId> {
        self.find(path)?.ok_or_else(|| error(ErrorKind::NotFound))
    }

    /// The directory that a path's last name is in, whether that exists or not.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = names(path)?;
        let name = names.pop().ok_or_else(|| error(ErrorKind::InvalidInput))?;
        let parent = self.existing(&names.into_iter().collect::<PathBuf>())?;
        self.dir(parent)?;
        Ok((parent, name.to_owned()))
    }

    pub(super) fn metadata(&self, node: NodeId) -> Metadata {
        let id = FileId { device: 1, inode: node };
        match &self.nodes[&node] {
            Node::File(file) => {
                let (len, modified_ns) = (file.content.len() as u64, file.content.modified_ns());
                Metadata { kind: FileKind::File, len, id, modified_ns }
            }
            Node::Dir(dir) => Metadata { kind: FileKind::Dir, len: 0, id, modified_ns: dir.modified_ns },
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<&BTreeMap<OsString, NodeId>> {
        Ok(&self.dir(self.existing(path)?)?.seen)
    }

    pub(super) fn is_dir(&self, node: NodeId) -> bool {
        matches!(self.nodes[&node], Node::Dir(_))
    }

    /// Everything at and below a path, what is in a directory before itself.
    pub(super) fn below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for (name, node) in self.list(path)? {
            let inner = path.join(name);
            match self.is_dir(*node) {
                true => paths.extend(self.below(&inner)?),
                false => paths.push(inner),
            }
        }
        paths.push(path.to_owned());
        Ok(paths)
    }

    fn dir(&self, node: NodeId) -> io::Result<&Dir> {
        match &self.nodes[&node] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(error(ErrorKind::NotADirectory)),
        }
    }

    fn file(&mut self, node: NodeId) -> io::Result<&mut File> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error(ErrorKind::IsADirectory)),
            None => Err(error(ErrorKind::NotFound)),
        }
    }
}
