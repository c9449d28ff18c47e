//! What a crash or a publish left behind is removed.

use std::collections::BTreeSet;
use std::path::Path;

use super::layout::{Numbered, ShardDir};
use super::pointer;
use crate::disk::DirEntry;
use crate::limits::NAMES_MAX;
use crate::{Disk, DiskError, Generation};

/// Removes half-made generations, generations that never became visible, those older than the one
/// before the visible one, and stagings of generations that are visible by now. Generations in
/// `keep` stay. Nothing is finished that was half done, and nothing at all is removed if it cannot
/// be told what is visible.
pub(super) async fn sweep(
    disk: &dyn Disk,
    dir: &ShardDir,
    keep: &BTreeSet<Generation>,
) -> Result<(), DiskError> {
    let visible = pointer::read(disk, &dir.current()).await?;
    for entry in list(disk, &dir.generations()).await? {
        let remove = match Numbered::parse(&entry.name) {
            Some(Numbered::HalfMade) => true,
            Some(Numbered::Whole(generation)) => {
                !keep.contains(&generation) && visible.is_some_and(|visible| is_spare(generation, visible))
            }
            None => false,
        };
        if remove {
            disk.remove_dir_all(&dir.generations().join(&entry.name)).await?;
        }
    }
    for entry in list(disk, &dir.stagings()).await? {
        if let Some(Numbered::Whole(target)) = Numbered::parse(&entry.name)
            && visible.is_some_and(|visible| target <= visible)
        {
            disk.remove_dir_all(&dir.stagings().join(&entry.name)).await?;
        }
    }
    Ok(())
}

/// All but the visible generation and the one before it. A missing pointer with generations beside
/// it is for the operator to judge, so it makes none of them spare.
fn is_spare(generation: Generation, visible: Generation) -> bool {
    generation > visible || generation.0 + 1 < visible.0
}

/// The names in a directory that may not exist.
pub(super) async fn list(disk: &dyn Disk, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
    match disk.metadata(path).await? {
        None => Ok(Vec::new()),
        Some(_) => disk.list(path, None, NAMES_MAX).await,
    }
}
