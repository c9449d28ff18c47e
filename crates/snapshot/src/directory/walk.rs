//! What is in a directory, as keys of entries.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{EntryKey, ShardId};

use super::Seams;
use crate::disk::{DirEntry, FileKind};
use crate::limits::{ENTRIES_MAX, SYNC_JOBS};
use crate::{DiskError, SourceError};

/// A file that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: EntryKey,
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

/// Lists all files below `root`, in byte order of their keys. Directories without files are not
/// seen.
///
/// Refused, with the name, is what would not be accepted elsewhere (rows F-60, A31): symbolic links,
/// devices, sockets and pipes, names that are no keys, more than [`ENTRIES_MAX`] files.
pub(super) async fn walk(seams: &Seams, root: &Path, shard: &ShardId) -> Result<Vec<Found>, SourceError> {
    let bad = |why: String| SourceError::BadEntry { shard: shard.clone(), why };
    let mut dirs = vec![String::new()];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in seams.disk.list(&root.join(&dir), None, ENTRIES_MAX + 1).await? {
            let (path, key) = key_of(&dir, &entry).map_err(bad)?;
            match entry.metadata.kind {
                FileKind::File => files.push((key, path)),
                FileKind::Dir => dirs.push(path),
                FileKind::Other => return Err(bad(format!("{path} is neither a file nor a directory"))),
            }
        }
        if files.len() > ENTRIES_MAX {
            return Err(bad(format!("more than {ENTRIES_MAX} files")));
        }
    }
    files.sort();
    let found = files.into_iter().map(|(key, path)| measure(seams.clone(), key, root.join(path)));
    Ok(stream::iter(found).buffered(SYNC_JOBS).try_collect().await?)
}

/// The key of a name in a directory, also as text. Checked for directories too, so that the walk
/// ends where no key could be long enough.
fn key_of(dir: &str, entry: &DirEntry) -> Result<(String, EntryKey), String> {
    let name = entry.name.to_str().ok_or_else(|| {
        let name = entry.name.as_encoded_bytes().escape_ascii();
        format!("the name {name} in directory {dir:?} is not UTF-8")
    })?;
    let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    let key = EntryKey::from_path(&path).map_err(|error| error.to_string())?;
    Ok((path, key))
}

async fn measure(seams: Seams, key: EntryKey, path: PathBuf) -> Result<Found, DiskError> {
    // A file that is gone by now is noticed when it is read.
    let len = seams.disk.metadata(&path).await?.map_or(0, |found| found.len);
    Ok(Found { key, path, len })
}
