//! When a fan-out over unequal copies is enough.

use peerstream_engine::select::Level;

use crate::cluster::{Cluster, SECOND, key, moments, points, shard, within};

/// Donors with unequal copies of a block, which some of them cannot read.
async fn disputed(donors: usize, unreadable: &[usize]) -> Cluster {
    let cluster = Cluster::new(donors).await;
    for (place, donor) in cluster.donors.iter().enumerate() {
        donor.write(&key("cpu", 0), &points(1, [place as i64])).await;
        donor.write(&key("mem", 0), &points(1, [0])).await;
        if unreadable.contains(&place) {
            donor.switch(|switches| switches.unreadable.extend([key("cpu", 0)]));
        }
    }
    cluster
}

/// G-01, F-09, faults 1.7 no. 1 of the original: what is met is done. A leg that fails is tried on its own
/// peer, and then abandoned: it is neither retried for ever nor does it count.
#[tokio::test(start_paused = true)]
async fn a_fan_out_is_done_when_its_level_is_met() {
    use Level::{Majority, None, One, UnstrictAll, UnstrictMajority};
    // The replica is one of the shard's replicas too: of four donors three are a majority.
    let cases: [(usize, &[usize], &[Level]); 4] = [
        (3, &[], &Level::ALL),
        (3, &[1], &[None, One, UnstrictMajority, UnstrictAll]),
        (3, &[0, 2], &[None, One, UnstrictMajority, UnstrictAll]),
        (4, &[1], &[None, One, UnstrictMajority, Majority, UnstrictAll]),
    ];
    for (donors, unreadable, levels) in cases {
        for level in levels {
            let cluster = disputed(donors, unreadable).await;
            cluster.set_level(*level);
            let began = tokio::time::Instant::now();
            within(cluster.recover()).await;
            assert!(began.elapsed() < 60 * SECOND, "{level}: it took {:?}", began.elapsed());
            let read = moments(&cluster.store, &key("cpu", 0)).await.unwrap();
            assert!(
                !read.is_empty() && read.iter().all(|at| !unreadable.contains(&(*at as usize))),
                "{level}: {read:?}"
            );
            // These two take the word of the first that answers.
            if ![None, One].contains(level) {
                let all: Vec<i64> =
                    (0..donors as i64).filter(|at| !unreadable.contains(&(*at as usize))).collect();
                assert_eq!(read, all, "{level}");
            }
            assert_eq!(moments(&cluster.store, &key("mem", 0)).await, Some(vec![0]));
        }
    }
}

/// F-09, F-11: a level that is not met is tried again until the copies can be read.
#[tokio::test(start_paused = true)]
async fn a_fan_out_that_is_not_enough_is_tried_again() {
    let cases: [(&[usize], Level); 3] =
        [(&[1], Level::All), (&[0, 2], Level::Majority), (&[0, 1, 2], Level::UnstrictMajority)];
    for (unreadable, level) in cases {
        let cluster = disputed(3, unreadable).await;
        cluster.set_level(level);
        let plan = cluster.bring_up();
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(plan.state().result, None, "{level}");
        assert!(!cluster.store.is_ready(&shard()).await.unwrap(), "{level}: nothing is published");
        let tried: usize = unreadable.iter().map(|place| cluster.donors[*place].reads(&key("cpu", 0))).sum();
        assert!(tried > 3 * unreadable.len(), "{level}: tried {tried} times");
        cluster.donors.iter().for_each(|donor| donor.switch(|switches| switches.unreadable.clear()));
        assert!(within(plan).await.is_completed(), "{level}");
        let read = moments(&cluster.store, &key("cpu", 0)).await.unwrap();
        // Who is not asked again yet counts as one that failed.
        assert!(level == Level::UnstrictMajority || read == [0, 1, 2], "{level}: {read:?}");
    }
}

/// F-20: a level that is lowered lets a fan-out that is not enough end.
#[tokio::test(start_paused = true)]
async fn a_lowered_level_ends_a_fan_out() {
    let cluster = disputed(3, &[1, 2]).await;
    cluster.set_level(Level::Majority);
    let plan = cluster.bring_up();
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(plan.state().result, None);
    cluster.set_level(Level::UnstrictMajority);
    assert!(within(plan).await.is_completed());
    assert_eq!(moments(&cluster.store, &key("cpu", 0)).await, Some(vec![0]));
}

/// M-02, MI-05, F-13, F-15: a dead peer holds up nothing that the level does not need it for.
#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_done_without() {
    for level in [Level::None, Level::One, Level::UnstrictMajority, Level::UnstrictAll] {
        let mut cluster = disputed(3, &[]).await;
        cluster.engines.remove(1).shutdown().await;
        cluster.set_level(level);
        let began = tokio::time::Instant::now();
        within(cluster.recover()).await;
        assert!(began.elapsed() < 60 * SECOND, "{level}: it took {:?}", began.elapsed());
    }
}
