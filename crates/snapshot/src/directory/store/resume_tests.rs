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
use crate::limits::SYNC_EACH_MAX;
use crate::offload::{Inline, Job};
use crate::{Held, RealDisk};

/// Runs jobs at once and counts them: every look at content is one.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Offload for Counting {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        job();
        Box::pin(std::future::ready(()))
    }
}

async fn open_on(disk: &CrashDisk) -> (DirectoryStore, Arc<Counting>) {
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

fn keys(offer: &Offer, held: &[Held]) -> Vec<String> {
    let size = offer.header.chunk_size;
    let whole = |held: &&Held| {
        let entry = &offer.entries[held.ordinal.0 as usize];
        held.chunks.iter().map(|run| u64::from(run.count)).sum::<u64>() == entry.chunks(size)
    };
    let key = |held: &Held| offer.entries[held.ordinal.0 as usize].key.to_string();
    held.iter().filter(whole).map(key).collect()
}

fn files() -> [(&'static str, Bytes); 4] {
    [("d/long", content(5000)), ("d/short", content(700)), ("e", content(0)), ("f", content(900))]
}

async fn half(offer: &Offer, staging: &dyn Staging) {
    fill_some(offer, staging, |entry| entry.key != EntryKey::from_path("f").unwrap()).await;
}

/// D1: what a checkpoint covers is there after a power loss, and counts without another look.
#[tokio::test]
async fn what_a_checkpoint_covers_is_not_hashed_again() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    let (staging, _) = begin(&store, &offer).await;
    half(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    fill(&offer, &*staging).await;
    let disk = disk.crash(Survival::Nothing);
    let (store, hashed) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(keys(&offer, &held), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
    fill(&offer, &*staging).await;
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
}

/// D1: also when it covers so many files that the whole file system is synced, and records of small
/// entries wait to be written.
#[tokio::test]
async fn a_checkpoint_of_many_files_covers_what_waits() {
    let names: Vec<String> = (0..SYNC_EACH_MAX + 9).map(|number| format!("l/{number:02}")).collect();
    let long = names.iter().enumerate().map(|(number, name)| (name.as_str(), content(5_000 + number)));
    let files: Vec<_> = long.chain([("s/a", content(700)), ("s/b", content(900))]).collect();
    let (disk, offer) = (CrashDisk::new(), offer(&files).await);
    let patient = StoreOptions { lag: 1 << 30, ..StoreOptions::default() };
    let open =
        |disk: CrashDisk| DirectoryStore::open_with("/s", Arc::new(disk), Arc::new(Inline), patient.clone());
    let store = open(disk.clone()).await.unwrap();
    let (staging, _) = begin(&store, &offer).await;
    fill(&offer, &*staging).await;
    staging.checkpoint().await.unwrap();
    let store = open(disk.crash(Survival::Nothing)).await.unwrap();
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1).len(), files.len());
}

/// D1: also when nothing was begun since, because what came next was refused for want of room.
#[tokio::test]
async fn a_checkpoint_without_a_manifest_covers_what_was_stored() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let patient = StoreOptions { lag: 1 << 30, ..StoreOptions::default() };
    let store = DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), patient).await;
    let (store, mut larger) = (store.unwrap(), offer.header.clone());
    half(&offer, &*begin(&store, &offer).await.0).await;
    larger.counts.bytes = 1 << 40;
    disk.set_capacity(Some(disk.used() + (1 << 20)));
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let begun = staging.begin(&larger).await;
    assert!(matches!(begun, Err(SinkError::NoRoom { .. })), "{begun:?}");
    staging.checkpoint().await.unwrap();
    disk.set_capacity(None);
    let (store, hashed) = open_on(&disk.crash(Survival::Nothing)).await;
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
}

/// D1: a checkpoint of one manifest covers also what was stored for the one before and does not come
/// again in it.
#[tokio::test]
async fn a_checkpoint_covers_what_an_earlier_manifest_stored() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let (store, _) = open_on(&disk).await;
    half(&offer, &*begin(&store, &offer).await.0).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.checkpoint().await.unwrap();
    let (store, hashed) = open_on(&disk.crash(Survival::Nothing)).await;
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short"]);
    assert_eq!(hashed.0.load(Ordering::Relaxed), 0);
}

