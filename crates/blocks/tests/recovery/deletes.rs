//! What was deleted stays deleted.

use peerstream_blocks::Stamp;
use peerstream_engine::select::Level;
use peerstream_engine::{PlanOutcome, ShardOutcome};

use crate::cluster::{Cluster, SECOND, key, moments, points, shard, until_it_waits_for, within};

/// All donors have two series; one of them has heard of a delete of the first.
async fn one_has_deleted(cluster: &Cluster) {
    for donor in &cluster.donors {
        for (series, start) in [("gone", 0), ("gone", 10), ("here", 0)] {
            donor.write(&key(series, start), &points(10, [start])).await;
        }
    }
    for start in [0, 10] {
        cluster.donors[0].store.delete(&shard(), &key("gone", start), Stamp(20)).await.unwrap();
    }
}

async fn assert_gone(cluster: &Cluster) {
    for start in [0, 10] {
        assert_eq!(moments(&cluster.store, &key("gone", start)).await, None);
    }
    assert_eq!(moments(&cluster.store, &key("here", 0)).await, Some(vec![0]));
}

/// A delete that one peer has heard of wins over the copies of all others: within the horizon a deleted
/// series does not come back.
#[tokio::test(start_paused = true)]
async fn a_deleted_series_does_not_come_back() {
    for peers in [2, 3] {
        let cluster = Cluster::new(peers).await;
        one_has_deleted(&cluster).await;
        within(cluster.recover()).await;
        assert_gone(&cluster).await;
        let remembered = cluster.recovered().await[&key("gone", 0)].clone();
        assert_eq!(remembered.deleted, Some(Stamp(20)), "and the replica remembers it");
    }
}

/// A replica that has the old copy itself, and comes back, hears of the delete.
#[tokio::test(start_paused = true)]
async fn a_replica_that_comes_back_hears_of_a_delete() {
    let cluster = Cluster::new(2).await;
    one_has_deleted(&cluster).await;
    cluster.store.create(&shard()).await.unwrap();
    cluster.store.write(&shard(), &key("gone", 0), &points(10, [0])).await.unwrap();
    within(cluster.recover()).await;
    assert_gone(&cluster).await;
}

/// The replica has a delete that no peer has heard of: what they give is under it.
#[tokio::test(start_paused = true)]
async fn a_delete_of_the_replica_covers_what_comes() {
    let cluster = Cluster::new(2).await;
    for donor in &cluster.donors {
        donor.write(&key("gone", 0), &points(10, [0])).await;
        donor.write(&key("here", 0), &points(10, [0])).await;
    }
    cluster.store.delete(&shard(), &key("gone", 0), Stamp(20)).await.unwrap();
    within(cluster.recover()).await;
    assert_eq!(moments(&cluster.store, &key("gone", 0)).await, None);
}

/// What was written after a delete is there, with and without the delete.
#[tokio::test(start_paused = true)]
async fn what_was_written_after_a_delete_stays() {
    let cluster = Cluster::new(3).await;
    one_has_deleted(&cluster).await;
    cluster.donors[1].write(&key("gone", 0), &points(30, [5])).await;
    within(cluster.recover()).await;
    assert_eq!(moments(&cluster.store, &key("gone", 0)).await, Some(vec![5]));
    assert_eq!(moments(&cluster.store, &key("gone", 10)).await, None);
}

/// One donor was synced to 15 and has old copies; the others have deleted, synced and forgotten.
async fn one_is_stale(cluster: &Cluster, stale: usize) {
    one_has_deleted(cluster).await;
    for (place, donor) in cluster.donors.iter().enumerate() {
        if place == stale {
            donor.store.mark_synced(&shard(), Stamp(15)).await.unwrap();
            continue;
        }
        for start in [0, 10] {
            donor.store.delete(&shard(), &key("gone", start), Stamp(20)).await.unwrap();
        }
        donor.store.mark_synced(&shard(), Stamp(1_000)).await.unwrap();
        assert_eq!(donor.store.purge(&shard(), Stamp(1_000)).await.unwrap(), 2);
    }
}

/// A source that has missed deletes which the others have forgotten is left out, whichever it is, and the
/// others bring the replica up: what was deleted does not come back.
#[tokio::test(start_paused = true)]
async fn a_source_beyond_the_horizon_is_left_out() {
    for stale in 1..3 {
        for level in [Level::None, Level::One, Level::UnstrictMajority, Level::UnstrictAll] {
            let cluster = Cluster::new(3).await;
            one_is_stale(&cluster, stale).await;
            // Asked alone, it would be believed: another one is asked first then.
            cluster.set_level(level);
            within(cluster.recover()).await;
            assert_gone(&cluster).await;
            assert_eq!(cluster.donors[stale].reads(&key("gone", 0)), 0, "{level}, {stale}");
        }
    }
}

