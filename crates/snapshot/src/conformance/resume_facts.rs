//! Progress is never lost, and belongs to one writer.

use std::collections::BTreeMap;

use peerstream_types::{ChunkIndex, Ordinal, Selector};

use super::transfer::{Offer, assert_nothing_visible, assert_serves, writer};
use super::{Harness, Seed, Subject};
use crate::{Fence, Held, SinkError, Staging};

/// Stores some chunks of the sample: all of one entry, two of another.
async fn store_some(offer: &Offer, staging: &dyn Staging) {
    offer.admit(staging).await;
    for chunk in offer.chunks(offer.entry("one-chunk")).await {
        staging.store(vec![chunk]).await.expect("a verified chunk is stored");
    }
    let many = offer.chunks(offer.entry("a/deep/er/many-chunks")).await;
    for chunk in [many[3].clone(), many[9].clone(), many[4].clone()] {
        staging.store(vec![chunk]).await.expect("a verified chunk is stored");
    }
}

fn by_ordinal(held: Vec<Held>) -> BTreeMap<Ordinal, Vec<u64>> {
    let chunks =
        |held: Held| held.chunks.iter().flat_map(|range| range.iter()).map(|ChunkIndex(i)| i).collect();
    held.into_iter().map(|held| (held.ordinal, chunks(held))).collect()
}

/// What `store_some` leaves, also under the key that has the same content.
fn some(offer: &Offer) -> BTreeMap<Ordinal, Vec<u64>> {
    let held = |key: &str, chunks: &[u64]| (offer.entry(key).ordinal, chunks.to_vec());
    let many = [3, 4, 9];
    [held("one-chunk", &[0]), held("a/deep/er/many-chunks", &many), held("copy-of-many-chunks", &many)].into()
}

async fn finish(offer: &Offer, subject: &dyn Subject, seed: &Seed, staging: &dyn Staging) {
    offer.store_all(staging).await;
    staging.seal(&offer.header).await.expect("it is complete");
    staging.publish().await.expect("it is sealed");
    assert_serves(subject, seed, &offer.header).await;
}

pub(super) async fn chunks_outlive_a_dropped_staging(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    store_some(&offer, &*staging).await;
    drop(staging);

    let staging = writer(&*subject, &seed, 2).await;
    assert_eq!(by_ordinal(offer.admit(&*staging).await), some(&offer));
    finish(&offer, &*subject, &seed, &*staging).await;
}

pub(super) async fn chunks_outlive_a_restart(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    store_some(&offer, &*staging).await;
    staging.checkpoint().await.expect("nothing is wrong with the disk");
    drop(staging);
    let subject = subject.restart().await;

    assert_nothing_visible(&*subject, &seed).await;
    let staging = writer(&*subject, &seed, 1).await;
    assert_eq!(by_ordinal(offer.admit(&*staging).await), some(&offer));
    finish(&offer, &*subject, &seed, &*staging).await;
}

/// What was verified for one manifest is found again under another one.
pub(super) async fn chunks_are_kept_by_content(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    store_some(&offer, &*staging).await;

    let renamed = Seed::empty().with("new/name", 9 * 1024 + 1, 3).with("other", 9 * 1024 + 1, 5);
    let second = Offer::of(harness, &renamed).await;
    let held = by_ordinal(second.admit(&*staging).await);
    assert_eq!(held, [(second.entry("new/name").ordinal, vec![3, 4, 9])].into());
    finish(&second, &*subject, &renamed, &*staging).await;
}

pub(super) async fn equal_content_is_stored_once(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    offer.admit(&*staging).await;
    let copy = offer.entry("copy-of-many-chunks");
    for entry in offer.entries.iter().filter(|entry| *entry != copy) {
        for chunk in offer.chunks(entry).await {
            staging.store(vec![chunk]).await.expect("a verified chunk is stored");
        }
    }
    staging.seal(&offer.header).await.expect("the copy is complete too");
    staging.publish().await.expect("it is sealed");
    assert_serves(&*subject, &seed, &offer.header).await;
}

pub(super) async fn storing_twice_changes_nothing(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    offer.admit(&*staging).await;
    offer.store_all(&*staging).await;
    staging.checkpoint().await.expect("it can be synced");
    offer.store_all(&*staging).await;
    staging.seal(&offer.header).await.expect("it is complete");
    offer.store_all(&*staging).await;
    staging.publish().await.expect("it is sealed");
    assert_serves(&*subject, &seed, &offer.header).await;
}

pub(super) async fn discarded_chunks_are_gone(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    offer.seal(&*staging).await;
    staging.discard().await.expect("it can be discarded");
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    assert_eq!(offer.admit(&*staging).await, []);
    finish(&offer, &*subject, &seed, &*staging).await;
}

pub(super) async fn an_older_writer_is_fenced_off(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let old = writer(&*subject, &seed, 5).await;
    offer.seal(&*old).await;
    let new = writer(&*subject, &seed, 7).await;

    let fenced = |what| SinkError::Fenced { shard: what, newer: 7 };
    let fenced = || fenced(seed.shard.clone());
    let chunk = offer.chunks(offer.entry("one-chunk")).await.remove(0);
    assert_eq!(old.begin(&offer.begun()).await, Err(fenced()));
    assert_eq!(old.admit(Vec::new()).await, Err(fenced()));
    assert_eq!(old.store(vec![chunk]).await, Err(fenced()));
    assert_eq!(old.checkpoint().await, Err(fenced()));
    assert_eq!(old.seal(&offer.header).await, Err(fenced()));
    assert_eq!(old.publish().await, Err(fenced()));
    assert_eq!(old.discard().await, Err(fenced()));
    let late = subject.sink().stage(&seed.shard, &Selector::All, Fence(6)).await;
    assert_eq!(late.err(), Some(fenced()));
    assert_nothing_visible(&*subject, &seed).await;

    offer.admit(&*new).await;
    new.seal(&offer.header).await.expect("the older writer's chunks are kept");
    new.publish().await.expect("it is sealed");
    assert_serves(&*subject, &seed, &offer.header).await;
}
