//! What a crash or a publish left behind is removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::layout::{Numbered, ShardDir};
use super::pointer;
use crate::disk::{DirEntry, DiskErrorKind};
use crate::limits::NAMES_MAX;
use crate::{Disk, DiskError, Generation};

/// Removes half-made generations, generations that are neither visible nor what is gone back to, and
/// stagings of generations whose numbers were used by now, or that are half removed. Generations in `keep` stay. Nothing is
/// finished that was half done, and nothing whole is removed if it cannot be told what is visible.
pub(super) async fn sweep(
    disk: &dyn Disk,
    dir: &ShardDir,
    keep: &BTreeSet<Generation>,
) -> Result<(), DiskError> {
    let pointer = pointer::read(disk, &dir.current()).await?;
    for entry in list(disk, &dir.generations()).await? {
        let remove = match Numbered::parse(&entry.name) {
            Some(Numbered::HalfMade) => true,
            // A missing pointer with generations beside it is for the operator to judge.
            Some(Numbered::Whole(generation)) => {
                !keep.contains(&generation) && pointer.is_some_and(|pointer| !pointer.needs(generation))
            }
            None => false,
        };
        if remove {
            disk.remove_dir_all(&dir.generations().join(&entry.name)).await?;
        }
    }
    for entry in list(disk, &dir.stagings()).await? {
        let remove = match Numbered::parse(&entry.name) {
            Some(Numbered::HalfMade) => true,
            Some(Numbered::Whole(target)) => pointer.is_some_and(|pointer| target <= pointer.last),
            None => false,
        };
        if remove {
            disk.remove_dir_all(&dir.stagings().join(&entry.name)).await?;
        }
    }
    Ok(())
}

/// The number of the next generation where no pointer says it: above all that are there, for one of
/// them may have been visible. One that is staged still was on its way to its first publish, and is
/// made again.
pub(super) async fn next_unused(disk: &dyn Disk, dir: &ShardDir) -> Result<Generation, DiskError> {
    let mut whole = numbers(disk, &dir.generations()).await?;
    for staged in numbers(disk, &dir.stagings()).await? {
        whole.remove(&staged);
    }
    Ok(Generation(whole.last().map_or(0, |last| last.0) + 1))
}

/// The generations that have a directory below `path`.
pub(super) async fn numbers(disk: &dyn Disk, path: &Path) -> Result<BTreeSet<Generation>, DiskError> {
    let names = list(disk, path).await?;
    let whole = |entry: &DirEntry| match Numbered::parse(&entry.name) {
        Some(Numbered::Whole(generation)) => Some(generation),
        Some(Numbered::HalfMade) | None => None,
    };
    Ok(names.iter().filter_map(whole).collect())
}

/// The names in a directory that may not exist, or may be removed at this moment.
pub(super) async fn list(disk: &dyn Disk, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
    list_after(disk, path, None).await
}

/// The next names in such a directory; none at its end.
pub(super) async fn list_after(
    disk: &dyn Disk,
    path: &Path,
    after: Option<&OsStr>,
) -> Result<Vec<DirEntry>, DiskError> {
    match disk.list(path, after, NAMES_MAX).await {
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}
