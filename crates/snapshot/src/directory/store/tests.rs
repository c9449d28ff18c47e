//! What the directory store does on its disk.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use bytes::Bytes;
use peerstream_types::{
    ChunkIndex, ChunkRange, ChunkSize, Entry, EntryKey, EntryKind, GroupIndex, ManifestHeader, Ordinal,
    PageToken,
};

use super::*;
use crate::disk::DiskErrorKind;
use crate::offload::Inline;
use crate::{Held, MemoryStore, RealDisk, VerifiedChunk, VerifiedOutline, VerifiedTop};

const CHUNK: u64 = 1024;

pub(super) struct Offer {
    snapshot: Arc<dyn Snapshot>,
    pub(super) header: ManifestHeader,
    pub(super) entries: Vec<Arc<Entry>>,
}

pub(super) fn shard() -> ShardId {
    "facts@1/0".parse().unwrap()
}

pub(super) fn content(len: usize) -> Bytes {
    (0..len).map(|i| (i % 241) as u8).collect()
}

/// A peer's snapshot with these files.
pub(super) async fn offer(files: &[(&str, Bytes)]) -> Offer {
    let peer = MemoryStore::with_chunk_size(ChunkSize::new(CHUNK).unwrap());
    peer.create(&shard());
    for (path, content) in files {
        peer.put(&shard(), EntryKey::from_path(path).unwrap(), content.clone(), Vec::new());
    }
    let snapshot = Source::open(&peer, &shard(), &Selector::All).await.unwrap();
    let page = snapshot.page(&PageToken::START, usize::MAX).await.unwrap();
    let entries = page.entries.into_iter().map(Arc::new).collect();
    Offer { snapshot, header: page.sealed.unwrap(), entries }
}

async fn open(root: &Path) -> DirectoryStore {
    let options = StoreOptions { lag: 0, ..StoreOptions::default() };
    DirectoryStore::open_with(root, Arc::new(RealDisk::new()), Arc::new(Inline), options).await.unwrap()
}

pub(super) async fn begin(store: &DirectoryStore, offer: &Offer) -> (Arc<dyn Staging>, Vec<Held>) {
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    let held = staging.admit(offer.entries.clone()).await.unwrap();
    (staging, held)
}

pub(super) async fn fill(offer: &Offer, staging: &dyn Staging) {
    fill_some(offer, staging, |_| true).await;
}

pub(super) async fn fill_some(offer: &Offer, staging: &dyn Staging, wanted: impl Fn(&Entry) -> bool) {
    for chunk in offer.chunks().await {
        if wanted(chunk.entry()) {
            staging.store(vec![chunk]).await.unwrap();
        }
    }
}

impl Offer {
    /// All chunks, verified.
    pub(super) async fn chunks(&self) -> Vec<VerifiedChunk> {
        let (size, mut chunks) = (self.header.chunk_size, Vec::new());
        for entry in &self.entries {
            let mut top = None;
            if entry.groups(size) > 1 {
                let count = entry.groups(size) as u32;
                let all = ChunkRange { first: ChunkIndex(0), count };
                let values = self.snapshot.outline(entry.ordinal, 1, all).await.unwrap();
                top = Some(VerifiedTop::check(entry, size, values).unwrap());
            }
            for group in (0..entry.groups(size)).map(GroupIndex) {
                let run = size.chunks_of(group, entry.len);
                let mut outline = None;
                if entry.chunks(size) > 1 {
                    let values = self.snapshot.outline(entry.ordinal, 0, run).await.unwrap();
                    outline = Some(match &top {
                        Some(top) => VerifiedOutline::check_group(entry, size, top, group, values).unwrap(),
                        None => VerifiedOutline::check(entry, size, values).unwrap(),
                    });
                }
                for index in run.iter() {
                    let len = size.len_of(index, entry.len) as usize;
                    let bytes = self.snapshot.read(entry.ordinal, index.0 * CHUNK, len).await.unwrap();
                    let chunk = VerifiedChunk::check(entry, size, outline.as_ref(), index, bytes);
                    chunks.push(chunk.unwrap());
                }
            }
        }
        chunks
    }
}

