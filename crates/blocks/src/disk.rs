//! Blocks in a log on the disk seam: small, and good for a simulator that loses, tears and crashes.
//!
//! Of each shard, below the root:
//!
//! | file | holds |
//! |---|---|
//! | `<dataset>@<version>/<index>` | the pointer: which log counts, and how much of it is known to be durable. Replaced in one step |
//! | `<dataset>@<version>/<index>.<n>` | log `n`: a head, then a record per change |
//!
//! A record is its length, a checksum, and the change: heads of blocks, what is kept of the shard beside
//! them, contents. Each checksum covers the one before too, so that a record of an earlier life of the
//! file is never taken for one of this. What follows the last good record was torn, and is cut off; if
//! that is within what the pointer says is durable, the file is damaged, and the shard is not opened.
//!
//! Where each block is in the log is kept in memory. When most of the log no longer counts, or an
//! abandoned or failed write or sync has left it in doubt, what counts is written to the next log, which
//! the pointer then names. A block that is read is checked against its digest: rot costs that block, until
//! the log is opened the next time.

mod log;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::disk::{read_whole, replace_file};
use peerstream_snapshot::{BoxFuture, Disk, DiskError, DiskFile};
use peerstream_types::{EntryKey, ShardId};
use serde::{Deserialize, Serialize};

use crate::limits::{APPLY_BLOCKS, APPLY_LEN, LOG_SLACK_LEN};
use crate::medium::{Change, Facts, Head, Image, Medium, MediumError, ShardMedium, blocks_after};
use crate::{BlockOptions, BlockStore};
use log::Log;
use record::Record;

/// What a block costs in a log beside its key, its tags and its content, about, in bytes: what a record
/// takes, and numbers and digests.
const BLOCK_COST: u64 = 128;

fn cost_of(key: &EntryKey, head: &Head) -> u64 {
    BLOCK_COST + key.as_bytes().len() as u64 + head.len_about() + head.len
}

impl BlockStore {
    /// A store in logs below `root` on a disk.
    ///
    /// # Panics
    ///
    /// If the name of the hook is longer than [`HOOK_NAME_LEN_MAX`](crate::limits::HOOK_NAME_LEN_MAX).
    pub fn on_disk(disk: Arc<dyn Disk>, root: impl Into<PathBuf>, options: BlockOptions) -> Self {
        Self::over(Box::new(Logs { disk, root: root.into() }), options)
    }
}

#[derive(Debug)]
struct Logs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Logs {
    fn pointer(&self, shard: &ShardId) -> PathBuf {
        self.root.join(format!("{}@{}", shard.dataset, shard.version)).join(shard.index.to_string())
    }
}

impl Medium for Logs {
    fn exists<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<bool, MediumError>> {
        Box::pin(async move { Ok(self.disk.metadata(&self.pointer(shard)).await?.is_some()) })
    }

    fn open<'a>(&'a self, shard: &'a ShardId) -> BoxFuture<'a, Result<Box<dyn ShardMedium>, MediumError>> {
        Box::pin(async move {
            let open = LogShard::open(self.disk.clone(), self.pointer(shard)).await?;
            Ok(Box::new(open) as Box<dyn ShardMedium>)
        })
    }
}

/// The file that says which log counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    log: u64,
    durable: u64,
}

impl Pointer {
    fn encode(&self) -> Bytes {
        let body = postcard::to_stdvec(self).expect("two numbers");
        [digest_of_whole(&body).as_bytes().as_slice(), &body].concat().into()
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, DiskError> {
        let (check, body) = bytes.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        let good = digest_of_whole(body).as_bytes() == check;
        let pointer = good.then(|| postcard::from_bytes(body).ok()).flatten();
        pointer.ok_or_else(|| DiskError::corrupt(path, "it names no log"))
    }
}

/// Where blocks are in the log; copied when it changes while an image of it is held.
type Index = Arc<BTreeMap<EntryKey, (Head, u64)>>;

/// A shard in its log.
#[derive(Debug)]
struct LogShard {
    disk: Arc<dyn Disk>,
    pointer: PathBuf,
    /// `None` while nothing was kept of the shard.
    log: Option<Log>,
    facts: Option<Facts>,
    index: Index,
    /// Bytes that the blocks of the index cost.
    live: u64,
    /// Numbers of logs that may be there, the one that counts among them. A number is never used twice
    /// while the pointer might name it.
    numbers: Range<u64>,
}

impl LogShard {
    async fn open(disk: Arc<dyn Disk>, pointer: PathBuf) -> Result<Self, DiskError> {
        let index = Index::default();
        let mut shard = Self { disk, pointer, log: None, facts: None, index, live: 0, numbers: 1..1 };
        let Some(bytes) = read_whole(&*shard.disk, &shard.pointer).await? else { return Ok(shard) };
        let Pointer { log, durable } = Pointer::decode(&shard.pointer, &bytes)?;
        shard.numbers = log..log + 1;
        shard.remove_strays().await?;
        let path = shard.path_of(log);
        let mut open = Log::open(&*shard.disk, path, log).await?;
        while let Some((record, contents_at)) = open.next().await? {
            shard.take(record, contents_at);
        }
        open.cut(durable).await?;
        shard.log = Some(open);
        Ok(shard)
    }

