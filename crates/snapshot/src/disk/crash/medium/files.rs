//! What is in files, and the room that it takes.

use std::io::{self, ErrorKind};
use std::path::Path;

use bytes::Bytes;

use super::{File, Medium, NodeId, error};
use crate::disk::crash::FILE_LEN_MAX;

impl Medium {
    /// A file that exists.
    pub(in super::super) fn existing_file(&mut self, path: &Path) -> io::Result<NodeId> {
        let node = self.existing(path)?;
        self.file(node).map(|_| node)
    }

    pub(in super::super) fn open(&mut self, node: NodeId) {
        if let Ok(file) = self.file(node) {
            file.open += 1;
        }
    }

    pub(in super::super) fn close(&mut self, node: NodeId) {
        if let Ok(file) = self.file(node) {
            file.open -= 1;
            self.free_if_gone(node);
        }
    }

    pub(in super::super) fn bytes(&mut self, node: NodeId) -> io::Result<&[u8]> {
        Ok(self.file(node)?.content.bytes())
    }

    /// Writes all of it, or nothing if there is no room; or, with short writes, what there is room for.
    pub(in super::super) fn write(&mut self, node: NodeId, offset: u64, mut bytes: Bytes) -> io::Result<()> {
        let len = self.file(node)?.content.len() as u64;
        let end = self.fitting(offset.saturating_add(bytes.len() as u64))?;
        let most = len.saturating_add(self.room());
        let full = end > most;
        if full {
            if !self.short_writes {
                return Err(error(ErrorKind::StorageFull));
            }
            let fit = usize::try_from(most.saturating_sub(offset)).unwrap_or(usize::MAX);
            bytes.truncate(fit);
        }
        let (at, now) = (usize::try_from(offset).unwrap_or(usize::MAX), self.now_ns);
        let file = self.file(node)?;
        file.content.write(at, bytes, now);
        self.used += file.content.len() as u64 - len;
        if full { Err(error(ErrorKind::StorageFull)) } else { Ok(()) }
    }

    pub(in super::super) fn set_len(&mut self, node: NodeId, to: u64) -> io::Result<()> {
        let len = self.file(node)?.content.len() as u64;
        if self.fitting(to)? > len.saturating_add(self.room()) {
            return Err(error(ErrorKind::StorageFull));
        }
        let (at, now) = (usize::try_from(to).unwrap_or(usize::MAX), self.now_ns);
        self.file(node)?.content.set_len(at, now);
        self.used = self.used - len + to;
        Ok(())
    }

    pub(in super::super) fn sync(&mut self, node: NodeId) -> io::Result<()> {
        self.file(node)?.content.sync();
        Ok(())
    }

    pub(in super::super) fn flip(&mut self, path: &Path, bit: u64) -> io::Result<()> {
        let node = self.existing_file(path)?;
        let content = &mut self.file(node)?.content;
        let at = usize::try_from(bit / 8).ok().filter(|at| *at < content.len());
        content.flip(at.ok_or_else(|| error(ErrorKind::UnexpectedEof))?, 1 << (bit % 8));
        Ok(())
    }

    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used))
    }

    fn fitting(&self, len: u64) -> io::Result<u64> {
        if len > FILE_LEN_MAX { Err(error(ErrorKind::FileTooLarge)) } else { Ok(len) }
    }

    /// A file without name or handle takes no room any more.
    pub(super) fn free_if_gone(&mut self, node: NodeId) {
        if let Ok(File { content, names: 0, open: 0 }) = self.file(node) {
            let len = content.len() as u64;
            self.used -= len;
        }
    }
}
