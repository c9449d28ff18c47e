//! Blocks in memory: for the life of the store only.

use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::BoxFuture;
use peerstream_types::{EntryKey, ShardId};

use crate::medium::{Change, Facts, Head, Image, Medium, MediumError, ShardMedium, blocks_after};

/// Keeps nothing by itself: open shards are all there is.
#[derive(Debug)]
pub(crate) struct Memory;

#[derive(Debug, Default)]
struct MemoryShard {
    facts: Option<Facts>,
    blocks: Frozen,
}

/// Copied when it is written while an image of it is held.
#[derive(Debug, Clone, Default)]
struct Frozen(Arc<BTreeMap<EntryKey, (Head, Bytes)>>);

impl Medium for Memory {
    fn exists<'a>(&'a self, _shard: &'a ShardId) -> BoxFuture<'a, Result<bool, MediumError>> {
        Box::pin(ready(Ok(false)))
    }

    fn open<'a>(&'a self, _shard: &'a ShardId) -> BoxFuture<'a, Result<Box<dyn ShardMedium>, MediumError>> {
        Box::pin(ready(Ok(Box::new(MemoryShard::default()) as Box<dyn ShardMedium>)))
    }
}

impl ShardMedium for MemoryShard {
    fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    fn head<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<Head>, MediumError>> {
        Box::pin(ready(Ok(self.blocks.0.get(key).map(|(head, _)| head.clone()))))
    }

    fn get<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<(Head, Bytes)>, MediumError>> {
        Box::pin(ready(Ok(self.blocks.0.get(key).cloned())))
    }

    fn apply(
        &mut self,
        changes: Vec<Change>,
        facts: Option<Facts>,
    ) -> BoxFuture<'_, Result<(), MediumError>> {
        let has = |key: &EntryKey| Ok::<_, MediumError>(self.blocks.0.contains_key(key));
        if let Err(error) = blocks_after(self.blocks.0.len(), &changes, has) {
            return Box::pin(ready(Err(error)));
        }
        if !changes.is_empty() {
            let blocks = Arc::make_mut(&mut self.blocks.0);
            for (key, block) in changes {
                match block {
                    Some(block) => blocks.insert(key, block),
                    None => blocks.remove(&key),
                };
            }
        }
        self.facts = facts.or(self.facts.take());
        Box::pin(ready(Ok(())))
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(ready(Ok(())))
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Box<dyn Image>, MediumError>> {
        Box::pin(ready(Ok(Box::new(self.blocks.clone()) as Box<dyn Image>)))
    }
}

impl Image for Frozen {
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(EntryKey, Head)>, MediumError>> {
        let heads = self.0.iter().map(|(key, (head, _))| (key.clone(), head.clone()));
        Box::pin(ready(Ok(heads.collect())))
    }

    fn content<'a>(
        &'a self,
        key: &'a EntryKey,
        range: Range<usize>,
    ) -> BoxFuture<'a, Result<Option<Bytes>, MediumError>> {
        let content = self.0.get(key).map(|(_, content)| {
            let end = range.end.min(content.len());
            content.slice(range.start.min(end)..end)
        });
        Box::pin(ready(Ok(content)))
    }
}
