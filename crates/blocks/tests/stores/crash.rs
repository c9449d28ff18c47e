//! The process or the power ends before and after every change of a disk, while a shard is received and
//! written; or the disk fails once, and what failed is called again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use peerstream_blocks::{Block, BlockError, BlockKey, BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::disk::DiskErrorKind;
use peerstream_snapshot::disk::crash::{CrashDisk, Fault, OperationKind, Side, Survival};
use peerstream_snapshot::{BoxFuture, Disk, Fence, Sink, SinkError};
use peerstream_types::{Digest, EntryKey, Selector};

use crate::common::{Offer, Transfer, Union, all_of, key, merged, points, position, read, shard};

fn options() -> BlockOptions {
    BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) }
}

fn open(disk: &CrashDisk) -> BlockStore {
    BlockStore::on_disk(Arc::new(disk.clone()), "blocks", options())
}

/// Two sources that differ, and what they are merged.
struct Peers {
    offers: [Offer; 2],
    union: BTreeMap<BlockKey, Block>,
}

impl Peers {
    async fn new() -> Self {
        let stores = [BlockStore::in_memory(options()), BlockStore::in_memory(options())];
        for (index, store) in (0..).zip(&stores) {
            store.create(&shard()).await.unwrap();
            for start in [0, 10, index + 20] {
                store
                    .write(&shard(), &key("cpu", start), &points(100, &[(start + index, "a")]))
                    .await
                    .unwrap();
            }
            store.set_position(&shard(), Some(position(7))).await.unwrap();
        }
        stores[1].delete(&shard(), &key("cpu", 10), Stamp(100)).await.unwrap();
        let [one, other] = &stores;
        let union = merged(&[all_of(one).await, all_of(other).await]);
        Self { offers: [Offer::of(one).await, Offer::of(other).await], union }
    }
}

/// What a process was told before it ended.
#[derive(Debug, Default, Clone)]
struct Told {
    written: BTreeSet<u64>,
    flushed: BTreeSet<u64>,
    published: bool,
    stored: BTreeSet<(EntryKey, Option<Digest>)>,
    /// What of it was stored before a flush that came back.
    synced: BTreeSet<(EntryKey, Option<Digest>)>,
}

/// What the host writes at a step, and makes durable at every second one.
async fn host_writes(store: &BlockStore, step: usize, told: &Mutex<Told>) {
    let step = step as u64;
    if store.write(&shard(), &key("own", step as i64), &points(200 + step, &[(0, "w")])).await.is_ok() {
        told.lock().unwrap().written.insert(step);
    }
    if step.is_multiple_of(2) && store.flush(&shard()).await.is_ok() {
        let mut told = told.lock().unwrap();
        told.flushed = told.written.clone();
    }
}

/// A shard is received and written, in a store whose log is written anew meanwhile. Ends with the power.
async fn receive(store: &BlockStore, peers: &Peers, told: &Arc<Mutex<Told>>) -> Result<(), String> {
    // Most of the log does not count any more after this.
    let large: &'static str = "l".repeat(600_000).leak();
    let garbage = key("garbage", 0);
    for stamp in [1, 2] {
        let written = store.write(&shard(), &garbage, &points(stamp, &[(0, large)])).await;
        written.map_err(|error| error.to_string())?;
    }
    store.delete(&shard(), &garbage, Stamp(2)).await.map_err(|error| error.to_string())?;
    let (writer, heard) = (store.clone(), told.clone());
    let between = move |step: usize| {
        let (writer, heard) = (writer.clone(), heard.clone());
        Box::pin(async move { host_writes(&writer, step, &heard).await }) as BoxFuture<'static, ()>
    };
    let mut transfer = Transfer::with(Box::new(between));
    let result = transfer.run(store, &peers.offers).await.map(drop);
    let mut told = told.lock().unwrap();
    told.published = result.is_ok();
    told.stored.clone_from(&transfer.fetched);
    told.synced.clone_from(&transfer.synced);
    result.map_err(|error| error.to_string())
}

#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    Power(Survival),
}

