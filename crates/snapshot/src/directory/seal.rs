//! A generation is made of staged content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use peerstream_types::{Entry, GroupIndex, ManifestHeader};

use super::area::Area;
use super::attempt::Attempt;
use super::catalog::{CatalogError, CatalogWriter};
use super::layout::{GenerationDir, ShardDir};
use super::packs::Extent;
use super::recheck::{Outlines, Said, good_in, hash_group, recheck_packed};
use super::slots::Place;
use crate::content::ContentId;
use crate::disk::{OpenMode, WriteFile};
use crate::limits::{BUILD_FILES, BUILD_JOBS, PACK_READ_MAX, SYNC_EACH_MAX};
use crate::listing::Frame;
use crate::{DiskError, SinkError};

/// Makes the generation `area.target` of a complete manifest, all of it durable, under its temporary
/// name. What an earlier attempt left is replaced.
pub(super) async fn build(
    shard: &ShardDir,
    area: &Area,
    attempt: &Attempt,
    header: &ManifestHeader,
    immutable: bool,
) -> Result<(), SinkError> {
    let disk = &*area.seams.disk;
    let doubtful = area.is_doubtful(attempt.number);
    if doubtful {
        check(area, attempt).await?;
    }
    let half = shard.half_made(area.target);
    disk.remove_dir_all(half.path()).await?;
    disk.remove_dir_all(shard.generation(area.target).path()).await?;
    disk.create_dir_all(&half.data()).await?;
    let ManifestHeader { chunk_size, position, state, .. } = header.clone();
    let frame = Frame { chunk_size, position, state };
    let catalog = CatalogWriter::create(area.seams.disk.clone(), half.catalog(), frame.clone()).await?;
    let mut build = Build {
        area,
        attempt,
        data: half.data(),
        immutable,
        doubtful,
        catalog,
        used: Used::new(),
        dir: half.data(),
        made: Made::default(),
    };
    build.made.dir(&half.data());
    build.all().await?;
    let Build { mut catalog, made, .. } = build;
    let catalog = catalog.seal(frame).await?;
    if catalog.header() != *header {
        return Err(DiskError::corrupt(&attempt.dir, "its entries are not those that were admitted").into());
    }
    catalog.close_files();
    if !made.many {
        catalog.sync().await?;
        area.synced(sync_each(shard, area, &half, &made).await).await?;
        catalog.close_files();
    }
    // What is staged is durable too: a power loss before the publish costs no more than this seal.
    Ok(area.checkpoint(made.many).await?)
}

/// Hashes what is staged of a manifest.
async fn check(area: &Area, attempt: &Attempt) -> Result<(), SinkError> {
    let (mut entries, mut slots) = attempt.read().await?;
    let mut packed: Vec<Said> = Vec::new();
    while let Some(entry) = entries.next().await? {
        let (id, entry) = (attempt.content_of(&entry), Arc::new(entry));
        let slot = if id.len == 0 { None } else { slots.get(entry.ordinal, &id).await? };
        // Of what is not there at all, the building speaks.
        let Some(slot) = slot else { continue };
        match extent_of(slot.place, &id) {
            Some(extent) => packed.push((entry, id, extent)),
            None => check_whole(area, &entry, id).await?,
        }
        if packed.len() >= BUILD_FILES {
            check_packed(area, &std::mem::take(&mut packed)).await?;
        }
    }
    check_packed(area, &packed).await
}

async fn check_whole(area: &Area, entry: &Arc<Entry>, id: ContentId) -> Result<(), SinkError> {
    let (contents, path) = (&area.contents, area.dir.content(&id));
    if !contents.is_whole(id) {
        if good_in(contents, &path, entry, id).await?.len() < id.chunks() {
            return Err(DiskError::corrupt(&path, "it is not what was staged").into());
        }
        contents.note_whole(id);
    }
    Ok(())
}

async fn check_packed(area: &Area, said: &[Said]) -> Result<(), SinkError> {
    let good = recheck_packed(area, said).await?;
    match good.iter().zip(said).find(|(good, _)| !**good) {
        Some((_, (entry, ..))) => {
            let why = format!("{} is not what was staged", entry.key);
            Err(DiskError::corrupt(&area.dir.packs(), why).into())
        }
        None => Ok(()),
    }
}

