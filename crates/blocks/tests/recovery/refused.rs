//! Copies that fit their digest and that the store of the replica cannot merge.

use bytes::Bytes;
use peerstream_blocks::{
    BlockKey, BlockOptions, BlockStore, MergeError, MergeHook, Point, SeriesUnion, Stamp,
};
use peerstream_engine::select::Level;
use peerstream_engine::{BadChunk, EngineConfig, PlanEvent, PlanOutcome, ShardOutcome};

use crate::cluster::{Cluster, SECOND, all_of, key, moments, name, points, shard, store, within};

/// Calls itself what honest replicas use, and takes anything for a payload.
#[derive(Debug)]
struct Liar;

impl MergeHook for Liar {
    fn name(&self) -> &'static str {
        SeriesUnion.name()
    }

    fn merge(&self, _existing: Option<&[u8]>, incoming: &[u8]) -> Result<Bytes, MergeError> {
        Ok(Bytes::copy_from_slice(incoming))
    }

    fn after_delete(&self, payload: &[u8], _deleted: Stamp) -> Result<Option<Bytes>, MergeError> {
        Ok(Some(Bytes::copy_from_slice(payload)))
    }

    fn oldest(&self, _payload: &[u8]) -> Result<Stamp, MergeError> {
        Ok(Stamp(1))
    }
}

fn liar() -> BlockStore {
    BlockStore::in_memory(BlockOptions { horizon: 100, ..BlockOptions::new(Liar) })
}

/// The first donor lies about a block in the middle of many, and the others have all but that.
async fn lied_to(honest: usize, bad: &[u8]) -> Cluster {
    let stores = std::iter::once(liar()).chain((0..honest).map(|_| store())).collect();
    let cluster = Cluster::of(stores, EngineConfig::default(), store()).await;
    for donor in &cluster.donors {
        for start in (0..40).filter(|start| *start != 20) {
            donor.write(&key("cpu", start), &points(1, [start])).await;
        }
    }
    cluster.donors[0].write(&key("cpu", 20), bad).await;
    cluster
}

/// Brings the replica up; who was named, for which blocks.
async fn bring_up(cluster: &Cluster, level: Level) -> (PlanOutcome, Vec<BadChunk>) {
    cluster.set_level(level);
    let plan = cluster.bring_up();
    let mut events = plan.events();
    let outcome = within(plan).await;
    let mut blamed = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let PlanEvent::BadChunk { bad, .. } = event {
            blamed.push(bad);
        }
    }
    (outcome, blamed)
}

/// What there is but for one block.
async fn all_but(store: &BlockStore, missing: &BlockKey) -> bool {
    let all = all_of(store).await;
    all.len() == 39 && !all.contains_key(missing)
}

/// F-14, promise 9: a block that the store cannot merge, of one chunk or of several, costs that block. The
/// end names it, who gave it and why, in words that can be printed; everything else is merged.
#[tokio::test(start_paused = true)]
async fn a_block_that_cannot_be_merged_costs_that_block() {
    for bad in [vec![7; 5], vec![7; 600 << 10]] {
        for (honest, level) in [(0, Level::One), (1, Level::Majority), (2, Level::All)] {
            let cluster = lied_to(honest, &bad).await;
            let (outcome, blamed) = bring_up(&cluster, level).await;
            let ShardOutcome::Incomplete { bad: missing, count: 1 } = &outcome.shards[0].outcome else {
                panic!("{level}: {outcome:?}")
            };
            let said = missing.iter().map(ToString::to_string).collect::<String>();
            assert!(said.contains("cpu") && said.contains(SeriesUnion.name()), "{said}");
            assert!(!said.contains(char::is_control), "{said:?}");
            assert!(all_but(&cluster.store, &key("cpu", 20)).await, "{level}");
            let blamed: Vec<_> = blamed.iter().map(|bad| (bad.peer.clone(), bad.key.clone())).collect();
            assert_eq!(blamed, [(name(0), key("cpu", 20).to_entry_key())], "{level}");
        }
    }
}

/// F-09: where others have a good copy and are enough for the level, the bad one is left out.
#[tokio::test(start_paused = true)]
async fn a_good_copy_of_the_others_is_enough() {
    for bad in [vec![7; 5], vec![7; 600 << 10]] {
        let cluster = lied_to(3, &bad).await;
        for (place, donor) in (0..).zip(&cluster.donors).skip(1) {
            donor.write(&key("cpu", 20), &points(1, [20, 20 + place])).await;
        }
        let (outcome, blamed) = bring_up(&cluster, Level::Majority).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(blamed.iter().map(|bad| &bad.peer).collect::<Vec<_>>(), [&name(0)]);
        assert_eq!(moments(&cluster.store, &key("cpu", 20)).await, Some(vec![20, 21, 22, 23]));
        assert!(cluster.store.is_ready(&shard()).await.unwrap());
    }
}

/// F-19: level none does without it, and says so.
#[tokio::test(start_paused = true)]
async fn level_none_does_without_what_cannot_be_merged() {
    let cluster = lied_to(0, &[7; 5]).await;
    let (outcome, blamed) = bring_up(&cluster, Level::None).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    assert_eq!(outcome.shards[0].findings.dropped.keys, [key("cpu", 20).to_entry_key()]);
    assert_eq!(blamed.len(), 1);
    assert!(all_but(&cluster.store, &key("cpu", 20)).await);
}

/// Promise 9: good copies that are too long together cost their entry and nobody's name: the block here stays
/// as it was, the end says why, everything else is merged.
#[tokio::test(start_paused = true)]
async fn copies_that_are_too_long_together_blame_nobody() {
    for level in [Level::Majority, Level::All] {
        let cluster = Cluster::new(2).await;
        let long = |place: usize| {
            let value = Bytes::from(vec![7; 9 << 20]);
            let point = Point { at_ms: i64::try_from(place).unwrap(), stamp: Stamp(1), value };
            SeriesUnion::encode(&[point]).unwrap()
        };
        for (place, donor) in cluster.donors.iter().enumerate() {
            for start in (0..40).filter(|start| *start != 20) {
                donor.write(&key("cpu", start), &points(1, [start])).await;
            }
            donor.write(&key("cpu", 20), &long(place)).await;
        }
        let (outcome, blamed) = bring_up(&cluster, level).await;
        let ShardOutcome::Incomplete { bad: missing, count: 1 } = &outcome.shards[0].outcome else {
            panic!("{level}: {outcome:?}")
        };
        assert_eq!(missing[0].key, key("cpu", 20).to_entry_key());
        assert!(missing[0].why.contains("at most 16777216 are allowed"), "{}", missing[0].why);
        assert_eq!(blamed, [], "{level}");
        let all = all_of(&cluster.store).await;
        assert_eq!(all.len(), 40, "{level}: one of the copies is here");
        assert!(cluster.engines[0].now().since_origin() < 600 * SECOND, "{level}: it ends");
    }
}
