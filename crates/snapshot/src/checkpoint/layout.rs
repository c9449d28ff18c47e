//! Where checkpoints are below their root, and how the ones of the last process are removed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use peerstream_types::ShardId;

use super::limits::LISTED_AT_ONCE;
use crate::disk::FileKind;

use crate::{Disk, DiskError};

/// The directory of all checkpoints of a shard. Dataset names hold nothing that means something in a
/// path.
pub(super) fn shard_dir(root: &Path, shard: &ShardId) -> PathBuf {
    root.join(format!("{}@{}", shard.dataset, shard.version)).join(shard.index.to_string())
}

/// Removes every checkpoint below `root`, which may not exist. Other names are not ours, and left
/// alone.
pub(super) async fn remove_all(disk: &dyn Disk, root: &Path) -> Result<(), DiskError> {
    let is_dataset = |name: &str| format!("{name}/0").parse::<ShardId>().is_ok();
    let is_number = |name: &str| name.parse().is_ok_and(|n: u64| n.to_string() == name);
    for dataset in dirs(disk, root, is_dataset).await? {
        for shard in dirs(disk, &dataset, is_number).await? {
            for checkpoint in dirs(disk, &shard, is_number).await? {
                disk.remove_dir_all(&checkpoint).await?;
            }
        }
    }
    Ok(())
}

async fn dirs(disk: &dyn Disk, path: &Path, is_ours: fn(&str) -> bool) -> Result<Vec<PathBuf>, DiskError> {
    let mut found = Vec::new();
    if disk.metadata(path).await?.is_none() {
        return Ok(found);
    }
    let mut after: Option<OsString> = None;
    loop {
        let page = disk.list(path, after.as_deref(), LISTED_AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.name.clone());
        let ours = page
            .iter()
            .filter(|entry| entry.metadata.kind == FileKind::Dir && entry.name.to_str().is_some_and(is_ours));
        found.extend(ours.map(|entry| path.join(&entry.name)));
    }
}
