//! What was staged is found again: after a crash, for another manifest, in the visible generation.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use peerstream_types::{Entry, EntryKey, ManifestHeader};

use super::tests::{Offer, begin, content, fill, fill_some, offer, receive, shard};
use super::*;
use crate::directory::{HookError, PublishHook};
use crate::disk::crash::{CrashDisk, Fault, OperationKind, Survival};
use crate::disk::{DiskErrorKind, OpenMode};
use crate::offload::Job;
use crate::{Held, RealDisk};

/// Runs jobs at once and counts them: every look at content is one.
#[derive(Debug, Default)]
pub(super) struct Counting(pub(super) AtomicU64);

impl Offload for Counting {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        job();
        Box::pin(std::future::ready(()))
    }
}

pub(super) async fn open_on(disk: &CrashDisk) -> (DirectoryStore, Arc<Counting>) {
    let counting = Arc::new(Counting::default());
    let options = StoreOptions { lag: 0, ..StoreOptions::default() };
    let store =
        DirectoryStore::open_with("/s", Arc::new(disk.clone()), counting.clone(), options).await.unwrap();
    (store, counting)
}

async fn open(root: &Path, immutable: bool) -> DirectoryStore {
    let options = StoreOptions { immutable, ..StoreOptions::default() };
    let offload = Arc::new(Counting::default());
    DirectoryStore::open_with(root, Arc::new(RealDisk::new()), offload, options).await.unwrap()
}

pub(super) fn keys(offer: &Offer, held: &[Held]) -> Vec<String> {
    let size = offer.header.chunk_size;
    let whole = |held: &&Held| {
        let entry = &offer.entries[held.ordinal.0 as usize];
        held.chunks.iter().map(|run| u64::from(run.count)).sum::<u64>() == entry.chunks(size)
    };
    let key = |held: &Held| offer.entries[held.ordinal.0 as usize].key.to_string();
    held.iter().filter(whole).map(key).collect()
}

pub(super) fn files() -> [(&'static str, Bytes); 4] {
    [("d/long", content(5000)), ("d/short", content(700)), ("e", content(0)), ("f", content(900))]
}

pub(super) async fn half(offer: &Offer, staging: &dyn Staging) {
    fill_some(offer, staging, |entry| entry.key != EntryKey::from_path("f").unwrap()).await;
}

/// D1: what a killed process wrote is there, and is hashed before it counts.
#[tokio::test]
async fn what_no_checkpoint_covers_is_hashed_again() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    half(&offer, &*begin(&store, &offer).await.0).await;
    let (store, hashed) = open_on(&disk.kill()).await;
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 5 + 1, "five chunks, and the entries of a pack");
    let again = begin(&store, &offer).await.1;
    assert_eq!(keys(&offer, &again), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 6, "the same process knows what it has seen");
}

/// A changed plan, or another source with other files, loses nothing, and neither does the way back.
#[tokio::test]
async fn manifests_take_turns_without_loss() {
    let disk = CrashDisk::new();
    let (store, _) = open_on(&disk).await;
    let first = offer(&files()).await;
    let second = offer(&[("a", content(5000)), ("d/short", content(700)), ("f", content(901))]).await;
    half(&first, &*begin(&store, &first).await.0).await;
    let (staging, held) = begin(&store, &second).await;
    assert_eq!(keys(&second, &held), ["a", "d/short"], "long content has any key, short content its own");
    fill(&second, &*staging).await;
    drop((staging, store));
    let (store, _) = open_on(&disk.kill()).await;
    let (staging, held) = begin(&store, &first).await;
    assert_eq!(keys(&first, &held), ["d/long", "d/short"]);
    drop(staging);
    assert_eq!(keys(&second, &begin(&store, &second).await.1), ["a", "d/short", "f"]);
}

/// However often it is begun, what the longest manifest had is kept.
#[tokio::test]
async fn many_short_attempts_do_not_push_out_a_long_one() {
    let disk = CrashDisk::new();
    let (store, _) = open_on(&disk).await;
    let offer = offer(&files()).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    for _ in 0..30 {
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
        staging.begin(&offer.header).await.unwrap();
        staging.admit(offer.entries[..1].to_vec()).await.unwrap();
    }
    let attempts = disk.list(Path::new("/s/facts@1/0/staging/1/attempts"), None, 100).await.unwrap();
    assert!(attempts.len() <= crate::limits::ATTEMPTS_MAX);
    assert_eq!(begin(&store, &offer).await.1.len(), 3);
}

