//! Blocks in an LSM tree on disk, with `fjall`.
//!
//! Three keyspaces of one database, so that a change of all of them is one batch: what is kept of shards,
//! heads of blocks, contents of blocks. The key of a block is its shard, then its entry key. A batch is in
//! the hands of the operating system when it is committed, and durable when the journal is synced; the
//! journal is replayed up to its last whole batch, so batches survive in their order. An image is a
//! snapshot of the database: versions are kept for as long as it is held.
//!
//! Calls of the database block, so they run through the [`Offload`] seam. A database whose journal could
//! not be written refuses everything from then on: open it again.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use peerstream_snapshot::{BoxFuture, DiskError, Offload, run_for};
use peerstream_types::{EntryKey, ShardId};

use crate::medium::{Change, Facts, Full, Head, Image, Medium, MediumError, ShardMedium, blocks_after};
use crate::{BlockOptions, BlockStore};

impl BlockStore {
    /// A store in a database of its own in the directory `path`, which is made if it is missing. Opening
    /// replays the journal and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// What the database says: the directory is in use by another process, is no database, or cannot be
    /// read.
    ///
    /// # Panics
    ///
    /// If the name of the hook is longer than [`HOOK_NAME_LEN_MAX`](crate::limits::HOOK_NAME_LEN_MAX).
    pub fn on_fjall(
        path: impl Into<PathBuf>,
        offload: Arc<dyn Offload>,
        options: BlockOptions,
    ) -> Result<Self, DiskError> {
        let path = path.into();
        let tree = Tree::open(&path).map_err(|error| failed("open", &path, &error))?;
        Ok(Self::over(Box::new(Trees(Calls { tree, path: path.into(), offload })), options))
    }
}

/// The open database.
#[derive(Clone)]
struct Tree {
    database: Database,
    facts: Keyspace,
    heads: Keyspace,
    contents: Keyspace,
}

impl Tree {
    fn open(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path).open()?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        let (facts, heads, contents) = (keyspace("facts")?, keyspace("heads")?, keyspace("contents")?);
        Ok(Self { database, facts, heads, contents })
    }

    fn apply(&self, prefix: &[u8], changes: Vec<Change>, facts: Option<Facts>) -> Result<(), Failed> {
        let mut batch = self.database.batch();
        if !changes.is_empty() {
            let has = |key: &EntryKey| Ok::<_, Failed>(self.heads.contains_key(full_key(prefix, key))?);
            let count = blocks_after(self.count(prefix)?, &changes, has)?;
            batch.insert(&self.facts, count_key(prefix), encoded(&count)?);
        }
        for (key, block) in changes {
            let key = full_key(prefix, &key);
            match block {
                Some((head, content)) => {
                    batch.insert(&self.heads, key.as_slice(), encoded(&head)?);
                    batch.insert(&self.contents, key.as_slice(), &content[..]);
                }
                None => {
                    batch.remove(&self.heads, key.as_slice());
                    batch.remove(&self.contents, key.as_slice());
                }
            }
        }
        if let Some(facts) = facts {
            batch.insert(&self.facts, prefix, encoded(&facts)?);
        }
        Ok(batch.commit()?)
    }

    /// How many blocks a shard has. It is kept, so that it is not counted at every step.
    fn count(&self, prefix: &[u8]) -> Result<usize, Failed> {
        match self.facts.get(count_key(prefix))? {
            Some(count) => Ok(postcard::from_bytes(&count)?),
            None => Ok(self.heads.prefix(prefix).count()),
        }
    }
}

/// A call of the database failed, or what it has is not what was put there.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Tree(#[from] fjall::Error),
    #[error("a record cannot be read: {0}")]
    Record(#[from] postcard::Error),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("nobody waits for it any more")]
    Abandoned,
}

fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>, Failed> {
    Ok(postcard::to_stdvec(value)?)
}

fn failed(operation: &'static str, path: &Path, error: &dyn fmt::Display) -> DiskError {
    DiskError::new(operation, path, &std::io::Error::other(error.to_string()))
}

/// What stands before the keys of a shard: its name, whose length comes first, so that no shard's keys
/// begin with another one's.
fn prefix_of(shard: &ShardId) -> Vec<u8> {
    let name = shard.to_string();
    let len = u16::try_from(name.len()).expect("names of shards are short");
    [&len.to_be_bytes(), name.as_bytes()].concat()
}

