//! Tags belong to a series, whatever happens on the way.

use peerstream_blocks::{BlockKey, Tags};
use peerstream_engine::select::Level;

use crate::cluster::{Cluster, points, within};

fn tagged(series: &str) -> BlockKey {
    let tags = Tags::new([("host", "a"), ("zone", "1"), ("unit", series)]).unwrap();
    BlockKey::new(series, tags, 0).unwrap()
}

/// G-02: F-36, and fault 1.7 no. 2 of the original, which lost the tags of a series whose first fetch failed:
/// here it has them, whether the second one is to the same peer or to another, of one copy or of several.
#[tokio::test(start_paused = true)]
async fn tags_survive_a_fetch_that_failed() {
    for level in Level::ALL {
        for is_equal in [true, false] {
            let cluster = Cluster::new(2).await;
            let keys = ["cpu", "disk", "mem"].map(tagged);
            for (place, donor) in (0..).zip(&cluster.donors) {
                for key in &keys {
                    let other = if is_equal { 0 } else { place };
                    donor.write(key, &points(1, [0, 1 + other])).await;
                }
                // The first fetch of each copy of the first block fails, and all of the second at one donor.
                donor.switch(|switches| {
                    switches.spoiled.insert(keys[0].clone(), 1);
                    if place == 0 && is_equal {
                        switches.unreadable.insert(keys[1].clone());
                    }
                });
            }
            cluster.set_level(level);
            within(cluster.recover()).await;
            let read: usize = cluster.donors.iter().map(|donor| donor.reads(&keys[0])).sum();
            assert!(read > 1, "the first fetch failed");
            let recovered = cluster.recovered().await;
            assert_eq!(recovered.keys().collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
            for key in recovered.keys() {
                assert_eq!(key.tags().iter().count(), 3, "{key:?}");
            }
        }
    }
}

/// Series of one id with other tags are other series, and stay apart.
#[tokio::test(start_paused = true)]
async fn series_with_other_tags_stay_apart() {
    let cluster = Cluster::new(2).await;
    let key = |host: &str| BlockKey::new("cpu", Tags::new([("host", host)]).unwrap(), 0).unwrap();
    cluster.donors[0].write(&key("a"), &points(1, [0])).await;
    cluster.donors[1].write(&key("b"), &points(1, [1])).await;
    within(cluster.recover()).await;
    let recovered: Vec<BlockKey> = cluster.recovered().await.into_keys().collect();
    assert_eq!(recovered.len(), 2);
    assert!(recovered.contains(&key("a")) && recovered.contains(&key("b")));
}
