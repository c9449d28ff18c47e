//! What a snapshot reads stays, whoever opens and drops others meanwhile.

use std::fs;

use bytes::Bytes;
use futures_util::FutureExt;
use peerstream_types::Ordinal;

use super::tests::{content, names, receive, shard};
use super::*;
use crate::RealDisk;
use crate::offload::Inline;

async fn published(root: &Path) -> DirectoryStore {
    let store = DirectoryStore::open(root, Arc::new(RealDisk::new()), Arc::new(Inline)).await.unwrap();
    receive(&store, &[("a", content(3000)), ("b", content(30))]).await;
    store
}

/// So many that nothing needs the generations before.
async fn publish_twice(store: &DirectoryStore) {
    for len in [40, 50] {
        receive(store, &[("a", content(len))]).await;
    }
}

fn generations(root: &Path) -> Vec<String> {
    names(&root.join("facts@1/0/generations"))
}

/// C20, F-40: two who open a shard at once hold the same; that one goes does not harm the other.
#[tokio::test]
async fn a_lease_outlives_one_that_began_with_it() {
    for kept in [0, 1] {
        let root = tempfile::tempdir().unwrap();
        let store = published(root.path()).await;
        let shard = store.shard(&shard());
        let (one, two) = tokio::join!(shard.tree(), shard.tree());
        let mut both = vec![one.unwrap().unwrap(), two.unwrap().unwrap()];
        assert!(Arc::ptr_eq(&both[0], &both[1]));
        let kept = both.swap_remove(kept);
        drop(both);
        publish_twice(&store).await;
        assert_eq!(generations(root.path()), ["1", "2", "3"]);
        drop(kept);
    }
}

/// C20, F-40: a snapshot that met a changed file still reads the others when a newer one is gone.
#[tokio::test]
async fn a_stale_lease_outlives_the_one_that_replaced_it() {
    let root = tempfile::tempdir().unwrap();
    let store = published(root.path()).await;
    let open = async || Source::open(&store, &shard(), &Selector::All).await.unwrap();
    let old = open().await;
    let data = store.current_path(&shard()).await.unwrap().unwrap();
    fs::write(data.join("a"), "changed").unwrap();
    old.read(Ordinal(0), 0, 10).await.unwrap_err();
    drop(open().await);
    publish_twice(&store).await;
    assert_eq!(old.read(Ordinal(1), 0, 30).await, Ok::<Bytes, SourceError>(content(30)));
    drop(old);
}

/// C20: who is overtaken by publishes while he opens can read what he gets, be it the old or the new.
#[tokio::test]
async fn a_generation_that_goes_while_it_is_opened_is_not_handed_out() {
    let root = tempfile::tempdir().unwrap();
    let store = published(root.path()).await;
    let (id, all) = (shard(), Selector::All);
    let mut opening = Source::open(&store, &id, &all);
    let at_once = (&mut opening).now_or_never();
    publish_twice(&store).await;
    let snapshot = match at_once {
        Some(opened) => opened.unwrap(),
        None => opening.await.unwrap(),
    };
    assert_eq!(snapshot.read(Ordinal(0), 0, 30).await, Ok(content(30)));
}