/// Under which key the number of a shard's blocks is, beside what else is kept of it.
fn count_key(prefix: &[u8]) -> Vec<u8> {
    [prefix, b"#blocks"].concat()
}

fn full_key(prefix: &[u8], key: &EntryKey) -> Vec<u8> {
    [prefix, key.as_bytes()].concat()
}

/// Calls the database away from the reactor.
#[derive(Clone)]
struct Calls {
    tree: Tree,
    path: Arc<Path>,
    offload: Arc<dyn Offload>,
}

impl Calls {
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Tree) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, MediumError> {
        let (tree, path) = (self.tree.clone(), self.path.clone());
        let failed = move |error| match error {
            Failed::Full(full) => full.into(),
            error @ (Failed::Tree(_) | Failed::Record(_) | Failed::Abandoned) => {
                failed(operation, &path, &error).into()
            }
        };
        let result = run_for(&*self.offload, move || call(&tree).map_err(failed));
        result.await?
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fjall in {}", self.path.display())
    }
}

#[derive(Debug)]
struct Trees(Calls);

impl Medium for Trees {
    fn exists<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<bool, MediumError>> {
        let prefix = prefix_of(shard);
        Box::pin(self.0.call("look up", move |tree| Ok(tree.facts.contains_key(&prefix)?)))
    }

    fn open<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<Box<dyn ShardMedium>, MediumError>> {
        let prefix = prefix_of(shard);
        Box::pin(async move {
            let mut shard = TreeShard {
                calls: self.0.clone(),
                prefix: prefix.into(),
                facts: None,
                in_doubt: true,
                turns: Turns::default(),
            };
            shard.settle().await?;
            Ok(Box::new(shard) as Box<dyn ShardMedium>)
        })
    }
}

/// A shard in the database.
#[derive(Debug)]
struct TreeShard {
    calls: Calls,
    prefix: Arc<[u8]>,
    facts: Option<Facts>,
    /// Whether the facts in the database may be others: a change was begun and is not known to have ended.
    in_doubt: bool,
    turns: Turns,
}

/// Lets no call begin after a later one has: a call whose caller went away may still wait in the pool,
/// and what it would write is made of what was there before.
#[derive(Debug, Default)]
struct Turns {
    given: AtomicU64,
    next: Arc<Mutex<u64>>,
}

impl Turns {
    fn take<T>(
        &self,
        call: impl FnOnce(&Tree) -> Result<T, Failed> + Send + 'static,
    ) -> impl FnOnce(&Tree) -> Result<T, Failed> + Send + 'static {
        let (turn, next) = (self.given.fetch_add(1, Ordering::Relaxed), self.next.clone());
        move |tree| {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            if turn < *next {
                return Err(Failed::Abandoned);
            }
            *next = turn + 1;
            call(tree)
        }
    }
}

impl ShardMedium for TreeShard {
    fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    fn settle(&mut self) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(async move {
            if self.in_doubt {
                let prefix = self.prefix.clone();
                let read = move |tree: &Tree| match tree.facts.get(&prefix)? {
                    Some(facts) => Ok(Some(postcard::from_bytes(&facts)?)),
                    None => Ok(None),
                };
                self.facts = self.calls.call("read", self.turns.take(read)).await?;
                self.in_doubt = false;
            }
            Ok(())
        })
    }

    fn head<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<Head>, MediumError>> {
        let key = full_key(&self.prefix, key);
        let read = move |tree: &Tree| match tree.heads.get(&key)? {
            Some(head) => Ok(Some(postcard::from_bytes(&head)?)),
            None => Ok(None),
        };
        Box::pin(self.calls.call("read", self.turns.take(read)))
    }

    fn get<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<(Head, Bytes)>, MediumError>> {
        let key = full_key(&self.prefix, key);
        let read = move |tree: &Tree| match (tree.heads.get(&key)?, tree.contents.get(&key)?) {
            (Some(head), Some(content)) => {
                Ok(Some((postcard::from_bytes(&head)?, Bytes::copy_from_slice(&content))))
            }
            _ => Ok(None),
        };
        Box::pin(self.calls.call("read", self.turns.take(read)))
    }

    fn apply(
        &mut self,
        changes: Vec<Change>,
        facts: Option<Facts>,
    ) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(async move {
            let (prefix, kept) = (self.prefix.clone(), facts.clone());
            let write = move |tree: &Tree| tree.apply(&prefix, changes, facts);
            self.in_doubt = true;
            self.calls.call("write", self.turns.take(write)).await?;
            self.in_doubt = false;
            self.facts = kept.or(self.facts.take());
            Ok(())
        })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), MediumError>> {
        let sync = |tree: &Tree| Ok(tree.database.persist(PersistMode::SyncAll)?);
        Box::pin(self.calls.call("sync", self.turns.take(sync)))
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Box<dyn Image>, MediumError>> {
        Box::pin(async move {
            let freeze = |tree: &Tree| Ok(tree.database.snapshot());
            let snapshot = self.calls.call("freeze", self.turns.take(freeze)).await?;
            let image = TreeImage { calls: self.calls.clone(), prefix: self.prefix.clone(), snapshot };
            Ok(Box::new(image) as Box<dyn Image>)
        })
    }
}

