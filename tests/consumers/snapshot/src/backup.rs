//! One directory into one store: every chunk is checked against the manifest on its way.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerstream_snapshot::verify::{Scheme, scheme};
use peerstream_snapshot::{
    BlockingPool, DirectorySource, DirectoryStore, Fence, Held, RealDisk, Sink, Snapshot, Source, Staging,
    VerifiedChunk, VerifiedOutline, VerifiedTop,
};
use peerstream_types::{ChunkIndex, ChunkRange, ChunkSize, Entry, GroupIndex, PageToken, Selector, ShardId};

/// Entries listed at once.
const PAGE: usize = 256;

/// What a backup did.
#[derive(Debug, Default)]
pub struct Report {
    /// Chunks copied and verified.
    pub copied: u64,
    /// Chunks that an earlier attempt had left.
    pub held: u64,
    /// Where the published copy is; nowhere if the backup was stopped.
    pub path: Option<PathBuf>,
}

/// Copies `from` into the store at `to`, with what it hashed beside it, stopping in the middle after `chunks_max` chunks.
pub async fn back_up(from: &Path, to: &Path, chunks_max: u64) -> Result<Report, Box<dyn Error>> {
    let shard: ShardId = "backup@1/0".parse()?;
    let source = DirectorySource::new(to.with_extension("served"), RealDisk::new(), BlockingPool::new());
    source.serve(&shard, from, None, Vec::new())?;
    let store = DirectoryStore::open(to, Arc::new(RealDisk::new()), Arc::new(BlockingPool::new())).await?;

    let snapshot = source.open(&shard, &Selector::All).await?;
    let staging = store.stage(&shard, &Selector::All, Fence(1)).await?;
    staging.begin(&snapshot.header()).await?;
    let mut report = Report::default();
    let mut next = Some(PageToken::START);
    while let Some(token) = next {
        let page = snapshot.page(&token, PAGE).await?;
        let entries: Vec<Arc<Entry>> = page.entries.into_iter().map(Arc::new).collect();
        let held = staging.admit(entries.clone()).await?;
        for entry in &entries {
            copy(&*snapshot, &*staging, entry, &held, chunks_max, &mut report).await?;
        }
        if report.copied == chunks_max {
            // Without it, the next attempt may miss the last few MiB.
            staging.checkpoint().await?;
            return Ok(report);
        }
        if let Some(sealed) = page.sealed {
            staging.seal(&sealed).await?;
        }
        next = page.next;
    }
    staging.publish().await?;
    report.path = store.current_path(&shard).await?;
    Ok(report)
}

/// Copies the chunks of an entry that are not held.
async fn copy(
    snapshot: &dyn Snapshot,
    staging: &dyn Staging,
    entry: &Arc<Entry>,
    held: &[Held],
    chunks_max: u64,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let size = snapshot.header().chunk_size;
    let outlines = outlines(snapshot, entry, size).await?;
    let held = held.iter().filter(|held| held.ordinal == entry.ordinal).flat_map(|held| &held.chunks);
    let held: Vec<ChunkIndex> = held.flat_map(|range| range.iter()).collect();
    for index in (0..entry.chunks(size)).map(ChunkIndex) {
        if held.contains(&index) {
            report.held += 1;
        } else if report.copied < chunks_max {
            let (offset, len) = (index.0 * size.bytes(), size.len_of(index, entry.len));
            let bytes = snapshot.read(entry.ordinal, offset, usize::try_from(len)?).await?;
            let outline = outlines.get(usize::try_from(index.group().0)?);
            staging.store(vec![VerifiedChunk::check(entry, size, outline, index, bytes)?]).await?;
            report.copied += 1;
        }
    }
    Ok(())
}

/// What vouches for the chunks of an entry that has several, group by group.
async fn outlines(
    snapshot: &dyn Snapshot,
    entry: &Arc<Entry>,
    size: ChunkSize,
) -> Result<Vec<VerifiedOutline>, Box<dyn Error>> {
    let scheme = scheme(entry, size)?;
    if matches!(scheme, Scheme::Empty | Scheme::Whole) {
        return Ok(Vec::new());
    }
    let groups = ChunkRange { first: ChunkIndex(0), count: u32::try_from(entry.groups(size))? };
    let top = match scheme {
        Scheme::Groups => {
            let values = snapshot.outline(entry.ordinal, 1, groups).await?;
            Some(VerifiedTop::check(entry, size, values)?)
        }
        _ => None,
    };
    let mut outlines = Vec::new();
    for group in groups.iter().map(|group| GroupIndex(group.0)) {
        let values = snapshot.outline(entry.ordinal, 0, size.chunks_of(group, entry.len)).await?;
        outlines.push(match &top {
            Some(top) => VerifiedOutline::check_group(entry, size, top, group, values)?,
            None => VerifiedOutline::check(entry, size, values)?,
        });
    }
    Ok(outlines)
}