/// Chunks come in any order, from many tasks, with checkpoints between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_may_come_all_at_once() {
    let root = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..60).map(|i| format!("f{i:02}")).collect();
    let files: Vec<_> = names.iter().enumerate().map(|(i, name)| (&**name, content(i * 100))).collect();
    let offer = Arc::new(offer(&files).await);
    let store = open(root.path()).await;
    let (staging, _) = begin(&store, &offer).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (staging, offer) = (staging.clone(), offer.clone());
            tokio::spawn(async move {
                fill(&offer, &*staging).await;
                staging.checkpoint().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop((staging, store));
    let store = open(root.path()).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(held.len(), 59, "all but the empty one");
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    let path = store.current_path(&shard()).await.unwrap().unwrap();
    for (name, content) in files {
        assert_eq!(fs::read(path.join(name)).unwrap(), content, "{name}");
    }
}

pub(super) async fn receive(store: &DirectoryStore, files: &[(&str, Bytes)]) -> Generation {
    let offer = offer(files).await;
    let (staging, _) = begin(store, &offer).await;
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap()
}

pub(super) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_host_finds_the_files_where_the_store_says() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    assert_eq!(store.current_path(&shard()).await, Ok(None));
    let files = [("db/CURRENT", content(5)), ("db/LOG", content(5)), ("x", content(4000)), ("y", content(0))];
    receive(&store, &files).await;
    let path = store.current_path(&shard()).await.unwrap().unwrap();
    assert_eq!(path, root.path().join("facts@1/0/generations/1/data"));
    for (name, content) in files {
        assert_eq!(fs::read(path.join(name)).unwrap(), content, "{name}");
        assert_eq!(fs::metadata(path.join(name)).unwrap().nlink(), 1, "{name} is joined to another file");
    }
    assert_eq!(names(&root.path().join("facts@1/0/staging")), [""; 0]);
}

#[tokio::test]
async fn one_generation_before_the_visible_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    for i in 1..=4 {
        assert_eq!(receive(&store, &[("a", content(i))]).await, Generation(i as u64));
    }
    assert_eq!(names(&root.path().join("facts@1/0/generations")), ["3", "4"]);
    let snapshot = Source::open(&store, &shard(), &Selector::All).await.unwrap();
    for i in 5..=7 {
        receive(&store, &[("a", content(i))]).await;
    }
    assert_eq!(names(&root.path().join("facts@1/0/generations")), ["4", "6", "7"], "4 is in use");
    drop(snapshot);
    receive(&store, &[("a", content(8))]).await;
    assert_eq!(names(&root.path().join("facts@1/0/generations")), ["7", "8"]);
}

/// What no checkpoint covers is hashed before it counts.
#[tokio::test]
async fn a_damaged_chunk_is_not_believed_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let files = [("a", content(5000)), ("b", content(700)), ("c", content(900))];
    let offer = offer(&files).await;
    let store = open(root.path()).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    drop(store);

    let staged = root.path().join("facts@1/0/staging/1");
    let open_to_write = |path: PathBuf| fs::File::options().write(true).open(path).unwrap();
    let long = staged.join("content").join(&names(&staged.join("content"))[0]);
    open_to_write(long).write_all_at(b"?", 2 * CHUNK + 5).unwrap();
    open_to_write(staged.join("packs/0")).write_all_at(b"?", 5).unwrap();
    let store = open(root.path()).await;
    let (staging, held) = begin(&store, &offer).await;
    let run = |first, count| ChunkRange { first: ChunkIndex(first), count };
    let good = [
        Held { ordinal: Ordinal(0), chunks: vec![run(0, 2), run(3, 2)] },
        Held { ordinal: Ordinal(2), chunks: vec![run(0, 1)] },
    ];
    assert_eq!(held, good);
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    let path = store.current_path(&shard()).await.unwrap().unwrap();
    for (name, content) in files {
        assert_eq!(fs::read(path.join(name)).unwrap(), content, "{name}");
    }
}

#[tokio::test]
async fn a_damaged_outline_vouches_for_nothing() {
    let root = tempfile::tempdir().unwrap();
    let offer = offer(&[("a", content(5000))]).await;
    let store = open(root.path()).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    drop(store);
    let outlines = root.path().join("facts@1/0/staging/1/outlines");
    let outline = outlines.join(&names(&outlines)[0]);
    let file = fs::File::options().write(true).open(&outline).unwrap();
    file.write_all_at(b"?", 40).unwrap();

    let store = open(root.path()).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(held, []);
    fill(&offer, &*staging).await;
    drop((staging, store));
    let store = open(root.path()).await;
    assert_eq!(begin(&store, &offer).await.1.len(), 1, "the outline was written again");
}