/// What holds after a restart, and that the recovery ends well.
async fn check(disk: &CrashDisk, end: End, told: &Told, peers: &Peers) {
    let store = open(disk);
    let (kept, safe) = match end {
        End::Kill => (&told.written, &told.stored),
        End::Power(_) => (&told.flushed, &told.synced),
    };
    for step in kept {
        let own = read(&store, &key("own", *step as i64)).await;
        assert_eq!(own, Some(vec![(0, "w".into())]), "the write of step {step} is lost");
    }
    let current = store.current(&shard()).await.unwrap();
    let position_now = store.position(&shard()).await.unwrap();
    assert!(current.is_some() || !told.published, "it was published");
    assert_eq!(position_now, current.is_some().then(|| position(7)), "the position is that of the data");
    let known = store.scan(&shard(), None, 1).await.is_ok();
    let before = if known { all_of(&store).await } else { BTreeMap::new() };
    if current.is_some() {
        assert_eq!(merged(&[before.clone(), peers.union.clone()]), before, "published, and not whole");
    }
    let mut again = Transfer::new();
    again.run(&store, &peers.offers).await.unwrap();
    assert_eq!(again.fetched.intersection(safe).count(), 0, "what was safe is fetched again");
    assert_eq!(all_of(&store).await, merged(&[before, peers.union.clone()]));
    let whole = all_of(&store).await;
    drop(store);
    assert_eq!(all_of(&open(&disk.crash(Survival::Nothing))).await, whole, "published is durable");
}

/// F-30, promises 2 to 4: at any moment, what was acknowledged is there, the position is not ahead of the
/// data, and the recovery goes on.
#[tokio::test]
async fn no_crash_loses_what_was_acknowledged() {
    let peers = Peers::new().await;
    let disk = CrashDisk::new();
    let told = Arc::default();
    receive(&open(&disk), &peers, &told).await.unwrap();
    let changes = disk.counts().changes;
    let union = Union::of(&peers.offers).entries.len();
    assert!(told.lock().unwrap().stored.len() == union && changes > 60, "{changes} changes are too few");
    let powers = [Survival::Nothing, Survival::Everything, Survival::Mixture(1), Survival::Mixture(2)];
    let mut points = 0;
    for change in 0..changes {
        for side in [Side::Before, Side::After] {
            let disk = CrashDisk::new();
            disk.stop_at(change, side);
            let told = Arc::default();
            let _ = receive(&open(&disk), &peers, &told).await;
            let told = told.lock().unwrap().clone();
            for end in [End::Kill].into_iter().chain(powers.map(End::Power)) {
                let disk = disk.fork();
                let disk = match end {
                    End::Kill => disk.kill(),
                    End::Power(survival) => disk.crash(survival),
                };
                println!("{side:?} change {change}, {end:?}");
                check(&disk, end, &told, &peers).await;
                points += 1;
            }
        }
    }
    println!("crash points: {points}");
}

/// The same call again does it, whichever operation failed, and whether it had taken effect or not: a log
/// whose end is in doubt is not appended to.
#[tokio::test]
async fn a_call_that_failed_is_repeated() {
    let peers = Peers::new().await;
    let disk = CrashDisk::new();
    receive(&open(&disk), &peers, &Arc::default()).await.unwrap();
    let mut failures = 0;
    let counts = disk.counts();
    for skip in 0..counts.reads + counts.changes {
        for side in [Side::Before, Side::After] {
            println!("{side:?} operation {skip}");
            let disk = CrashDisk::new();
            let store = open(&disk);
            disk.fail(Fault { skip, side, ..Fault::next(DiskErrorKind::Other) });
            let told = Arc::default();
            let failed = receive(&store, &peers, &told).await.is_err();
            failures += usize::from(failed);
            disk.heal();
            // The whole of it again, in the same process: the fault may have hit a write of the host.
            receive(&store, &peers, &told).await.unwrap();
            let all = all_of(&store).await;
            assert_eq!(merged(&[all.clone(), peers.union.clone()]), all);
            let written = told.lock().unwrap().written.clone();
            for step in &written {
                assert!(read(&store, &key("own", *step as i64)).await.is_some(), "step {step}");
            }
            drop(store);
            for disk in [disk.fork().kill(), disk.crash(Survival::Nothing)] {
                assert_eq!(all_of(&open(&disk)).await, all);
            }
        }
    }
    assert!(failures > 60, "{failures} are too few to mean anything");
}

