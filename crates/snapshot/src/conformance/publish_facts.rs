//! A generation is visible whole or not at all, with its position and state.

use peerstream_types::Selector;

use super::transfer::{Offer, assert_content, assert_nothing_visible, assert_serves, writer};
use super::{Harness, Seed, Subject};
use crate::{Generation, SinkError};

async fn publish(harness: &dyn Harness, subject: &dyn Subject, seed: &Seed) -> (Generation, Offer) {
    let offer = Offer::of(harness, seed).await;
    let staging = writer(subject, seed, 1).await;
    offer.seal(&*staging).await;
    (staging.publish().await.expect("it is sealed"), offer)
}

pub(super) async fn a_whole_shard_moves(harness: &dyn Harness) {
    let (seed, subject) = (Seed::sample(), harness.empty().await);
    let (generation, offer) = publish(harness, &*subject, &seed).await;
    assert_serves(&*subject, &seed, &offer.header).await;
    let current = subject.sink().current(&seed.shard).await;
    assert_eq!(current, Ok(Some((generation, offer.header))));
}

pub(super) async fn an_entry_of_several_groups_moves(harness: &dyn Harness) {
    let (seed, subject) = (Seed::grouped(), harness.empty().await);
    let (_, offer) = publish(harness, &*subject, &seed).await;
    assert_serves(&*subject, &seed, &offer.header).await;
}

/// F-61, A30.
pub(super) async fn an_empty_shard_moves(harness: &dyn Harness) {
    let subject = harness.empty().await;
    for seed in [Seed::empty(), Seed::empty().with("only/empty", 0, 0)] {
        let (_, offer) = publish(harness, &*subject, &seed).await;
        assert_serves(&*subject, &seed, &offer.header).await;
    }
}

pub(super) async fn a_published_shard_outlives_a_restart(harness: &dyn Harness) {
    let (seed, subject) = (Seed::sample(), harness.empty().await);
    let (first, offer) = publish(harness, &*subject, &seed).await;
    let subject = subject.restart().await;
    assert_serves(&*subject, &seed, &offer.header).await;
    let (second, _) = publish(harness, &*subject, &seed).await;
    assert!(second > first, "generations count up");
}

pub(super) async fn nothing_is_visible_before_publish(harness: &dyn Harness) {
    let (seed, subject) = (Seed::sample(), harness.empty().await);
    let offer = Offer::of(harness, &seed).await;
    assert_nothing_visible(&*subject, &seed).await;
    let staging = writer(&*subject, &seed, 1).await;
    offer.admit(&*staging).await;
    assert_nothing_visible(&*subject, &seed).await;
    offer.store_all(&*staging).await;
    staging.checkpoint().await.expect("it can be synced");
    assert_nothing_visible(&*subject, &seed).await;
    staging.seal(&offer.header).await.expect("it is complete");
    assert_nothing_visible(&*subject, &seed).await;
    staging.publish().await.expect("it is sealed");
    assert_serves(&*subject, &seed, &offer.header).await;
}

pub(super) async fn the_old_generation_is_visible_until_publish(harness: &dyn Harness) {
    let (old, subject) = (Seed::sample(), harness.empty().await);
    let (first, offered) = publish(harness, &*subject, &old).await;
    let new = Seed { state: b"schema 8".to_vec(), ..Seed::empty() }.with("one-chunk", 700, 9);
    let offer = Offer::of(harness, &new).await;
    let staging = writer(&*subject, &new, 2).await;
    offer.seal(&*staging).await;
    assert_serves(&*subject, &old, &offered.header).await;
    let second = staging.publish().await.expect("it is sealed");
    assert!(second > first, "generations count up");
    assert_serves(&*subject, &new, &offer.header).await;
}

pub(super) async fn a_generation_stays_while_a_snapshot_holds_it(harness: &dyn Harness) {
    let (old, subject) = (Seed::sample(), harness.empty().await);
    publish(harness, &*subject, &old).await;
    let snapshot = subject.source().open(&old.shard, &Selector::All).await.expect("it is served");
    for salt in 0..4 {
        publish(harness, &*subject, &Seed::empty().with("other", 3000, salt)).await;
    }
    assert_content(&Offer::list(snapshot, 2).await, &old).await;
}

pub(super) async fn publish_needs_a_seal(harness: &dyn Harness) {
    let (seed, subject) = (Seed::sample(), harness.empty().await);
    let offer = Offer::of(harness, &seed).await;
    let staging = writer(&*subject, &seed, 1).await;
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    offer.seal(&*staging).await;
    staging.begin(&offer.begun()).await.expect("it begins again");
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    assert_nothing_visible(&*subject, &seed).await;
    offer.seal(&*staging).await;
    staging.publish().await.expect("it is sealed");
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed), "once is enough");
}

pub(super) async fn a_restart_before_publish_shows_nothing_and_keeps_chunks(harness: &dyn Harness) {
    let (seed, subject) = (Seed::sample(), harness.empty().await);
    let offer = Offer::of(harness, &seed).await;
    offer.seal(&*writer(&*subject, &seed, 1).await).await;
    let subject = subject.restart().await;
    assert_nothing_visible(&*subject, &seed).await;
    let staging = writer(&*subject, &seed, 1).await;
    assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    offer.admit(&*staging).await;
    staging.seal(&offer.header).await.expect("no chunk has to come again");
    staging.publish().await.expect("it is sealed");
    assert_serves(&*subject, &seed, &offer.header).await;
}