/// If the level needs it, the recovery waits until it is repaired, and says so.
#[tokio::test(start_paused = true)]
async fn a_source_beyond_the_horizon_does_not_count() {
    let cluster = Cluster::new(3).await;
    one_is_stale(&cluster, 2).await;
    cluster.set_level(Level::All);
    let plan = cluster.bring_up();
    until_it_waits_for(&plan, "all").await;
    tokio::time::sleep(600 * SECOND).await;
    assert!(!cluster.store.is_ready(&shard()).await.unwrap());
    let fresh = cluster.donors[2].store.clone();
    fresh.clear(&shard()).await.unwrap();
    fresh.create(&shard()).await.unwrap();
    assert!(within(plan).await.is_completed());
    assert_gone(&cluster).await;
}

fn reason(outcome: &PlanOutcome) -> &str {
    let ShardOutcome::Failed { reason } = &outcome.shards[0].outcome else {
        panic!("it did not fail: {outcome:?}")
    };
    reason
}

/// A replica that was away for longer than deletes are remembered is not repaired in place: it is told to
/// begin from nothing, and then has what the others have.
#[tokio::test(start_paused = true)]
async fn a_replica_beyond_the_horizon_begins_from_nothing() {
    for level in Level::ALL {
        let cluster = Cluster::new(2).await;
        one_is_stale(&cluster, 2).await;
        cluster.set_level(level);
        cluster.store.create(&shard()).await.unwrap();
        cluster.store.write(&shard(), &key("gone", 0), &points(10, [0])).await.unwrap();
        cluster.store.mark_synced(&shard(), Stamp(15)).await.unwrap();
        let outcome = within(cluster.bring_up()).await;
        assert!(reason(&outcome).contains("empty the shard, then bootstrap it"), "{level}: {outcome:?}");
        cluster.store.clear(&shard()).await.unwrap();
        within(cluster.recover()).await;
        assert_gone(&cluster).await;
    }
}

/// Where more sources have forgotten what the replica has missed than have not, it is the replica that is too
/// old: it is not repaired from the one that has missed the same.
#[tokio::test(start_paused = true)]
async fn a_replica_that_most_are_ahead_of_begins_from_nothing() {
    for stale in 0..3 {
        let cluster = Cluster::new(3).await;
        one_is_stale(&cluster, stale).await;
        cluster.set_level(Level::UnstrictAll);
        cluster.store.create(&shard()).await.unwrap();
        cluster.store.write(&shard(), &key("gone", 0), &points(10, [0])).await.unwrap();
        let outcome = within(cluster.bring_up()).await;
        assert!(reason(&outcome).contains("empty the shard, then bootstrap it"), "{stale}: {outcome:?}");
    }
}

/// Promise 9: a source that says it has forgotten deletes which nobody can have heard of costs that source:
/// the others bring the replica up, whether it has data or not, and what it takes is not bounded by the lie.
#[tokio::test(start_paused = true)]
async fn a_source_that_claims_too_much_is_left_out() {
    for liar in 0..3 {
        for has_data in [false, true] {
            let cluster = Cluster::new(3).await;
            for donor in &cluster.donors {
                donor.write(&key("here", 0), &points(10, [0])).await;
            }
            let store = &cluster.donors[liar].store;
            store.delete(&shard(), &key("gone", 0), Stamp(u64::MAX - 200)).await.unwrap();
            store.mark_synced(&shard(), Stamp(u64::MAX)).await.unwrap();
            assert_eq!(store.purge(&shard(), Stamp(u64::MAX)).await.unwrap(), 1);
            if has_data {
                cluster.store.create(&shard()).await.unwrap();
                cluster.store.write(&shard(), &key("own", 0), &points(10, [0])).await.unwrap();
            }
            cluster.set_level(Level::UnstrictAll);
            within(cluster.recover()).await;
            assert_eq!(moments(&cluster.store, &key("here", 0)).await, Some(vec![0]));
            assert_eq!(cluster.donors[liar].reads(&key("here", 0)), 0, "{liar}, {has_data}");
            cluster.store.write(&shard(), &key("here", 0), &points(20, [1])).await.unwrap();
        }
    }
}