/// D8: what waits to be written while the disk is full is written when there is room.
#[tokio::test]
async fn records_that_find_no_room_wait_for_it() {
    let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
    let patient = StoreOptions { lag: 1 << 30, room: None, ..StoreOptions::default() };
    let store = DirectoryStore::open_with("/s", Arc::new(disk.clone()), Arc::new(Inline), patient).await;
    let store = store.unwrap();
    fill(&offer, &*begin(&store, &offer).await.0).await;
    disk.set_capacity(Some(disk.used()));
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    let begun = staging.begin(&offer.header).await;
    assert!(matches!(&begun, Err(SinkError::Disk(error)) if error.kind == DiskErrorKind::Full), "{begun:?}");
    disk.set_capacity(None);
    assert_eq!(keys(&offer, &begin(&store, &offer).await.1), ["d/long", "d/short", "f"]);
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
fn count(held: &[Held]) -> u64 {
    held.iter().flat_map(|held| &held.chunks).map(|run| u64::from(run.count)).sum()
}

/// Receives the rest and publishes; the file is what was offered.
async fn finish_right(disk: &CrashDisk, store: &DirectoryStore, offer: &Offer, file: (&str, Bytes)) {
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
async fn staged(disk: &CrashDisk, dir: &str) -> Vec<PathBuf> {
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

/// F-37, D1: a checkpoint that could not look at a file has not made it durable.
#[tokio::test]
async fn a_checkpoint_that_cannot_open_a_file_fails() {
    let (disk, offer) = (CrashDisk::new(), offer(&[("long", content(5000))]).await);
    let (store, _) = open_on(&disk).await;
    fill(&offer, &*begin(&store, &offer).await.0).await;
    let disk = disk.kill();
    let (store, _) = open_on(&disk).await;
    let (staging, held) = begin(&store, &offer).await;
    assert_eq!(count(&held), 5);
    let open = |kind| kind == OperationKind::Open;
    let fault = Fault { of: open, path: "/content/".into(), ..Fault::next(DiskErrorKind::Other) };
    disk.fail(fault);
    staging.checkpoint().await.unwrap_err();
    disk.heal();
    staging.checkpoint().await.unwrap();
    let disk = disk.crash(Survival::Nothing);
    let (store, _) = open_on(&disk).await;
    assert_eq!(count(&begin(&store, &offer).await.1), 5);
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

/// F-37, D1: a sync that failed may have dropped what it was to write. What the next checkpoint says of
/// it is not believed, neither by the next process nor by a seal.
#[tokio::test]
async fn what_a_failed_sync_may_have_dropped_is_hashed_again() {
    for sealed in [false, true] {
        let (disk, offer) = (CrashDisk::new(), offer(&files()).await);
        let (mut store, _) = open_on(&disk).await;
        let (mut staging, _) = begin(&store, &offer).await;
        fill(&offer, &*staging).await;
        let sync = |kind| kind == OperationKind::Sync;
        disk.fail(Fault { of: sync, path: "/packs/".into(), ..Fault::next(DiskErrorKind::Other) });
        staging.checkpoint().await.unwrap_err();
        disk.heal();
        staging.checkpoint().await.unwrap();
        let disk = if sealed { disk } else { disk.crash(Survival::Nothing) };
        disk.flip(&staged(&disk, "packs").await[0], 8 * 5).unwrap();
        if sealed {
            staging.seal(&offer.header).await.unwrap_err();
        } else {
            drop((staging, store));
            (store, _) = open_on(&disk).await;
        }
        let held;
        (staging, held) = begin(&store, &offer).await;
        assert_eq!(keys(&offer, &held), ["d/long", "f"]);
        drop(staging);
        finish_right(&disk, &store, &offer, ("d/short", content(700))).await;
    }
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
