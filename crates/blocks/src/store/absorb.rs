//! Merges copies of other replicas into a shard.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use peerstream_snapshot::SinkError;
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_types::{Entry, EntryKey};

use super::{BlockStore, OpenShard, sealed};
use crate::cell::Cell;
use crate::limits::{APPLY_BLOCKS, APPLY_LEN};
use crate::medium::{Change, Head, MediumError};

/// A whole copy of a block that was verified.
#[derive(Debug)]
pub(crate) struct Copy<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) content: Bytes,
}

/// Blocks that were merged and not yet given to the medium.
#[derive(Default)]
struct Pending {
    blocks: BTreeMap<EntryKey, (Head, Cell)>,
    /// Bytes of them: of the blocks that they are now, however short what came in.
    len: usize,
}

impl BlockStore {
    /// Merges copies, several of one block among them, and answers which of them are in now. Copies that
    /// cannot be merged cost the others nothing; the first of them is the error.
    pub(crate) async fn absorb(
        &self,
        open: &mut OpenShard,
        copies: &[Copy<'_>],
    ) -> (Vec<usize>, Result<(), SinkError>) {
        let (mut merged, mut refused) = (Vec::new(), Vec::new());
        let (mut pending, mut waiting) = (Pending::default(), Vec::new());
        for (place, copy) in copies.iter().enumerate() {
            match self.absorb_one(open, &mut pending, copy).await {
                Ok(()) => waiting.push(place),
                Err(error @ (SinkError::BadEntry { .. } | SinkError::Unmergeable { .. })) => {
                    refused.push((place, error));
                }
                Err(error) => return (merged, Err(error)),
            }
            let is_last = place + 1 == copies.len();
            if is_last || pending.len >= APPLY_LEN || pending.blocks.len() >= APPLY_BLOCKS {
                let too_many = match pending.apply(open).await {
                    Ok(too_many) => too_many,
                    Err(error) => return (merged, Err(error)),
                };
                for place in waiting.drain(..) {
                    match too_many.get(&copies[place].entry.key) {
                        Some(error) => refused.push((place, error.clone())),
                        None => merged.push(place),
                    }
                }
            }
        }
        let first = refused.into_iter().min_by_key(|(place, _)| *place);
        (merged, first.map_or(Ok(()), |(_, error)| Err(error)))
    }

    async fn absorb_one(
        &self,
        open: &OpenShard,
        pending: &mut Pending,
        copy: &Copy<'_>,
    ) -> Result<(), SinkError> {
        let Entry { key, metadata, kind, .. } = copy.entry;
        let bad = |why: String| SinkError::BadEntry { key: key.clone(), why };
        let theirs = Cell::decode(self.hook(), &copy.content).map_err(|error| bad(error.to_string()))?;
        if theirs.kind() != *kind {
            return Err(bad("it is not of the kind that its manifest says".into()));
        }
        let before = match pending.take(key) {
            Some(before) => Some(before),
            None => self.existing(open, key).await?,
        };
        let fresh = || Head::new(metadata.clone(), [0; 32], 0, *kind);
        let (mut head, ours) = before.map_or_else(|| (fresh(), None), |(head, cell)| (head, Some(cell)));
        let merge = |ours: &Cell| ours.merge(self.hook(), &theirs);
        let cell = match ours.as_ref().map(merge).unwrap_or_else(|| theirs.clone().bounded()) {
            Ok(cell) => cell,
            Err(error) => {
                if let Some(ours) = ours {
                    pending.put(key.clone(), head, ours);
                }
                // Either is good by itself.
                return Err(SinkError::Unmergeable { key: key.clone(), why: error.to_string() });
            }
        };
        if let Some(peerstream_types::Digest::Blake3(digest)) = copy.entry.digest {
            head.absorb(digest);
        }
        pending.put(key.clone(), head, cell);
        Ok(())
    }

    async fn existing(&self, open: &OpenShard, key: &EntryKey) -> Result<Option<(Head, Cell)>, SinkError> {
        let damaged = |error: String| SinkError::Unmergeable {
            key: key.clone(),
            why: format!("what is here already cannot be read: {error}"),
        };
        let (head, content) = match open.medium.get(key).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(MediumError::Disk(error)) if error.kind == DiskErrorKind::Corrupt => {
                return Err(damaged(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let cell = Cell::decode(self.hook(), &content).map_err(|error| damaged(error.to_string()))?;
        Ok(Some((head, cell)))
    }
}

impl Pending {
    fn put(&mut self, key: EntryKey, head: Head, cell: Cell) {
        self.len += cell.len();
        self.blocks.insert(key, (head, cell));
    }

    fn take(&mut self, key: &EntryKey) -> Option<(Head, Cell)> {
        let taken = self.blocks.remove(key)?;
        self.len -= taken.1.len();
        Some(taken)
    }

    /// Gives them to the medium. Answers which of them would be more blocks than there may be: these cost
    /// the others nothing.
    async fn apply(&mut self, open: &mut OpenShard) -> Result<BTreeMap<EntryKey, SinkError>, SinkError> {
        let Self { blocks, .. } = std::mem::take(self);
        let changes = blocks.into_iter().map(|(key, (head, cell))| (key, Some(sealed(&head, &cell))));
        let mut too_many = BTreeMap::new();
        let mut parts: Vec<Vec<Change>> = vec![changes.collect()];
        while let Some(mut part) = parts.pop() {
            match open.apply(part.clone(), None).await {
                Err(MediumError::Full(_)) if part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(MediumError::Full(full)) => {
                    let refuse = |(key, _): Change| {
                        (key.clone(), SinkError::Unmergeable { key, why: full.to_string() })
                    };
                    too_many.extend(part.into_iter().map(refuse));
                }
                done => done?,
            }
        }
        Ok(too_many)
    }
}