    fn path_of(&self, log: u64) -> PathBuf {
        let mut name = self.pointer.as_os_str().to_owned();
        name.push(format!(".{log}"));
        name.into()
    }

    /// Removes what rewrites that were cut off have left: logs whose numbers follow each other.
    async fn remove_strays(&self) -> Result<(), DiskError> {
        let counts = self.numbers.start;
        for number in counts + 1.. {
            if self.disk.metadata(&self.path_of(number)).await?.is_none() {
                break;
            }
            self.disk.remove_file(&self.path_of(number)).await?;
        }
        let mut first = counts;
        while first > 1 && self.disk.metadata(&self.path_of(first - 1)).await?.is_some() {
            first -= 1;
        }
        self.remove_logs(first..counts).await
    }

    async fn remove_logs(&self, numbers: Range<u64>) -> Result<(), DiskError> {
        for number in numbers {
            self.disk.remove_file(&self.path_of(number)).await?;
        }
        Ok(())
    }

    /// Follows a record that is in the log; its contents begin at `at`.
    fn take(&mut self, record: Record, mut at: u64) {
        if !record.changes.is_empty() {
            let index = Arc::make_mut(&mut self.index);
            for (key, head) in record.changes {
                let before = index.remove_entry(&key);
                self.live -= before.map_or(0, |(key, (head, _))| cost_of(&key, &head));
                if let Some(head) = head {
                    let place = at;
                    at += head.len;
                    self.live += cost_of(&key, &head);
                    index.insert(key, (head, place));
                }
            }
        }
        self.facts = record.facts.or(self.facts.take());
    }

    async fn apply_now(&mut self, changes: Vec<Change>, facts: Option<Facts>) -> Result<(), DiskError> {
        let wasteful = |log: &Log| log.end() > 4 * self.live + LOG_SLACK_LEN;
        if self.log.as_ref().is_none_or(|log| log.is_in_doubt() || wasteful(log)) {
            self.rewrite().await?;
        }
        let log = self.log.as_mut().expect("it was just written");
        let (record, at) = log.append(changes, facts).await?;
        self.take(record, at);
        Ok(())
    }

    /// Writes what counts to the next log, and lets the pointer name it.
    async fn rewrite(&mut self) -> Result<(), DiskError> {
        let number = self.numbers.end;
        self.numbers.end += 1;
        self.make_dir().await?;
        let mut next = Log::create(&*self.disk, self.path_of(number), number).await?;
        let index = self.copy_to(&mut next).await?;
        next.sync().await?;
        self.disk.sync_dir(self.dir()).await?;
        // From here on the new log may count: the old one must not be written to again.
        self.log.iter_mut().for_each(Log::doubt);
        let pointer = Pointer { log: number, durable: next.end() };
        replace_file(&*self.disk, &self.pointer, pointer.encode()).await?;
        next.set_durable();
        (self.log, self.index) = (Some(next), Arc::new(index));
        let before = self.numbers.start..number;
        self.numbers.start = number;
        self.remove_logs(before).await
    }

    fn dir(&self) -> &Path {
        self.pointer.parent().expect("the pointer is below a directory of its dataset")
    }