async fn sync_each(
    shard: &ShardDir,
    area: &Area,
    half: &GenerationDir,
    made: &Made,
) -> Result<(), DiskError> {
    let disk = &*area.seams.disk;
    for file in &made.files {
        disk.open(file, OpenMode::Write).await?.sync().await?;
    }
    // Byte order puts every directory before those in it.
    for dir in made.dirs.iter().rev() {
        disk.sync_dir(dir).await?;
    }
    for dir in [half.path(), &shard.generations(), shard.path()] {
        disk.sync_dir(dir).await?;
    }
    Ok(())
}

/// A generation on its way.
struct Build<'a> {
    area: &'a Area,
    attempt: &'a Attempt,
    data: PathBuf,
    immutable: bool,
    /// A sync of what is staged may have failed: only a copy can be made durable for certain.
    doubtful: bool,
    catalog: CatalogWriter,
    used: Used,
    /// The directory that the last file went to. Keys come in byte order, so those of one directory
    /// come in a row, but for those of the directories in it.
    dir: PathBuf,
    made: Made,
}

/// A piece of work that goes on beside others.
enum Job {
    Small(Vec<(PathBuf, Option<Extent>)>),
    Large { path: PathBuf, id: ContentId, link: bool },
}

impl Build<'_> {
    async fn all(&mut self) -> Result<(), SinkError> {
        let (mut entries, mut slots) = self.attempt.read().await?;
        let mut jobs = FuturesUnordered::new();
        let (mut small, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = entries.next().await? {
            let id = self.attempt.content_of(&entry);
            let path = self.place(&entry).await?;
            let slot = if id.len == 0 { None } else { slots.get(entry.ordinal, &id).await? };
            let job = match slot.map(|slot| slot.place) {
                None if id.len > 0 => return Err(self.lost(&entry).into()),
                Some(Place::File) => {
                    let link = !self.doubtful && (self.immutable || self.used.first(&id));
                    Some(Job::Large { path, id, link })
                }
                packed => {
                    small.push((path, packed.and_then(|place| extent_of(place, &id))));
                    bytes += id.len;
                    let full = small.len() >= BUILD_FILES || bytes >= PACK_READ_MAX;
                    full.then(|| {
                        bytes = 0;
                        Job::Small(std::mem::take(&mut small))
                    })
                }
            };
            self.list(entry, id).await?;
            if let Some(job) = job {
                if jobs.len() >= BUILD_JOBS {
                    jobs.try_next().await?;
                }
                jobs.push(run(self.area, job));
            }
        }
        jobs.push(run(self.area, Job::Small(small)));
        while jobs.try_next().await?.is_some() {}
        Ok(())
    }

    /// Where an entry goes; its directory exists.
    async fn place(&mut self, entry: &Entry) -> Result<PathBuf, DiskError> {
        let path = self.data.join(entry.key.as_path().expect("keys were checked on admission"));
        let dir = path.parent().unwrap_or(&self.data);
        if dir != self.dir {
            self.area.seams.disk.create_dir_all(dir).await?;
            let new = dir.ancestors().take_while(|dir| *dir != self.data);
            new.for_each(|dir| self.made.dir(dir));
            dir.clone_into(&mut self.dir);
        }
        self.made.file(&path);
        Ok(path)
    }

    /// Adds an entry and its outline to the manifest. An outline that was lost is made again.
    async fn list(&mut self, entry: Entry, id: ContentId) -> Result<(), SinkError> {
        if id.chunks() > 1 {
            let contents = &self.area.contents;
            let outlines = Outlines::open(contents, &entry, id).await?;
            for group in (0..id.chunk_size.groups_in(id.len)).map(GroupIndex) {
                let values = match outlines.group(group).await? {
                    Some(Some(outline)) => outline.values().to_vec(),
                    Some(None) | None => hash_group(contents, id, group).await?,
                };
                self.catalog.append_outline(id.len, &values).await?;
            }
            if self.catalog.finish_outline().await? != Some(id.digest) {
                let path = self.area.dir.content(&id);
                return Err(DiskError::corrupt(&path, "it is not what was staged").into());
            }
        }
        let pushed = self.catalog.push([entry]).await;
        pushed.map_err(|error| match error {
            CatalogError::Disk(error) => error.into(),
            CatalogError::Order(_) | CatalogError::TooMany => self.lost_entries().into(),
        })
    }

    fn lost(&self, entry: &Entry) -> DiskError {
        DiskError::corrupt(&self.attempt.dir, format!("it does not say any more where {} lies", entry.key))
    }

    fn lost_entries(&self) -> DiskError {
        DiskError::corrupt(&self.attempt.dir, "its entries are out of order")
    }
}