/// An entry that the visible generation has is not received again; an equal shard not at all.
#[tokio::test]
async fn what_is_visible_is_not_received_again() {
    for immutable in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path(), immutable).await;
        receive(&store, &files()).await;
        let same = offer(&files()).await;
        let (staging, held) = begin(&store, &same).await;
        assert_eq!(keys(&same, &held), ["d/long", "d/short", "f"]);
        let mut others = files();
        others[3].1 = content(901);
        let other = offer(&others).await;
        let (_, held) = begin(&store, &other).await;
        assert_eq!(keys(&other, &held), ["d/long", "d/short"]);
        let (again, _) = begin(&store, &same).await;
        again.seal(&same.header).await.unwrap();
        again.publish().await.unwrap();
        assert!(staging.publish().await.is_err(), "the writer before is fenced off");
        let inode = |generation: u64| {
            let path = format!("facts@1/0/generations/{generation}/data/d/long");
            let path = root.path().join(path);
            assert_eq!(fs::read(&path).unwrap(), content(5000));
            fs::metadata(path).unwrap().ino()
        };
        assert_eq!(inode(1) == inode(2), immutable, "files are shared only if nobody changes them");
    }
}

#[tokio::test]
async fn what_the_host_has_changed_is_received_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), false).await;
    receive(&store, &files()).await;
    let path = store.current_path(&shard()).await.unwrap().unwrap();
    for name in ["d/long", "d/short"] {
        fs::File::options().write(true).open(path.join(name)).unwrap().write_all_at(b"?", 3).unwrap();
    }
    let offer = offer(&files()).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(keys(&offer, &held), ["f"]);
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    let path = store.current_path(&shard()).await.unwrap().unwrap();
    assert_eq!(fs::read(path.join("d/long")).unwrap(), content(5000));
}

/// A terabyte has more than one group: what vouches for it is kept in two levels.
#[tokio::test]
async fn an_entry_of_many_groups_is_found_again() {
    let disk = CrashDisk::new();
    let (store, _) = open_on(&disk).await;
    let offer = offer(&[("long", content(1024 * 1024 + 5 * 1024))]).await;
    let wanted = |entry: &Entry| entry.len > 0;
    fill_some(&offer, &*begin(&store, &offer).await.0, wanted).await;
    let (store, hashed) = open_on(&disk.kill()).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(keys(&offer, &held), ["long"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 1024 + 5);
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["long"], "the generation has its outline");
}

/// How many chunks are held.
pub(super) fn count(held: &[Held]) -> u64 {
    held.iter().flat_map(|held| &held.chunks).map(|run| u64::from(run.count)).sum()
}

/// Receives the rest and publishes; the file is what was offered.
pub(super) async fn finish_right(
    disk: &CrashDisk,
    store: &DirectoryStore,
    offer: &Offer,
    file: (&str, Bytes),
) {
    let (staging, _) = begin(store, offer).await;
    fill(offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    let path = store.current_path(&shard()).await.unwrap().unwrap().join(file.0);
    assert!(
        crate::disk::read_whole(disk, &path).await.unwrap() == Some(file.1),
        "it is not what was offered"
    );
}

/// The names in a directory of the staging.
pub(super) async fn staged(disk: &CrashDisk, dir: &str) -> Vec<PathBuf> {
    let dir = Path::new("/s/facts@1/0/staging/1").join(dir);
    disk.list(&dir, None, 10).await.unwrap().into_iter().map(|entry| dir.join(entry.name)).collect()
}

/// F-37, D1: what a checkpoint said of a file that is gone is not said of the file that comes instead.
#[tokio::test]
async fn claims_do_not_outlive_their_file() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let chunks = offer.chunks().await;
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    staging.store(chunks[..4].to_vec()).await.unwrap();
    staging.checkpoint().await.unwrap();
    let disk = disk.kill();
    for lost in staged(&disk, "partial").await {
        disk.remove_file(&lost).await.unwrap();
    }
    let (store, _) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(held, []);
    staging.store(vec![chunks[4].clone()]).await.unwrap();
    let disk = disk.kill();
    let (store, _) = open_on(&disk).await;
    assert_eq!(count(&begin(&store, &offer).await.1), 1, "the one that came since");
    finish_right(&disk, &store, &offer, ("long", content(5000))).await;
}

/// F-37, D1: the power goes when the last chunk has come, and the process while it comes again:
/// whatever the disk has kept of names and lengths, what is published is right.
#[tokio::test]
async fn a_name_that_the_power_took_is_not_believed() {
    let offer = offer(&[("long", content(5000))]).await;
    let chunks = offer.chunks().await;
    for seed in 0..200 {
        let disk = CrashDisk::new();
        let (store, _) = open_on(&disk).await;
        let (staging, _) = begin(&store, &offer).await;
        staging.store(chunks[..4].to_vec()).await.unwrap();
        staging.checkpoint().await.unwrap();
        staging.store(vec![chunks[4].clone()]).await.unwrap();
        let disk = disk.crash(Survival::Mixture(seed));
        let (store, _) = open_on(&disk).await;
        let (staging, _) = begin(&store, &offer).await;
        staging.store(vec![chunks[4].clone()]).await.unwrap();
        let disk = disk.kill();
        let (store, _) = open_on(&disk).await;
        finish_right(&disk, &store, &offer, ("long", content(5000))).await;
    }
}

