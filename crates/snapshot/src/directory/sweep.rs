//! What a crash or a publish left behind is removed.

use std::collections::BTreeSet;
use std::path::Path;

use super::layout::{Numbered, ShardDir};
use super::pointer;
use crate::disk::DirEntry;
use crate::limits::NAMES_MAX;
use crate::{Disk, DiskError, Generation};

/// Removes half-made generations, generations that are neither visible nor what is gone back to, and
/// stagings of generations whose numbers were used by now. Generations in `keep` stay. Nothing is
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
        if let Some(Numbered::Whole(target)) = Numbered::parse(&entry.name)
            && pointer.is_some_and(|pointer| target <= pointer.last)
        {
            disk.remove_dir_all(&dir.stagings().join(&entry.name)).await?;
        }
    }
    Ok(())
}

/// The names in a directory that may not exist.
pub(super) async fn list(disk: &dyn Disk, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
    match disk.metadata(path).await? {
        None => Ok(Vec::new()),
        Some(_) => disk.list(path, None, NAMES_MAX).await,
    }
}