#[tokio::test]
async fn start_up_rolls_back_what_was_half_made() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (offer(&[("a", content(10))]).await, offer(&[("a", content(20))]).await);
    let store = open(root.path()).await;
    receive(&store, &[("a", content(10))]).await;
    let (staging, _) = begin(&store, &second).await;
    fill(&second, &*staging).await;
    staging.seal(&second.header).await.unwrap();
    let dir = root.path().join("facts@1/0");
    assert_eq!(names(&dir.join("generations")), ["1", "2.tmp"]);
    drop((staging, store));

    // As after a crash between the rename and the pointer.
    fs::rename(dir.join("generations/2.tmp"), dir.join("generations/2")).unwrap();
    fs::create_dir(dir.join("generations/3.tmp")).unwrap();
    fs::create_dir(dir.join("generations/notes")).unwrap();
    fs::create_dir_all(dir.join("staging/1/content")).unwrap();
    let store = open(root.path()).await;
    assert_eq!(names(&dir.join("generations")), ["1", "notes"]);
    assert_eq!(names(&dir.join("staging")), ["2"]);
    assert_eq!(store.current(&shard()).await, Ok(Some((Generation(1), first.header))));
    let (staging, held) = begin(&store, &second).await;
    assert_eq!(held.len(), 1, "nothing has to come again");
    staging.seal(&second.header).await.unwrap();
    assert_eq!(staging.publish().await, Ok(Generation(2)));
}

#[tokio::test]
async fn a_shard_with_a_damaged_pointer_harms_no_other_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    for i in 1..=2 {
        receive(&store, &[("a", content(i))]).await;
    }
    drop(store);
    let dir = root.path().join("facts@1/0");
    fs::write(dir.join("CURRENT"), "7").unwrap();
    fs::create_dir_all(root.path().join("facts@1/1")).unwrap();

    let store = open(root.path()).await;
    assert_eq!(store.faults()[0].kind, DiskErrorKind::Corrupt);
    assert_eq!(names(&dir.join("generations")), ["1", "2"]);
    assert!(matches!(store.current(&shard()).await, Err(SinkError::Disk(_))));
    let opened = Source::open(&store, &shard(), &Selector::All).await;
    assert!(matches!(opened, Err(SourceError::Disk(_))));
    assert_eq!(store.current(&"facts@1/1".parse().unwrap()).await, Ok(None));
}

#[tokio::test]
async fn published_files_that_change_are_noticed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    receive(&store, &[("a", content(3000))]).await;
    let path = store.current_path(&shard()).await.unwrap().unwrap().join("a");
    fs::File::options().write(true).open(path).unwrap().set_len(2999).unwrap();
    let snapshot = Source::open(&store, &shard(), &Selector::All).await.unwrap();
    let read = snapshot.read(Ordinal(0), 0, 10).await;
    assert!(matches!(read, Err(SourceError::Changed { .. })), "{read:?}");
}

#[tokio::test]
async fn only_whole_shards_of_files_are_taken() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let part = Selector::Keys { start: None, end: None };
    let staging = store.stage(&shard(), &part, Fence(1)).await;
    assert_eq!(staging.err(), Some(SinkError::UnsupportedSelector(shard())));

    let offer = offer(&[("a", content(10))]).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    for kind in [EntryKind::Block, EntryKind::Tombstone] {
        let entry = Entry { kind, ..(*offer.entries[0]).clone() };
        let admitted = staging.admit(vec![Arc::new(entry)]).await;
        assert!(matches!(admitted, Err(SinkError::BadEntry { .. })), "{admitted:?}");
    }
}

#[tokio::test]
async fn questions_about_unknown_shards_leave_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    assert_eq!(store.current(&shard()).await, Ok(None));
    assert!(Source::open(&store, &shard(), &Selector::All).await.is_err());
    assert_eq!((store.lock().len(), names(root.path()).len()), (0, 0));
}

/// A publish that was carried out, though its caller never heard of it, is not carried out again.
#[tokio::test]
async fn an_abandoned_publish_is_found_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let offer = offer(&[("a", content(10))]).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    let inner = store.shard(&shard());
    let (half, whole) = (inner.dir.half_made(Generation(1)), inner.dir.generation(Generation(1)));
    fs::rename(half.path(), whole.path()).unwrap();
    inner.show(Generation(1), offer.header.clone()).await.unwrap();
    assert!(matches!(staging.seal(&offer.header).await, Err(SinkError::BadManifest(_))));
    assert_eq!(fs::read(whole.data().join("a")).unwrap(), content(10), "a seal does not touch it");
    assert_eq!(staging.publish().await, Ok(Generation(1)));
    assert_eq!(names(&inner.dir.generations()), ["1"]);
}