/// Blocks as they were when the snapshot was taken.
struct TreeImage {
    calls: Calls,
    prefix: Arc<[u8]>,
    snapshot: fjall::Snapshot,
}

impl fmt::Debug for TreeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image of {:?}", self.calls)
    }
}

impl Image for TreeImage {
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(EntryKey, Head)>, MediumError>> {
        let (prefix, snapshot) = (self.prefix.clone(), self.snapshot.clone());
        let path = self.calls.path.clone();
        let list = move |tree: &Tree| {
            let mut heads = Vec::new();
            for found in snapshot.prefix(&tree.heads, &prefix) {
                let (key, head) = found.into_inner()?;
                heads.push((key[prefix.len()..].to_vec(), postcard::from_bytes(&head)?));
            }
            Ok(heads)
        };
        Box::pin(async move {
            let heads: Vec<(Vec<u8>, Head)> = self.calls.call("list", list).await?;
            let key = |key| EntryKey::new(key).map_err(|error| DiskError::corrupt(&path, error.to_string()));
            let heads = heads.into_iter().map(|(bytes, head)| Ok((key(bytes)?, head)));
            Ok(heads.collect::<Result<_, DiskError>>()?)
        })
    }

    fn content<'a>(
        &'a self,
        key: &'a EntryKey,
        range: Range<usize>,
    ) -> BoxFuture<'a, Result<Option<Bytes>, MediumError>> {
        let (key, snapshot) = (full_key(&self.prefix, key), self.snapshot.clone());
        let read = move |tree: &Tree| {
            let content = snapshot.get(&tree.contents, &key)?;
            Ok(content.map(|content| {
                let end = range.end.min(content.len());
                Bytes::copy_from_slice(&content[range.start.min(end)..end])
            }))
        };
        Box::pin(self.calls.call("read", read))
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::EntryKind;

    use super::*;
    use crate::limits::BLOCKS_MAX;

    /// A block that could not be served is not taken; what is there is written and removed as ever.
    #[test]
    fn a_tree_takes_as_many_blocks_as_are_served() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let (prefix, other) = (*b"one", *b"two");
        let key = |name: &str| EntryKey::new(name).unwrap();
        let change = |name: &str| -> Change {
            let head = Head::new(Vec::new(), [0; 32], 1, EntryKind::Block);
            (key(name), Some((head, Bytes::from_static(b"x"))))
        };
        let apply = |changes| tree.apply(&prefix, changes, None);
        apply(vec![change("a"), change("b")]).unwrap();
        apply(vec![change("a"), change("c"), (key("b"), None), (key("none"), None)]).unwrap();
        tree.apply(&other, vec![change("a")], None).unwrap();
        assert_eq!((tree.count(&prefix).unwrap(), tree.count(&other).unwrap()), (2, 1));
        // As if all the others were there.
        tree.facts.insert(count_key(&prefix), encoded(&BLOCKS_MAX).unwrap()).unwrap();
        assert!(matches!(apply(vec![change("a"), change("d")]), Err(Failed::Full(Full))));
        assert_eq!(tree.heads.prefix(prefix).count(), 2);
        apply(vec![change("a"), change("d"), (key("c"), None)]).unwrap();
        apply(vec![(key("d"), None)]).unwrap();
        assert_eq!(tree.count(&prefix).unwrap(), BLOCKS_MAX - 1);
        tree.facts.remove(count_key(&prefix)).unwrap();
        assert_eq!(tree.count(&prefix).unwrap(), 1, "it is counted if it is not known");
    }
}
