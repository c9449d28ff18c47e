//! What several replicas have becomes one.

use peerstream_engine::select::Level;

use crate::cluster::{Cluster, key, moments, points, within};

/// Blocks of one series.
const BLOCKS: i64 = 40;

/// MI-03, F-08, M3's `merge_peer_blocks`: each peer holds the alternate half; the replica has the union.
#[tokio::test(start_paused = true)]
async fn each_peer_has_the_alternate_half() {
    for peers in [2, 3] {
        let cluster = Cluster::new(peers).await;
        for start in 0..BLOCKS {
            let donor = &cluster.donors[start as usize % peers];
            donor.write(&key("cpu", start), &points(1, [start])).await;
        }
        within(cluster.recover()).await;
        let recovered = cluster.recovered().await;
        assert_eq!(recovered.len(), BLOCKS as usize);
        for start in 0..BLOCKS {
            assert_eq!(moments(&cluster.store, &key("cpu", start)).await, Some(vec![start]));
        }
        for place in 0..peers {
            let missing =
                cluster.donor(place).await.into_iter().find(|(key, block)| recovered.get(key) != Some(block));
            assert_eq!(missing, None, "of donor {place}");
        }
    }
}

/// MI-04, M3's `select_best`: one peer is complete, another has a part; what is equal is fetched once.
#[tokio::test(start_paused = true)]
async fn one_peer_is_complete_and_another_has_a_part() {
    for peers in [2, 3] {
        let cluster = Cluster::new(peers).await;
        for start in 0..BLOCKS {
            for (place, donor) in cluster.donors.iter().enumerate() {
                if place == 0 || start % 2 == 0 {
                    donor.write(&key("cpu", start), &points(1, [start])).await;
                }
            }
        }
        within(cluster.recover()).await;
        assert_eq!(cluster.recovered().await, cluster.donor(0).await);
        for start in 0..BLOCKS {
            let reads: usize = cluster.donors.iter().map(|donor| donor.reads(&key("cpu", start))).sum();
            assert_eq!(reads, 1, "block {start}");
        }
    }
}

/// F-01, F-08, M-03: item by item, every replica has other points of the same blocks: every copy is fetched,
/// and they are merged.
#[tokio::test(start_paused = true)]
async fn copies_that_differ_are_all_fetched_and_merged() {
    for peers in [2, 3] {
        let cluster = Cluster::new(peers).await;
        for start in [0, 10, 20] {
            for (place, donor) in (0..).zip(&cluster.donors) {
                donor.write(&key("cpu", start), &points(1 + place as u64, [start, start + 1 + place])).await;
            }
        }
        cluster.set_level(Level::All);
        within(cluster.recover()).await;
        for start in [0, 10, 20] {
            for donor in &cluster.donors {
                assert_eq!(donor.reads(&key("cpu", start)), 1);
            }
            let all: Vec<i64> = (start..=start + peers as i64).collect();
            assert_eq!(moments(&cluster.store, &key("cpu", start)).await, Some(all));
        }
        // Of the point that all have, the last write is there.
        let last = points(peers as u64, [0]);
        let read = cluster.recovered().await[&key("cpu", 0)].payload.clone().unwrap();
        assert_eq!(read[..last.len()], last[..]);
    }
}

/// M-05: several blocks of one series, and blocks without a byte in common, from one peer at once.
#[tokio::test(start_paused = true)]
async fn a_single_reporter_is_enough_for_what_it_alone_has() {
    let cluster = Cluster::new(3).await;
    for start in [0, 10] {
        cluster.donors[2].write(&key("cpu", start), &points(1, [start])).await;
    }
    within(cluster.recover()).await;
    assert_eq!(cluster.recovered().await, cluster.donor(2).await);
}

/// M-24, MI-07: a replica that has some of it already, and more than the peers, keeps that.
#[tokio::test(start_paused = true)]
async fn what_is_here_already_is_merged_too() {
    let cluster = Cluster::new(2).await;
    for donor in &cluster.donors {
        donor.write(&key("cpu", 0), &points(1, [0, 2])).await;
        donor.write(&key("cpu", 10), &points(1, [10])).await;
    }
    cluster.store.write(&super::cluster::shard(), &key("cpu", 0), &points(2, [1, 2])).await.unwrap();
    cluster.store.write(&super::cluster::shard(), &key("own", 0), &points(2, [0])).await.unwrap();
    within(cluster.recover()).await;
    assert_eq!(moments(&cluster.store, &key("cpu", 0)).await, Some(vec![0, 1, 2]));
    assert_eq!(moments(&cluster.store, &key("cpu", 10)).await, Some(vec![10]));
    assert_eq!(moments(&cluster.store, &key("own", 0)).await, Some(vec![0]));
}
