//! What a process asks of the machine, cut into the steps that count.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::faults::{OperationKind, Side, power_lost};
use super::machine::Machine;
use super::medium::{Medium, NodeId};
use crate::disk::{DirEntry, DiskError, Metadata, OpenMode, ReadFile, SmallFile, Space, WriteFile};

/// A process that calls.
#[derive(Debug)]
pub(super) struct Caller<'m> {
    machine: &'m mut Machine,
    boot: u64,
}

impl<'m> Caller<'m> {
    pub(super) fn new(machine: &'m mut Machine, boot: u64) -> Self {
        Self { machine, boot }
    }

    /// One step: counted, failed if it is to fail, carried out.
    fn step<T>(
        &mut self,
        kind: OperationKind,
        path: &Path,
        effect: impl FnOnce(&mut Medium) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        if self.boot != self.machine.boot {
            return Err(power_lost(kind, path));
        }
        let effect = |medium| effect(medium).map_err(|error| DiskError::new(kind.name(), path, &error));
        match self.machine.faults.judge(kind, path) {
            Ok(()) => effect(&mut self.machine.medium),
            Err(verdict) if verdict.side == Side::Before => Err(verdict.error),
            Err(verdict) => effect(&mut self.machine.medium).and(Err(verdict.error)),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        matches!(self.machine.medium.find(path), Ok(Some(_)))
    }
}

/// Paths.
impl Caller<'_> {
    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> Result<NodeId, DiskError> {
        let file = match mode == OpenMode::Create && !self.exists(path) {
            true => self.step(OperationKind::Create, path, |medium| medium.create(path)),
            false => self.step(OperationKind::Open, path, |medium| medium.existing_file(path)),
        }?;
        self.machine.medium.open(file);
        Ok(file)
    }

    pub(super) fn metadata(&mut self, path: &Path) -> Result<Option<Metadata>, DiskError> {
        self.step(OperationKind::Stat, path, |medium| match medium.find(path) {
            Ok(found) => Ok(found.map(|node| medium.metadata(node))),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(error),
        })
    }

    pub(super) fn list(
        &mut self,
        path: &Path,
        after: Option<&OsStr>,
        limit: usize,
    ) -> Result<Vec<DirEntry>, DiskError> {
        self.step(OperationKind::List, path, |medium| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let names = medium.list(path)?.range::<OsStr, _>((from, Bound::Unbounded)).take(limit);
            let entry = |(name, node): (&_, &_)| (Clone::clone(name), medium.metadata(*node));
            Ok(names.map(entry).map(|(name, metadata)| DirEntry { name, metadata }).collect())
        })
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<(), DiskError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|above| !self.exists(above)).collect();
        if missing.is_empty() {
            return self.step(OperationKind::Stat, path, |medium| {
                let found = medium.existing(path)?;
                if medium.is_dir(found) { Ok(()) } else { Err(ErrorKind::AlreadyExists.into()) }
            });
        }
        missing.into_iter().rev().try_for_each(|above| {
            self.step(OperationKind::CreateDir, above, |medium| medium.create_dir(above))
        })
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step(OperationKind::Rename, from, |medium| medium.rename(from, to))
    }

    pub(super) fn hard_link(&mut self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step(OperationKind::Link, from, |medium| medium.hard_link(from, to))
    }

    pub(super) fn clone_file(&mut self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let bytes = self.step(OperationKind::Open, from, |medium| {
            let found = medium.existing_file(from)?;
            medium.bytes(found).map(Bytes::copy_from_slice)
        })?;
        self.write_new(to, bytes)
    }

    pub(super) fn write_files(&mut self, files: Vec<WriteFile>) -> Result<(), DiskError> {
        files.into_iter().try_for_each(|file| self.write_new(&file.path, file.content))
    }

    fn write_new(&mut self, path: &Path, content: Bytes) -> Result<(), DiskError> {
        let made = self.step(OperationKind::Create, path, |medium| medium.create(path))?;
        if content.is_empty() {
            return Ok(());
        }
        self.write_at(made, path, 0, content)
    }

    pub(super) fn read_files(&mut self, files: &[ReadFile]) -> Vec<Result<SmallFile, DiskError>> {
        let mut read = |file: &ReadFile| {
            self.step(OperationKind::Read, &file.path, |medium| {
                let found = medium.existing_file(&file.path)?;
                let bytes = part(medium.bytes(found)?, 0, file.limit);
                Ok(SmallFile { bytes, metadata: medium.metadata(found) })
            })
        };
        files.iter().map(&mut read).collect()
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<(), DiskError> {
        self.missing_is_fine(path, |caller| {
            caller.step(OperationKind::Remove, path, |medium| {
                let found = medium.existing(path)?;
                if medium.is_dir(found) { Err(ErrorKind::IsADirectory.into()) } else { medium.remove(path) }
            })
        })
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> Result<(), DiskError> {
        self.missing_is_fine(path, |caller| {
            let found = caller.machine.medium.below(path);
            let paths: Vec<PathBuf> = found.map_err(|error| DiskError::new("remove", path, &error))?;
            paths
                .iter()
                .try_for_each(|path| caller.step(OperationKind::Remove, path, |medium| medium.remove(path)))
        })
    }

    /// Looks first: to find nothing changes nothing.
    fn missing_is_fine(
        &mut self,
        path: &Path,
        remove: impl FnOnce(&mut Self) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let found = self.machine.medium.find(path);
        match found {
            Ok(None) => self.step(OperationKind::Stat, path, |_| Ok(())),
            _ => remove(self),
        }
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> Result<(), DiskError> {
        self.step(OperationKind::SyncDir, path, |medium| medium.sync_dir(path))
    }

    pub(super) fn sync_fs(&mut self, path: &Path) -> Result<(), DiskError> {
        self.step(OperationKind::SyncFs, path, |medium| medium.sync_fs(path))
    }

    pub(super) fn space(&mut self, path: &Path) -> Result<Space, DiskError> {
        self.step(OperationKind::Space, path, |medium| medium.space(path))
    }
}

/// Open files.
impl Caller<'_> {
    pub(super) fn read_at(
        &mut self,
        file: NodeId,
        path: &Path,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, DiskError> {
        self.step(OperationKind::Read, path, |medium| Ok(part(medium.bytes(file)?, offset, len)))
    }

    pub(super) fn write_at(
        &mut self,
        file: NodeId,
        path: &Path,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), DiskError> {
        self.step(OperationKind::Write, path, |medium| medium.write(file, offset, bytes))
    }

    pub(super) fn len(&mut self, file: NodeId, path: &Path) -> Result<u64, DiskError> {
        self.step(OperationKind::Stat, path, |medium| Ok(medium.metadata(file).len))
    }

    pub(super) fn set_len(&mut self, file: NodeId, path: &Path, len: u64) -> Result<(), DiskError> {
        self.step(OperationKind::SetLen, path, |medium| medium.set_len(file, len))
    }

    pub(super) fn sync(&mut self, file: NodeId, path: &Path) -> Result<(), DiskError> {
        self.step(OperationKind::Sync, path, |medium| medium.sync(file))
    }

    /// Not a step: it cannot fail, and a process that has ended has closed its files.
    pub(super) fn close(&mut self, file: NodeId) {
        if self.boot == self.machine.boot {
            self.machine.medium.close(file);
        }
    }
}

fn part(bytes: &[u8], offset: u64, len: usize) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = start.saturating_add(len).min(bytes.len());
    Bytes::copy_from_slice(&bytes[start..end])
}
