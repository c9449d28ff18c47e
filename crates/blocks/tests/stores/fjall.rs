//! The database as it is on disk at each step of a bootstrap: what a killed process leaves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::offload::{Inline, Job};
use peerstream_snapshot::{BlockingPool, BoxFuture, Offload, Sink, SinkError};

use crate::common::{Offer, Transfer, all_of, bring_up, key, merged, points, position, read, shard};

fn options() -> BlockOptions {
    BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) }
}

fn open(path: &Path) -> BlockStore {
    BlockStore::on_fjall(path, Arc::new(Inline), options()).unwrap()
}

/// Two sources that differ.
async fn offers() -> [Offer; 2] {
    let stores = [BlockStore::in_memory(options()), BlockStore::in_memory(options())];
    for (index, store) in (0..).zip(&stores) {
        store.create(&shard()).await.unwrap();
        for start in [0, 10, index + 20] {
            store.write(&shard(), &key("cpu", start), &points(100, &[(start + index, "a")])).await.unwrap();
        }
        store.set_position(&shard(), Some(position(7))).await.unwrap();
    }
    stores[1].delete(&shard(), &key("cpu", 10), Stamp(100)).await.unwrap();
    let [one, other] = &stores;
    [Offer::of(one).await, Offer::of(other).await]
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for found in std::fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &target);
        } else {
            std::fs::copy(found.path(), target).unwrap();
        }
    }
}

/// F-30, promises 2 to 4: a process that is killed at any step has lost nothing that it merged or that was
/// written to it, knows no position before publish, and goes on where it was.
#[tokio::test]
async fn a_killed_process_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let offers = offers().await;
    let live = dir.path().join("live");
    let store = open(&live);
    let steps = Arc::new(Mutex::new(0));
    let (writer, count, root) = (store.clone(), steps.clone(), dir.path().to_owned());
    let between = move |step: usize| {
        let (writer, count, root) = (writer.clone(), count.clone(), root.clone());
        let work = async move {
            writer.write(&shard(), &key("own", step as i64), &points(200, &[(0, "w")])).await.unwrap();
            copy(&root.join("live"), &root.join(step.to_string()));
            *count.lock().unwrap() = step + 1;
        };
        Box::pin(work) as BoxFuture<'static, ()>
    };
    Transfer::with(Box::new(between)).run(&store, &offers).await.unwrap();
    let expected = all_of(&store).await;
    drop(store);
    assert_eq!(all_of(&open(&live)).await, expected, "published, and opened again");

    let mut refetched = Vec::new();
    let steps = *steps.lock().unwrap();
    for step in 0..steps {
        let left = open(&dir.path().join(step.to_string()));
        for own in 0..=step {
            assert_eq!(read(&left, &key("own", own as i64)).await, Some(vec![(0, "w".into())]));
        }
        assert_eq!(left.current(&shard()).await, Ok(None), "step {step}");
        assert_eq!(left.position(&shard()).await, Ok(None));
        let mut again = Transfer::new();
        again.run(&left, &offers).await.unwrap();
        refetched.push(again.fetched.len());
        let all = all_of(&left).await;
        assert_eq!(merged(&[all.clone(), expected.clone()]), expected, "nothing else is there");
        assert!(expected.keys().all(|block| all.contains_key(block) || block.series() == b"own"));
        assert_eq!(left.position(&shard()).await, Ok(Some(position(7))));
    }
    assert!(refetched.is_sorted_by(|a, b| a >= b), "{refetched:?}");
    assert_eq!((refetched[0], refetched.last()), (6, Some(&0)));
}

/// Two tasks that write one block at once lose nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_lose_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::on_fjall(dir.path(), Arc::new(BlockingPool::new()), options()).unwrap();
    store.create(&shard()).await.unwrap();
    let writers = (0..4i64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for at in 0..25 {
                let point = points(100, &[(at * 4 + writer, "x")]);
                store.write(&shard(), &key("cpu", 0), &point).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(read(&store, &key("cpu", 0)).await.unwrap().len(), 100);
}

/// A pool that can put jobs off, and carries them out when it is told.
#[derive(Default)]
struct LatePool {
    /// How many jobs are done at once before one is put off.
    jobs_before: Mutex<Option<u32>>,
    put_off: Mutex<Vec<Job>>,
}

impl std::fmt::Debug for LatePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LatePool")
    }
}

impl Offload for LatePool {
    fn run(&self, job: Job) -> BoxFuture<'_, ()> {
        let mut before = self.jobs_before.lock().unwrap();
        match *before {
            Some(0) => {
                *before = None;
                self.put_off.lock().unwrap().push(job);
                return Box::pin(std::future::pending());
            }
            Some(left) => *before = Some(left - 1),
            None => {}
        }
        job();
        Box::pin(std::future::ready(()))
    }
}

/// A store with an abandoned write of a block that `ahead` has deleted and forgotten; `late` says when the
/// pool carries it out: before the next call, after it, or never.
async fn abandoned(path: &Path, late: Option<bool>) -> BlockStore {
    let pool = Arc::new(LatePool::default());
    let store = BlockStore::on_fjall(path, pool.clone(), options()).unwrap();
    store.create(&shard()).await.unwrap();
    *pool.jobs_before.lock().unwrap() = Some(1);
    let (of, block, payload) = (shard(), key("gone", 0), points(100, &[(1, "old")]));
    tokio::select! {
        biased;
        written = store.write(&of, &block, &payload) => panic!("it is put off: {written:?}"),
        () = tokio::task::yield_now() => {}
    }
    let put_off = pool.put_off.lock().unwrap().pop().unwrap();
    if late == Some(true) {
        put_off();
        store.set_position(&shard(), None).await.unwrap();
    } else {
        store.set_position(&shard(), None).await.unwrap();
        if late == Some(false) {
            put_off();
        }
    }
    store
}

/// An abandoned write that the pool carries out late is either not there, or what goes with it is known:
/// how old the data may be.
#[tokio::test]
async fn an_abandoned_write_is_known_to_be_old() {
    let ahead = BlockStore::in_memory(options());
    ahead.create(&shard()).await.unwrap();
    ahead.delete(&shard(), &key("gone", 0), Stamp(200)).await.unwrap();
    ahead.mark_synced(&shard(), Stamp(1_000)).await.unwrap();
    assert_eq!(ahead.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    for late in [None, Some(false), Some(true)] {
        let dir = tempfile::tempdir().unwrap();
        let store = abandoned(dir.path(), late).await;
        let is_there = read(&store, &key("gone", 0)).await.is_some();
        assert_eq!(is_there, late == Some(true));
        let repaired = bring_up(&store, &[&ahead]).await;
        if is_there {
            assert!(matches!(repaired, Err(SinkError::BeyondHorizon { purged: 200, .. })), "{repaired:?}");
        } else {
            repaired.unwrap();
        }
    }
}
