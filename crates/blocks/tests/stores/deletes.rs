//! A delete that was forgotten somewhere is undone nowhere.

use peerstream_blocks::{BlockError, BlockOptions, BlockStore, SeriesUnion, Stamp};
use peerstream_snapshot::{BoxFuture, Fence, Sink, SinkError};
use peerstream_types::{Ordinal, Selector};

use crate::common::{Offer, Transfer, bring_up, key, points, position, read, shard};

fn store() -> BlockStore {
    BlockStore::in_memory(BlockOptions { horizon: 100, ..BlockOptions::new(SeriesUnion) })
}

async fn created() -> BlockStore {
    let store = store();
    store.create(&shard()).await.unwrap();
    store
}

async fn write(store: &BlockStore, series: &str, stamp: u64) -> Result<(), BlockError> {
    store.write(&shard(), &key(series, 0), &points(stamp, &[(1, "old")])).await
}

/// A replica that is synced to 500 and has forgotten a delete at 60.
async fn forgetful() -> BlockStore {
    let store = created().await;
    write(&store, "gone", 50).await.unwrap();
    write(&store, "here", 300).await.unwrap();
    store.delete(&shard(), &key("gone", 0), Stamp(60)).await.unwrap();
    store.mark_synced(&shard(), Stamp(500)).await.unwrap();
    assert_eq!(store.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    store
}

/// What a source has forgotten is forgotten here too: a write that a delete could have covered is refused.
#[tokio::test]
async fn what_sources_have_forgotten_is_forgotten_here() {
    let (source, store) = (forgetful().await, store());
    bring_up(&store, &[&source]).await.unwrap();
    for store in [&source, &store] {
        let late = write(store, "gone", 50).await;
        assert!(matches!(late, Err(BlockError::BeyondHorizon { purged: Stamp(60), .. })), "{late:?}");
    }
    write(&store, "gone", 61).await.unwrap();
    bring_up(&source, &[&store]).await.unwrap();
    assert!(read(&source, &key("gone", 0)).await.is_some(), "it was written after the delete");
}

/// A write that a forgotten delete of the source could have covered comes at any step of a recovery: either
/// it is refused, or the recovery is.
#[tokio::test]
async fn a_late_write_during_a_recovery_brings_nothing_back() {
    for sources in [1, 2] {
        let mut refused = [0, 0];
        for at in 0.. {
            let (source, store) = (forgetful().await, store());
            let mut offers = Vec::new();
            for _ in 0..sources {
                offers.push(Offer::of(&source).await);
            }
            let late = store.clone();
            let between = move |step: usize| -> BoxFuture<'static, ()> {
                let late = late.clone();
                Box::pin(async move {
                    if step == at {
                        drop(write(&late, "gone", 50).await);
                    }
                })
            };
            let mut transfer = Transfer::with(Box::new(between));
            let published = transfer.run(&store, &offers).await;
            if published.is_ok() && transfer.steps <= at {
                break;
            }
            match published {
                Ok(_) => {
                    assert_eq!(read(&store, &key("gone", 0)).await, None, "step {at}");
                    bring_up(&source, &[&store]).await.unwrap();
                    assert_eq!(read(&source, &key("gone", 0)).await, None, "step {at}");
                    refused[0] += 1;
                }
                Err(SinkError::BeyondHorizon { synced: 49, purged: 60, .. }) => refused[1] += 1,
                Err(error) => panic!("step {at}: {error}"),
            }
        }
        assert!(refused[0] >= 2 && refused[1] >= 2, "{refused:?}");
    }
}

