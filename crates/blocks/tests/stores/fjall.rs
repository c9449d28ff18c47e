//! The database as it is on disk at each step of a bootstrap: what a killed process leaves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use peerstream_blocks::{BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::offload::Inline;
use peerstream_snapshot::{BlockingPool, BoxFuture, Sink};

use crate::common::{Offer, Transfer, all_of, key, merged, points, position, read, shard};

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
