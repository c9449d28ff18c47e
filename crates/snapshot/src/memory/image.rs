//! The content of a shard at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use peerstream_types::manifest::STATE_LEN_MAX;
use peerstream_types::{ChunkSize, Codec, Entry, EntryKey, EntryKind, Ordinal, Position, ShardId};

use super::snapshot::{Levels, MemorySnapshot};
use crate::SourceError;
use crate::content::{Described, top_of_outline};
use crate::listing::{Frame, Listing};

/// What is kept of an entry.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) content: Bytes,
    pub(super) metadata: Vec<u8>,
    pub(super) kind: EntryKind,
}

impl Stored {
    pub(super) fn new(key: &EntryKey, content: Bytes, metadata: Vec<u8>) -> Self {
        let kind = if key.as_path().is_ok() { EntryKind::File } else { EntryKind::Block };
        Self { content, metadata, kind }
    }
}

/// Copied on write, so that open snapshots stay as they are.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) contents: BTreeMap<EntryKey, Stored>,
    pub(super) position: Option<Position>,
    pub(super) state: Vec<u8>,
    chunk_size: ChunkSize,
    hashed: OnceLock<Arc<MemorySnapshot>>,
}

impl Image {
    pub(super) fn new(chunk_size: ChunkSize) -> Self {
        let (contents, hashed) = (BTreeMap::new(), OnceLock::new());
        Self { contents, position: None, state: Vec::new(), chunk_size, hashed }
    }

    /// The image for a change: what was hashed of it holds no longer.
    pub(super) fn changed(&mut self) -> &mut Self {
        self.hashed.take();
        self
    }

    /// The snapshot of all of it, and how many entries were hashed for it just now.
    pub(super) fn hashed(&self, shard: &ShardId) -> Result<(Arc<MemorySnapshot>, u64), SourceError> {
        if let Some(hashed) = self.hashed.get() {
            return Ok((hashed.clone(), 0));
        }
        let snapshot = self.hash().map_err(|why| SourceError::BadEntry { shard: shard.clone(), why })?;
        let hashed = self.hashed.get_or_init(|| Arc::new(snapshot)).clone();
        Ok((hashed, self.contents.len() as u64))
    }

    fn hash(&self) -> Result<MemorySnapshot, String> {
        if self.state.len() > STATE_LEN_MAX || !self.position.as_ref().is_none_or(Position::is_well_formed) {
            return Err("its position or its state is larger than allowed".into());
        }
        let described: Vec<Described> =
            self.contents.values().map(|stored| Described::of(self.chunk_size, &stored.content)).collect();
        let entry = |((key, stored), described): ((&EntryKey, &Stored), &Described)| Entry {
            ordinal: Ordinal(0),
            key: key.clone(),
            len: stored.content.len() as u64,
            digest: Some(described.digest),
            kind: stored.kind,
            codec: Codec::Plain,
            metadata: stored.metadata.clone(),
        };
        let entries = self.contents.iter().zip(&described).map(entry).collect();
        let (position, state) = (self.position.clone(), self.state.clone());
        let frame = Frame { chunk_size: self.chunk_size, position, state };
        let listing = Listing::seal(entries, frame).map_err(|error| error.to_string())?;
        let contents = self.contents.values().map(|stored| stored.content.clone()).collect();
        let levels = |(described, entry): (Described, &Entry)| Levels {
            groups: top_of_outline(self.chunk_size, entry.len, &described.outline).into(),
            chunks: described.outline.into(),
        };
        let outlines = described.into_iter().zip(listing.entries()).map(levels).collect();
        Ok(MemorySnapshot::new(listing, contents, outlines))
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::DatasetName;

    use super::*;

    /// Promise 9: it costs this shard, and not the session that would have to say it.
    #[test]
    fn a_state_that_no_header_carries_is_not_served() {
        let shard = ShardId::new(DatasetName::new("metrics").expect("a name"), 1, 0);
        let mut image = Image::new(ChunkSize::DEFAULT);
        image.changed().state = vec![7; STATE_LEN_MAX];
        assert!(image.hashed(&shard).is_ok());
        image.changed().state.push(7);
        assert!(matches!(image.hashed(&shard), Err(SourceError::BadEntry { .. })));
    }
}
