//! What checkpoints bound, and why.

/// Names that are taken from a directory at once: some 300 KiB.
pub(super) const LISTED_AT_ONCE: usize = 1024;

/// Files that are linked or copied at once: enough to keep a disk busy, and a list of names for it.
pub(super) const FREEZE_JOBS: usize = 16;

/// How often a tree is frozen anew because a file changed meanwhile. One that changes that often changes
/// all the time, and has to be frozen by who writes it.
pub(super) const FREEZE_ATTEMPTS: usize = 3;

/// Most files of a tree that are not declared immutable. Each is remembered until all are copied, to
/// see that none has changed: some 300 bytes, so at most about 20 MiB.
pub(super) const MUTABLE_FILES_MAX: usize = 1 << 16;

/// Most directories of a tree. Those to come are remembered while it is walked, like mutable files.
pub(super) const DIRS_MAX: usize = 1 << 16;