/// D1: a file with its final name and without its length is what its chunks are, and what was found of
/// it is known to the next process too.
#[tokio::test]
async fn a_content_that_was_cut_is_kept_as_far_as_it_goes() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let chunks = offer.chunks().await;
    let (store, _) = open_on(&disk).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    let disk = disk.kill();
    let cut = staged(&disk, "content").await.remove(0);
    disk.open(&cut, OpenMode::Write).await.unwrap().set_len(2500).await.unwrap();
    let (store, _) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(count(&held), 2);
    assert_eq!(staged(&disk, "content").await, [] as [PathBuf; 0]);
    staging.store(vec![chunks[4].clone()]).await.unwrap();
    let disk = disk.kill();
    let (store, _) = open_on(&disk).await;
    assert_eq!(count(&begin(&store, &offer).await.1), 3);
    finish_right(&disk, &store, &offer, ("long", content(5000))).await;
}

/// D1: what was durable of it stays so, whatever of the move the power takes.
#[tokio::test]
async fn a_content_that_is_cut_loses_nothing_that_was_durable() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    let mut chunks = offer.chunks().await;
    let last = chunks.split_off(4);
    staging.store(chunks).await.unwrap();
    staging.checkpoint().await.unwrap();
    staging.store(last).await.unwrap();
    let disk = disk.kill();
    let last_chunk = staged(&disk, "content").await.remove(0);
    disk.flip(&last_chunk, 4500 * 8).unwrap();
    for seed in 0..64 {
        let disk = disk.fork();
        let (store, _) = open_on(&disk).await;
        assert_eq!(count(&begin(&store, &offer).await.1), 4);
        let (store, _) = open_on(&disk.crash(Survival::Mixture(seed))).await;
        assert!(count(&begin(&store, &offer).await.1) >= 4, "{seed}");
    }
}

/// D1: a file that cannot be opened now is not thrown away.
#[tokio::test]
async fn a_content_that_cannot_be_opened_stays() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let (store, _) = open_on(&disk).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    let disk = disk.kill();
    let (store, _) = open_on(&disk).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    let open = |kind| kind == OperationKind::Open;
    disk.fail(Fault { of: open, path: "/content/".into(), ..Fault::next(DiskErrorKind::Other) });
    let admitted = staging.admit(offer.entries.clone()).await;
    assert!(matches!(admitted, Err(SinkError::Disk(_))), "{admitted:?}");
    disk.heal();
    assert_eq!(count(&staging.admit(offer.entries.clone()).await.unwrap()), 5);
}

/// D1: whatever cannot be opened or read while it is looked for is not thrown away: the page is refused,
/// and all of it is there when the disk works again.
#[tokio::test]
async fn what_cannot_be_read_now_is_not_lost() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    half(&offer, &*staging).await;
    let long = EntryKey::from_path("d/long").unwrap();
    let chunks = offer.chunks().await.into_iter().filter(|chunk| chunk.entry().key == long);
    let more = offer.chunks().await.into_iter().filter(|chunk| chunk.entry().key != long);
    staging.store(more.chain(chunks.take(3)).collect()).await.unwrap();
    let disk = disk.kill();
    let looked = |of: fn(OperationKind) -> bool| {
        let (disk, offer) = (disk.clone(), &offer);
        async move {
            for skip in 0.. {
                let disk = disk.fork();
                let (store, _) = open_on(&disk).await;
                let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
                staging.begin(&offer.header).await.unwrap();
                disk.fail(Fault { of, skip, ..Fault::next(DiskErrorKind::Other) });
                let admitted = staging.admit(offer.entries.clone()).await;
                disk.heal();
                if admitted.is_ok() {
                    return skip;
                }
                let admitted = staging.admit(offer.entries.clone()).await.unwrap();
                assert_eq!(keys(offer, &admitted), ["d/long", "d/short", "f"], "{skip}");
            }
            unreachable!("it ends when nothing is left to fail")
        }
    };
    let (opens, reads) =
        (looked(|kind| kind == OperationKind::Open).await, looked(|kind| kind == OperationKind::Read).await);
    assert!(opens >= 3 && reads >= 6, "{opens} opens and {reads} reads were made to fail");
}

