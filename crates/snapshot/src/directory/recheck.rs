//! What the journal of an earlier process claims is hashed before it counts.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_types::{ChainingValue, ChunkIndex, Entry};

use super::contents::{Contents, outline_bytes};
use crate::content::ContentId;
use crate::disk::OpenMode;
use crate::offload::run_for;
use crate::verify::{Scheme, scheme};
use crate::{DiskFile, OffloadGone, VerifiedChunk, VerifiedOutline};

/// Checks the claims about the content of `entry`. Chunks that cannot be read back, or are not what
/// they should be, are simply not held: they are fetched again.
pub(super) async fn recheck(
    contents: Arc<Contents>,
    entry: Arc<Entry>,
    id: ContentId,
) -> Result<(), OffloadGone> {
    let Some(content) = contents.known(id) else { return Ok(()) };
    let _one_at_a_time = content.recheck.lock().await;
    let claimed = content.claimed();
    if claimed.is_empty() {
        return Ok(());
    }
    let outline = outline(&contents, &entry, id).await;
    let needs_outline = scheme(&entry, id.chunk_size) == Ok(Scheme::Outline);
    let mut good = Vec::new();
    let file = contents.file(id, OpenMode::Write).await.ok();
    if let Some(file) = file.filter(|_| outline.is_some() || !needs_outline) {
        for index in claimed.iter().flat_map(|range| range.iter()) {
            if holds(&*file, &contents, &entry, id, outline.clone(), index).await? {
                good.push(index);
            }
        }
    }
    contents.confirm(id, &content, &good, outline.is_some());
    Ok(())
}

async fn holds(
    file: &dyn DiskFile,
    contents: &Contents,
    entry: &Arc<Entry>,
    id: ContentId,
    outline: Option<VerifiedOutline>,
    index: ChunkIndex,
) -> Result<bool, OffloadGone> {
    let size = id.chunk_size;
    let len = usize::try_from(size.len_of(index, id.len)).expect("a chunk fits in memory");
    let Ok(bytes) = file.read_at(index.0 * size.bytes(), len).await else { return Ok(false) };
    let entry = entry.clone();
    let check = move || VerifiedChunk::check(&entry, size, outline.as_ref(), index, bytes).is_ok();
    run_for(&*contents.seams.offload, check).await
}

async fn outline(contents: &Contents, entry: &Entry, id: ContentId) -> Option<VerifiedOutline> {
    let bytes: Bytes = outline_bytes(contents, id).await.ok()??;
    let (values, rest) = bytes.as_chunks::<32>();
    let values = values.iter().copied().map(ChainingValue).collect();
    VerifiedOutline::check(entry, id.chunk_size, values).ok().filter(|_| rest.is_empty())
}
