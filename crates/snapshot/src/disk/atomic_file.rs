//! Small files that are replaced as a whole.

use std::path::Path;

use bytes::Bytes;

use super::{Disk, DiskError, OpenMode};

/// Replaces the content of `path` in one step that survives a power loss: written beside it, synced,
/// renamed, directory synced. After an error, or if abandoned, the old or the new content is there.
/// One caller at a time per path.
///
/// # Errors
///
/// What the disk says.
pub async fn replace_file(disk: &dyn Disk, path: &Path, content: Bytes) -> Result<(), DiskError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    disk.remove_file(beside).await?;
    let file = disk.open(beside, OpenMode::Create).await?;
    file.write_at(0, content).await?;
    file.sync().await?;
    disk.rename(beside, path).await?;
    match path.parent() {
        Some(parent) => disk.sync_dir(parent).await,
        None => Ok(()),
    }
}

/// The whole content of a file, or `None` if there is none.
///
/// # Errors
///
/// What the disk says.
pub async fn read_whole(disk: &dyn Disk, path: &Path) -> Result<Option<Bytes>, DiskError> {
    let Some(found) = disk.metadata(path).await? else { return Ok(None) };
    let len = usize::try_from(found.len).map_err(|_| DiskError::corrupt(path, "too long to read"))?;
    disk.open(path, OpenMode::Read).await?.read_at(0, len).await.map(Some)
}