/// Whichever log the pointer names after a rewrite that failed at its last step, the next one leaves it alone
/// until the pointer names another.
#[tokio::test]
async fn a_rewrite_that_failed_costs_nothing() {
    let write = async |store: &BlockStore, at| {
        store
            .write(&shard(), &key("cpu", 0), &points(1, &[(at, "w")]))
            .await
            .map_err(|error| error.to_string())
    };
    let only =
        |is: fn(OperationKind) -> bool, side| Fault { of: is, side, ..Fault::next(DiskErrorKind::Other) };
    for side in [Side::Before, Side::After] {
        for change in 0..20 {
            let disk = CrashDisk::new();
            let store = open(&disk);
            write(&store, 0).await.unwrap();
            store.flush(&shard()).await.unwrap();
            // A write that fails leaves the end in doubt; so the next writes the log anew, and fails too.
            disk.fail(only(|kind| kind == OperationKind::Write, Side::After));
            write(&store, 1).await.unwrap_err();
            disk.fail(only(|kind| kind == OperationKind::Rename, side));
            write(&store, 2).await.unwrap_err();
            disk.stop_at(change, side);
            let _ = write(&store, 3).await;
            drop(store);
            for survival in [Survival::Nothing, Survival::Everything, Survival::Mixture(3)] {
                let left = read(&open(&disk.fork().crash(survival)), &key("cpu", 0)).await;
                let first = left.and_then(|points| points.first().cloned());
                assert_eq!(first, Some((0, "w".into())), "{side:?} change {change}, {survival:?}");
            }
        }
    }
}

/// A log that is damaged within what was durable is not taken for one that was torn at its end.
#[tokio::test]
async fn rot_is_not_taken_for_a_torn_end() {
    let disk = CrashDisk::new();
    let store = open(&disk);
    store.create(&shard()).await.unwrap();
    store.write(&shard(), &key("cpu", 0), &points(1, &[(0, "a")])).await.unwrap();
    store.flush(&shard()).await.unwrap();
    drop(store);
    let disk = disk.kill();
    disk.flip("blocks/metrics@1/0.1".as_ref(), 8 * 100).unwrap();
    let error = open(&disk).read(&shard(), &key("cpu", 0)).await.unwrap_err();
    assert!(error.to_string().contains("were durable"), "{error}");
}

/// Rot in a block costs that block and is never merged, sealed anew or forgotten, also when the log is written
/// anew; everything else is read and written.
#[tokio::test]
async fn rot_costs_its_block_and_does_not_spread() {
    let disk = CrashDisk::new();
    let store = open(&disk);
    store.create(&shard()).await.unwrap();
    store.write(&shard(), &key("cpu", 10), &points(100, &[(0, "b")])).await.unwrap();
    store.write(&shard(), &key("cpu", 0), &points(100, &[(0, "a")])).await.unwrap();
    store.flush(&shard()).await.unwrap();
    let log = "blocks/metrics@1/0.1".as_ref();
    let len = disk.metadata(log).await.unwrap().unwrap().len;
    disk.flip(log, 8 * (len - 1)).unwrap();
    let rotten = |error: BlockError| error.to_string().contains("not what was written");
    assert!(rotten(store.read(&shard(), &key("cpu", 0)).await.unwrap_err()));
    assert!(rotten(store.scan(&shard(), None, 9).await.unwrap_err()));
    assert!(rotten(store.write(&shard(), &key("cpu", 0), &points(200, &[(1, "c")])).await.unwrap_err()));
    assert_eq!(read(&store, &key("cpu", 10)).await, Some(vec![(0, "b".into())]));

    // A recovery goes on without it, and blames nobody.
    let Peers { offers: [_, offer], .. } = Peers::new().await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    let mut left_out = 0;
    for entry in &offer.entries {
        match staging.store(offer.chunks(entry, entry).await).await {
            Ok(()) => {}
            Err(SinkError::Unmergeable { key: named, .. }) if named == key("cpu", 0).to_entry_key() => {
                staging.leave_out(entry.ordinal).await.unwrap();
                left_out += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    assert_eq!(left_out, 1);

    // Nor is it made good by the next log.
    disk.fail(Fault { of: |kind| kind == OperationKind::Write, ..Fault::next(DiskErrorKind::Other) });
    store.delete(&shard(), &key("mem", 0), Stamp(200)).await.unwrap_err();
    disk.heal();
    store.delete(&shard(), &key("mem", 0), Stamp(200)).await.unwrap();
    assert_eq!(disk.metadata(log).await.unwrap(), None, "it was written anew");
    store.flush(&shard()).await.unwrap();
    drop((staging, store));
    let store = open(&disk.kill());
    assert!(rotten(store.read(&shard(), &key("cpu", 0)).await.unwrap_err()));
    // Emptied, it is good again.
    store.clear(&shard()).await.unwrap();
    Transfer::new().run(&store, &[offer]).await.unwrap();
    assert!(read(&store, &key("cpu", 0)).await.is_some());
}
