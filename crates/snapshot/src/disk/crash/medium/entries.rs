//! Names: what changes them, and what makes the changes durable.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Dir, File, Medium, Node, NodeId, error};
use crate::disk::crash::WRITEBACK_CHANGES;
use crate::disk::crash::content::Content;
use crate::disk::crash::names::{Change, Place};

impl Medium {
    /// Makes an empty file that is not there yet.
    pub(in super::super) fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        let content = Content::new(self.now_ns);
        self.add(path, Node::File(File { content, names: 0, open: 0 }))
    }

    pub(in super::super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = Dir { modified_ns: self.now_ns, ..Dir::default() };
        self.add(path, Node::Dir(dir)).map(drop)
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<NodeId> {
        let place = self.free_place(path)?;
        self.collect_if_many();
        self.last += 1;
        let id = self.last;
        self.nodes.insert(id, node);
        self.change(vec![(place, Some(id))]);
        Ok(id)
    }

    fn free_place(&self, path: &Path) -> io::Result<Place> {
        let place = self.place(path)?;
        if self.dir(place.0)?.seen.contains_key(&place.1) {
            return Err(error(ErrorKind::AlreadyExists));
        }
        Ok(place)
    }

    pub(in super::super) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.existing(from)?;
        self.file(node).map_err(|_| error(ErrorKind::PermissionDenied))?;
        let place = self.free_place(to)?;
        self.change(vec![(place, Some(node))]);
        Ok(())
    }

    pub(in super::super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.existing(from)?;
        let (from, to) = ((self.place(from)?, from), (self.place(to)?, to));
        match self.find(to.1)? {
            Some(there) if there == node => return Ok(()),
            Some(there) => self.check_replace(node, there)?,
            None => {}
        }
        if self.is_dir(node) && to.1.starts_with(from.1) {
            return Err(error(ErrorKind::InvalidInput));
        }
        self.change(vec![(from.0, None), (to.0, Some(node))]);
        Ok(())
    }

    fn check_replace(&self, node: NodeId, there: NodeId) -> io::Result<()> {
        match (self.is_dir(node), self.is_dir(there)) {
            (false, false) => Ok(()),
            (false, true) => Err(error(ErrorKind::IsADirectory)),
            (true, false) => Err(error(ErrorKind::NotADirectory)),
            (true, true) => self.check_empty(there),
        }
    }

    fn check_empty(&self, dir: NodeId) -> io::Result<()> {
        if self.dir(dir)?.seen.is_empty() { Ok(()) } else { Err(error(ErrorKind::DirectoryNotEmpty)) }
    }

    /// Removes a file, or a directory that is empty.
    pub(in super::super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let node = self.existing(path)?;
        if self.is_dir(node) {
            self.check_empty(node)?;
        }
        let place = self.place(path)?;
        self.change(vec![(place, None)]);
        Ok(())
    }

    pub(in super::super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.existing(path)?;
        self.dir(node)?;
        let changes = self.pending.take_of(node);
        changes.iter().for_each(|change| self.make_durable(change));
        Ok(())
    }

    /// Everything is one file system.
    pub(in super::super) fn sync_fs(&mut self, path: &Path) -> io::Result<()> {
        self.existing(path)?;
        while let Some(change) = self.pending.take_oldest() {
            self.make_durable(&change);
        }
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.content.sync();
            }
        }
        Ok(())
    }

    /// Changes names for all to see, though not to stay.
    fn change(&mut self, names: Vec<(Place, Option<NodeId>)>) {
        let mut unnamed = Vec::new();
        for ((dir, name), to) in &names {
            let now = self.now_ns;
            let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) else { continue };
            dir.modified_ns = now;
            let before = match to {
                Some(node) => dir.seen.insert(name.clone(), *node),
                None => dir.seen.remove(name),
            };
            if let Some(file) = to.and_then(|node| self.file(node).ok()) {
                file.names += 1;
            }
            if let Some(node) = before
                && let Ok(file) = self.file(node)
            {
                file.names -= 1;
                unnamed.push(node);
            }
        }
        unnamed.into_iter().for_each(|node| self.free_if_gone(node));
        self.pending.push(Change(names));
        if self.pending.len() > WRITEBACK_CHANGES
            && let Some(oldest) = self.pending.take_oldest()
        {
            self.make_durable(&oldest);
        }
    }

    pub(super) fn make_durable(&mut self, change: &Change) {
        for ((dir, name), to) in &change.0 {
            let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) else { continue };
            match to {
                Some(node) => dir.durable.insert(name.clone(), *node),
                None => dir.durable.remove(name),
            };
        }
    }
}
