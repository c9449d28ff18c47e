//! A generation is made of staged content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use peerstream_types::{Entry, ManifestHeader};

use super::contents::Contents;
use super::layout::{GenerationDir, ShardDir};
use super::manifest_file;
use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::limits::SYNC_JOBS;
use crate::{Disk, DiskError};

/// A file of the generation.
#[derive(Debug)]
struct Placed {
    path: PathBuf,
    content: ContentId,
    /// Whether it may be the staged file itself, under a second name. Only one may: a store that
    /// writes to its files must not find two of them joined.
    link: bool,
}

/// Makes the generation `contents.target` of complete content, all of it durable, under its
/// temporary name. What an earlier attempt left is replaced.
pub(super) async fn build(
    shard: &ShardDir,
    contents: &Contents,
    header: &ManifestHeader,
    entries: &[(Arc<Entry>, ContentId)],
) -> Result<(), DiskError> {
    let disk = &*contents.seams.disk;
    let half = shard.half_made(contents.target);
    disk.remove_dir_all(half.path()).await?;
    disk.remove_dir_all(shard.generation(contents.target).path()).await?;
    let files = plan(&half, entries);
    let dirs = directories(&half, &files);
    for dir in &dirs {
        disk.create_dir_all(dir).await?;
    }
    stream::iter(files)
        .map(|file| place(contents, file))
        .buffer_unordered(SYNC_JOBS)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let listed: Vec<&Entry> = entries.iter().map(|(entry, _)| &**entry).collect();
    manifest_file::write(disk, &half.manifest(), manifest_file::encode(header, &listed)).await?;
    // Byte order puts every directory before those in it.
    for dir in dirs.iter().rev() {
        disk.sync_dir(dir).await?;
    }
    for dir in [half.path(), &shard.generations(), shard.path()] {
        disk.sync_dir(dir).await?;
    }
    Ok(())
}

fn plan(half: &GenerationDir, entries: &[(Arc<Entry>, ContentId)]) -> Vec<Placed> {
    let (data, mut linked) = (half.data(), BTreeSet::new());
    let place = |(entry, content): &(Arc<Entry>, ContentId)| {
        let path = data.join(entry.key.as_path().expect("keys were checked on admission"));
        Placed { path, content: *content, link: linked.insert(*content) }
    };
    entries.iter().map(place).collect()
}

/// The directories that the files need.
fn directories(half: &GenerationDir, files: &[Placed]) -> BTreeSet<PathBuf> {
    let data = half.data();
    let mut dirs = BTreeSet::from([data.clone()]);
    for file in files {
        let parents = file.path.ancestors().skip(1);
        dirs.extend(parents.take_while(|dir| *dir != data).map(Path::to_owned));
    }
    dirs
}

async fn place(contents: &Contents, file: Placed) -> Result<(), DiskError> {
    let disk = &*contents.seams.disk;
    let Placed { path, content, link } = file;
    if content.len == 0 {
        return disk.open(&path, OpenMode::Create).await?.sync().await;
    }
    if link {
        contents.sync(content).await?;
        // A file system without hard links, or one that has no more of them, takes a copy.
        if disk.hard_link(&contents.dir.content(&content), &path).await.is_ok() {
            return check_len(disk, &path, content.len).await;
        }
        disk.remove_file(&path).await?;
    }
    copy(contents, content, &path).await
}

async fn copy(contents: &Contents, content: ContentId, to: &Path) -> Result<(), DiskError> {
    let disk = &*contents.seams.disk;
    disk.clone_file(&contents.dir.content(&content), to).await?;
    disk.open(to, OpenMode::Write).await?.sync().await?;
    check_len(disk, to, content.len).await
}

async fn check_len(disk: &dyn Disk, path: &Path, len: u64) -> Result<(), DiskError> {
    let found = disk.metadata(path).await?.map(|found| found.len);
    if found == Some(len) {
        return Ok(());
    }
    Err(DiskError::corrupt(path, format!("{len} bytes were staged, {} are there", found.unwrap_or(0))))
}
