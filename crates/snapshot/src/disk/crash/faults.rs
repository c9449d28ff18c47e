//! What goes wrong: operations that fail, and the one at which the power is cut.

use std::path::{Path, PathBuf};

use crate::disk::{DiskError, DiskErrorKind};

/// What a disk is asked to do, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// A file that exists is opened.
    Open,
    /// Something is asked about a path or an open file.
    Stat,
    /// A directory is listed.
    List,
    /// A file is read.
    Read,
    /// Room is measured.
    Space,
    /// A file is made, without content.
    Create,
    /// A directory is made.
    CreateDir,
    /// A file is written to.
    Write,
    /// A file is cut or extended.
    SetLen,
    /// A name is changed.
    Rename,
    /// A file gets another name.
    Link,
    /// A file or an empty directory is removed.
    Remove,
    /// The content of a file is made durable.
    Sync,
    /// The names in a directory are made durable.
    SyncDir,
    /// Everything is made durable.
    SyncFs,
}

impl OperationKind {
    /// Whether it may change what is seen or what is durable.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Stat | Self::List | Self::Read | Self::Space)
    }

    /// Whether it may need room.
    pub fn takes_room(self) -> bool {
        matches!(self, Self::Create | Self::CreateDir | Self::Write | Self::SetLen | Self::Link)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Stat => "stat",
            Self::List => "list",
            Self::Read => "read",
            Self::Space => "measure",
            Self::Create => "create",
            Self::CreateDir => "create directory",
            Self::Write => "write",
            Self::SetLen => "truncate",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Remove => "remove",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::SyncFs => "sync file system of",
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What was asked.
    pub kind: OperationKind,
    /// Of what. For renames and links, where from.
    pub path: PathBuf,
}

/// Whether something happens before or after an operation takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The operation has no effect.
    Before,
    /// The operation has taken effect, but the caller does not hear of it.
    After,
}

/// Operations so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that only read.
    pub reads: u64,
    /// Those that change something, syncs included.
    pub changes: u64,
}

/// Operations that fail.
///
/// ```
/// # use peerstream_snapshot::disk::DiskErrorKind;
/// # use peerstream_snapshot::disk::crash::{Fault, OperationKind};
/// // The third write to a journal, and every later one, finds the disk full.
/// let fault = Fault {
///     of: |kind| kind == OperationKind::Write,
///     path: "journal".into(),
///     skip: 2,
///     times: u64::MAX,
///     ..Fault::next(DiskErrorKind::Full)
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which operations.
    pub of: fn(OperationKind) -> bool,
    /// A part of their path; empty fits every path.
    pub path: String,
    /// How many of these are let through first.
    pub skip: u64,
    /// How many fail then.
    pub times: u64,
    /// With what.
    pub kind: DiskErrorKind,
    /// Before or after they took effect.
    pub side: Side,
}

impl Fault {
    /// The next operation, whatever it is, fails once and without effect.
    pub fn next(kind: DiskErrorKind) -> Self {
        Self { of: |_| true, path: String::new(), skip: 0, times: 1, kind, side: Side::Before }
    }

    fn fits(&self, kind: OperationKind, path: &Path) -> bool {
        (self.of)(kind) && path.to_string_lossy().contains(&self.path)
    }
}

/// How an operation fails.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) side: Side,
    pub(super) error: DiskError,
}

/// Counts operations and says which fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    counts: Counts,
    stop: Option<(u64, Side)>,
    stopped: Option<Operation>,
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    pub(super) fn stop_at(&mut self, skip: u64, side: Side) {
        self.stop = Some((skip, side));
    }

    pub(super) fn stopped(&self) -> Option<&Operation> {
        self.stopped.as_ref()
    }

    /// The power is back.
    pub(super) fn restart(&mut self) {
        self.stop = None;
        self.stopped = None;
    }

    /// Counts an operation and says how it fails, if it does.
    pub(super) fn judge(&mut self, kind: OperationKind, path: &Path) -> Result<(), Verdict> {
        match kind.changes() {
            true => self.counts.changes += 1,
            false => self.counts.reads += 1,
        }
        if self.stopped.is_some() {
            return Err(Verdict { side: Side::Before, error: power_lost(kind, path) });
        }
        if kind.changes()
            && let Some((skip, side)) = &mut self.stop
        {
            if *skip == 0 {
                self.stopped = Some(Operation { kind, path: path.to_owned() });
                return Err(Verdict { side: *side, error: power_lost(kind, path) });
            }
            *skip -= 1;
        }
        self.list.retain(|fault| fault.times > 0);
        let Some(fault) = self.list.iter_mut().find(|fault| fault.fits(kind, path)) else { return Ok(()) };
        if fault.skip > 0 {
            fault.skip -= 1;
            return Ok(());
        }
        fault.times -= 1;
        let why = "this operation was told to fail".into();
        let error = DiskError { operation: kind.name(), path: path.to_owned(), kind: fault.kind, why };
        Err(Verdict { side: fault.side, error })
    }
}

/// What a process hears that has no disk any more.
pub(super) fn power_lost(kind: OperationKind, path: &Path) -> DiskError {
    let why = "the power is lost".into();
    DiskError { operation: kind.name(), path: path.to_owned(), kind: DiskErrorKind::Other, why }
}