    /// Makes the directory of the logs with those above it, to stay. One that is there may have been made
    /// by a process that did not come to sync its name, so each of them is synced; one that belongs to
    /// others may refuse.
    async fn make_dir(&self) -> Result<(), DiskError> {
        if self.log.is_some() {
            return Ok(());
        }
        let mut new = BTreeSet::new();
        for dir in self.dir().ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            if self.disk.metadata(dir).await?.is_none() {
                new.insert(dir);
            }
        }
        self.disk.create_dir_all(self.dir()).await?;
        for dir in self.dir().ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
            let synced = self.disk.sync_dir(above.unwrap_or(Path::new("."))).await;
            if dir == self.dir() || new.contains(dir) {
                synced?;
            }
        }
        Ok(())
    }

    /// Appends all that counts to another log, and says where it is there.
    async fn copy_to(&self, next: &mut Log) -> Result<BTreeMap<EntryKey, (Head, u64)>, DiskError> {
        let (mut index, mut facts) = (BTreeMap::new(), self.facts.clone());
        let blocks: Vec<_> =
            self.index.iter().map(|(key, (head, at))| (key.clone(), head.clone(), *at)).collect();
        let mut blocks = blocks.into_iter().peekable();
        while blocks.peek().is_some() || facts.is_some() {
            let (mut batch, mut len) = (Vec::new(), 0);
            while let Some((key, head, at)) =
                blocks.next_if(|_| len < APPLY_LEN && batch.len() < APPLY_BLOCKS)
            {
                let log = self.log.as_ref().expect("it has blocks");
                let content = log.read(at, head.len).await?;
                // What was durable and has rotted is known by its digest there too. What never was may have
                // been dropped, and must not be taken for flushed.
                if !log.is_durable_to(at + head.len) && !head.is_of(&content) {
                    return Err(log.damage_of(&key));
                }
                len += content.len();
                batch.push((key, Some((head, content))));
            }
            let (record, mut at) = next.append(batch, facts.take()).await?;
            for (key, head) in record.changes {
                let head = head.expect("only blocks are written anew");
                let len = head.len;
                index.insert(key, (head, at));
                at += len;
            }
        }
        Ok(index)
    }

    async fn sync_now(&mut self) -> Result<(), DiskError> {
        let Some(log) = self.log.as_mut().filter(|log| !log.is_durable()) else { return Ok(()) };
        if log.is_in_doubt() {
            return self.rewrite().await;
        }
        log.sync().await?;
        let pointer = Pointer { log: log.number(), durable: log.end() };
        replace_file(&*self.disk, &self.pointer, pointer.encode()).await?;
        log.set_durable();
        Ok(())
    }
}

impl ShardMedium for LogShard {
    fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    fn head<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<Head>, MediumError>> {
        Box::pin(ready(Ok(self.index.get(key).map(|(head, _)| head.clone()))))
    }

    fn get<'a>(&'a self, key: &'a EntryKey) -> BoxFuture<'a, Result<Option<(Head, Bytes)>, MediumError>> {
        Box::pin(async move {
            let Some((head, at)) = self.index.get(key) else { return Ok(None) };
            let log = self.log.as_ref().expect("it has blocks");
            let content = log.read(*at, head.len).await?;
            if !head.is_of(&content) {
                return Err(log.damage_of(key).into());
            }
            Ok(Some((head.clone(), content)))
        })
    }

    fn apply(
        &mut self,
        changes: Vec<Change>,
        facts: Option<Facts>,
    ) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(async move {
            let has = |key: &EntryKey| Ok::<_, MediumError>(self.index.contains_key(key));
            blocks_after(self.index.len(), &changes, has)?;
            Ok(self.apply_now(changes, facts).await?)
        })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<(), MediumError>> {
        Box::pin(async move { Ok(self.sync_now().await?) })
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Box<dyn Image>, MediumError>> {
        let file = self.log.as_ref().map(Log::file);
        let image = LogImage { index: self.index.clone(), file };
        Box::pin(ready(Ok(Box::new(image) as Box<dyn Image>)))
    }
}

/// Blocks where they were in the log of the moment, which stays open, and as it was, for as long.
#[derive(Debug)]
struct LogImage {
    index: Index,
    file: Option<Arc<dyn DiskFile>>,
}

impl Image for LogImage {
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(EntryKey, Head)>, MediumError>> {
        let heads = self.index.iter().map(|(key, (head, _))| (key.clone(), head.clone()));
        Box::pin(ready(Ok(heads.collect())))
    }

    fn content<'a>(
        &'a self,
        key: &'a EntryKey,
        range: Range<usize>,
    ) -> BoxFuture<'a, Result<Option<Bytes>, MediumError>> {
        Box::pin(async move {
            let (Some((head, at)), Some(file)) = (self.index.get(key), &self.file) else { return Ok(None) };
            let len = usize::try_from(head.len).unwrap_or(usize::MAX);
            let (from, end) = (range.start.min(len), range.end.min(len));
            Ok(Some(file.read_at(at + from as u64, end - from).await?))
        })
    }
}
