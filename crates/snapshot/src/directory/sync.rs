//! Files that may have been renamed or removed are made durable where they are still there.

use std::path::PathBuf;

use crate::disk::{DiskErrorKind, OpenMode};
use crate::{Disk, DiskError};

/// Makes those of the files that are there durable, one after the other.
pub(super) async fn sync_those_there(disk: &dyn Disk, paths: &[PathBuf]) -> Result<(), DiskError> {
    for path in paths {
        match disk.open(path, OpenMode::Write).await {
            Ok(file) => file.sync().await?,
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
