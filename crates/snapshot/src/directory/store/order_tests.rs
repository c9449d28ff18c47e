//! In which order the store writes and syncs, so that no crash finds a claim before its proof.

use std::ffi::OsStr;
use std::sync::Mutex;

use bytes::Bytes;

use super::tests::{Offer, begin, content, fill, offer, shard};
use super::*;
use crate::disk::{DirEntry, Metadata, OpenMode, ReadFile, Space, WriteFile};
use crate::offload::Inline;
use crate::{DiskFile, RealDisk};

/// A disk that writes down what is done to it, with paths relative to the root.
#[derive(Debug, Clone)]
struct Recording {
    disk: RealDisk,
    root: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct RecordedFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    on: Recording,
}

impl Recording {
    fn new(root: &Path) -> Self {
        Self { disk: RealDisk::new(), root: root.to_owned(), log: Arc::default() }
    }

    fn note(&self, what: &str, path: &Path) {
        let path = path.strip_prefix(&self.root).unwrap().display();
        self.log.lock().unwrap().push(format!("{what} {path}"));
    }

    /// The log since the last call, without the directory of the shard and the names of contents.
    fn take(&self) -> Vec<String> {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        let short = |line: String| {
            let line = line.replace("facts@1/0/", "").replace("facts@1/0", ".");
            line.split_once("blake3-").map_or(line.clone(), |(start, _)| format!("{start}*"))
        };
        log.into_iter().map(short).collect()
    }
}

impl Disk for Recording {
    fn open<'a>(
        &'a self,
        path: &'a Path,
        mode: OpenMode,
    ) -> BoxFuture<'a, Result<Arc<dyn DiskFile>, DiskError>> {
        Box::pin(async move {
            let file = self.disk.open(path, mode).await?;
            Ok(Arc::new(RecordedFile { file, path: path.to_owned(), on: self.clone() }) as Arc<dyn DiskFile>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Option<Metadata>, DiskError>> {
        self.disk.metadata(path)
    }

    fn list<'a>(
        &'a self,
        path: &'a Path,
        after: Option<&'a OsStr>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<DirEntry>, DiskError>> {
        self.disk.list(path, after, limit)
    }

    fn clone_file<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.note("copy", to);
        self.disk.clone_file(from, to)
    }

    fn read_files(&self, files: Vec<ReadFile>) -> BoxFuture<'_, Vec<Result<Bytes, DiskError>>> {
        self.disk.read_files(files)
    }

    fn write_files(&self, files: Vec<WriteFile>) -> BoxFuture<'_, Result<(), DiskError>> {
        files.iter().for_each(|file| self.note("write", &file.path));
        self.disk.write_files(files)
    }

    fn sync_fs<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.note("sync fs", path);
        self.disk.sync_fs(path)
    }

    fn space<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Space, DiskError>> {
        self.disk.space(path)
    }

    fn create_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.create_dir_all(path)
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.note("rename", from);
        self.disk.rename(from, to)
    }

    fn hard_link<'a>(&'a self, from: &'a Path, to: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.note("link", to);
        self.disk.hard_link(from, to)
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.disk.remove_dir_all(path)
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<(), DiskError>> {
        self.note("sync dir", path);
        self.disk.sync_dir(path)
    }
}

impl DiskFile for RecordedFile {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        self.file.read_at(offset, len)
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        self.on.note("write", &self.path);
        self.file.write_at(offset, bytes)
    }

    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        self.file.set_len(len)
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        self.on.note("sync", &self.path);
        self.file.sync()
    }
}

async fn open(disk: &Recording) -> DirectoryStore {
    DirectoryStore::open(&disk.root, Arc::new(disk.clone()), Arc::new(Inline)).await.unwrap()
}

async fn one_file() -> Offer {
    offer(&[("d/a", content(2000))]).await
}

const SYNCED: [&str; 5] = [
    "sync staging/1/content/*",
    "sync staging/1/outlines/*",
    "sync dir staging/1/content",
    "sync dir staging/1/outlines",
    "sync staging/1/journal",
];

#[tokio::test]
async fn bytes_are_written_before_the_journal_and_synced_before_it() {
    let root = tempfile::tempdir().unwrap();
    let disk = Recording::new(root.path());
    let (store, offer) = (open(&disk).await, one_file().await);
    let (staging, _) = begin(&store, &offer).await;
    let made = ["staging/1", "staging", ".", "facts@1", ""].map(|dir| format!("sync dir {dir}"));
    assert_eq!(disk.take(), [&["write staging/1/journal".into()], &made[..]].concat());

    fill(&offer, &*staging).await;
    let chunk = ["write staging/1/content/*", "write staging/1/journal"];
    assert_eq!(disk.take(), [&["write staging/1/outlines/*"][..], &chunk, &chunk].concat());
    staging.checkpoint().await.unwrap();
    assert_eq!(disk.take(), SYNCED);
    fill(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    assert_eq!(disk.take(), SYNCED[2..], "no file was written, so none is synced");
}

#[tokio::test]
async fn a_generation_is_durable_before_it_is_named() {
    let root = tempfile::tempdir().unwrap();
    let disk = Recording::new(root.path());
    let (store, offer) = (open(&disk).await, one_file().await);
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    disk.take();
    staging.seal(&offer.header).await.unwrap();
    let built = [
        "link generations/1.tmp/data/d/a",
        "write generations/1.tmp/manifest",
        "sync generations/1.tmp/manifest",
        "sync dir generations/1.tmp/data/d",
        "sync dir generations/1.tmp/data",
        "sync dir generations/1.tmp",
        "sync dir generations",
        "sync dir .",
    ];
    assert_eq!(disk.take(), [&SYNCED[..], &built].concat());
    staging.publish().await.unwrap();
    let published = [
        "rename generations/1.tmp",
        "sync dir generations",
        "write CURRENT.tmp",
        "sync CURRENT.tmp",
        "rename CURRENT.tmp",
        "sync dir .",
    ];
    assert_eq!(disk.take(), published);
    assert_eq!(store.current(&shard()).await.unwrap().unwrap().0, Generation(1));
}

/// What an earlier process wrote may never have been synced, though it reads back well.
#[tokio::test]
async fn what_an_earlier_process_wrote_is_synced_before_it_is_published() {
    let root = tempfile::tempdir().unwrap();
    let disk = Recording::new(root.path());
    let (store, offer) = (open(&disk).await, one_file().await);
    fill(&offer, &*begin(&store, &offer).await.0).await;
    drop(store);
    let store = open(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    disk.take();
    staging.seal(&offer.header).await.unwrap();
    assert_eq!(disk.take()[..5], SYNCED);
}