fn extent_of(place: Place, id: &ContentId) -> Option<Extent> {
    let Place::Packed { pack, offset } = place else { return None };
    Some(Extent { pack, offset, len: usize::try_from(id.len).ok()? })
}

async fn run(area: &Area, job: Job) -> Result<(), DiskError> {
    match job {
        Job::Small(files) => write_small(area, files).await,
        Job::Large { path, id, link } => place_large(area, &path, id, link).await,
    }
}

async fn write_small(area: &Area, files: Vec<(PathBuf, Option<Extent>)>) -> Result<(), DiskError> {
    let packed: Vec<(usize, Extent)> =
        files.iter().enumerate().filter_map(|(at, (_, extent))| Some((at, (*extent)?))).collect();
    let mut contents: Vec<Option<Bytes>> = files.iter().map(|(_, e)| e.is_none().then(Bytes::new)).collect();
    let extents: Vec<Extent> = packed.iter().map(|(_, extent)| *extent).collect();
    area.packs.read(&extents, |at, bytes| contents[packed[at].0] = Some(bytes)).await?;
    let with = |((path, _), content): ((PathBuf, _), Option<Bytes>)| {
        let content = content.ok_or_else(|| DiskError::corrupt(&path, "a pack has lost it"))?;
        Ok(WriteFile { path, content })
    };
    let files: Vec<WriteFile> =
        files.into_iter().zip(contents).map(with).collect::<Result<_, DiskError>>()?;
    if files.is_empty() {
        return Ok(());
    }
    area.seams.disk.write_files(files).await
}

/// The staged file itself under a second name, or a copy.
async fn place_large(area: &Area, path: &Path, id: ContentId, link: bool) -> Result<(), DiskError> {
    let (disk, staged) = (&*area.seams.disk, area.dir.content(&id));
    // A file system without hard links, or one that has no more of them, takes a copy.
    if !link || disk.hard_link(&staged, path).await.is_err() {
        disk.remove_file(path).await?;
        disk.clone_file(&staged, path).await?;
    }
    let found = disk.metadata(path).await?.map_or(0, |found| found.len);
    if found == id.len {
        return Ok(());
    }
    Err(DiskError::corrupt(path, format!("{} bytes were staged, {found} are there", id.len)))
}

/// What was made, as long as it is worth being synced one by one.
#[derive(Debug, Default)]
struct Made {
    files: Vec<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    many: bool,
}

impl Made {
    fn file(&mut self, path: &Path) {
        if self.has_room() {
            self.files.push(path.to_owned());
        }
    }

    fn dir(&mut self, path: &Path) {
        if self.has_room() {
            self.dirs.insert(path.to_owned());
        }
    }

    fn has_room(&mut self) -> bool {
        self.many |= self.files.len() + self.dirs.len() >= SYNC_EACH_MAX;
        if self.many {
            (self.files, self.dirs) = (Vec::new(), BTreeSet::new());
        }
        !self.many
    }
}

/// Which contents the generation has already: only one of its files may be the staged one itself,
/// for a host that writes to its files must not find two of them joined. Four bits of a megabyte
/// stand for a content, so now and then a file is copied that could have been linked.
struct Used(Vec<u64>);

impl Used {
    const BITS: u32 = 1 << 23;

    fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether a content is certainly used for the first time.
    fn first(&mut self, id: &ContentId) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; Self::BITS as usize / 64];
        }
        let (words, _) = id.digest.as_bytes().as_chunks::<4>();
        let mut first = false;
        for word in &words[..4] {
            let bit = u32::from_le_bytes(*word) % Self::BITS;
            let (word, mask) = (&mut self.0[bit as usize / 64], 1u64 << (bit % 64));
            first |= *word & mask == 0;
            *word |= mask;
        }
        first
    }
}