/// F-55, D8, C19: a staging that was being discarded when the power went vouches for nothing, whatever
/// the disk has kept of it.
#[tokio::test]
async fn a_staging_that_is_half_removed_is_not_believed() {
    let small = |seed: usize, len: usize| (0..len).map(|i| ((i * 7 + seed * 31) % 239) as u8).collect();
    let files: [(&str, Bytes); 3] = [("d", small(1, 700)), ("f", small(2, 900)), ("g", small(3, 800))];
    let more: [(&str, Bytes); 3] = [("a", small(4, 700)), ("b", small(5, 900)), ("c", small(6, 800))];
    let (first, second) = (offer(&files).await, offer(&[more, files.clone()].concat()).await);
    let whole = CrashDisk::new();
    let (store, _) = open_on(&whole).await;
    let (staging, _) = begin(&store, &first).await;
    fill(&first, &*staging).await;
    staging.checkpoint().await.unwrap();
    drop((staging, store));
    for seed in 0..200 {
        let disk = whole.fork();
        let (store, _) = open_on(&disk).await;
        if seed % 2 == 0 {
            store.clean(1 << 50).await.unwrap();
        } else {
            let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
            staging.discard().await.unwrap();
        }
        let disk = disk.crash(Survival::Mixture(seed));
        let (store, _) = open_on(&disk).await;
        assert_eq!(store.faults(), []);
        finish_right(&disk, &store, &second, ("g", files[2].1.clone())).await;
        let left = disk.list(Path::new("/s/facts@1/0/staging"), None, 10).await.unwrap();
        assert_eq!(left, [], "what was half removed goes");
    }
}

/// F-55, C19: content that was lost after its checkpoint fails one seal, and comes again.
#[tokio::test]
async fn a_seal_that_misses_content_has_it_looked_for() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    let disk = disk.kill();
    for lost in [staged(&disk, "packs").await, staged(&disk, "content").await].concat() {
        disk.open(&lost, OpenMode::Write).await.unwrap().set_len(600).await.unwrap();
    }
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    let failed = staging.seal(&offer.header).await;
    assert!(matches!(failed, Err(SinkError::Disk(error)) if error.kind == DiskErrorKind::Corrupt));
    finish_right(&disk, &store, &offer, ("f", content(900))).await;
}

/// Equal files of the visible generation are read and hashed once.
#[tokio::test]
async fn equal_files_are_taken_once() {
    let disk = CrashDisk::new();
    let (store, _) = open_on(&disk).await;
    let equal: Vec<_> = ["a", "b", "c"].map(|key| (key, content(5000))).into();
    receive(&store, &equal).await;
    let (store, hashed) = open_on(&disk.kill()).await;
    let offer = offer(&equal).await;
    assert_eq!(count(&begin(&store, &offer).await.1), 3 * 5);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 5);
}

/// A host that changes a file and does not come to an end.
#[derive(Debug)]
struct Dying {
    disk: CrashDisk,
    changed: tokio::sync::Notify,
}

impl PublishHook for Dying {
    fn prepare<'a>(
        &'a self,
        _: &'a ShardId,
        path: &'a Path,
        _: &'a ManifestHeader,
    ) -> BoxFuture<'a, Result<(), HookError>> {
        Box::pin(async move {
            let file = self.disk.open(&path.join("a"), OpenMode::Write).await.unwrap();
            file.write_at(0, "?".into()).await.unwrap();
            self.changed.notify_one();
            std::future::pending().await
        })
    }

    fn shown<'a>(&'a self, _: &'a ShardId, _: &'a Path, _: &'a ManifestHeader) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// C12, F-55: what a host has changed before it died is not taken for what was staged.
#[tokio::test]
async fn what_a_dying_host_has_changed_is_found() {
    for power in [false, true] {
        let disk = CrashDisk::new();
        let host = Arc::new(Dying { disk: disk.clone(), changed: tokio::sync::Notify::new() });
        let options = StoreOptions { hook: Some(host.clone()), ..StoreOptions::default() };
        let offload = Arc::new(Counting::default());
        let store = DirectoryStore::open_with("/s", Arc::new(disk.clone()), offload, options).await.unwrap();
        let offer = offer(&[("a", content(3000))]).await;
        let (staging, _) = begin(&store, &offer).await;
        fill(&offer, &*staging).await;
        staging.seal(&offer.header).await.unwrap();
        tokio::select! {
            published = staging.publish() => panic!("{published:?}"),
            () = host.changed.notified() => {}
        }
        let disk = if power { disk.crash(Survival::Everything) } else { disk.kill() };
        let (store, _) = open_on(&disk).await;
        assert_eq!(begin(&store, &offer).await.1[0].chunks[0].first.0, 1, "the first chunk is gone");
    }
}