/// The same without any entry: what the source has forgotten counts when the recovery is published.
#[tokio::test]
async fn a_source_without_entries_has_forgotten_too() {
    let source = created().await;
    source.delete(&shard(), &key("gone", 0), Stamp(60)).await.unwrap();
    assert_eq!(source.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    let offers = [Offer::of(&source).await];
    for late in [false, true] {
        let store = store();
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
        Transfer::new().fill(&*staging, &offers).await.unwrap();
        if late {
            write(&store, "gone", 50).await.unwrap();
            let refused = staging.publish().await;
            assert!(matches!(refused, Err(SinkError::BeyondHorizon { synced: 49, .. })), "{refused:?}");
        } else {
            staging.publish().await.unwrap();
            assert!(write(&store, "gone", 50).await.is_err());
        }
    }
}

/// A replica whose data is young has not heard of deletes: who recovers from it has not either.
#[tokio::test]
async fn young_data_is_not_taken_for_deletes_heard() {
    let [missed, young, ahead] = [created().await, created().await, created().await];
    for store in [&missed, &ahead] {
        write(store, "gone", 100).await.unwrap();
    }
    write(&young, "here", 501).await.unwrap();
    ahead.delete(&shard(), &key("gone", 0), Stamp(200)).await.unwrap();
    ahead.mark_synced(&shard(), Stamp(1_000)).await.unwrap();
    assert_eq!(ahead.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    bring_up(&missed, &[&young]).await.unwrap();
    let refused = bring_up(&ahead, &[&missed]).await;
    assert!(matches!(refused, Err(SinkError::SourceBeyondHorizon { synced: 99, .. })), "{refused:?}");
    let refused = bring_up(&missed, &[&ahead]).await;
    assert!(matches!(refused, Err(SinkError::BeyondHorizon { synced: 99, purged: 200, .. })), "{refused:?}");
    assert_eq!(read(&ahead, &key("gone", 0)).await, None);
    // An empty replica that recovers from it has its data alone.
    let new = store();
    bring_up(&new, &[&young]).await.unwrap();
    bring_up(&new, &[&ahead]).await.unwrap();
}

/// A delete that the sources may have missed is not forgotten while they still bring what it covers.
#[tokio::test]
async fn a_delete_is_remembered_while_old_data_comes() {
    let (source, store) = (created().await, created().await);
    for series in ["a", "gone"] {
        write(&source, series, 300).await.unwrap();
    }
    store.delete(&shard(), &key("gone", 0), Stamp(350)).await.unwrap();
    store.mark_synced(&shard(), Stamp(500)).await.unwrap();
    let offer = Offer::of(&source).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    for entry in &offer.entries {
        staging.store(offer.chunks(entry, entry).await).await.unwrap();
        assert_eq!(store.purge(&shard(), Stamp(1_000)).await.unwrap(), 0);
    }
    staging.seal(&offer.header).await.unwrap();
    staging.publish().await.unwrap();
    // It has heard of the deletes itself, whatever the source has heard of.
    assert_eq!(store.purge(&shard(), Stamp(1_000)).await.unwrap(), 1);
    assert_eq!(read(&store, &key("gone", 0)).await, None);
}

/// A delete at the lowest stamp is remembered for ever: who has data of that stamp, and has missed it, has no
/// lower stamp to say so with.
#[tokio::test]
async fn a_delete_at_the_lowest_stamp_is_never_forgotten() {
    for synced in [0, 500] {
        let [missed, ahead] = [created().await, created().await];
        write(&missed, "gone", 0).await.unwrap();
        ahead.delete(&shard(), &key("gone", 0), Stamp(0)).await.unwrap();
        ahead.mark_synced(&shard(), Stamp(synced)).await.unwrap();
        assert_eq!(ahead.purge(&shard(), Stamp(1_000)).await.unwrap(), 0, "{synced}");
        bring_up(&ahead, &[&missed]).await.unwrap();
        assert_eq!(read(&ahead, &key("gone", 0)).await, None, "{synced}");
    }
}

/// A shard that is emptied ends the recovery into it: what that has merged is gone, and with it what was
/// known of its sources.
#[tokio::test]
async fn an_emptied_shard_ends_the_recovery_under_way() {
    let (source, store) = (forgetful().await, store());
    write(&source, "more", 400).await.unwrap();
    let offer = Offer::of(&source).await;
    let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
    staging.begin(&offer.header).await.unwrap();
    staging.admit(offer.entries.clone()).await.unwrap();
    staging.store(offer.chunks(&offer.entries[0], &offer.entries[0]).await).await.unwrap();
    store.clear(&shard()).await.unwrap();
    let rest = staging.store(offer.chunks(&offer.entries[1], &offer.entries[1]).await).await;
    assert!(matches!(rest, Err(SinkError::Fenced { .. })), "{rest:?}");
    bring_up(&store, &[&source]).await.unwrap();
    assert!(read(&store, &key("here", 0)).await.is_some());
}

/// F-19, promise 4: a recovery that left something out does not move the position on: what is missing may
/// be in the log before that of the source.
#[tokio::test]
async fn what_was_left_out_holds_the_position() {
    for before in [None, Some(position(1))] {
        let (source, store) = (created().await, store());
        for series in ["a", "b"] {
            write(&source, series, 300).await.unwrap();
        }
        source.set_position(&shard(), Some(position(9))).await.unwrap();
        store.set_position(&shard(), before.clone()).await.unwrap();
        let offer = Offer::of(&source).await;
        let staging = store.stage(&shard(), &Selector::All, Fence(1)).await.unwrap();
        staging.begin(&offer.header).await.unwrap();
        staging.admit(offer.entries.clone()).await.unwrap();
        staging.store(offer.chunks(&offer.entries[0], &offer.entries[0]).await).await.unwrap();
        staging.leave_out(Ordinal(1)).await.unwrap();
        staging.seal(&offer.header).await.unwrap();
        staging.publish().await.unwrap();
        assert!(store.is_ready(&shard()).await.unwrap());
        assert_eq!(store.position(&shard()).await, Ok(before.clone()));
        assert_eq!(Offer::of(&store).await.header.position, before);
        let (_, published) = store.current(&shard()).await.unwrap().unwrap();
        assert_eq!(published.position, before);
        bring_up(&store, &[&source]).await.unwrap();
        assert_eq!(store.position(&shard()).await, Ok(Some(position(9))));
    }
}
